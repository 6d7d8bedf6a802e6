use manifest::tables::TRIAL_BALANCE;
use proto::analytics::v1::{GetTrialBalanceRequest as Query, GetTrialBalanceResponse};
use testkit::refusal;
use tonic::Code;

use crate::{
    app::{App, SHORT, amount, position, within},
    rows::{Column, days, sums},
};

fn publish(app: &App) {
    let rows = [
        ("1100", "2026-07-01", "120.00", "0.00"),
        ("2200", "2026-07-01", "0.00", "20.00"),
        ("4000", "2026-07-01", "0.00", "100.00"),
        ("1100", "2026-07-02", "0.00", "70.05"),
        ("1200", "2026-07-02", "70.05", "0.00"),
        ("", "2026-07-03", "9.99", "9.99"),
    ];
    let column =
        |of: fn(&(&'static str, &'static str, &'static str, &'static str)) -> &'static str| {
            rows.iter().map(of).collect::<Vec<_>>()
        };
    let file = app.olap.rows(
        TRIAL_BALANCE,
        vec![
            Column::Text(column(|row| row.0)),
            days(&column(|row| row.1)),
            sums(&column(|row| row.2)),
            sums(&column(|row| row.3)),
        ],
    );
    app.olap.publish(1, vec![file]);
}

/// As `account debit credit`, the totals last.
fn shown(answer: &GetTrialBalanceResponse) -> Vec<String> {
    let accounts = answer.accounts.iter().map(|of| {
        format!("{} {} {}", of.account, amount(of.debit.as_ref()), amount(of.credit.as_ref()))
    });
    let (debit, credit) = (answer.total_debit.as_ref(), answer.total_credit.as_ref());
    accounts.chain([format!("total {} {}", amount(debit), amount(credit))]).collect()
}

#[tokio::test]
async fn what_is_posted_adds_up_to_a_day() {
    let app = App::start().await;
    publish(&app);
    let on = async |day: &str| {
        let query = Query { as_of_date: day.to_owned(), ..Query::default() };
        shown(&app.client.clone().get_trial_balance(query).await.unwrap().into_inner())
    };
    assert_eq!(on("2026-06-30").await, ["total 0.00 0.00"]);
    assert_eq!(
        on("2026-07-01").await,
        ["1100 120.00 0.00", "2200 0.00 20.00", "4000 0.00 100.00", "total 120.00 120.00"]
    );
    let all = [
        " 9.99 9.99",
        "1100 120.00 70.05",
        "1200 70.05 0.00",
        "2200 0.00 20.00",
        "4000 0.00 100.00",
        "total 200.04 200.04",
    ];
    assert_eq!(on("").await, all);
    assert_eq!(on("2999-12-31").await, all);
}

#[tokio::test]
async fn the_ledger_can_be_waited_for() {
    let app = App::start().await;
    publish(&app);
    let bad = Query { as_of_date: "July".to_owned(), ..Query::default() };
    refusal(app.client.clone().get_trial_balance(bad).await).names(&["as_of_date"]);
    let query = Query { min_position: vec![position("ledger", 7)], ..Query::default() };
    let refused = refusal(app.client.clone().get_trial_balance(within(SHORT, query)).await);
    refused.is(Code::DeadlineExceeded, "NOT_FRESH_ENOUGH");
    assert_eq!(refused.message, "not counted yet: ledger is at 0 of 7");
}
