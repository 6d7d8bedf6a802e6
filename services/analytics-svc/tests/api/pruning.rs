//! Files that hold nothing of what is asked for are not opened: here they are gone.

use std::fs;

use manifest::{
    Materialized,
    tables::{SALES_BY_SKU_DAY, SALES_BY_SKU_MONTH, STOCK_BY_DAY, TRIAL_BALANCE},
};
use proto::analytics::v1 as pb;
use tonic::Code;

use crate::{
    app::{App, hours, levels, time_text},
    browser::get,
    olap::{sales, stock},
    rows::{Column, days, sums, times},
};

fn with_range(file: Materialized, first: &str, last: &str) -> Materialized {
    Materialized { range: Some((first.to_owned(), last.to_owned())), ..file }
}

/// Makes files live that are not all there.
fn publish_without(app: &App, files: &[Materialized], gone: &[usize]) {
    for (at, file) in files.iter().enumerate() {
        let (path, aside) =
            (app.olap.folder.join(&file.path), app.olap.folder.join(format!("{at}.aside")));
        if gone.contains(&at) && path.exists() {
            fs::rename(path, aside).unwrap();
        } else if !gone.contains(&at) && aside.exists() {
            fs::rename(aside, path).unwrap();
        }
    }
    app.olap.publish(1, files.to_vec());
}

/// A file that was there before is missed by DuckDB only.
fn misses_a_file<T: std::fmt::Debug>(answer: Result<T, tonic::Status>) {
    let refused = answer.unwrap_err();
    assert!(matches!(refused.code(), Code::Unavailable | Code::Internal), "{refused}");
}

/// An hour a file.
fn three_hours(app: &App) -> Vec<Materialized> {
    ["2026-11-22T10:00:00Z", "2026-11-23T10:00:00Z", "2026-11-24T10:00:00Z"]
        .into_iter()
        .enumerate()
        .map(|(at, hour)| {
            let orders = if at == 2 { 0 } else { 1 };
            let file = app.olap.file("sales_by_hour", &sales(&[(hour, "1.00", orders)]));
            let key = hour.replace('Z', ".000000Z");
            with_range(file, &key, &key)
        })
        .collect()
}

#[tokio::test]
async fn hours_are_looked_for_where_they_may_be() {
    let app = App::start().await;
    let files = three_hours(&app);
    let between = |start: &str, end: &str| {
        let time = |text: &str| Some(rpc::to_time(text.parse().unwrap()));
        pb::QuerySalesByHourRequest {
            start_time: time(start),
            end_time: time(end),
            ..Default::default()
        }
    };
    publish_without(&app, &files, &[0, 2]);
    let middle = between("2026-11-22T10:00:00.000001Z", "2026-11-24T10:00:00Z");
    assert_eq!(hours(&app.sales(middle).await.unwrap()), ["2026-11-23T10:00:00Z 1.00 1"]);
    misses_a_file(app.sales(between("2026-11-22T10:00:00Z", "2026-11-22T10:00:01Z")).await);
    misses_a_file(app.sales(between("2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z")).await);
    misses_a_file(app.all_sales().await);

    let of_day = pb::QuerySalesByPeriodRequest {
        period: pb::Period::Day.into(),
        start_date: "2026-11-23".to_owned(),
        end_date: "2026-11-23".to_owned(),
        ..Default::default()
    };
    let found = app.client.clone().query_sales_by_period(of_day).await.unwrap().into_inner();
    assert_eq!((found.periods.len(), found.periods[0].order_count), (1, 1));

    // What was sold last is looked for from the end on.
    publish_without(&app, &files, &[0]);
    let later = get(&app.dashboard, "/api/sales?day=2027-06-01", &[]).await;
    assert_eq!(later.json()["newest_day"], "2026-11-23", "{}", later.text());
}

#[tokio::test]
async fn a_file_that_tells_no_range_is_always_read() {
    let app = App::start().await;
    let mut files = three_hours(&app);
    files[0].range = None;
    publish_without(&app, &files, &[0]);
    let last = pb::QuerySalesByHourRequest {
        start_time: Some(rpc::to_time("2026-11-24T10:00:00Z".parse().unwrap())),
        ..Default::default()
    };
    misses_a_file(app.sales(last).await);
    publish_without(&app, &files, &[]);
    assert_eq!(app.all_sales().await.unwrap().hours.len(), 3);
    let later = get(&app.dashboard, "/api/sales?day=2027-06-01", &[]).await;
    assert_eq!(later.json()["newest_day"], "2026-11-23", "{}", later.text());
}

#[tokio::test]
async fn a_page_of_stock_needs_the_files_that_it_is_in() {
    let app = App::start().await;
    let file = |skus: [&'static str; 2], newest: &str| {
        let rows = skus.map(|sku| (sku, 1, 0));
        let file = app.olap.file("stock_snapshot", &stock("2026-11-24T09:00:00Z", &rows));
        let newest = Some(newest.parse().unwrap());
        Materialized { newest, ..with_range(file, skus[0], skus[1]) }
    };
    // The manifest is believed: no row is as new.
    let files = vec![
        file(["A", "B"], "2026-11-24T10:00:00Z"),
        file(["C", "D"], "2026-11-25T10:00:00Z"),
        file(["E", "F"], "2026-11-23T10:00:00Z"),
    ];
    let page = |size: i32, token: &str| pb::GetStockSnapshotRequest {
        page_size: size,
        page_token: token.to_owned(),
        ..Default::default()
    };
    publish_without(&app, &files, &[2]);
    let first = app.stock(page(1, "")).await.unwrap();
    assert_eq!(levels(&first), ["A 1 0"]);
    assert_eq!(time_text(first.snapshot_time), "2026-11-25T10:00:00Z");
    let three = app.stock(page(3, "")).await.unwrap();
    assert_eq!(levels(&three), ["A 1 0", "B 1 0", "C 1 0"]);
    misses_a_file(app.stock(page(4, "")).await);
    misses_a_file(app.stock(page(1, &three.next_page_token)).await);

    // What is behind the second file is looked for without the first.
    publish_without(&app, &files, &[0, 1]);
    let list = three.next_page_token.split_once('.').unwrap().0;
    let rest = app.stock(page(3, &format!("{list}.D"))).await;
    assert_eq!(levels(&rest.unwrap()), ["E 1 0", "F 1 0"]);
    let only = |skus: &[&str]| pb::GetStockSnapshotRequest {
        skus: skus.iter().map(|sku| (*sku).to_owned()).collect(),
        ..Default::default()
    };
    assert_eq!(levels(&app.stock(only(&["F", "G", "0"])).await.unwrap()), ["F 1 0"]);
    misses_a_file(app.stock(only(&["F", "B"])).await);
}

#[tokio::test]
async fn days_behind_the_one_that_is_asked_for_are_not_read() {
    let app = App::start().await;
    let levels_of = |day: &'static str, taken: &'static str| {
        let columns = vec![
            Column::Text(vec!["MUG"]),
            Column::Int(vec![1]),
            Column::Int(vec![0]),
            times(&[taken]),
            days(&[day]),
        ];
        let file = with_range(app.olap.rows(STOCK_BY_DAY, columns), day, day);
        Materialized { newest: Some(taken.parse().unwrap()), ..file }
    };
    let posted = |day: &'static str| {
        let columns =
            vec![Column::Text(vec!["1100"]), days(&[day]), sums(&["1.00"]), sums(&["1.00"])];
        with_range(app.olap.rows(TRIAL_BALANCE, columns), day, day)
    };
    let files = vec![
        levels_of("2026-11-22", "2026-11-22T12:00:00Z"),
        levels_of("2026-11-24", "2026-11-24T12:00:00Z"),
        posted("2026-11-22"),
        posted("2026-11-24"),
        app.olap.file("stock_snapshot", &stock("2026-11-24T12:00:00Z", &[("MUG", 1, 0)])),
    ];
    publish_without(&app, &files, &[1, 3]);
    let on = |day: &str| pb::GetStockSnapshotRequest {
        as_of_date: day.to_owned(),
        ..Default::default()
    };
    let stock = app.stock(on("2026-11-23")).await.unwrap();
    assert_eq!(levels(&stock), ["MUG 1 0"]);
    assert_eq!(time_text(stock.snapshot_time), "2026-11-22T12:00:00Z");
    misses_a_file(app.stock(on("2026-11-24")).await);
    let balance = async |day: &str| {
        let query = pb::GetTrialBalanceRequest { as_of_date: day.to_owned(), ..Default::default() };
        app.client.clone().get_trial_balance(query).await
    };
    assert_eq!(balance("2026-11-23").await.unwrap().into_inner().accounts.len(), 1);
    misses_a_file(balance("2026-11-24").await);
}

#[tokio::test]
async fn what_moved_lately_is_found_without_days_of_long_before() {
    let app = App::start().await;
    // One SKU moves each day, another one moved on the first day, and a third one came on the last.
    let names: Vec<String> = (1..=9).map(|day| format!("2026-11-0{day}")).collect();
    let mut files: Vec<_> = (1..)
        .zip(&names)
        .map(|(at, day)| {
            let mut skus = vec!["DAILY"];
            skus.extend(if at == 1 {
                Some("ONCE")
            } else if at == 9 {
                Some("THIRD")
            } else {
                None
            });
            let (count, taken) = (skus.len(), format!("{day}T12:00:00Z"));
            let columns = vec![
                Column::Text(skus),
                Column::Int(vec![at; count]),
                Column::Int(vec![0; count]),
                times(&vec![taken.as_str(); count]),
                days(&vec![day.as_str(); count]),
            ];
            let file = with_range(app.olap.rows(STOCK_BY_DAY, columns), day, day);
            Materialized { newest: Some(taken.parse().unwrap()), ..file }
        })
        .collect();
    let now = [("DAILY", 9, 0), ("ONCE", 1, 0), ("THIRD", 9, 0)];
    files.push(app.olap.file("stock_snapshot", &stock("2026-11-09T12:00:00Z", &now)));
    let on = |day: &str, skus: &[&str]| pb::GetStockSnapshotRequest {
        as_of_date: day.to_owned(),
        skus: skus.iter().map(|sku| (*sku).to_owned()).collect(),
        ..Default::default()
    };

    publish_without(&app, &files, &[0, 1, 2, 3]);
    let two = app.stock(on("2026-11-09", &["THIRD", "DAILY"])).await.unwrap();
    assert_eq!(levels(&two), ["DAILY 9 0", "THIRD 9 0"]);
    assert_eq!(levels(&app.stock(on("2026-11-08", &["DAILY"])).await.unwrap()), ["DAILY 8 0"]);
    misses_a_file(app.stock(on("2026-11-09", &["ONCE"])).await);
    misses_a_file(app.stock(on("2026-11-09", &[])).await);

    publish_without(&app, &files, &[]);
    let all = app.stock(on("2026-11-09", &[])).await.unwrap();
    assert_eq!(levels(&all), ["DAILY 9 0", "ONCE 1 0", "THIRD 9 0"]);
    let before = app.stock(on("2026-11-08", &[])).await.unwrap();
    assert_eq!(levels(&before), ["DAILY 8 0", "ONCE 1 0"]);
    let few = app.stock(on("2026-11-08", &["ONCE", "THIRD", "NONE"])).await.unwrap();
    assert_eq!(levels(&few), ["ONCE 1 0"]);
    let one = pb::GetStockSnapshotRequest { page_size: 1, ..on("2026-11-08", &[]) };
    let first = app.stock(one.clone()).await.unwrap();
    let next = pb::GetStockSnapshotRequest { page_token: first.next_page_token.clone(), ..one };
    let second = app.stock(next).await.unwrap();
    assert_eq!(
        (levels(&first), levels(&second)),
        (vec!["DAILY 8 0".to_owned()], vec!["ONCE 1 0".to_owned()])
    );
    assert_eq!(second.next_page_token, "");
}

#[tokio::test]
async fn months_that_are_whole_need_no_days_and_days_no_months() {
    let app = App::start().await;
    let sold = |table, day: &'static str| {
        let one = || Column::Long(vec![1]);
        let columns = vec![
            days(&[day]),
            Column::Text(vec!["MUG"]),
            one(),
            one(),
            one(),
            one(),
            Column::Int(vec![1]),
        ];
        with_range(app.olap.rows(table, columns), day, day)
    };
    let files = vec![
        sold(SALES_BY_SKU_DAY, "2026-10-05"),
        sold(SALES_BY_SKU_DAY, "2026-11-20"),
        sold(SALES_BY_SKU_MONTH, "2026-10-01"),
        sold(SALES_BY_SKU_MONTH, "2026-11-01"),
    ];
    let ask = async |start: &str, end: &str| {
        let query = pb::QuerySalesBySkuRequest {
            start_date: start.to_owned(),
            end_date: end.to_owned(),
            ..Default::default()
        };
        let answer = app.client.clone().query_sales_by_sku(query).await?;
        Ok(answer.into_inner().skus.iter().map(|of| of.quantity).collect::<Vec<_>>())
    };
    publish_without(&app, &files, &[0, 1]);
    assert_eq!(ask("", "").await.unwrap(), [2]);
    assert_eq!(ask("2026-10-01", "2026-10-31").await.unwrap(), [1]);
    // All of November that there is yet.
    assert_eq!(ask("2026-11-01", "2026-11-21").await.unwrap(), [1]);
    misses_a_file(ask("2026-11-20", "2026-11-20").await);
    publish_without(&app, &files, &[0, 2, 3]);
    assert_eq!(ask("2026-11-20", "2026-11-20").await.unwrap(), [1]);
    assert_eq!(ask("2026-11-30", "2026-12-31").await.unwrap(), [0; 0]);
    misses_a_file(ask("2026-11-01", "2026-11-30").await);
}
