//! The processes of queries: how many there are, and when they end.

use std::{fs, future::Future, time::Duration};

use arrow::array::{Array, Int64Array, RecordBatch};
use arrow_flight::{decode::FlightRecordBatchStream, sql::client::FlightSqlServiceClient};
use futures::{StreamExt, TryStreamExt, future::join_all};
use testkit::eventually;
use tonic::transport::Channel;

use crate::{
    app::{SHORT, WAIT_MAX},
    olap::{Olap, ageing, hours_of_sales},
    process::{Process, start},
    sql,
};

type Answer = Result<Vec<RecordBatch>, String>;

/// Would go on for hours.
const ENDLESS: &str =
    "select count(*) from range(1000000) a, range(10000000) b where (a.range * b.range) % 7 = 3";
const LARGE: &str = "select range, repeat('x', 1000) from range(100000000)";

pub(crate) async fn client(url: &str) -> FlightSqlServiceClient<Channel> {
    FlightSqlServiceClient::new(
        Channel::from_shared(url.to_owned()).unwrap().connect().await.unwrap(),
    )
}

async fn ask(url: &str, sql: &str) -> Answer {
    let mut client = client(url).await;
    let info = client.execute(sql.to_owned(), None).await.map_err(|error| error.to_string())?;
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let pieces = client.do_get(ticket).await.map_err(|error| error.to_string())?;
    pieces.try_collect().await.map_err(|error| error.to_string())
}

fn number(answer: &Answer) -> i64 {
    let batches = answer.as_ref().unwrap();
    batches[0].column(0).as_any().downcast_ref::<Int64Array>().unwrap().value(0)
}

/// The ids of the processes that the service has started.
fn queries(service: &Process) -> Vec<u32> {
    let parent = format!("PPid:\t{}", service.id());
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let id: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        (status.lines().any(|line| line == parent) && !status.contains("State:\tZ")).then_some(id)
    });
    processes.collect()
}

fn served(settings: &[(&str, &str)]) -> (Process, String, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    Olap::new(folder.path()).publish(1, Vec::new());
    let (process, url) = start(folder.path().to_str().unwrap(), settings);
    (process, url, folder)
}

/// Until one of the service's queries runs.
async fn one_runs(service: &Process) {
    eventually("it runs", WAIT_MAX, async || queries(service).len() == 1).await;
}

async fn none_runs(service: &Process) {
    eventually("it is over", WAIT_MAX, async || queries(service).is_empty()).await;
}

/// The answer as it comes.
pub(crate) async fn stream_of(url: &str, sql: &str) -> FlightRecordBatchStream {
    let mut client = client(url).await;
    let info = client.execute(sql.to_owned(), None).await.unwrap();
    client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_wait_for_each_other_and_all_are_answered() {
    let (service, url, _folder) = served(&[("BRAMBLE_SQL_QUERIES_MAX", "2")]);
    let mut most = 0;
    let asking = tokio::spawn(async move {
        let asked = (0..24).map(|at| {
            let url = url.clone();
            async move {
                number(
                    &ask(&url, &format!("select sum(range)::bigint + {at} from range(3000000)"))
                        .await,
                )
            }
        });
        join_all(asked).await
    });
    while !asking.is_finished() {
        most = most.max(queries(&service).len());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let sum = 3_000_000 * 2_999_999 / 2;
    assert_eq!(asking.await.unwrap(), (0..24).map(|at| sum + at).collect::<Vec<i64>>());
    assert_eq!(most, 2);
    none_runs(&service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gets_no_turn_in_time_is_told_so() {
    let (service, url, _folder) = served(&[("BRAMBLE_SQL_QUERIES_MAX", "1")]);
    let long = tokio::spawn({
        let url = url.clone();
        async move { ask(&url, ENDLESS).await }
    });
    one_runs(&service).await;
    let mut hurried = client(&url).await;
    hurried.set_header("grpc-timeout", &format!("{}m", SHORT.as_millis()));
    let ticket =
        hurried.execute("select 1".to_owned(), None).await.unwrap().endpoint[0].ticket.clone();
    let refused = hurried.do_get(ticket.unwrap()).await.unwrap_err().to_string();
    assert!(refused.contains("too many queries are waiting"), "{refused}");
    long.abort();
    none_runs(&service).await;
    assert_eq!(number(&ask(&url, "select 7::bigint").await), 7);
}

/// A query of which nobody waits for the answer, or any more of it.
async fn goes_away(sql: &'static str, meanwhile: impl Future<Output = ()>) {
    let (service, url, _folder) = served(&[]);
    let before = service.resident_kib();
    let mut asker = client(&url).await;
    let ticket = asker.execute(sql.to_owned(), None).await.unwrap().endpoint[0].ticket.clone();
    let mut pieces = asker.do_get(ticket.unwrap()).await.unwrap();
    if sql == LARGE {
        pieces.next().await.unwrap().unwrap();
    }
    one_runs(&service).await;
    meanwhile.await;
    drop(pieces);
    drop(asker);
    none_runs(&service).await;
    let grown = service.resident_kib().saturating_sub(before);
    assert!(grown < 40 << 10, "{grown} KiB more than before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_whose_asker_goes_away_is_ended() {
    goes_away(ENDLESS, async {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_whose_asker_goes_away_while_reading_is_ended() {
    goes_away(LARGE, tokio::time::sleep(Duration::from_millis(500))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_whose_asker_does_not_read_is_ended_in_time() {
    let (service, url, _folder) = served(&[("BRAMBLE_SQL_SECONDS_MAX", "15")]);
    let mut asker = client(&url).await;
    let ticket = asker.execute(LARGE.to_owned(), None).await.unwrap().endpoint[0].ticket.clone();
    let mut pieces = asker.do_get(ticket.unwrap()).await.unwrap();
    pieces.next().await.unwrap().unwrap();
    one_runs(&service).await;
    none_runs(&service).await;
    let end = pieces.try_collect::<Vec<_>>().await.unwrap_err().to_string();
    assert!(end.contains("took longer"), "{end}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_does_not_outlive_the_service() {
    let (service, url, _folder) = served(&[]);
    let mut asker = client(&url).await;
    let ticket = asker.execute(ENDLESS.to_owned(), None).await.unwrap().endpoint[0].ticket.clone();
    let _pieces = asker.do_get(ticket.unwrap()).await.unwrap();
    one_runs(&service).await;
    let query = queries(&service)[0];
    // Killed, so that it can do nothing about it.
    drop(service);
    let gone = async || {
        !fs::read_to_string(format!("/proc/{query}/status"))
            .is_ok_and(|of| !of.contains("State:\tZ"))
    };
    eventually("it is gone", WAIT_MAX, gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_of_one_version_though_files_go_the_moment_they_are_replaced() {
    let app = sql::start(&[]).await;
    let write = |version: i32| {
        let sold = format!("{version}.00");
        let files = vec![
            app.olap.file("sales_by_hour", &hours_of_sales(3, &sold, version)),
            app.olap.file("ar_ageing", &ageing(&[("2026-11-24T09:00:00Z", [sold.as_str(); 6])])),
        ];
        app.olap.publish(version.into(), files.clone());
        files
    };
    let mut live = write(1);
    let asked = "select sequence, (select max(order_count) from sales_by_hour)::bigint, (select max(total_ar) from ar_ageing)::bigint from watermark";
    let (url, mut seen) = (app.url.clone(), Vec::new());
    for version in 2..40 {
        let asking = ask(&url, asked);
        let replacing = async {
            tokio::time::sleep(Duration::from_millis(u64::try_from(version % 7 * 6).unwrap()))
                .await;
            let newer = write(version);
            for file in std::mem::replace(&mut live, newer) {
                fs::remove_file(app.olap.folder.join(file.path)).unwrap();
            }
        };
        let (answer, ()) = tokio::join!(asking, replacing);
        let row = answer.unwrap().remove(0);
        let cells: Vec<i64> = row
            .columns()
            .iter()
            .map(|column| {
                let column = column.as_any().downcast_ref::<Int64Array>().unwrap();
                assert_eq!(column.len(), 1);
                column.value(0)
            })
            .collect();
        assert!(cells.iter().all(|cell| *cell == cells[0]), "{cells:?}");
        seen.push(cells[0]);
    }
    assert!(seen.is_sorted() && seen.len() == 38, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_is_prepared_tells_its_columns_and_runs() {
    let app = sql::start(&[]).await;
    app.olap.publish(1, vec![app.olap.file("sales_by_hour", &hours_of_sales(2, "1.50", 3))]);
    let mut client = client(&app.url).await;
    let sql =
        "select hour, sum(order_count)::bigint as orders from sales_by_hour group by all -- :)\n;";
    let mut prepared = client.prepare(sql.to_owned(), None).await.unwrap();
    let columns = prepared.dataset_schema().unwrap().clone();
    let names: Vec<_> = columns.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["hour", "orders"]);
    let info = prepared.execute().await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let pieces = client.do_get(ticket).await.unwrap().try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(pieces[0].schema().as_ref(), &columns);
    assert_eq!(pieces.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
    prepared.close().await.unwrap();

    let refused = client.prepare("drop view sales_by_hour".to_owned(), None).await;
    assert!(refused.unwrap_err().to_string().contains("only queries can be asked"));
}
