//! `bramble olap`: whether the materializations are what the services' logs say, and to count them anew.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use proto::olap::v1::{
    GetRebuildRequest, Rebuild, StartRebuildRequest,
    materializations_service_client::MaterializationsServiceClient, rebuild::State,
};
use rpc::{Client, ClientConfig};
use tokio::time::sleep;
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
}

pub(crate) async fn run(olap: Olap) -> anyhow::Result<()> {
    let mut client = MaterializationsServiceClient::new(olap.client.client(&olap.olap_url)?);
    let request = StartRebuildRequest { verify_only: olap.what == What::Verify };
    let begun = client.start_rebuild(request).await.map_err(|status| refusal(&status))?;
    let Some(begun) = begun.into_inner().rebuild else { bail!("olap-consumer began nothing") };
    let ended = follow(&mut client, begun.rebuild_id).await?;
    judge(olap.what, &ended)
}

/// Shows how far it is until it has ended. Who stops looking stops nothing.
async fn follow(
    client: &mut MaterializationsServiceClient<Client>,
    id: i64,
) -> anyhow::Result<Rebuild> {
    let mut progress = Progress::new();
    let mut heard = Instant::now();
    loop {
        match client.get_rebuild(GetRebuildRequest {}).await.map(tonic::Response::into_inner) {
            Ok(answer) => {
                let rebuild = answer.rebuild.unwrap_or_default();
                ensure!(rebuild.rebuild_id == id, "another rebuild was begun meanwhile");
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

fn judge(what: What, ended: &Rebuild) -> anyhow::Result<()> {
    ensure!(ended.state() != State::Failed, "{}", ended.error);
    let against = format!("version {}", ended.compared_version);
    if ended.difference_count == 0 {
        println!("{against} is what the logs say, value for value");
    } else {
        println!("{}", differences(ended));
    }
    match what {
        What::Rebuild => println!("what was counted is live as version {}", ended.version),
        What::Verify => {
            let count = ended.difference_count;
            ensure!(count == 0, "{against} differs from the logs in {count} rows");
        }
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
    started: Instant,
    bar: Option<ProgressBar>,
    printed: Instant,
}

impl Progress {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(
                "{prefix:>9} [{bar:32}] {percent:>3} %  {msg}  {eta} left",
            );
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style)
        });
        let now = Instant::now();
        Self { started: now, bar, printed: now }
    }

    fn show(&mut self, rebuild: &Rebuild) {
        let doing = match rebuild.state() {
            State::Comparing => "comparing",
            State::Tracing => "tracing",
            State::Swapping => "swapping",
            State::Unspecified | State::Counting | State::Done | State::Failed => "counting",
        };
        let [counted, total] =
            [rebuild.counted_events, rebuild.total_events].map(i64::unsigned_abs);
        let rate = u128::from(counted) * 1000 / self.started.elapsed().as_millis().max(1);
        let text = format!("{counted} of {total} events ({rate}/s)");
        match &self.bar {
            Some(bar) => {
                bar.set_length(total);
                bar.set_position(counted.min(total));
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
        let elapsed = self.started.elapsed();
        let counted = u128::from(rebuild.counted_events.unsigned_abs());
        let rate = counted * 1000 / elapsed.as_millis().max(1);
        eprintln!("{counted} events in {:.1} s ({rate}/s)", elapsed.as_secs_f32());
    }
}

/// As a sentence for people.
fn refusal(status: &Status) -> anyhow::Error {
    anyhow::anyhow!("olap-consumer: {} ({:?})", status.message(), status.code())
}

#[cfg(test)]
mod tests {
    use proto::olap::v1::{DifferingEvent, RowDifference};

    use super::*;

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
        for (what, ended, error) in [
            (What::Verify, &equal, None),
            (What::Rebuild, &equal, None),
            (What::Rebuild, &differing(), None),
            (What::Verify, &differing(), Some("version 7 differs from the logs in 3 rows")),
            (What::Verify, &failed, Some("the log is gone")),
            (What::Rebuild, &failed, Some("the log is gone")),
        ] {
            let judged = judge(what, ended).err().map(|error| error.to_string());
            assert_eq!(judged.as_deref(), error, "{what:?}");
        }
    }
}
