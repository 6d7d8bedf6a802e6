//! Books of the first release go on.

use proto::ledger::v1::{ExplainEntryRequest, ListEntriesRequest};
use testkit::TestDb;

use crate::{
    app::{App, money, new_id},
    events::{bounced, issued},
};

/// A payment without an invoice, and an invoice, as the first release booked them.
const BOOKED: &str = "
    insert into ledger.journals (id, source, source_event_id, event_type, ref_type, ref_id, effective_date) values
      ('01900000-0000-7000-8000-000000000001', 'billing', '01900000-0000-7000-8000-00000000000a', 'payment.received', 'invoice',
       '01900000-0000-7000-8000-0000000000aa', '2026-03-30'),
      ('01900000-0000-7000-8000-000000000002', 'billing', '01900000-0000-7000-8000-00000000000b', 'invoice.issued', 'invoice',
       '01900000-0000-7000-8000-0000000000bb', '2026-03-31');
    insert into ledger.ledger_entries (id, journal_id, account, debit, credit, ref_type, ref_id) values
      ('01900000-0000-7000-8000-000000000011', '01900000-0000-7000-8000-000000000001', '1200', 5, 0, 'invoice', '01900000-0000-7000-8000-0000000000aa'),
      ('01900000-0000-7000-8000-000000000012', '01900000-0000-7000-8000-000000000001', '2110', 0, 5, 'invoice', '01900000-0000-7000-8000-0000000000aa'),
      ('01900000-0000-7000-8000-000000000013', '01900000-0000-7000-8000-000000000002', '1100', 9, 0, 'invoice', '01900000-0000-7000-8000-0000000000bb'),
      ('01900000-0000-7000-8000-000000000014', '01900000-0000-7000-8000-000000000002', '4000', 0, 9, 'invoice', '01900000-0000-7000-8000-0000000000bb');
    insert into ledger.accounts (code, name, type) values ('1210', 'Till', 'asset');
";

#[tokio::test]
async fn what_the_first_release_booked_is_there_as_it_was_and_is_booked_on() {
    let database = TestDb::start_at(Some(1)).await;
    let db = sqlx::PgPool::connect(&database.admin_url()).await.unwrap();
    sqlx::raw_sql(BOOKED).execute(&db).await.unwrap();
    db.close().await;
    schema::migrate(&database.admin_url()).await.unwrap();
    let app = App::start_on(database).await;
    let booked = ["1100 9.00", "1200 5.00", "2110 -5.00", "4000 -9.00"];
    assert_eq!(app.balances("").await, booked);
    assert_eq!(app.balances("2026-03-30").await, ["1200 5.00", "2110 -5.00"]);

    let request = ListEntriesRequest { account: "1200".to_owned(), ..Default::default() };
    let (entries, _) = app.entries(request).await.unwrap();
    assert_eq!((&*entries[0].ref_type, &*entries[0].document_date), ("invoice", "2026-03-30"));
    let request =
        ExplainEntryRequest { entry_id: entries[0].entry_id.clone(), ..Default::default() };
    let answer = app.client.clone().explain_entry(request).await.unwrap().into_inner();
    assert_eq!(answer.journal.unwrap().amount, money("5.00"));
    let origin = answer.origin.unwrap();
    assert_eq!(origin.event_id, "01900000-0000-7000-8000-00000000000a");
    assert_eq!((&*origin.actor, origin.sequence, origin.event_time), ("", 0, None));

    let payment = "01900000-0000-7000-8000-0000000000aa";
    app.hear(&[
        bounced(payment, "5.00", &[], "5.00", "2026-04-01"),
        issued(&new_id(), "1.00", "0.00", "2026-04-01"),
    ])
    .await;
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    let now = ["1100 10.00", "1200 0.00", "2110 0.00", "4000 -10.00"];
    assert_eq!(app.balances("").await, now);
}
