//! `bramble olap`: whether the materializations are what the services' logs say, and to count them anew.
//!
//! The service counts; the command only looks on, and may be interrupted or be somebody else's.

use std::{
    io::IsTerminal,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{bail, ensure};
use clap::{Args, Subcommand};
use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use proto::olap::v1::{
    GetRebuildRequest, Rebuild, StartRebuildRequest,
    materializations_service_client::MaterializationsServiceClient, rebuild::State,
};
use rpc::{Client, ClientConfig};
use tokio::{select, signal::ctrl_c, time::sleep};
use tonic::{Code, Status};

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Where there is no terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(5);
/// How long the service may be away.
const AWAY_MAX: Duration = Duration::from_secs(30);

/// Prove or rebuild the materializations of analytics.
#[derive(Debug, Args)]
pub(crate) struct Olap {
    #[command(subcommand)]
    what: What,
    #[arg(
        long,
        global = true,
        env = "BRAMBLE_OLAP_URL",
        default_value = "http://127.0.0.1:50057",
        hide = true
    )]
    olap_url: String,
    #[command(flatten)]
    client: ClientConfig,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
enum What {
    /// Count the services' event logs from their start, and compare with what is live, value for value. Ends with 0 when both are equal.
    Verify,
    /// The same, and put the result in the place of what is live, which is served meanwhile.
    Rebuild,
    /// Look on at what is under way, or at what came of the newest: whoever interrupts this, `verify` or `rebuild` stops nothing.
    Progress,
}

pub(crate) async fn run(olap: Olap) -> anyhow::Result<()> {
    let mut client = MaterializationsServiceClient::new(olap.client.client(&olap.olap_url)?);
    let newest = match olap.what {
        What::Verify | What::Rebuild => {
            let request = StartRebuildRequest { verify_only: olap.what == What::Verify };
            client.start_rebuild(request).await.map(|answer| answer.into_inner().rebuild)
        }
        What::Progress => {
            let newest = client.get_rebuild(GetRebuildRequest {}).await;
            newest.map(|answer| answer.into_inner().rebuild)
        }
    };
    let Some(newest) = newest.map_err(|status| refusal(&status))? else {
        bail!("olap-consumer began nothing")
    };
    select! {
        ended = follow(&mut client, &newest) => judge(&ended?),
        interrupted = ctrl_c() => {
            interrupted?;
            bail!("nobody looks on any more, but it goes on: see `bramble olap progress`")
        }
    }
}

/// Shows how far it is until it has ended. Who stops looking stops nothing. In another life of olap-consumer, another one has the same id.
async fn follow(
    client: &mut MaterializationsServiceClient<Client>,
    newest: &Rebuild,
) -> anyhow::Result<Rebuild> {
    let mut progress = Progress::new();
    let mut heard = Instant::now();
    loop {
        match client.get_rebuild(GetRebuildRequest {}).await.map(tonic::Response::into_inner) {
            Ok(answer) => {
                let rebuild = answer.rebuild.unwrap_or_default();
                let is_same = (rebuild.rebuild_id, rebuild.start_time)
                    == (newest.rebuild_id, newest.start_time);
                ensure!(is_same, "another rebuild was begun meanwhile");
                if rebuild.end_time.is_some() {
                    progress.finish(&rebuild);
                    return Ok(rebuild);
                }
                progress.show(&rebuild);
                heard = Instant::now();
            }
            Err(status) if status.code() == Code::NotFound => {
                bail!("olap-consumer was started anew, and has forgotten the rebuild: begin again")
            }
            Err(status) if heard.elapsed() > AWAY_MAX => return Err(refusal(&status)),
            Err(_) => (),
        }
        sleep(LOOK_EVERY).await;
    }
}

fn judge(ended: &Rebuild) -> anyhow::Result<()> {
    ensure!(ended.state() != State::Failed, "{}", ended.error);
    let against = format!("version {}", ended.compared_version);
    if ended.difference_count == 0 {
        println!("{against} is what the logs say, value for value");
    } else {
        println!("{}", differences(ended));
    }
    if ended.verify_only {
        let count = ended.difference_count;
        ensure!(count == 0, "{against} differs from the logs in {count} rows");
    } else {
        println!("what was counted is live as version {}", ended.version);
    }
    Ok(())
}

/// Row by row, and the event behind the first.
fn differences(ended: &Rebuild) -> String {
    let mut lines = Vec::new();
    for row in &ended.differences {
        let shown = |row: &str| if row.is_empty() { "no row".to_owned() } else { row.to_owned() };
        lines.push(format!("{} {}", row.table, row.key));
        lines.push(format!("  live     {}", shown(&row.live)));
        lines.push(format!("  counted  {}", shown(&row.counted)));
    }
    let told = i64::try_from(ended.differences.len()).unwrap_or(i64::MAX);
    if ended.difference_count > told {
        lines.push(format!("and {} more rows", ended.difference_count - told));
    }
    if let Some(event) = &ended.first_event {
        lines.push(format!(
            "the first event that the first of them does not stand for: {} {} ({} of {}, {})",
            event.source, event.sequence, event.event_type, event.subject, event.event_id
        ));
    }
    lines.join("\n")
}

/// A bar on a terminal, a line now and then elsewhere.
struct Progress {
    phase: Phase,
    bar: Option<ProgressBar>,
    printed: Instant,
}

/// What is done now, and since when it has been looked on.
struct Phase {
    state: State,
    began: Instant,
    /// How far it was then.
    from: Rebuild,
}

impl Progress {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template("{prefix:>9} [{bar:32}] {percent:>3} %  {msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style)
        });
        let now = Instant::now();
        let phase = Phase { state: State::Unspecified, began: now, from: Rebuild::default() };
        Self { phase, bar, printed: now }
    }

    fn show(&mut self, rebuild: &Rebuild) {
        let (done, total) = done(rebuild);
        if self.phase.state != rebuild.state() {
            let from = rebuild.clone();
            self.phase = Phase { state: rebuild.state(), began: Instant::now(), from };
        }
        let doing = match rebuild.state() {
            State::Comparing => "comparing",
            State::Tracing => "tracing",
            State::Swapping => "swapping",
            State::Unspecified | State::Counting | State::Done | State::Failed => "counting",
        };
        let text = pace(rebuild, &self.phase.from, self.phase.began.elapsed());
        match &self.bar {
            Some(bar) => {
                bar.set_length(total);
                bar.set_position(done.min(total));
                bar.set_prefix(doing);
                bar.set_message(text);
            }
            None if self.printed.elapsed() >= PLAIN_EVERY => {
                self.printed = Instant::now();
                eprintln!("{doing}: {text}");
            }
            None => (),
        }
    }

    /// Leaves one line behind.
    fn finish(&self, rebuild: &Rebuild) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let at = |time: Option<_>| SystemTime::try_from(time.unwrap_or_default()).ok();
        let times = at(rebuild.end_time).zip(at(rebuild.start_time));
        let took = times.and_then(|(ended, began)| ended.duration_since(began).ok());
        let took = took.unwrap_or_default();
        let [events, rows] = [rebuild.counted_events, rebuild.counted_rows].map(i64::unsigned_abs);
        eprintln!(
            "{} events ({}/s), {} rows ({}/s) in {:.1} s",
            HumanCount(events),
            HumanCount(per_second(events, took)),
            HumanCount(rows),
            HumanCount(per_second(rows, took)),
            took.as_secs_f32()
        );
    }
}

/// How much is done, of how much: rows where they are compared, else events.
fn done(rebuild: &Rebuild) -> (u64, u64) {
    let (done, total) = match rebuild.state() {
        State::Comparing => (rebuild.compared_rows, rebuild.total_rows),
        State::Unspecified
        | State::Counting
        | State::Tracing
        | State::Swapping
        | State::Done
        | State::Failed => (rebuild.counted_events, rebuild.total_events),
    };
    (done.unsigned_abs(), total.unsigned_abs())
}

/// How far it is, how fast it was since `from`, and how long it will take at that.
fn pace(rebuild: &Rebuild, from: &Rebuild, elapsed: Duration) -> String {
    let ((done, total), (before, _)) = (done(rebuild), done(from));
    let rate = per_second(done.saturating_sub(before), elapsed);
    let what = if rebuild.state() == State::Comparing { "rows" } else { "events" };
    let mut text =
        format!("{} of {} {what} ({}/s)", HumanCount(done), HumanCount(total), HumanCount(rate));
    if rebuild.state() == State::Counting {
        let [rows, before] = [rebuild, from].map(|at| at.counted_rows.unsigned_abs());
        let rate = per_second(rows.saturating_sub(before), elapsed);
        text += &format!(", {} rows ({}/s)", HumanCount(rows), HumanCount(rate));
    }
    let left = match rebuild.state() {
        State::Counting => seconds_of_last_source(rebuild, from, elapsed),
        _ => total.saturating_sub(done).checked_div(rate),
    };
    if let Some(seconds) = left {
        text += &format!(", {} left", HumanDuration(Duration::from_secs(seconds)));
    }
    text
}

/// All sources are counted at once, each at a rate of its own: how long the last one will take. None while one that has some left stands still.
fn seconds_of_last_source(rebuild: &Rebuild, from: &Rebuild, elapsed: Duration) -> Option<u64> {
    let seconds = rebuild.sources.iter().map(|now| {
        let before = from.sources.iter().find(|before| before.source == now.source);
        let before = before.map_or(0, |before| before.counted_events);
        let left = now.total_events.saturating_sub(now.counted_events).max(0);
        let counted = now.counted_events.saturating_sub(before).max(0);
        match left.unsigned_abs() {
            0 => Some(0),
            left => left.checked_div(per_second(counted.unsigned_abs(), elapsed)),
        }
    });
    seconds.collect::<Option<Vec<_>>>()?.into_iter().max()
}

fn per_second(count: u64, elapsed: Duration) -> u64 {
    let rate = u128::from(count) * 1000 / elapsed.as_millis().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// As a sentence for people.
fn refusal(status: &Status) -> anyhow::Error {
    if status.code() == Code::FailedPrecondition {
        return anyhow::anyhow!("olap-consumer: {}; see `bramble olap progress`", status.message());
    }
    anyhow::anyhow!("olap-consumer: {} ({:?})", status.message(), status.code())
}

#[cfg(test)]
mod tests {
    use proto::olap::v1::{CountedSource, DifferingEvent, GetRebuildResponse, RowDifference};

    use super::*;
    use crate::fake::Fake;

    fn source(source: &str, counted_events: i64, total_events: i64) -> CountedSource {
        CountedSource { source: source.to_owned(), counted_events, total_events }
    }

    fn differing() -> Rebuild {
        let row = RowDifference {
            table: "sales_by_hour".to_owned(),
            key: "2026-11-24T09:00:00+00:00".to_owned(),
            live: String::new(),
            counted: "hour 2026-11-24 09:00:00 +00:00, total_amount 1.00, order_count 1".to_owned(),
        };
        Rebuild {
            state: State::Done.into(),
            compared_version: 7,
            difference_count: 3,
            differences: vec![row],
            first_event: Some(DifferingEvent {
                source: "orders".to_owned(),
                sequence: 42,
                event_id: "e".to_owned(),
                event_type: "order.placed".to_owned(),
                subject: "o".to_owned(),
            }),
            ..Rebuild::default()
        }
    }

    #[test]
    fn rows_that_differ_are_shown_with_their_event() {
        let expected = "sales_by_hour 2026-11-24T09:00:00+00:00
  live     no row
  counted  hour 2026-11-24 09:00:00 +00:00, total_amount 1.00, order_count 1
and 2 more rows
the first event that the first of them does not stand for: orders 42 (order.placed of o, e)";
        assert_eq!(differences(&differing()), expected);
    }

    #[test]
    fn only_what_is_equal_is_verified_and_only_what_failed_is_not_rebuilt() {
        let failed = Rebuild {
            state: State::Failed.into(),
            error: "the log is gone".to_owned(),
            ..Rebuild::default()
        };
        let equal = Rebuild { difference_count: 0, ..differing() };
        let verified = |ended: &Rebuild| Rebuild { verify_only: true, ..ended.clone() };
        for (ended, error) in [
            (verified(&equal), None),
            (equal, None),
            (differing(), None),
            (verified(&differing()), Some("version 7 differs from the logs in 3 rows")),
            (verified(&failed), Some("the log is gone")),
            (failed, Some("the log is gone")),
        ] {
            let judged = judge(&ended).err().map(|error| error.to_string());
            assert_eq!(judged.as_deref(), error, "{ended:?}");
        }
    }

    #[test]
    fn what_is_shown_is_how_far_it_is_how_fast_and_how_long_it_takes() {
        let counting = Rebuild {
            state: State::Counting.into(),
            counted_events: 1_500_000,
            total_events: 7_000_000,
            counted_rows: 2_100_000,
            sources: vec![
                source("orders", 500_000, 5_000_000),
                source("billing", 1_000_000, 2_000_000),
            ],
            ..Rebuild::default()
        };
        // Who looks on from the middle tells the pace since. The slowest source tells how long.
        let middle = Rebuild {
            counted_events: 500_000,
            counted_rows: 100_000,
            sources: vec![
                source("orders", 100_000, 5_000_000),
                source("billing", 400_000, 2_000_000),
            ],
            ..counting.clone()
        };
        assert_eq!(
            pace(&counting, &middle, Duration::from_secs(20)),
            "1,500,000 of 7,000,000 events (50,000/s), 2,100,000 rows (100,000/s), 4 minutes left"
        );
        let comparing = Rebuild {
            state: State::Comparing.into(),
            compared_rows: 10_000,
            total_rows: 30_000,
            ..counting.clone()
        };
        assert_eq!(
            pace(
                &comparing,
                &Rebuild { compared_rows: 0, ..comparing.clone() },
                Duration::from_secs(1)
            ),
            "10,000 of 30,000 rows (10,000/s), 2 seconds left"
        );
        // Nothing is foretold of what has not moved.
        let text = pace(&counting, &counting, Duration::from_millis(1));
        assert_eq!(text, "1,500,000 of 7,000,000 events (0/s), 2,100,000 rows (0/s)");
    }

    #[tokio::test]
    async fn another_rebuild_is_not_taken_for_the_one_that_was_begun() {
        let began = |seconds| Rebuild {
            rebuild_id: 1,
            start_time: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            ..Rebuild::default()
        };
        let ended = |began: &Rebuild| Rebuild { end_time: began.start_time, ..began.clone() };
        let (ours, theirs) = (began(10), began(20));
        for (found, verdict) in [
            (ended(&ours), Ok(ended(&ours))),
            (ended(&theirs), Err("another rebuild was begun meanwhile".to_owned())),
        ] {
            let mut answers = vec![found, ours.clone()];
            let fake = Fake::default().on("GetRebuild", move |_: GetRebuildRequest| {
                GetRebuildResponse { rebuild: answers.pop() }
            });
            let client = ClientConfig::default().client(&fake.serve().await).unwrap();
            let mut client = MaterializationsServiceClient::new(client);
            let followed = follow(&mut client, &ours).await;
            assert_eq!(followed.map_err(|error| error.to_string()), verdict);
        }
    }
}
