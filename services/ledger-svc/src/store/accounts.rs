use chrono::NaiveDate;
use sqlx::PgConnection;

use crate::domain::{Account, Balance};

/// By code.
pub(crate) async fn list(db: &mut PgConnection) -> sqlx::Result<Vec<Account>> {
    sqlx::query_as!(
        Account,
        r#"select code, name, type as "account_type: _" from ledger.accounts order by code"#
    )
    .fetch_all(db)
    .await
}

pub(crate) async fn exists(db: &mut PgConnection, code: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from ledger.accounts where code = $1) as "exists!""#,
        code
    )
    .fetch_one(db)
    .await
}

/// Sums of all accounts with entries at the end of a day, or of all days, by code. Reads every entry.
pub(crate) async fn balances(
    db: &mut PgConnection,
    as_of: Option<NaiveDate>,
) -> sqlx::Result<Vec<Balance>> {
    sqlx::query_as!(
        Balance,
        r#"select a.code, a.name, a.type as "account_type: _", sum(e.debit) as "debit!", sum(e.credit) as "credit!"
           from ledger.ledger_entries e
           join ledger.journals j on j.id = e.journal_id
           join ledger.accounts a on a.code = e.account
           where $1::date is null or j.effective_date <= $1
           group by a.code order by a.code"#,
        as_of,
    )
    .fetch_all(db)
    .await
}
