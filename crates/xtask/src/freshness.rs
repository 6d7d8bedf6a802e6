//! How long a sale takes to be in an answer, and what that costs the disk: as fast as one may want it, and as gentle as it comes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use serde_json::Value;

use crate::{
    checkout::{Checkout, Profile, step},
    running::{Running, Where},
};

/// Measure how fresh answers are while orders arrive, and the bytes written per order, in a fresh fleet for each flush setting.
#[derive(Debug, clap::Args)]
pub(crate) struct Freshness {
    /// Holds products, customers and orders as CSV, plain or gzipped.
    #[arg(long, default_value = "tests/data/week")]
    data: PathBuf,
    /// Settings of `BRAMBLE_OLAP_FLUSH_INTERVAL_MS` to measure.
    #[arg(long, value_delimiter = ',', default_values_t = [200, 2000])]
    flush_interval_ms: Vec<u64>,
    /// Seconds of each of the two phases in which orders are looked for in answers.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Measure other binaries than the checkout's, such as an image's.
    #[arg(long)]
    bin: Option<PathBuf>,
}

pub(crate) fn run(checkout: &Checkout, freshness: &Freshness) -> anyhow::Result<()> {
    let built = step("building", || checkout.build_with(Profile::Release, &["freshness"]))?;
    let seller = built.join("freshness");
    let bin = freshness.bin.clone().unwrap_or(built);
    let mut rows = Vec::new();
    for interval_ms in &freshness.flush_interval_ms {
        let measured = measure(checkout, freshness, bin.clone(), &seller, *interval_ms)?;
        rows.extend(describe(*interval_ms, &measured)?);
    }
    println!("{HEADING}");
    rows.iter().for_each(|row| println!("{row}"));
    Ok(())
}

fn measure(
    checkout: &Checkout,
    freshness: &Freshness,
    bin: PathBuf,
    seller: &Path,
    interval_ms: u64,
) -> anyhow::Result<Value> {
    let scratch = checkout.scratch("freshness")?;
    let setting = ("BRAMBLE_OLAP_FLUSH_INTERVAL_MS".to_owned(), interval_ms.to_string());
    let place = Where { env: vec![setting], ..Where::private() };
    let mut running = place.start_built(checkout, bin, scratch.path())?;
    let measured = step(&format!("selling, with a flush every {interval_ms} ms"), || {
        let data = std::path::absolute(&freshness.data)?;
        let interrupt = &checkout.interrupt;
        interrupt.run(&mut running.import_some(&data, &["products", "customers"])?)?;
        let json = running.fleet.folder().join("freshness.json");
        let mut sell = selling(&mut running, seller, &data)?;
        sell.arg("--json").arg(&json).args(["--seconds", &freshness.seconds.to_string()]);
        interrupt.run(&mut sell)?;
        Ok(serde_json::from_slice(&fs::read(json)?)?)
    });
    running.stop().and(measured)
}

/// Who sells, knowing what the command line knows, and the database.
fn selling(running: &mut Running, seller: &Path, data: &Path) -> anyhow::Result<Command> {
    let mut sell = Command::new(seller);
    for (name, value) in running.fleet.cli()?.get_envs() {
        sell.env(name, value.unwrap_or_default());
    }
    let olap_pid = running.fleet.program("olap-consumer")?.pid().to_string();
    sell.env("BRAMBLE_ADMIN_DATABASE_URL", &running.admin_url);
    sell.arg("--data").arg(data).args(["--olap-pid", &olap_pid]);
    Ok(sell)
}

const HEADING: &str = "
                                         sale to answer, ms               bytes written per order
  flush every  orders come        orders     p50    p99    max  versions    files    pages  not counted at the end";

/// A row for each phase.
fn describe(interval_ms: u64, measured: &Value) -> anyhow::Result<[String; 2]> {
    let highest = measured["highest_per_second"].as_u64().context("no highest rate")?;
    let row = |phase: &str, rate: String| {
        let number = |name: &str| measured[phase][name].to_string();
        format!(
            "  {:>8} ms  {rate:<17} {:>7} {:>7}{:>7}{:>7}{:>10}{:>9}{:>9}  {} events",
            interval_ms,
            number("orders"),
            number("p50_ms"),
            number("p99_ms"),
            number("max_ms"),
            number("versions"),
            number("file_bytes_per_order"),
            number("page_bytes_per_order"),
            number("lag_events")
        )
    };
    let half = format!("{}/s of {highest}/s", highest / 2);
    Ok([row("calm", "one in 2 s".to_owned()), row("half", half)])
}
