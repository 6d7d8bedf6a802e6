use serde_json::{Value, json};

use testkit::eventually;

use crate::{
    app::{App, WAIT_MAX, new_id},
    events::{issued, paid},
};

const DAY: &str = "2026-03-31";

/// All that was published, as it is on the bus.
async fn published(app: &App, count: u64) -> Vec<Value> {
    eventually("journals are told", WAIT_MAX, async || {
        app.stream("LEDGER").await.cached_info().state.messages >= count
    })
    .await;
    let stream = app.stream("LEDGER").await;
    let mut published = Vec::new();
    for place in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(place).await.unwrap();
        assert_eq!(message.subject.as_str(), "bramble.ledger.journal.posted.v1");
        published.push(serde_json::from_slice(&message.payload).unwrap());
    }
    published
}

#[tokio::test]
async fn each_journal_is_told_of_with_its_document_and_its_sum() {
    let app = App::start().await;
    let (first, second) = (new_id(), new_id());
    let events = [
        issued(&first, "12.00", "2.00", DAY),
        issued(&second, "0.00", "0.00", DAY),
        paid(&new_id(), "20.00", &[(&first, "12.00"), (&second, "7.00")], "1.00", "2026-04-01"),
    ];
    app.hear(&events).await;
    let logged: Vec<(i64, Value)> =
        sqlx::query_as("select id, payload from ledger.events_log order by id")
            .fetch_all(&app.db)
            .await
            .unwrap();
    let line = |account: &str, side: &str, sum: &str| json!({"account": account, side: {"amount": sum, "currencyCode": "GBP"}});
    let invoiced = [
        line("1100", "debit", "12.00"),
        line("4000", "credit", "10.00"),
        line("2200", "credit", "2.00"),
    ];
    let received = [
        line("1200", "debit", "12.00"),
        line("1100", "credit", "12.00"),
        line("1200", "debit", "7.00"),
        line("1100", "credit", "7.00"),
        line("1200", "debit", "1.00"),
        line("2110", "credit", "1.00"),
    ];
    let told = [
        (&events[0], DAY, "12.00", &invoiced[..]),
        (&events[2], "2026-04-01", "20.00", &received[..]),
    ];
    assert_eq!(logged.len(), told.len());
    for ((_, payload), (event, effective_date, sum, lines)) in logged.iter().zip(told) {
        let journal_id: String =
            sqlx::query_scalar("select id::text from ledger.journals where source_event_id = $1")
                .bind(event.id())
                .fetch_one(&app.db)
                .await
                .unwrap();
        let data = json!({
            "journalId": journal_id,
            "sourceEventId": event.id().to_string(),
            "refType": "invoice",
            "refId": first,
            "effectiveDate": effective_date,
            "amount": {"amount": sum, "currencyCode": "GBP"},
            "lines": lines,
        });
        assert_eq!(payload["data"], data);
        let envelope = ["source", "type", "subject", "version", "actor"].map(|key| &payload[key]);
        let source = json!("/bramble/ledger");
        let expected =
            [source, json!("journal.posted"), json!(journal_id), json!(1), json!("system")];
        assert_eq!(envelope, expected.each_ref(), "the actor is the event's");
    }

    let published = published(&app, 2).await;
    let mut previous = 0;
    let placed = logged.into_iter().map(|(sequence, mut payload)| {
        payload["sequence"] = json!(sequence.to_string());
        payload["previous"] = json!(previous.to_string());
        previous = sequence;
        payload
    });
    assert_eq!(published, placed.collect::<Vec<_>>());
}
