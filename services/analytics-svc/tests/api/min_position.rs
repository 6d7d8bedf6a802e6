use std::time::{Duration, Instant};

use proto::analytics::v1::{
    GetArAgeingRequest, GetStockSnapshotRequest, QuerySalesByHourRequest as Query, SourcePosition,
};
use tonic::Code;

use testkit::refusal;

use crate::{
    app::{App, SHORT, counted, position, within},
    olap::sales,
};

const LONG: Duration = Duration::from_secs(30);
/// Long for a machine that is busy, and much less than `LONG`.
const AT_ONCE: Duration = Duration::from_secs(15);

fn including(min_position: Vec<SourcePosition>) -> Query {
    Query { min_position, ..Query::default() }
}

fn orders(sequence: i64) -> Query {
    including(vec![position("orders", sequence)])
}

#[tokio::test]
async fn what_is_included_already_is_not_waited_for() {
    let app = App::start().await;
    app.olap.publish(9, Vec::new());
    for sequence in [0, 8, 9] {
        let min_position = vec![position("orders", sequence), position("inventory", 0)];
        let asked = Instant::now();
        let answer = app.sales(within(LONG, including(min_position))).await.unwrap();
        assert_eq!(counted(answer.watermark.as_ref()), 9);
        assert!(asked.elapsed() < AT_ONCE);
    }
}

#[tokio::test]
async fn an_answer_waits_until_it_includes_enough() {
    let app = App::start().await;
    app.olap.publish(9, Vec::new());
    let asked = app.sales(within(LONG, orders(11)));
    let counting = async {
        for sequence in [10, 11] {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let row = sales(&[("2026-11-24T09:00:00Z", "1.00", 1)]);
            app.olap.publish_table(sequence, "sales_by_hour", &row);
        }
        Instant::now()
    };
    let (answer, included) = tokio::join!(asked, counting);
    assert!(included.elapsed() < AT_ONCE, "it looked again soon");
    let answer = answer.unwrap();
    assert_eq!(counted(answer.watermark.as_ref()), 11);
    assert_eq!(answer.hours.len(), 1, "and what was found is of that version, too");
}

#[tokio::test]
async fn every_method_waits_also_for_the_first_version() {
    let app = App::start().await;
    let min_position = || vec![position("orders", 1)];
    let stock = GetStockSnapshotRequest { min_position: min_position(), ..Default::default() };
    let ageing = GetArAgeingRequest { min_position: min_position(), ..Default::default() };
    let counting = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        app.olap.publish(1, Vec::new());
    };
    let (sales, stock, ageing, ()) = tokio::join!(
        app.sales(within(LONG, orders(1))),
        app.stock(within(LONG, stock)),
        app.ageing(within(LONG, ageing)),
        counting
    );
    assert_eq!(counted(sales.unwrap().watermark.as_ref()), 1);
    assert_eq!(counted(stock.unwrap().watermark.as_ref()), 1);
    refusal(ageing).is(Code::NotFound, "AGEING_NOT_FOUND");
}

#[tokio::test]
async fn an_answer_that_comes_too_late_says_how_far_it_has_seen() {
    let app = App::start().await;
    app.olap.publish(9, Vec::new());
    let min_position =
        vec![position("orders", 10), position("billing", 3), position("inventory", 0)];
    let asked = Instant::now();
    let refused = refusal(app.sales(within(SHORT, including(min_position))).await);
    let waited = asked.elapsed();
    refused.is(Code::DeadlineExceeded, "NOT_FRESH_ENOUGH");
    assert_eq!(refused.facts, ["billing: 0", "orders: 9"]);
    assert_eq!(refused.message, "not counted yet: orders is at 9 of 10, billing is at 0 of 3");
    assert!(waited >= SHORT / 2, "it waited {waited:?}");
}

#[tokio::test]
async fn nothing_written_is_nothing_seen() {
    let app = App::start().await;
    let refused = refusal(app.sales(within(SHORT, orders(1))).await);
    refused.is(Code::DeadlineExceeded, "NOT_FRESH_ENOUGH");
    assert_eq!(refused.facts, ["orders: 0"]);
}

#[tokio::test]
async fn a_call_that_waits_does_not_hold_up_the_end() {
    let app = App::start().await;
    app.olap.publish(9, Vec::new());
    let asked = app.sales(within(LONG, orders(10)));
    let told = async {
        // Asked behind it on the same connection: once this is answered, that has come.
        app.all_sales().await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        app.shutdown.cancel();
        Instant::now()
    };
    let (answer, told) = tokio::join!(asked, told);
    refusal(answer).is(Code::DeadlineExceeded, "NOT_FRESH_ENOUGH");
    assert!(told.elapsed() < AT_ONCE);
}
