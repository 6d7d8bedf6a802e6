//! Real trade into a fresh stack, compared to the penny with what must come of it, which was counted without us.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::{
    checkout::{Checkout, Profile, step},
    kills::Kills,
    running::{Running, Where},
};

/// Import a folder of real trade into a fresh stack, compare everything with its `expected.json`, and measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Journey {
    /// Holds products, customers, stock and orders as CSV, plain or gzipped, and expected.json.
    #[arg(long, default_value = "tests/data/week")]
    data: PathBuf,
    /// Without optimizations, as tests run it.
    #[arg(long)]
    dev: bool,
    /// A folder of binaries that are built already, such as an image's.
    #[arg(long, conflicts_with = "dev")]
    bin: Option<PathBuf>,
    #[command(flatten)]
    killing: Killing,
}

/// What happens to olap-consumer while it counts.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Killing {
    /// Kill olap-consumer so many times with SIGKILL, at random moments spread over the import, and start it again.
    #[arg(long, default_value_t = 0)]
    pub(crate) kills: u64,
    /// Kill at the moments of an earlier run, which has told it.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
}

pub(crate) fn run(checkout: &Checkout, journey: &Journey) -> anyhow::Result<()> {
    let data = std::path::absolute(&journey.data)?;
    let profile = if journey.dev { Profile::Dev } else { Profile::Release };
    let bin = match &journey.bin {
        Some(bin) => std::path::absolute(bin)?,
        None => step("building", || checkout.build(profile))?,
    };
    check(checkout, bin, &data, &journey.killing)
}

/// Fails if anything differs from what is expected.
pub(crate) fn check(
    checkout: &Checkout,
    bin: PathBuf,
    data: &Path,
    killing: &Killing,
) -> anyhow::Result<()> {
    let scratch = checkout.scratch("journey")?;
    let mut running = Where::private().start_built(checkout, bin, scratch.path())?;
    let compared = step("importing, comparing and measuring", || {
        Comparison { checkout, running: &mut running, data }.run(killing)
    });
    running.stop().and(compared)
}

struct Comparison<'a> {
    checkout: &'a Checkout,
    running: &'a mut Running,
    data: &'a Path,
}

impl Comparison<'_> {
    fn run(&mut self, killing: &Killing) -> anyhow::Result<()> {
        let expected: Value = serde_json::from_slice(&fs::read(self.data.join("expected.json"))?)?;
        let first = self.import_under(killing, &expected)?;
        println!(
            "  {} orders/s, {} lines/s; orders took {} s, all of it {} s",
            first["orders_per_second"],
            first["lines_per_second"],
            first["orders_seconds"],
            first["seconds"]
        );
        for (said, wanted) in [
            ("orders_accepted", "orders_accepted"),
            ("orders_refused", "orders_rejected"),
            ("lines_accepted", "lines_accepted"),
            ("total_accepted", "total_accepted"),
        ] {
            same(said, &first[said], &expected[wanted])?;
        }

        self.compare_hours(&expected)?;
        self.verify()?;
        let counted = &expected["orders_accepted"];
        same("invoices", &self.count("select count(*) from billing.invoices")?, counted)?;
        let left = "select count(*) from inventory.inventory_items where qty_on_hand > reserved_qty
                    and sku in (select sku from orders.order_items)";
        same("SKUs of accepted orders with stock available", &self.count(left)?, &0.into())?;
        self.check_books()?;
        self.prove_counting(&expected)?;

        let before = self.text(NEWEST)?;
        let second = self.import("second")?;
        same("a second import's orders", &second["orders_accepted"], counted)?;
        let after = self.text(NEWEST)?;
        ensure!(before == after, "importing again made events: {before} before, {after} after");
        println!(
            "  importing again changes nothing (events: {})",
            before.trim().replace('\n', ", ")
        );
        self.print_use()
    }

    /// The first import, during which olap-consumer may be killed.
    fn import_under(&mut self, killing: &Killing, expected: &Value) -> anyhow::Result<Value> {
        let orders = expected["orders_accepted"].as_u64().context("expected orders")?;
        let mut kills = Kills::new(killing.kills, orders, killing.seed);
        let (mut import, json) = self.importing("first")?;
        let interrupt = &self.checkout.interrupt;
        interrupt.run_beside(&mut import, || self.kill(&mut kills))?;
        let during = kills.done();
        while !kills.are_done() {
            self.kill(&mut kills)?;
            sleep(Duration::from_millis(20));
        }
        if killing.kills > 0 {
            self.running.fleet.wait_until_ready(interrupt)?;
            println!(
                "  olap-consumer was killed {during} times during the import, {} times just after it",
                kills.done() - during
            );
        }
        Ok(serde_json::from_slice(&fs::read(json)?)?)
    }

    fn kill(&mut self, kills: &mut Kills) -> anyhow::Result<()> {
        let placed = "select count(*) from orders.orders where status <> 'draft'";
        let (checkout, url) = (self.checkout, &self.running.admin_url);
        kills.look(&mut self.running.fleet, || Ok(ask(checkout, url, placed)?.trim().parse()?))
    }

    fn import(&self, which: &str) -> anyhow::Result<Value> {
        let (mut import, json) = self.importing(which)?;
        self.checkout.interrupt.run(&mut import)?;
        Ok(serde_json::from_slice(&fs::read(json)?)?)
    }

    /// The command, and where it writes what came of it.
    fn importing(&self, which: &str) -> anyhow::Result<(Command, PathBuf)> {
        let json = self.running.fleet.folder().join(format!("{which}.json"));
        let mut import = self.running.import(self.data)?;
        import.arg("--json").arg(&json);
        Ok((import, json))
    }

    /// Sales by hour are what is expected.
    fn compare_hours(&self, expected: &Value) -> anyhow::Result<()> {
        let sales = self.report(&["sales", "--wait-for-fresh"])?;
        let hours = sales["rows"].as_array().context("sales have rows")?;
        let wanted = expected["hours_by_sales"].as_array().context("expected hours")?;
        same("hours with sales", &hours.len().into(), &wanted.len().into())?;
        for (hour, wanted) in hours.iter().zip(wanted) {
            for column in ["hour", "order_count", "total_amount"] {
                same("an hour's sales", &hour[column], &wanted[column])?;
            }
        }
        println!("  all {} hours are equal to the penny in count and amount", hours.len());
        Ok(())
    }

    /// Counted as it came, counted from the start, and what is expected are the same.
    fn prove_counting(&self, expected: &Value) -> anyhow::Result<()> {
        for what in ["verify", "rebuild"] {
            let mut olap = self.running.fleet.cli()?;
            self.checkout.interrupt.run(olap.args(["olap", what]))?;
        }
        self.compare_hours(expected)
    }

    fn report(&self, args: &[&str]) -> anyhow::Result<Value> {
        let mut report = self.running.fleet.cli()?;
        let said = report.arg("report").args(args).args(["--format", "json"]).output()?;
        ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        Ok(serde_json::from_slice(&said.stdout)?)
    }

    /// Waits until every event has had its effect, then fails if anything does not tie.
    fn verify(&self) -> anyhow::Result<()> {
        let verify = fs::read_to_string(self.checkout.root.join("tests/verify.sql"))?;
        let broken = format!("select * from ({verify}) v where broken > 0");
        let began = Instant::now();
        loop {
            let found = self.text(&broken)?;
            if found.is_empty() {
                println!("  all invariants of tests/verify.sql hold");
                return Ok(());
            }
            ensure!(began.elapsed() < QUIET_MAX, "invariants are broken: {found}");
            sleep(Duration::from_millis(200));
        }
    }

    /// The trial balance is 0, and debtors are the open invoices, in the books and in analytics.
    fn check_books(&self) -> anyhow::Result<()> {
        let off = self.text("select sum(debit) - sum(credit) from ledger.ledger_entries")?;
        ensure!(off.trim() == "0.00", "the trial balance is {off}");
        let debtors = self.text(
            "select sum(debit) - sum(credit) from ledger.ledger_entries where account = '1100'",
        )?;
        let open = self.text(
            "select sum(amount - paid_amount) from billing.invoices where status <> 'voided'",
        )?;
        ensure!(debtors == open, "1100 is {debtors}, open invoices are {open}");
        let ageing = self.report(&["ageing", "--wait-for-fresh"])?;
        let found = ageing.to_string().contains(&format!("\"{}\"", open.trim()));
        ensure!(found, "ageing is {ageing}, open invoices are {open}");
        println!(
            "  the trial balance is 0; 1100, the open invoices and the ageing are {}",
            open.trim()
        );
        Ok(())
    }

    fn print_use(&self) -> anyhow::Result<()> {
        let mut sum = (0, 0, 0);
        println!("  resident memory, MiB    now   peak   processor, s");
        for program in self.running.fleet.programs() {
            let process = PathBuf::from(format!("/proc/{}", program.pid()));
            let status = fs::read_to_string(process.join("status"))?;
            let (now, peak) = (kib(&status, "VmRSS:")?, kib(&status, "VmHWM:")?);
            let busy = ticks(&fs::read_to_string(process.join("stat"))?)?;
            println!("    {:<16} {} {} {}", program.name(), mib(now), mib(peak), seconds(busy));
            sum = (sum.0 + now, sum.1 + peak, sum.2 + busy);
        }
        println!("    {:<16} {} {} {}", "all seven", mib(sum.0), mib(sum.1), seconds(sum.2));
        Ok(())
    }

    fn count(&self, sql: &str) -> anyhow::Result<Value> {
        Ok(self.text(sql)?.trim().parse::<u64>()?.into())
    }

    fn text(&self, sql: &str) -> anyhow::Result<String> {
        ask(self.checkout, &self.running.admin_url, sql)
    }
}

/// What psql says, as the superuser.
fn ask(checkout: &Checkout, url: &str, sql: &str) -> anyhow::Result<String> {
    let psql = checkout.parts().postgres(&checkout.interrupt)?.join("psql");
    let said = Command::new(psql).arg(url).args(["-X", "-A", "-t", "-c", sql]).output()?;
    ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    Ok(String::from_utf8(said.stdout)?)
}

/// How long the last events may take to have their effect.
const QUIET_MAX: Duration = Duration::from_secs(60);

/// How far each log has come, but for what time alone brings: invoices of long ago fall overdue.
const NEWEST: &str = "select 'orders ' || max(id) from orders.events_log
  union all select 'inventory ' || max(id) from inventory.events_log
  union all select 'billing ' || max(id) from billing.events_log where event_type <> 'invoice.overdue'
  union all select 'ledger ' || max(id) from ledger.events_log";

fn same(what: &str, found: &Value, wanted: &Value) -> anyhow::Result<()> {
    if found != wanted {
        bail!("{what}: {found}, but {wanted} is expected");
    }
    Ok(())
}

fn kib(status: &str, name: &str) -> anyhow::Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Time of a processor, for itself and for calls of the kernel, in the hundredths of a second that Linux counts in.
fn ticks(stat: &str) -> anyhow::Result<u64> {
    // Behind the name, which may hold anything.
    let (_, fields) = stat.rsplit_once(')').context("no such line")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    Ok(ticks.sum::<Result<u64, _>>()?)
}

fn seconds(ticks: u64) -> String {
    format!("{:>11}", format!("{}.{}", ticks / 100, ticks % 100 / 10))
}

fn mib(kib: u64) -> String {
    let tenths = kib * 10 / 1024;
    format!("{:>6}", format!("{}.{}", tenths / 10, tenths % 10))
}
