//! A year of trade, and how analytics copes with it: `cargo xtask year`.
//!
//! Draws a year of orders from what real trade looks like ([`shape`], [`trade`]), has each service's rows and log written as they would have
//! been ([`shop`], [`warehouse`], [`receivables`], [`books`]), fills a private Postgres with them ([`fill`]), and starts the real fleet on it
//! as if it had run all that time ([`streams`]). Then it measures ([`bench`]): counting the logs from their start, each question of the
//! dashboard and the reports beside the same question as SQL ([`questions`], [`asking`]), a rebuild while questions go on, a restart.
//!
//! **Invariant:** it fails if one answer is not what Postgres says, value for value, or if a rebuild finds a difference.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what a command line is for")]

mod shape;
mod money;
mod calendar;
mod trade;
mod copying;
mod events;
mod books;
mod receivables;
mod warehouse;
mod shop;
mod fill;
mod streams;
mod asking;
mod questions;
mod figures;
mod bench;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use chrono::NaiveDate;
use clap::Parser;
use stack::{
    Fleet, Interrupt, Nats, Ports, Postgres, fleet::Settings as FleetSettings, postgres::Durability,
};

/// What Postgres gets of the machine: a quarter of what a Pi has.
const POSTGRES: [&str; 6] = [
    "shared_buffers=1GB",
    "work_mem=64MB",
    "maintenance_work_mem=512MB",
    "max_wal_size=1GB",
    // It is vacuumed once it is filled.
    "autovacuum=off",
    "random_page_cost=1.1",
];

/// `cargo xtask year` knows where all of this is.
#[derive(Debug, Parser)]
struct Settings {
    /// Products, customers, stock and orders as CSV, plain or gzipped: what trade looks like.
    #[arg(long)]
    data: PathBuf,
    /// Lines of orders.
    #[arg(long, default_value_t = 10_000_000)]
    lines: usize,
    /// The last day of the year; unless told, the last one that is over.
    #[arg(long)]
    last_day: Option<NaiveDate>,
    /// How often each question is asked.
    #[arg(long, default_value_t = 100)]
    calls: usize,
    /// Seconds that each question may take as SQL, all calls together; once it is asked in any case.
    #[arg(long, default_value_t = 10)]
    sql_seconds: u64,
    /// The folder of the services' binaries.
    #[arg(long)]
    bin: PathBuf,
    /// The folder of Postgres' programs.
    #[arg(long)]
    postgres: PathBuf,
    /// NATS' server.
    #[arg(long)]
    nats: PathBuf,
    /// Where all data go. What an earlier run has left there is gone on with: only what is missing is filled and counted.
    #[arg(long)]
    folder: PathBuf,
}

fn main() -> ExitCode {
    // Programs are told to end when the thread that starts them does: it is this one.
    match Interrupt::on_signal().map_err(Into::into).and_then(|told| run(&Settings::parse(), &told))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("year: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(settings: &Settings, interrupt: &Interrupt) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let folder = &settings.folder;
    let postgres = Postgres::start_with(
        &settings.postgres,
        &folder.join("postgres"),
        Durability::None,
        &POSTGRES,
        interrupt,
    )?;
    let nats = Nats::start(&settings.nats, &folder.join("nats"), interrupt)?;
    let fleet = FleetSettings {
        bin: settings.bin.clone(),
        folder: folder.clone(),
        admin_url: postgres.admin_url(),
        password: Some(postgres.password().to_owned()),
        nats_url: nats.url(),
        ports: Ports::Any,
        env: Vec::new(),
    };
    let mut fleet = Fleet::new(fleet)?;
    fleet.migrate(interrupt)?;
    let url = postgres.admin_url();
    let filled = bench::filled(&url, &settings.data, settings.lines, settings.last_day);
    let (lived, last_day) = runtime.block_on(filled).context("filling Postgres")?;
    runtime.block_on(streams::told(&nats.url(), &lived.newest)).context("NATS")?;
    let bench = bench::Bench { settings, interrupt, runtime, url, last_day, lived: &lived };
    let measured = bench.run(&mut fleet);
    fleet.stop().and(measured)
}
