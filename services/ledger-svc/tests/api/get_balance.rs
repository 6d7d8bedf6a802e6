use proto::ledger::v1::{AccountBalance, GetBalanceRequest};
use testkit::refusal;
use tonic::{Code, Status};

use crate::{
    app::{App, new_id},
    events::{issued, paid},
};

async fn balance(app: &App, account: &str, day: &str) -> Result<AccountBalance, Status> {
    let request = GetBalanceRequest { account: account.to_owned(), as_of_date: day.to_owned() };
    Ok(app.client.clone().get_balance(request).await?.into_inner().balance.unwrap())
}

/// Debit, credit and balance.
async fn shown(app: &App, account: &str, day: &str) -> String {
    let AccountBalance { account: of, debit, credit, balance } =
        balance(app, account, day).await.unwrap();
    assert_eq!(of.unwrap().code, account);
    [debit, credit, balance].map(|money| money.unwrap().amount).join(" ")
}

#[tokio::test]
async fn a_day_counts_what_is_dated_up_to_its_end() {
    let app = App::start().await;
    let invoice = new_id();
    app.hear(&[
        issued(&invoice, "12.00", "2.00", "2026-03-31"),
        paid(&new_id(), "5.00", &[(&invoice, "5.00")], "0.00", "2026-04-02"),
    ])
    .await;
    assert_eq!(shown(&app, "1100", "2026-03-30").await, "0.00 0.00 0.00");
    assert_eq!(shown(&app, "1100", "2026-03-31").await, "12.00 0.00 12.00");
    assert_eq!(shown(&app, "1100", "2026-04-01").await, "12.00 0.00 12.00");
    assert_eq!(shown(&app, "1100", "2026-04-02").await, "12.00 5.00 7.00");
    assert_eq!(shown(&app, "1100", "").await, "12.00 5.00 7.00");
    assert_eq!(shown(&app, "4000", "").await, "0.00 10.00 -10.00");
    assert_eq!(shown(&app, "9998", "").await, "0.00 0.00 0.00");
}

#[tokio::test]
async fn an_account_that_the_chart_lacks_is_not_found_and_every_bad_field_is_named() {
    let app = App::start().await;
    let refused = refusal(balance(&app, "1101", "").await);
    refused.is(Code::NotFound, "ACCOUNT_NOT_FOUND");
    assert_eq!(refused.facts, ["account: 1101"]);
    refusal(balance(&app, "", "2026-02-30").await).names(&["account", "as_of_date"]);
}
