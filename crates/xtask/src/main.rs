//! `cargo xtask`: what people who work on this checkout type.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what a command line is for")]

mod checkout;
mod running;
mod up;
mod demo;
mod prepare;
mod protos;
mod test;
mod kills;
mod journey;
mod year;
mod freshness;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use stack::Interrupt;

use checkout::Checkout;

/// Runs and tests this checkout.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(running::Where),
    Demo(running::Where),
    Test(test::Test),
    /// Describe all statements again, after one was changed.
    Prepare,
    /// Note the protos as they are as released: from then on nothing that they hold may change.
    ReleaseProtos,
    Journey(journey::Journey),
    Year(year::Year),
    Freshness(freshness::Freshness),
}

fn main() -> ExitCode {
    let done = Interrupt::on_signal().map_err(Into::into).and_then(|interrupt| {
        let checkout = Checkout::find(interrupt)?;
        match Cli::parse().command {
            Command::Up(place) => up::run(&checkout, &place),
            Command::Demo(place) => demo::run(&checkout, &place),
            Command::Test(test) => test::run(&checkout, &test),
            Command::Prepare => prepare::run(&checkout),
            Command::ReleaseProtos => protos::release(&checkout),
            Command::Journey(journey) => journey::run(&checkout, &journey),
            Command::Year(year) => year::run(&checkout, &year),
            Command::Freshness(freshness) => freshness::run(&checkout, &freshness),
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
