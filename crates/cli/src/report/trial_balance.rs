use chrono::NaiveDate;
use proto::ledger::v1::{
    AccountType, GetTrialBalanceRequest, ledger_service_client::LedgerServiceClient,
};
use serde_json::{Map, Value, json};

use super::{
    Fleet, amount, refusal,
    sheet::{Column, Sheet},
};

/// The balance of every account; debits equal credits.
#[derive(Debug, clap::Args)]
pub(crate) struct TrialBalance {
    /// At the end of this day, such as 2017-01-31; else all there is.
    #[arg(long)]
    as_of: Option<NaiveDate>,
}

pub(super) async fn ask(report: TrialBalance, fleet: &Fleet) -> anyhow::Result<Sheet> {
    let mut ledger = LedgerServiceClient::new(fleet.client.client(&fleet.ledger_url)?);
    let as_of_date = report.as_of.map(rpc::to_date).unwrap_or_default();
    let request = GetTrialBalanceRequest { as_of_date: as_of_date.clone() };
    let answer = ledger.get_trial_balance(request).await;
    let answer = answer.map_err(|status| refusal("ledger-svc", &status))?.into_inner();

    let rows = answer.balances.into_iter().map(|balance| {
        let account = balance.account.unwrap_or_default();
        vec![
            account.code.clone().into(),
            account.name.clone().into(),
            kind(account.r#type()).into(),
            amount(balance.debit).into(),
            amount(balance.credit).into(),
            amount(balance.balance).into(),
        ]
    });
    let (debit, credit) = (amount(answer.total_debit), amount(answer.total_credit));
    let ties = debit == credit;
    let when = if as_of_date.is_empty() { "All journals" } else { "Journals up to" };
    let said = if ties { "debits equal credits" } else { "DEBITS DO NOT EQUAL CREDITS" };
    Ok(Sheet {
        columns: vec![
            Column("account", "Account", false),
            Column("name", "Name", false),
            Column("type", "Type", false),
            Column("debit", "Debit", true),
            Column("credit", "Credit", true),
            Column("balance", "Balance", true),
        ],
        rows: rows.collect(),
        total: Some(vec![
            "total".into(),
            Value::Null,
            Value::Null,
            debit.into(),
            credit.into(),
            Value::Null,
        ]),
        notes: vec![format!("{}: {said}", format!("{when} {as_of_date}").trim_end())],
        facts: Map::from_iter([
            ("as_of_date".to_owned(), as_of_date.into()),
            ("ties".to_owned(), json!(ties)),
        ]),
    })
}

fn kind(kind: AccountType) -> &'static str {
    match kind {
        AccountType::Unspecified => "",
        AccountType::Asset => "asset",
        AccountType::Liability => "liability",
        AccountType::Equity => "equity",
        AccountType::Income => "income",
        AccountType::Expense => "expense",
    }
}
