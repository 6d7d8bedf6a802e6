//! From a line of a journal back to the event, the request, who asked, and the trace.

use log::{Cause, Event, NewEvent};
use proto::{
    events::v1::InvoiceIssued,
    ledger::v1::{
        ExplainEntryRequest, ExplainEntryResponse, Origin, PostJournalRequest,
        ReverseJournalRequest,
    },
    log::v1::{ListEventsRequest, RetryDeadLettersRequest},
};
use testkit::refusal;
use tonic::{Code, Request, Status};
use uuid::Uuid;

use crate::app::{App, capital, money, new_id};

const DAY: &str = "2026-03-31";
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn explain(
    app: &App,
    entry_id: &str,
    journal_id: &str,
) -> Result<ExplainEntryResponse, Status> {
    let request =
        ExplainEntryRequest { entry_id: entry_id.to_owned(), journal_id: journal_id.to_owned() };
    Ok(app.client.clone().explain_entry(request).await?.into_inner())
}

/// `order.placed`, which a till asked for in a trace.
fn placed(id: Uuid, request_id: Uuid) -> Event {
    let json = serde_json::json!({
        "id": id, "type": "order.placed", "subject": new_id(), "time": "2026-03-31T10:00:00Z", "version": 1,
        "actor": "till-1", "traceparent": TRACE, "requestid": request_id, "data": {},
    });
    Event::parse(json.to_string().as_bytes(), 0).unwrap()
}

/// The invoice of that order.
fn issued(cause: &Cause) -> NewEvent {
    let invoice_id = new_id();
    let data = InvoiceIssued {
        invoice_id: invoice_id.clone(),
        amount: money("12.00"),
        tax: money("0.00"),
        issue_date: DAY.to_owned(),
        ..Default::default()
    };
    NewEvent::new("invoice.issued", invoice_id, 1, &data, cause)
}

async fn the_entry(app: &App) -> (String, String) {
    sqlx::query_as(
        "select id::text, journal_id::text from ledger.ledger_entries where account = '1100'",
    )
    .fetch_one(&app.db)
    .await
    .unwrap()
}

#[tokio::test]
async fn an_entry_goes_back_to_its_event_what_that_follows_from_and_whose_request_it_was() {
    let app = App::start().await;
    let (order_event, request_id) = (Uuid::now_v7(), Uuid::now_v7());
    let event = issued(&Cause::of_event(&placed(order_event, request_id)));
    app.hear(std::slice::from_ref(&event)).await;
    let (entry_id, journal_id) = the_entry(&app).await;
    let answer = explain(&app, &entry_id, "").await.unwrap();
    assert_eq!(answer.journal, Some(app.get_journal(&journal_id).await.unwrap()));
    let (sequence, time): (i64, String) = sqlx::query_as(
        "select id, payload->>'time' from billing.events_log where payload->>'id' = $1 order by id limit 1",
    )
    .bind(event.id().to_string())
    .fetch_one(&app.db)
    .await
    .unwrap();
    let posted_sequence: i64 =
        sqlx::query_scalar("select id from ledger.events_log").fetch_one(&app.db).await.unwrap();
    let expected = Origin {
        source: "billing".to_owned(),
        event_id: event.id().to_string(),
        event_type: "invoice.issued".to_owned(),
        event_time: Some(time.parse().unwrap()),
        sequence,
        causation_event_id: order_event.to_string(),
        request_id: request_id.to_string(),
        actor: "till-1".to_owned(),
        traceparent: TRACE.to_owned(),
        posted_sequence,
    };
    assert_eq!(answer.origin, Some(expected));
    assert_eq!(explain(&app, "", &journal_id).await.unwrap(), answer);

    // The journal's own event goes on in the same chain.
    let own: serde_json::Value = sqlx::query_scalar("select payload from ledger.events_log")
        .fetch_one(&app.db)
        .await
        .unwrap();
    assert_eq!(own["causationid"], event.id().to_string());
    assert_eq!(own["requestid"], request_id.to_string());
    assert_eq!((&own["actor"], &own["traceparent"]), (&"till-1".into(), &TRACE.into()));
}

#[tokio::test]
async fn what_was_put_aside_first_knows_as_much() {
    let app = App::start().await;
    sqlx::query("delete from ledger.accounts where code = '4000'").execute(&app.db).await.unwrap();
    let (order_event, request_id) = (Uuid::now_v7(), Uuid::now_v7());
    let event = issued(&Cause::of_event(&placed(order_event, request_id)));
    app.hear_once(std::slice::from_ref(&event)).await;
    assert_eq!(app.log.dead_letters().await.len(), 1);
    sqlx::query(
        "insert into ledger.accounts (code, name, type) values ('4000', 'Sales', 'income')",
    )
    .execute(&app.db)
    .await
    .unwrap();
    let subject: String = sqlx::query_scalar("select subject from ledger.dead_letters")
        .fetch_one(&app.db)
        .await
        .unwrap();
    let request = RetryDeadLettersRequest { source: "billing".to_owned(), subject };
    app.event_log.clone().retry_dead_letters(request).await.unwrap();
    let (entry_id, _) = the_entry(&app).await;
    let origin = explain(&app, &entry_id, "").await.unwrap().origin.unwrap();
    assert_eq!(origin.event_id, event.id().to_string());
    assert_eq!(origin.causation_event_id, order_event.to_string());
    assert_eq!(origin.request_id, request_id.to_string());
    assert_eq!((&*origin.actor, &*origin.traceparent, origin.sequence), ("till-1", TRACE, 1));
}

#[tokio::test]
async fn what_was_posted_by_hand_goes_back_to_its_own_request_and_so_does_its_reversal() {
    let app = App::start().await;
    let post = PostJournalRequest {
        request_id: new_id(),
        journal: Some(capital("5.00", DAY)),
        ..Default::default()
    };
    let mut traced = Request::new(post.clone());
    traced.metadata_mut().insert("traceparent", TRACE.parse().unwrap());
    let posted = app.client.clone().post_journal(traced).await.unwrap().into_inner();
    let posted = posted.journal.unwrap();
    let reverse = ReverseJournalRequest {
        request_id: new_id(),
        journal_id: posted.journal_id.clone(),
        ..Default::default()
    };
    let reversal = app.reverse(reverse.clone()).await.unwrap();
    for (journal, request_id) in [(&posted, &post.request_id), (&reversal, &reverse.request_id)] {
        let origin = explain(&app, &journal.entries[1].entry_id, "").await.unwrap().origin.unwrap();
        assert_eq!((&*origin.source, &*origin.event_type), ("ledger", "journal.posted"));
        assert_eq!(&origin.request_id, request_id);
        assert_eq!((&*origin.actor, &*origin.causation_event_id), ("anonymous", ""));
        assert_eq!(origin.event_time, journal.post_time);
        assert_eq!(origin.sequence, origin.posted_sequence);

        // The log has the event where it is said to be.
        let request = ListEventsRequest {
            after_sequence: origin.sequence - 1,
            page_size: 1,
            ..Default::default()
        };
        let events = app.event_log.clone().list_events(request).await.unwrap().into_inner().events;
        let event: serde_json::Value = serde_json::from_str(&events[0].cloud_event).unwrap();
        assert_eq!(
            (&event["id"], &event["subject"]),
            (&origin.event_id.into(), &journal.journal_id.clone().into())
        );
        assert_eq!(event["requestid"], **request_id);
    }
    let origin = explain(&app, "", &posted.journal_id).await.unwrap().origin.unwrap();
    assert!(origin.traceparent.contains("4bf92f3577b34da6a3ce929d0e0e4736"), "{origin:?}");
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_one_of_both_ids_is_needed() {
    let app = App::start().await;
    let id = new_id();
    refusal(explain(&app, &id, "").await).is(Code::NotFound, "ENTRY_NOT_FOUND");
    refusal(explain(&app, "", &id).await).is(Code::NotFound, "JOURNAL_NOT_FOUND");
    refusal(explain(&app, "", "").await).names(&["entry_id"]);
    refusal(explain(&app, &id, &id).await).names(&["entry_id"]);
    refusal(explain(&app, "x", "y").await).names(&["entry_id", "journal_id", "entry_id"]);
}
