//! Events that cannot be counted: people see them, and everything else goes on.

use serde_json::{Value, json};

use testkit::eventually;

use crate::{
    folder,
    shop::{PATIENCE, Shop},
    trade::{cancelled, issued, new_id, placed},
};

const NINE: &str = "2026-11-24T09:00:00Z";

fn reasons(shop_folder: &std::path::Path) -> Vec<String> {
    let lines = folder::lines(shop_folder, "set_aside_events");
    let shown = lines.iter().map(|line| {
        let values: Vec<&str> = line.split('|').collect();
        format!("{} {} {}", values[0], values[3], values[6])
    });
    shown.collect()
}

fn order(id: &str, total: &Value, time: &str) -> Value {
    json!({"orderId": id, "customerId": new_id(), "total": total, "placeTime": time})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_cannot_be_counted_is_set_aside_with_what_builds_on_it() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let consumer = shop.consume(dir.path()).await;
    let (good, bad) = (new_id(), new_id());
    let publish = async |source: &str, event_type: &str, subject: &str, data: Value| {
        shop.publish_at(source, event_type, subject, NINE, data).await;
    };
    shop.publish("orders", &[placed(&good, 1000, NINE)]).await;
    let euros = json!({"amount": "3.00", "currencyCode": "EUR"});
    publish("orders", "order.placed", &bad, order(&bad, &euros, NINE)).await;
    shop.publish("orders", &[cancelled(&bad, 300, NINE)]).await;
    let pence = json!({"amount": "0.001", "currencyCode": "GBP"});
    publish("orders", "order.placed", "p", order(&new_id(), &pence, NINE)).await;
    publish("orders", "order.placed", "t", order(&new_id(), &json!({"amount": "1.00"}), "noon"))
        .await;
    publish("orders", "order.placed", "n", json!(null)).await;
    shop.publish("orders", &[cancelled(&new_id(), 999, NINE)]).await;
    publish("orders", "order.told_by_a_newer_version", "x", json!("anything")).await;
    let invoice = new_id();
    shop.publish("billing", &[issued(&invoice, 500, "2026-12-24")]).await;
    let part = |id: &str| json!({"invoiceId": id, "amount": {"amount": "1.00"}, "residual": {"amount": "4.00"}});
    let paid = json!({"allocations": [part(&invoice), part(&bad)]});
    publish("billing", "payment.received", "p", paid).await;
    publish("inventory", "stock.received", "s", json!({"levels": [{"sku": "", "onHand": 3}]}))
        .await;
    shop.caught_up(dir.path()).await;

    let expected = [
        "billing payment.received invoice <id> is not open",
        "inventory stock.received a level without a SKU",
        "orders order.placed EUR is not the currency here",
        "orders order.cancelled an earlier event of the same subject is set aside",
        "orders order.placed more than two decimal places",
        "orders order.placed <time>",
        "orders order.placed <null>",
        "orders order.cancelled no order of that amount was counted in the hour of <hour>",
    ];
    let found = reasons(dir.path());
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        let start = expected.split('<').next().unwrap();
        assert!(found.starts_with(start), "{found:?} instead of {expected:?}");
    }
    let counted = || {
        let (_, mut tables) = folder::read(dir.path());
        (tables.remove("sales_by_hour"), tables.remove("open_invoices").map(|rows| rows.len()))
    };
    let sold = Some(vec!["2026-11-24T09:00:00.000000Z|10.00|1".to_owned()]);
    assert_eq!(counted(), (sold.clone(), Some(1)));
    assert!(
        folder::lines(dir.path(), "open_invoices")[0].ends_with("|5.00"),
        "all of it or nothing"
    );
    consumer.is_ready_soon().await;
    consumer.stop().await;

    // It is not forgotten.
    let consumer = shop.consume(dir.path()).await;
    consumer.is_ready_soon().await;
    shop.publish("orders", &[cancelled(&bad, 300, NINE)]).await;
    shop.caught_up(dir.path()).await;
    assert_eq!(reasons(dir.path()).len(), expected.len() + 1);
    assert_eq!(counted().0, sold);
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_of_nothing_but_such_events_is_not_followed_further() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let consumer = shop.consume(dir.path()).await;
    consumer.is_ready_soon().await;
    let good = new_id();
    shop.publish("orders", &[placed(&good, 1000, NINE)]).await;
    sqlx::query(
        "with drawn as materialized (select pg_current_xact_id())
         insert into orders.events_log (event_type, source, payload)
         select 'order.placed', 'orders', jsonb_build_object(
           'specversion', '1.0', 'id', gen_random_uuid(), 'type', 'order.placed', 'subject', n::text,
           'time', '2026-11-24T09:00:00Z', 'version', 1, 'data', jsonb_build_object('total', 'gold'))
         from drawn, generate_series(1, 1100) n",
    )
    .execute(&shop.admin)
    .await
    .unwrap();
    consumer.is_not_ready_soon().await;
    shop.publish("billing", &[issued(&new_id(), 500, "2026-12-24")]).await;
    eventually("the others go on", PATIENCE, async || {
        folder::lines(dir.path(), "open_invoices").len() == 1
    })
    .await;
    consumer.stop().await;
    let (manifest, tables) = folder::read(dir.path());
    assert_eq!(tables["set_aside_events"].len(), 1000);
    let first: i64 = sqlx::query_scalar("select min(id) from orders.events_log")
        .fetch_one(&shop.admin)
        .await
        .unwrap();
    assert_eq!(manifest.positions["orders"].log_id, first + 1000, "no further than that");
}
