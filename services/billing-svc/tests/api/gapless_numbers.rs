use log::NewEvent;

use crate::app::{App, cancelled, new_id, placed};

/// Makes three of ten statements on a table fail, as a full disk or a deadlock would.
async fn break_now_and_then(app: &App, table: &str) {
    for statement in [
        "create function billing.fail() returns trigger language plpgsql as $$ begin
           if random() < 0.3 then raise exception 'not now' using errcode = 'serialization_failure'; end if;
           return null;
         end $$"
            .to_owned(),
        format!(
            "create trigger fail after insert on {table} for each statement execute function billing.fail()"
        ),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&app.db).await.unwrap();
    }
}

async fn numbers(app: &App, table: &str) -> Vec<String> {
    sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select number from {table} order by number")))
        .fetch_all(&app.db)
        .await
        .unwrap()
}

#[tokio::test]
async fn two_replicas_and_broken_transactions_leave_no_gap() {
    let app = App::start().await;
    app.start_another().await;
    break_now_and_then(&app, "billing.events_log").await;
    let customer = new_id();
    let orders: Vec<String> = (0..60).map(|_| new_id()).collect();
    for some in orders.chunks(5) {
        let events: Vec<NewEvent> = some.iter().map(|order| placed(order, &customer)).collect();
        app.orders.publish(&events).await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    app.log.catch_up("orders").await;
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    let expected: Vec<String> = (1..=60).map(|number| format!("INV-{number:06}")).collect();
    assert_eq!(numbers(&app, "billing.invoices").await, expected);
    app.check_books().await;
}

#[tokio::test]
async fn an_event_that_is_put_aside_takes_no_number() {
    let app = App::start().await;
    let customer = new_id();
    let events: Vec<NewEvent> =
        (0..9).map(|n| placed(&new_id(), if n % 3 == 1 { "nobody" } else { &customer })).collect();
    app.hear(&events).await;
    assert_eq!(app.log.dead_letters().await.len(), 3);
    let expected: Vec<String> = (1..=6).map(|number| format!("INV-{number:06}")).collect();
    assert_eq!(numbers(&app, "billing.invoices").await, expected);
}

#[tokio::test]
async fn credit_notes_have_numbers_of_their_own_without_a_gap() {
    let app = App::start().await;
    break_now_and_then(&app, "billing.credit_notes").await;
    let orders: Vec<String> = (0..20).map(|_| new_id()).collect();
    let customer = new_id();
    app.hear(&orders.iter().map(|order| placed(order, &customer)).collect::<Vec<_>>()).await;
    app.pay(&customer, "105.00").await;
    app.hear(&orders.iter().map(|order| cancelled(order)).collect::<Vec<_>>()).await;
    let expected: Vec<String> = (1..=11).map(|number| format!("CRN-{number:06}")).collect();
    assert_eq!(numbers(&app, "billing.credit_notes").await, expected);
    assert_eq!(app.events("invoice.voided").await.len(), 9);
    app.check_books().await;
}
