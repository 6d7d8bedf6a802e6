//! `cargo xtask year`: what it needs is built and fetched here; what it does is in `crates/year`, which speaks gRPC and SQL, as xtask does not: a
//! newcomer's first command would have to wait for that.

use std::path::{Path, PathBuf};

use crate::checkout::{Checkout, Profile, step};

/// Draw a year of trade from what real trade looks like, fill a fresh stack with it, and measure how analytics copes: against the same
/// questions as SQL, and value for value.
#[derive(Debug, clap::Args)]
pub(crate) struct Year {
    /// Holds products, customers, stock and orders as CSV, plain or gzipped.
    #[arg(long, default_value = "tests/data/week")]
    data: PathBuf,
    /// Lines of orders.
    #[arg(long, default_value_t = 10_000_000)]
    lines: u64,
    /// The last day of the year, such as 2026-03-31; unless told, yesterday.
    #[arg(long)]
    last_day: Option<String>,
    /// How often each question is asked.
    #[arg(long, default_value_t = 100)]
    calls: u32,
    /// Without optimizations, as tests run it.
    #[arg(long)]
    dev: bool,
    /// A folder of binaries that are built already, `year` among them.
    #[arg(long, conflicts_with = "dev")]
    bin: Option<PathBuf>,
    /// Leave the stack's data where they are, some 16 GB, and say where that is.
    #[arg(long)]
    keep: bool,
    /// Measure on what an earlier run has left, and leave it again.
    #[arg(long)]
    again: Option<PathBuf>,
}

pub(crate) fn run(checkout: &Checkout, year: &Year) -> anyhow::Result<()> {
    let profile = if year.dev { Profile::Dev } else { Profile::Release };
    let bin = match &year.bin {
        Some(bin) => std::path::absolute(bin)?,
        None => step("building", || checkout.build_with(profile, &["year"]))?,
    };
    measure(checkout, &bin, year)
}

/// That it works: a short year, each answer compared. `year` is among the binaries.
pub(crate) fn check(checkout: &Checkout, bin: &Path) -> anyhow::Result<()> {
    let year = Year {
        data: "tests/data/week".into(),
        lines: 3000,
        last_day: Some("2026-04-15".to_owned()),
        calls: 1,
        dev: true,
        bin: None,
        keep: false,
        again: None,
    };
    measure(checkout, bin, &year)
}

fn measure(checkout: &Checkout, bin: &Path, year: &Year) -> anyhow::Result<()> {
    let (parts, interrupt) = (checkout.parts(), &checkout.interrupt);
    let scratch = checkout.scratch("year")?;
    let folder = year.again.as_deref().unwrap_or(scratch.path());
    let mut command = checkout.command(bin.join("year"));
    command.arg("--data").arg(&year.data).arg("--bin").arg(bin);
    command.arg("--postgres").arg(parts.postgres(interrupt)?);
    command.arg("--nats").arg(parts.nats(interrupt)?);
    command.arg("--folder").arg(folder);
    command.args(["--lines", &year.lines.to_string(), "--calls", &year.calls.to_string()]);
    command.args(year.last_day.iter().flat_map(|day| ["--last-day", day]));
    let measured = interrupt.run(&mut command);
    if year.keep {
        eprintln!("the data are in {}", scratch.keep().display());
    }
    measured
}
