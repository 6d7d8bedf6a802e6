use proto::ledger::v1::{AccountType, ListAccountsRequest};

use crate::app::App;

async fn chart(app: &App) -> Vec<(String, String, AccountType)> {
    let answer = app.client.clone().list_accounts(ListAccountsRequest {}).await.unwrap();
    let accounts = answer.into_inner().accounts.into_iter();
    accounts.map(|one| (one.code.clone(), one.name.clone(), one.r#type())).collect()
}

#[tokio::test]
async fn the_chart_is_that_of_the_design_by_code() {
    use AccountType::{Asset, Equity, Expense, Income, Liability};
    let app = App::start().await;
    let expected = [
        ("1001", "Stock", Asset),
        ("1100", "Debtors", Asset),
        ("1200", "Bank", Asset),
        ("2109", "Goods received not invoiced", Liability),
        ("2110", "Customer credit", Liability),
        ("2200", "Sales tax", Liability),
        ("2210", "PAYE", Liability),
        ("2211", "National Insurance", Liability),
        ("2220", "Net wages", Liability),
        ("2230", "Pension", Liability),
        ("3200", "Retained earnings", Equity),
        ("4000", "Sales", Income),
        ("4090", "Sales returns", Income),
        ("5000", "Cost of sales", Expense),
        ("5210", "Stock loss", Expense),
        ("7000", "Gross wages", Expense),
        ("7006", "Employer National Insurance", Expense),
        ("7007", "Employer pension", Expense),
        ("8100", "Bad debt", Expense),
        ("9998", "Suspense", Asset),
    ];
    let expected = expected.map(|(code, name, kind)| (code.to_owned(), name.to_owned(), kind));
    assert_eq!(chart(&app).await, expected);
}

#[tokio::test]
async fn the_chart_can_be_extended() {
    let app = App::start().await;
    sqlx::query("insert into ledger.accounts (code, name, type) values ('1210', 'Till', 'asset')")
        .execute(&app.db)
        .await
        .unwrap();
    let chart = chart(&app).await;
    assert_eq!(chart.len(), 21);
    assert_eq!(chart[3], ("1210".to_owned(), "Till".to_owned(), AccountType::Asset));
}
