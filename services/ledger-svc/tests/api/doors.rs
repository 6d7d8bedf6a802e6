//! Who may do what, and whose name it then has.

use proto::ledger::v1::{
    ClosePeriodRequest, CreateAccountRequest, ExplainEntryRequest, GetTrialBalanceRequest,
    LockAccountRequest, PostJournalRequest, ReopenPeriodRequest, ReverseJournalRequest,
};
use testkit::{Keys, TestDb, refusal};
use tonic::Code;

use crate::app::{App, capital, new_id};

#[tokio::test]
async fn reading_posting_and_closing_are_different_rights_and_each_act_has_its_actor() {
    let keys = Keys::new(1);
    let key = keys.public();
    let settings = ["--auth-public-key", key.to_str().unwrap()];
    let app = App::start_with(TestDb::start().await, &settings).await;
    let of = |permissions: &[&str]| app.with_token(keys.token(permissions, 600));
    let (mut reader, mut clerk, mut controller) =
        (of(&["ledger.read"]), of(&["ledger.read", "ledger.write"]), of(&["ledger.close"]));

    let post =
        PostJournalRequest { journal: Some(capital("5.00", "2020-03-31")), ..Default::default() };
    let close = ClosePeriodRequest { period: "2020-03".to_owned(), ..Default::default() };
    let reopen = ReopenPeriodRequest { period: "2020-03".to_owned(), ..Default::default() };
    let reverse = ReverseJournalRequest { journal_id: new_id(), ..Default::default() };
    let lock = LockAccountRequest { code: "1200".to_owned(), ..Default::default() };
    let denied = [
        refusal(reader.post_journal(post.clone()).await),
        refusal(reader.reverse_journal(reverse).await),
        refusal(reader.lock_account(lock).await),
        refusal(reader.create_account(CreateAccountRequest::default()).await),
        refusal(reader.close_period(close.clone()).await),
        refusal(clerk.close_period(close.clone()).await),
        refusal(clerk.reopen_period(reopen).await),
        refusal(controller.post_journal(post.clone()).await),
        refusal(controller.get_trial_balance(GetTrialBalanceRequest::default()).await),
    ];
    for refused in denied {
        refused.is(Code::PermissionDenied, "PERMISSION_MISSING");
    }
    reader.get_trial_balance(GetTrialBalanceRequest::default()).await.unwrap();

    let journal_id =
        clerk.post_journal(post).await.unwrap().into_inner().journal.unwrap().journal_id;
    let request = ExplainEntryRequest { journal_id, ..Default::default() };
    let origin = reader.explain_entry(request).await.unwrap().into_inner().origin.unwrap();
    assert_eq!(origin.actor, "ann");
    let closed = controller.close_period(close).await.unwrap().into_inner().period.unwrap();
    assert_eq!(closed.changed_by, "ann");
}
