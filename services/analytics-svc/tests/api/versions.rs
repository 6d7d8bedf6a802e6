//! Versions that replace each other while callers ask. In version n everything is n: each amount, each quantity, the position.

use std::{
    collections::{BTreeSet, VecDeque},
    fs,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use futures::future::join_all;
use manifest::Materialized;
use proto::analytics::v1::{GetArAgeingRequest, GetStockSnapshotRequest, QuerySalesByHourRequest};
use testkit::eventually;

use crate::{
    app::{App, amount, counted},
    olap::{Olap, ageing, hours_of_sales, stock},
};

const CALLERS: usize = 16;
const HOURS: i64 = 60;
/// At least so many replace each other, and so many answers are given meanwhile.
const VERSIONS: i32 = 40;
const ANSWERS: usize = 30 * CALLERS;
const WAIT_MAX: Duration = Duration::from_secs(120);

/// Two files of hours, one of stock, one of ageing.
fn write(olap: &Olap, version: i32) -> Vec<Materialized> {
    let (sold, skus) = (format!("{version}.00"), ["A", "B", "C", "D"]);
    let hours = hours_of_sales(HOURS, &sold, version);
    let half = usize::try_from(HOURS / 2).unwrap();
    let levels = skus.map(|sku| (sku, version, version));
    let files = vec![
        olap.file("sales_by_hour", &hours.slice(0, half)),
        olap.file("sales_by_hour", &hours.slice(half, half)),
        olap.file("stock_snapshot", &stock("2026-11-24T09:00:00Z", &levels)),
        olap.file("ar_ageing", &ageing(&[("2026-11-24T09:00:00Z", [sold.as_str(); 6])])),
    ];
    // Of every other version, the manifest does not name half of the files itself.
    let own = if version % 2 == 0 { files.len() } else { files.len() / 2 };
    let mut manifest = olap.manifest(version.into(), files[..own].to_vec());
    if own < files.len() {
        manifest.more_files = Some(olap.list(&format!("files.{version}.json"), &files[own..]));
    }
    manifest.write(&olap.folder).unwrap();
    files
}

fn remove(olap: &Olap, files: &[Materialized]) {
    for file in files {
        fs::remove_file(olap.folder.join(&file.path)).unwrap();
    }
}

/// Asks one of three questions, and gives the version that the whole answer is of.
async fn ask(app: &App, turn: usize) -> i64 {
    let (version, parts) = match turn % 3 {
        0 => {
            let answer = app.sales(QuerySalesByHourRequest::default()).await.unwrap();
            assert_eq!(answer.hours.len(), 60);
            let parts = answer.hours.iter().flat_map(|hour| {
                let sold = amount(hour.total_amount.as_ref()).to_owned();
                [sold, format!("{}.00", hour.order_count)]
            });
            (counted(answer.watermark.as_ref()), parts.collect::<BTreeSet<_>>())
        }
        1 => {
            let answer = app.stock(GetStockSnapshotRequest::default()).await.unwrap();
            assert_eq!(answer.levels.len(), 4);
            let parts = answer.levels.iter().flat_map(|level| {
                [level.qty_on_hand, level.reserved_qty].map(|qty| format!("{qty}.00"))
            });
            (counted(answer.watermark.as_ref()), parts.collect())
        }
        _ => {
            let answer = app.ageing(GetArAgeingRequest::default()).await.unwrap();
            let parts =
                [&answer.current, &answer.bucket_30, &answer.bucket_over_90, &answer.total_ar];
            let parts = parts.map(|money| amount(money.as_ref()).to_owned());
            (counted(answer.watermark.as_ref()), BTreeSet::from(parts))
        }
    };
    assert_eq!(parts, BTreeSet::from([format!("{version}.00")]), "one version, whole");
    version
}

/// Callers ask while one version takes another's place, until there was enough of both. Each caller sees versions ascend.
async fn ask_while_replacing(app: &App, mut replace: impl AsyncFnMut(i32, &AtomicUsize)) {
    let (answers, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let callers = (0..CALLERS).map(async |caller| {
        let (mut turn, mut last, mut seen) = (caller, 1, BTreeSet::new());
        while !over.load(Ordering::Relaxed) {
            let version = ask(app, turn).await;
            assert!(version >= last, "never an older version than before");
            seen.insert(version);
            (turn, last) = (turn + 1, version);
            answers.fetch_add(1, Ordering::Relaxed);
        }
        seen
    });
    let replacing = async {
        let started = Instant::now();
        for version in 2.. {
            replace(version, &answers).await;
            if version > VERSIONS && answers.load(Ordering::Relaxed) > ANSWERS {
                break;
            }
            assert!(started.elapsed() < WAIT_MAX, "too few answers");
        }
        over.store(true, Ordering::Relaxed);
    };
    let (seen, ()) = tokio::join!(join_all(callers), replacing);
    let seen: BTreeSet<i64> = seen.into_iter().flatten().collect();
    assert!(seen.len() > 10, "all answers were of few versions: {seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_of_one_version_while_versions_replace_each_other() {
    let app = App::start().await;
    let mut written = VecDeque::from([write(&app.olap, 1)]);
    ask_while_replacing(&app, async |version, _| {
        written.push_back(tokio::task::block_in_place(|| write(&app.olap, version)));
        // olap-consumer lets them stay for a while.
        if written.len() > 10 {
            remove(&app.olap, &written.pop_front().unwrap());
        }
        tokio::task::yield_now().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_go_the_moment_they_are_replaced_cost_no_answer() {
    let app = App::start().await;
    let mut live = write(&app.olap, 1);
    ask_while_replacing(&app, async |version, answers| {
        let enough = answers.load(Ordering::Relaxed) + CALLERS;
        let newer = tokio::task::block_in_place(|| write(&app.olap, version));
        remove(&app.olap, &std::mem::replace(&mut live, newer));
        // However slow the machine is, a call meets only a few versions; it gives up at the eighth.
        let answered = async || answers.load(Ordering::Relaxed) > enough;
        eventually("enough answers are given", WAIT_MAX, answered).await;
    })
    .await;
}
