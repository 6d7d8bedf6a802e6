use testkit::refusal;
use tonic::Code;

use crate::{
    app::{App, money, new_id},
    events::issued,
};

#[tokio::test]
async fn a_journal_of_an_event_has_its_entries_in_their_order() {
    let app = App::start().await;
    let invoice = new_id();
    app.hear(&[issued(&invoice, "12.00", "2.00", "2026-03-31")]).await;
    let id: String = sqlx::query_scalar("select id::text from ledger.journals")
        .fetch_one(&app.db)
        .await
        .unwrap();
    let journal = app.get_journal(&id).await.unwrap();
    let shown = [&*journal.source, &*journal.event_type, &*journal.ref_type, &*journal.ref_id];
    assert_eq!(shown, ["billing", "invoice.issued", "invoice", &*invoice]);
    assert_eq!(journal.amount, money("12.00"));
    assert_eq!((&*journal.description, &*journal.reverses_journal_id), ("", ""));
    let accounts: Vec<&str> = journal.entries.iter().map(|one| one.account.as_str()).collect();
    assert_eq!(accounts, ["1100", "4000", "2200"]);
    assert!(journal.entries.iter().all(|one| one.journal_id == id));
}

#[tokio::test]
async fn one_that_is_not_there_is_not_found() {
    let app = App::start().await;
    let id = new_id();
    let refused = refusal(app.get_journal(&id).await);
    refused.is(Code::NotFound, "JOURNAL_NOT_FOUND");
    assert_eq!(refused.facts, [format!("journal_id: {id}")]);
    refusal(app.get_journal("").await).names(&["journal_id"]);
}
