//! Files and manifests that are not what they should be: nothing is shown, what is wrong is said, and the next good version heals it.

use std::fs;

use arrow_flight::decode::FlightRecordBatchStream;
use futures::TryStreamExt;
use manifest::{FILE_NAME, FileList, Materialized};
use tonic::{Code, Status};

use testkit::{Refusal, refusal};

use crate::{
    app::{App, counted, hours},
    olap::{hours_of_sales, sales, stock},
    sql::WORKER,
    sql_processes::stream_of,
};

const SALES: &str = "sales_by_hour";

async fn refused(app: &App) -> Refusal {
    refusal(app.all_sales().await)
}

/// A good version.
fn heal(app: &App) {
    let rows = sales(&[("2026-11-24T09:00:00Z", "1.00", 1)]);
    app.olap.publish_table(1, SALES, &rows);
}

async fn is_well(app: &App) {
    assert_eq!(hours(&app.all_sales().await.unwrap()), ["2026-11-24T09:00:00Z 1.00 1"]);
}

/// Says which file is unusable.
fn blames(refused: &Refusal, file: &Materialized) {
    refused.is(Code::Unavailable, "FILE_UNUSABLE");
    assert_eq!(refused.facts, [format!("path: {}", file.path), format!("table: {}", file.table)]);
}

#[tokio::test]
async fn a_file_with_one_bit_turned_is_refused_wherever_the_bit_is() {
    let app = App::start().await;
    let rows = hours_of_sales(100, "12.34", 3);
    let good = app.olap.file(SALES, &rows);
    let path = app.olap.folder.join(&good.path);
    let bytes = fs::read(&path).unwrap();
    for at in (0..bytes.len()).step_by(bytes.len() / 40) {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        fs::write(&path, &bad).unwrap();
        app.olap.publish(1, vec![good.clone()]);
        let refused = refused(&app).await;
        blames(&refused, &good);
        assert!(refused.message.contains("not those that were written"), "{}", refused.message);
    }
    fs::write(&path, &bytes).unwrap();
    assert_eq!(
        app.all_sales().await.unwrap().hours.len(),
        100,
        "the same manifest, the file mended"
    );
}

#[tokio::test]
async fn a_file_that_was_cut_or_grew_or_is_missing_is_refused() {
    let app = App::start().await;
    let good = app.olap.file(SALES, &hours_of_sales(100, "12.34", 3));
    let path = app.olap.folder.join(&good.path);
    let bytes = fs::read(&path).unwrap();
    app.olap.publish(1, vec![good.clone()]);
    for bad in [&bytes[..bytes.len() / 2], &[], &[bytes.as_slice(), b"PAR1"].concat()] {
        fs::write(&path, bad).unwrap();
        blames(&refused(&app).await, &good);
    }
    fs::remove_file(&path).unwrap();
    let missing = refused(&app).await;
    blames(&missing, &good);
    assert!(missing.message.contains("No such file"), "{}", missing.message);

    heal(&app);
    is_well(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_goes_once_it_is_known_to_be_sound_is_said_without_its_path() {
    let app = App::start_with(&WORKER).await;
    let file = app.olap.file(SALES, &hours_of_sales(100, "12.34", 3));
    app.olap.publish(1, vec![file.clone()]);
    let by_sql = || stream_of(&app.url, "from sales_by_hour");
    let rows: Vec<_> = by_sql().await.try_collect().await.unwrap();
    assert_eq!((rows.len(), app.all_sales().await.unwrap().hours.len()), (1, 100));

    fs::remove_file(app.olap.folder.join(&file.path)).unwrap();
    is_gone(&app, &refused(&app).await);
    is_gone(&app, &refused_by_sql(by_sql().await).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_goes_while_an_answer_is_read_is_said_without_its_path() {
    let app = App::start_with(&WORKER).await;
    // 40 MB: the last file is opened long after the first was read.
    let skus: Vec<String> = (0..40_000).map(|n| format!("{n:01000}")).collect();
    let levels: Vec<_> = skus.iter().map(|sku| (sku.as_str(), 1, 0)).collect();
    let files = app.olap.files("stock_snapshot", &stock("2026-11-24T09:00:00Z", &levels));
    app.olap.publish(1, files.clone());
    let mut pieces = stream_of(&app.url, "from stock_snapshot").await;
    pieces.try_next().await.unwrap().unwrap();
    fs::remove_file(app.olap.folder.join(&files.last().unwrap().path)).unwrap();
    is_gone(&app, &refused_by_sql(pieces).await);
}

async fn refused_by_sql(pieces: FlightRecordBatchStream) -> Refusal {
    refusal(pieces.try_collect::<Vec<_>>().await.map_err(Status::from))
}

fn is_gone(app: &App, refused: &Refusal) {
    refused.is(Code::Unavailable, "FILE_UNUSABLE");
    let folder = app.olap.folder.file_name().unwrap().to_str().unwrap();
    assert!(!refused.message.contains(folder), "{}", refused.message);
    assert!(refused.message.contains("ask again"), "{}", refused.message);
}

#[tokio::test]
async fn damage_in_one_table_does_not_touch_another() {
    let app = App::start().await;
    let bad = app.olap.file(SALES, &hours_of_sales(1, "1.00", 1));
    fs::remove_file(app.olap.folder.join(&bad.path)).unwrap();
    let good = app.olap.file("stock_snapshot", &stock("2026-11-24T09:00:00Z", &[("MUG", 1, 0)]));
    app.olap.publish(1, vec![bad.clone(), good]);
    blames(&refused(&app).await, &bad);
    let answer = app.stock(proto::analytics::v1::GetStockSnapshotRequest::default()).await;
    assert_eq!(answer.unwrap().levels.len(), 1);
}

#[tokio::test]
async fn a_file_that_is_no_such_table_is_an_internal_error_that_tells_nothing() {
    let app = App::start().await;
    let other = app.olap.file(SALES, &stock("2026-11-24T09:00:00Z", &[("MUG", 1, 0)]));
    fs::write(app.olap.folder.join("text"), "no Parquet at all").unwrap();
    let text = app.olap.named(SALES, "text", 1);
    for file in [other, text] {
        app.olap.publish(1, vec![file]);
        let refused = refused(&app).await;
        refused.is(Code::Internal, "INTERNAL");
        assert_eq!(refused.message, "internal error");
    }
    heal(&app);
    is_well(&app).await;
}

#[tokio::test]
async fn a_manifest_that_cannot_be_read_is_refused_until_the_next_one_comes() {
    let app = App::start().await;
    let path = app.olap.folder.join(FILE_NAME);
    for bad in ["", "{\"version\": 1", "[]", "\u{0}\u{0}"] {
        heal(&app);
        is_well(&app).await;
        fs::write(&path, bad).unwrap();
        for _ in 0..2 {
            refused(&app).await.is(Code::Unavailable, "MANIFEST_UNUSABLE");
        }
    }
    let huge = format!("{}{}", " ".repeat(5 << 20), fs::read_to_string(&path).unwrap());
    fs::write(&path, huge).unwrap();
    refused(&app).await.is(Code::Unavailable, "MANIFEST_UNUSABLE");
    heal(&app);
    is_well(&app).await;
}

#[tokio::test]
async fn a_manifest_that_names_a_file_outside_its_folder_is_refused() {
    let app = App::start().await;
    let good = app.olap.file(SALES, &hours_of_sales(1, "1.00", 1));
    let outside = tempfile::tempdir().unwrap();
    let there = outside.path().join("there.parquet");
    fs::copy(app.olap.folder.join(&good.path), &there).unwrap();
    let climbing = format!("../{}/there.parquet", outside.path().file_name().unwrap().display());
    let named = there.to_str().unwrap();
    for path in
        [named, &climbing, "sales_by_hour/../x", "sales_by_hour/*.parquet", "", "a'b", "x\ny"]
    {
        let file = Materialized { path: path.to_owned(), ..good.clone() };
        app.olap.publish(1, vec![file]);
        let refused = refused(&app).await;
        refused.is(Code::Unavailable, "MANIFEST_UNUSABLE");
        assert!(refused.message.contains("no plain path"), "{}", refused.message);
    }
    app.olap.publish(7, vec![good]);
    assert_eq!(counted(app.all_sales().await.unwrap().watermark.as_ref()), 7);
}

#[tokio::test]
async fn files_that_only_the_list_names_are_read_and_a_list_that_cannot_be_is_said() {
    let app = App::start().await;
    let [near, far] = [("2026-11-24T09:00:00Z", "1.00", 1), ("2026-11-23T09:00:00Z", "2.00", 1)]
        .map(|hour| app.olap.file(SALES, &sales(&[hour])));
    let publish = |list: &FileList| {
        let mut manifest = app.olap.manifest(1, vec![near.clone()]);
        manifest.more_files = Some(list.clone());
        manifest.write(&app.olap.folder).unwrap();
    };
    let list = app.olap.list("files.1.json", std::slice::from_ref(&far));
    fs::remove_file(app.olap.folder.join(&list.path)).unwrap();
    publish(&list);
    refused(&app).await.is(Code::Unavailable, "MANIFEST_UNUSABLE");
    // It would have a file passed over.
    let hour = "2027-11-23T09:00:00.000000Z".to_owned();
    let lies = Materialized { range: Some((hour.clone(), hour)), ..far.clone() };
    app.olap.list(&list.path, &[lies]);
    let refused_list = refused(&app).await;
    refused_list.is(Code::Unavailable, "MANIFEST_UNUSABLE");
    assert!(refused_list.message.contains("not those that were"), "{}", refused_list.message);
    app.olap.list(&list.path, std::slice::from_ref(&far));
    let both = ["2026-11-23T09:00:00Z 2.00 1", "2026-11-24T09:00:00Z 1.00 1"];
    assert_eq!(hours(&app.all_sales().await.unwrap()), both);

    let outside = Materialized { path: "../x".to_owned(), ..far.clone() };
    publish(&app.olap.list(&list.path, &[outside]));
    assert!(refused(&app).await.message.contains("no plain path"));
    fs::remove_file(app.olap.folder.join(&far.path)).unwrap();
    app.olap.list(&list.path, std::slice::from_ref(&far));
    heal(&app);
    is_well(&app).await;
    publish(&list);
    blames(&refused(&app).await, &far);
}

#[tokio::test]
async fn days_of_another_time_zone_are_nobody_s_answer() {
    let app = App::start().await;
    let publish = |orders: i64, time_zone: &str| {
        let mut manifest = app.olap.manifest(orders, Vec::new());
        time_zone.clone_into(&mut manifest.time_zone);
        manifest.write(&app.olap.folder).unwrap();
    };
    publish(1, "Asia/Tokyo");
    let refused = refused(&app).await;
    refused.is(Code::Unavailable, "MANIFEST_UNUSABLE");
    let why = "its business days are those of Asia/Tokyo, not of Europe/London";
    assert!(refused.message.contains(why), "{}", refused.message);
    // An olap-consumer of before did not tell it.
    for (orders, time_zone) in [(2, "Europe/London"), (3, "")] {
        publish(orders, time_zone);
        assert_eq!(counted(app.all_sales().await.unwrap().watermark.as_ref()), orders);
    }
}

#[tokio::test]
async fn a_manifest_that_changes_in_place_is_seen() {
    let app = App::start().await;
    app.olap.publish(1, Vec::new());
    assert_eq!(counted(app.all_sales().await.unwrap().watermark.as_ref()), 1);
    let json = serde_json::to_vec(&app.olap.manifest(2, Vec::new())).unwrap();
    fs::write(app.olap.folder.join(FILE_NAME), json).unwrap();
    assert_eq!(counted(app.all_sales().await.unwrap().watermark.as_ref()), 2);
}
