//! The journal of each event of inventory-svc. All events come twice.

use proto::events::v1::StockChanged;

use crate::{
    app::{App, Journal, money, new_id},
    events::{found, stock, stock_event},
};

const DAY: &str = "2026-03-31";

#[tokio::test]
async fn what_comes_in_what_leaves_and_what_comes_back_changes_what_stock_is_worth() {
    let app = App::start().await;
    let (order, delivery, back) = (new_id(), new_id(), new_id());
    let events = [
        stock("stock.received", "", &delivery, "100.00", "2026-03-30"),
        stock("stock.shipped", &order, "", "40.01", DAY),
        stock("stock.returned", &order, &back, "0.01", "2026-04-01"),
    ];
    app.hear_from("inventory", &events).await;
    let (delivery, order) = (format!("stock {delivery}"), format!("order {order}"));
    let expected = [
        Journal::of(
            &delivery,
            "stock.received",
            "2026-03-30",
            &["1001 100.00 0.00", "2109 0.00 100.00"],
        ),
        Journal::of(&order, "stock.shipped", DAY, &["5000 40.01 0.00", "1001 0.00 40.01"]),
        Journal::of(&order, "stock.returned", "2026-04-01", &["1001 0.01 0.00", "5000 0.00 0.01"]),
    ];
    for (event, expected) in events.iter().zip(expected) {
        assert_eq!(app.journal(event).await, Some(expected));
    }
    assert_eq!(app.balances("").await, ["1001 60.00", "2109 -100.00", "5000 40.00"]);
    app.check_books().await;
}

#[tokio::test]
async fn what_is_found_and_what_is_lost_go_to_stock_loss() {
    let app = App::start().await;
    let (gain, loss) = (new_id(), new_id());
    let events = [found(&gain, "3.00", DAY), stock("stock.adjusted", "", &loss, "5.00", DAY)];
    app.hear_from("inventory", &events).await;
    let expected = [
        (gain, ["1001 3.00 0.00", "5210 0.00 3.00"]),
        (loss, ["5210 5.00 0.00", "1001 0.00 5.00"]),
    ];
    for (event, (document, lines)) in events.iter().zip(expected) {
        let expected = Journal::of(&format!("stock {document}"), "stock.adjusted", DAY, &lines);
        assert_eq!(app.journal(event).await, Some(expected));
    }
    app.check_books().await;
}

#[tokio::test]
async fn what_has_no_cost_and_what_only_moves_promises_is_not_booked() {
    let app = App::start().await;
    let order = new_id();
    let unknown = StockChanged { order_id: order.clone(), ..Default::default() };
    let events = [
        stock_event("stock.shipped", &unknown),
        stock_event("stock.received", &StockChanged::default()),
        stock("stock.shipped", &order, "", "0.00", DAY),
        stock("stock.reserved", &order, "", "9.00", DAY),
        stock("stock.released", &order, "", "9.00", DAY),
    ];
    app.hear_from("inventory", &events).await;
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    assert_eq!(app.count("ledger.journals").await, 0);
}

#[tokio::test]
async fn an_event_that_is_not_sound_is_put_aside_with_the_reason() {
    let app = App::start().await;
    let changed = |cost: &str, date: &str| StockChanged {
        document_id: new_id(),
        cost: money(cost),
        effective_date: date.to_owned(),
        ..Default::default()
    };
    let nothing_named = StockChanged { document_id: String::new(), ..changed("1.00", DAY) };
    let no_order = StockChanged { order_id: "order 7".to_owned(), ..changed("1.00", DAY) };
    let cases = [
        (changed("1.00", ""), "\"\" is not a day"),
        (changed("-1.00", DAY), "-1.00 is negative"),
        (nothing_named, "invalid length"),
        (no_order, "invalid character"),
    ];
    let events: Vec<_> =
        cases.iter().map(|(data, _)| stock_event("stock.received", data)).collect();
    app.inventory.publish(&events).await;
    app.log.catch_up("inventory").await;
    let letters = app.log.dead_letters().await;
    assert_eq!(letters.len(), cases.len(), "{letters:#?}");
    for (found, (_, expected)) in letters.iter().zip(cases) {
        assert!(found.contains(expected), "{found:?} instead of {expected:?}");
    }
    assert_eq!(app.count("ledger.journals").await, 0);
}
