//! What is measured, in the order in which it is, and printed.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use chrono::NaiveDate;
use manifest::Manifest;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use stack::{Fleet, Interrupt};
use tokio::runtime::Runtime;

use crate::{
    Settings,
    asking::{Answer, Asker, same},
    figures::{Memory, Times, mib, ms, rate, ratio, seconds},
    fill, questions,
    shop::Lived,
};

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A pause between the questions of somebody who looks at a page while all is counted anew.
const READS_FOR: Duration = Duration::from_millis(50);
/// Whose memory is looked at.
const WATCHED: [&str; 2] = ["olap-consumer", "analytics-svc"];
const MEMORY_MAX: u64 = 200 << 20;

pub(crate) struct Bench<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) interrupt: &'a Interrupt,
    pub(crate) runtime: Runtime,
    pub(crate) url: String,
    pub(crate) last_day: NaiveDate,
    pub(crate) lived: &'a Lived,
}

/// Memory of the watched, a row a phase.
#[derive(Default)]
struct Phases(Vec<(&'static str, [Memory; 2])>);

/// One question's.
struct Compared {
    name: &'static str,
    analytics: Times,
    sql: Times,
}

/// What questions name.
struct Known {
    today: NaiveDate,
    skus: Vec<String>,
}

/// Fills the database, unless an earlier run has.
pub(crate) async fn filled(
    url: &str,
    data: &Path,
    lines: usize,
    last_day: Option<NaiveDate>,
) -> anyhow::Result<(Lived, NaiveDate)> {
    let (began, mut db) = (Instant::now(), PgConnection::connect(url).await?);
    if let Some(lived) = fill::found(&mut db).await? {
        println!("\nA year that was there: {}.", describe(&lived, &mut db).await?);
        let last = "select (max(placed_at) at time zone 'Europe/London')::date from orders.orders";
        return Ok((lived, sqlx::query_scalar(last).fetch_one(&mut db).await?));
    }
    let over = "select (now() at time zone 'Europe/London')::date - 1";
    let last_day = match last_day {
        Some(day) => day,
        None => sqlx::query_scalar(over).fetch_one(&mut db).await?,
    };
    eprintln!("▸ filling Postgres with a year that ends on {last_day}");
    let lived = fill::fill(url, data, lines, last_day).await?;
    println!(
        "\nA year: {}; drawn and copied in {} s.",
        describe(&lived, &mut db).await?,
        began.elapsed().as_secs()
    );
    Ok((lived, last_day))
}

async fn describe(lived: &Lived, db: &mut PgConnection) -> anyhow::Result<String> {
    let size = sqlx::query_scalar("select pg_database_size(current_database())");
    let size: i64 = size.fetch_one(db).await?;
    let Lived { orders, lines, .. } = lived;
    let (events, size) = (events(lived), mib(size.unsigned_abs()));
    Ok(format!("{orders} orders with {lines} lines and {events} events, {size} MiB in Postgres"))
}

fn events(lived: &Lived) -> u64 {
    lived.newest.iter().map(|newest| newest.sequence.unsigned_abs()).sum()
}

impl Bench<'_> {
    pub(crate) fn run(&self, fleet: &mut Fleet) -> anyhow::Result<()> {
        let mut phases = Phases::default();
        eprintln!("▸ the first count");
        let began = Instant::now();
        fleet.launch(self.interrupt)?;
        self.until_counted(fleet)?;
        let took = began.elapsed();
        phases.end("first count", fleet)?;
        self.print_count("first count", took);
        self.print_folder(fleet)?;
        fleet.wait_until_ready(self.interrupt)?;

        eprintln!("▸ questions");
        let _entered = self.runtime.enter();
        let mut asker = asker(fleet)?;
        let compared = self.runtime.block_on(self.compare(&mut asker))?;
        phases.end("questions", fleet)?;
        print_compared(&compared);

        eprintln!("▸ a rebuild, while questions go on");
        self.rebuild(fleet, &mut asker)?;
        phases.end("rebuild", fleet)?;
        self.print_folder(fleet)?;
        let again = self.runtime.block_on(self.compare_once(&mut asker))?;
        println!("\nAfter it the {again} questions have the same answers as Postgres once more.");

        eprintln!("▸ a restart");
        for service in WATCHED {
            let began = Instant::now();
            fleet.restart(service)?;
            fleet.wait_until_ready(self.interrupt)?;
            println!(
                "{service} was there again {} s after it was told to end.",
                seconds(began.elapsed())
            );
        }
        // By new connections.
        self.runtime.block_on(self.compare_once(&mut self::asker(fleet)?))?;
        phases.end("restart", fleet)?;
        phases.print();
        Ok(())
    }

    fn until_counted(&self, fleet: &mut Fleet) -> anyhow::Result<()> {
        let (folder, mut told) = (fleet.folder().join("olap"), Instant::now());
        loop {
            ensure!(!self.interrupt.is_set(), "interrupted");
            fleet.check()?;
            let manifest = Manifest::read(&folder)?;
            let at = |source: &str| {
                let counted = manifest.as_ref().and_then(|manifest| manifest.positions.get(source));
                counted.map_or(0, |counted| counted.log_id)
            };
            let newest = &self.lived.newest;
            if newest.iter().all(|newest| at(newest.source) >= newest.sequence) {
                return Ok(());
            }
            if told.elapsed() > Duration::from_secs(15) {
                told = Instant::now();
                let counted: i64 = newest.iter().map(|newest| at(newest.source)).sum();
                eprintln!("  {counted} of {} events are counted", events(self.lived));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn print_count(&self, what: &str, took: Duration) {
        println!(
            "\nThe {what} took {} s: {} events/s, {} lines/s.",
            seconds(took),
            rate(events(self.lived), took),
            rate(self.lived.lines, took)
        );
    }

    fn print_folder(&self, fleet: &Fleet) -> anyhow::Result<()> {
        let folder = fleet.folder().join("olap");
        let manifest = Manifest::read(&folder)?.context("no manifest")?;
        let bytes: u64 = manifest.files.iter().map(|file| file.size_bytes).sum();
        let own = fs::metadata(folder.join(manifest::FILE_NAME))?.len();
        let list = manifest.more_files.as_ref();
        let list = list.map(|list| fs::metadata(folder.join(&list.path)));
        let list = list.transpose()?.map_or(0, |list| list.len());
        println!(
            "Its folder: {} live files of {} MiB, named by a manifest of {own} bytes and a list of {list}.\n",
            manifest.files.len(),
            mib(bytes)
        );
        let mut tables: Vec<&str> = manifest.files.iter().map(|file| file.table.as_str()).collect();
        tables.dedup();
        tables.sort_unstable();
        tables.dedup();
        println!("| table | files | rows | MiB |\n|---|---:|---:|---:|");
        for table in tables {
            let (files, rows, bytes) = manifest.files_of(table).fold((0, 0, 0), |sum, file| {
                (sum.0 + 1, sum.1 + file.row_count, sum.2 + file.size_bytes)
            });
            println!("| `{table}` | {files} | {rows} | {} |", mib(bytes));
        }
        Ok(())
    }

    /// All questions, as often as each is to be asked, beside their SQL.
    async fn compare(&self, asker: &mut Asker) -> anyhow::Result<Vec<Compared>> {
        let mut db = self.database().await?;
        let known = self.known(&mut db, asker).await?;
        let budget = Duration::from_secs(self.settings.sql_seconds);
        let mut all: Vec<Compared> = Vec::new();
        for round in 0..self.settings.calls {
            ensure!(!self.interrupt.is_set(), "interrupted");
            let asked = questions::of_round(round, self.last_day, known.today, &known.skus);
            for (place, question) in asked.into_iter().enumerate() {
                if all.len() == place {
                    let name = question.name;
                    all.push(Compared { name, analytics: Times::default(), sql: Times::default() });
                }
                let Some(compared) = all.get_mut(place) else { continue };
                let failed = || format!("{} ({:?})", question.name, question.ask);
                let (found, took) = asker.ask(&question.ask).await.with_context(failed)?;
                compared.analytics.add(took);
                if compared.sql.count() > 0 && compared.sql.sum() >= budget {
                    continue;
                }
                let (wanted, took) = sql(&mut db, &question.sql).await.with_context(failed)?;
                compared.sql.add(took);
                same(&found, &wanted).with_context(failed)?;
            }
        }
        Ok(all)
    }

    /// Gives how many questions there are.
    async fn compare_once(&self, asker: &mut Asker) -> anyhow::Result<usize> {
        let mut db = self.database().await?;
        let known = self.known(&mut db, asker).await?;
        let asked = questions::of_round(1, self.last_day, known.today, &known.skus);
        for question in &asked {
            let (found, _) = asker.ask(&question.ask).await.context(question.name)?;
            let (wanted, _) = sql(&mut db, &question.sql).await?;
            same(&found, &wanted).context(question.name)?;
        }
        Ok(asked.len())
    }

    async fn database(&self) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect(&self.url).await?)
    }

    async fn known(&self, db: &mut PgConnection, asker: &mut Asker) -> anyhow::Result<Known> {
        let (skus, _) = sql(
            db,
            "select sku from inventory.inventory_items where qty_on_hand > 0 order by md5(sku) limit 20",
        )
        .await?;
        Ok(Known { today: asker.today().await?, skus })
    }

    fn rebuild(&self, fleet: &Fleet, asker: &mut Asker) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut command = fleet.cli()?;
        command.args(["olap", "rebuild"]);
        let mut child = command.spawn().context("cannot run bramble")?;
        let asking = async {
            let (mut times, mut errors, mut round) = (Times::default(), Vec::new(), 0);
            let mut db = self.database().await?;
            let known = self.known(&mut db, asker).await?;
            loop {
                let asked = questions::of_round(round, self.last_day, known.today, &known.skus);
                round += 1;
                for question in asked {
                    if let Some(status) = child.try_wait()? {
                        return anyhow::Ok((times, errors, status));
                    }
                    match asker.ask(&question.ask).await {
                        Ok((_, took)) => times.add(took),
                        Err(error) => errors.push(format!("{}: {error:#}", question.name)),
                    }
                    tokio::time::sleep(READS_FOR).await;
                }
            }
        };
        let (times, errors, status) = self.runtime.block_on(asking)?;
        let took = began.elapsed();
        ensure!(status.success(), "bramble olap rebuild: {status}");
        self.print_count("rebuild, from the start to the swap,", took);
        println!(
            "Questions that were asked meanwhile: {}, p50 {} ms, p99 {} ms, {} errors.",
            times.count(),
            ms(times.percentile(50)),
            ms(times.percentile(99)),
            errors.len()
        );
        ensure!(errors.is_empty(), "while it was rebuilt: {}", errors.join("; "));
        Ok(())
    }
}

impl Phases {
    /// Notes what the watched have, and had at most since the phase before.
    fn end(&mut self, phase: &'static str, fleet: &mut Fleet) -> anyhow::Result<()> {
        let mut watched = [Memory::default(); 2];
        for (service, memory) in WATCHED.iter().zip(&mut watched) {
            let pid = fleet.program(service)?.pid();
            *memory = Memory::of(pid)?;
            Memory::forget_peak(pid)?;
        }
        self.0.push((phase, watched));
        Ok(())
    }

    fn print(&self) {
        println!(
            "\nResident memory, MiB, at the end of each phase and at its most in it (the goal: {}):\n",
            mib(MEMORY_MAX)
        );
        println!(
            "| phase | {} | at most | {} | at most |\n|---|---:|---:|---:|---:|",
            WATCHED[0], WATCHED[1]
        );
        for (phase, [first, second]) in &self.0 {
            let [a, b, c, d] = [first.now, first.peak, second.now, second.peak].map(mib);
            println!("| {phase} | {a} | {b} | {c} | {d} |");
        }
    }
}

fn print_compared(all: &[Compared]) {
    println!(
        "\nEach question beside the same one as SQL, in turn; every answer that both gave was the same, value for value. Milliseconds:\n"
    );
    println!("| question | analytics p50 | p99 | Postgres p50 | p99 | calls | times as fast |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for Compared { name, analytics, sql } in all {
        let (fast, slow) = (analytics.percentile(50), sql.percentile(50));
        println!(
            "| {name} | {} | {} | {} | {} | {} + {} | {} |",
            ms(fast),
            ms(analytics.percentile(99)),
            ms(slow),
            ms(sql.percentile(99)),
            analytics.count(),
            sql.count(),
            ratio(slow, fast)
        );
    }
}

fn asker(fleet: &Fleet) -> anyhow::Result<Asker> {
    let dashboard = fleet.dashboard();
    let dashboard = dashboard.trim_start_matches("http://");
    Asker::new(&fleet.url("analytics-svc"), dashboard, &fleet.token()?)
}

/// A text a row.
async fn sql(db: &mut PgConnection, statement: &str) -> anyhow::Result<(Answer, Duration)> {
    let statement = sqlx::query(AssertSqlSafe(statement.to_owned())).persistent(false);
    let began = Instant::now();
    let rows = statement.fetch_all(db).await?;
    let took = began.elapsed();
    let texts = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    Ok((texts, took))
}
