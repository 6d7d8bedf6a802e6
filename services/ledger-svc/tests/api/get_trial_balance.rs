use proto::ledger::v1::{AccountBalance, AccountType, GetTrialBalanceRequest};
use testkit::refusal;

use crate::{
    app::{App, money, new_id},
    events::{issued, paid},
};

#[tokio::test]
async fn empty_books_balance() {
    let app = App::start().await;
    for day in ["", "2026-03-31"] {
        let answer = app.trial_balance(day).await;
        assert_eq!(answer.balances, []);
        assert_eq!((answer.total_debit, answer.total_credit), (money("0.00"), money("0.00")));
    }
}

#[tokio::test]
async fn accounts_with_entries_come_by_code_with_both_sides_and_their_difference() {
    let app = App::start().await;
    let invoice = new_id();
    app.hear(&[
        paid(&new_id(), "5.00", &[(&invoice, "5.00")], "0.00", "2026-04-01"),
        issued(&invoice, "12.00", "2.00", "2026-03-31"),
    ])
    .await;
    let answer = app.trial_balance("").await;
    let shown = |one: &AccountBalance| {
        let (account, debit) = (one.account.clone().unwrap(), one.debit.clone().unwrap());
        let (credit, balance) = (one.credit.clone().unwrap(), one.balance.clone().unwrap());
        let amounts = [debit, credit, balance].map(|money| {
            assert_eq!(money.currency_code, "GBP");
            money.amount
        });
        (account.code.clone(), account.name.clone(), account.r#type(), amounts.join(" "))
    };
    let shown: Vec<_> = answer.balances.iter().map(shown).collect();
    let expected = [
        ("1100", "Debtors", AccountType::Asset, "12.00 5.00 7.00"),
        ("1200", "Bank", AccountType::Asset, "5.00 0.00 5.00"),
        ("2200", "Sales tax", AccountType::Liability, "0.00 2.00 -2.00"),
        ("4000", "Sales", AccountType::Income, "0.00 10.00 -10.00"),
    ];
    let expected = expected.map(|(code, name, kind, amounts)| {
        (code.to_owned(), name.to_owned(), kind, amounts.to_owned())
    });
    assert_eq!(shown, expected);
    assert_eq!((answer.total_debit, answer.total_credit), (money("17.00"), money("17.00")));
}

#[tokio::test]
async fn a_day_counts_what_is_dated_up_to_its_end_whenever_it_came() {
    let app = App::start().await;
    let invoice = new_id();
    app.hear(&[issued(&invoice, "12.00", "2.00", "2026-03-31")]).await;
    // Told of later, dated earlier.
    app.hear(&[paid(&new_id(), "5.00", &[], "5.00", "2026-03-30")]).await;
    app.hear(&[paid(&new_id(), "5.00", &[(&invoice, "5.00")], "0.00", "2026-04-01")]).await;
    assert_eq!(app.balances("2026-03-29").await, [""; 0]);
    assert_eq!(app.balances("2026-03-30").await, ["1200 5.00", "2110 -5.00"]);
    let all = |debtors: &str, bank: &str| {
        let rest = ["2110 -5.00", "2200 -2.00", "4000 -10.00"].map(str::to_owned);
        [vec![format!("1100 {debtors}"), format!("1200 {bank}")], rest.to_vec()].concat()
    };
    assert_eq!(app.balances("2026-03-31").await, all("12.00", "5.00"));
    assert_eq!(app.balances("2026-04-01").await, all("7.00", "10.00"));
    assert_eq!(app.balances("2999-12-31").await, all("7.00", "10.00"));
    assert_eq!(app.balances("").await, all("7.00", "10.00"));
    for day in ["2026-03-29", "2026-03-30", "2026-03-31", "2026-04-01"] {
        let balance = app.trial_balance(day).await;
        assert_eq!(balance.total_debit, balance.total_credit, "{day}");
    }
}

#[tokio::test]
async fn sums_may_be_larger_than_one_amount_can_be() {
    let app = App::start().await;
    let most = "999999999999.99";
    let events = [(); 3].map(|()| paid(&new_id(), most, &[], most, "2026-03-31"));
    app.hear(&events).await;
    let answer = app.trial_balance("").await;
    assert_eq!(answer.total_debit, money("2999999999999.97"));
    assert_eq!(app.balances("").await, ["1200 2999999999999.97", "2110 -2999999999999.97"]);
}

#[tokio::test]
async fn what_is_no_day_is_named() {
    let app = App::start().await;
    for day in
        ["2026-02-29", "yesterday", "31/03/2026", "-10000-01-01", "262000-01-01", "0000-01-01"]
    {
        let request = GetTrialBalanceRequest { as_of_date: day.to_owned() };
        refusal(app.client.clone().get_trial_balance(request).await).names(&["as_of_date"]);
    }
}
