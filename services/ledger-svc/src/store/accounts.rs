use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::domain::{Account, AccountType, Balance};

/// By code.
pub(crate) async fn list(db: &mut PgConnection) -> sqlx::Result<Vec<Account>> {
    sqlx::query_as!(
        Account,
        r#"select code, name, type as "account_type: _", control, locked, version, created_at
           from ledger.accounts order by code"#
    )
    .fetch_all(db)
    .await
}

pub(crate) async fn find(db: &mut PgConnection, code: &str) -> sqlx::Result<Option<Account>> {
    sqlx::query_as!(
        Account,
        r#"select code, name, type as "account_type: _", control, locked, version, created_at
           from ledger.accounts where code = $1"#,
        code
    )
    .fetch_optional(db)
    .await
}

/// Locks the account's row. Events post on it nevertheless.
pub(crate) async fn lock(tx: &mut PgConnection, code: &str) -> sqlx::Result<Option<Account>> {
    sqlx::query_as!(
        Account,
        r#"select code, name, type as "account_type: _", control, locked, version, created_at
           from ledger.accounts where code = $1 for no key update"#,
        code
    )
    .fetch_optional(tx)
    .await
}

/// Those of the codes that the chart has, held as they are: nobody locks one meanwhile.
pub(crate) async fn hold(tx: &mut PgConnection, codes: &[String]) -> sqlx::Result<Vec<Account>> {
    sqlx::query_as!(
        Account,
        r#"select code, name, type as "account_type: _", control, locked, version, created_at
           from ledger.accounts where code = any($1) order by code for share"#,
        codes
    )
    .fetch_all(tx)
    .await
}

/// None when the code is taken.
pub(crate) async fn insert(
    tx: &mut PgConnection,
    code: &str,
    name: &str,
    account_type: AccountType,
) -> sqlx::Result<Option<Account>> {
    sqlx::query_as!(
        Account,
        r#"insert into ledger.accounts (code, name, type) values ($1, $2, $3)
           on conflict (code) do nothing
           returning code, name, type as "account_type: _", control, locked, version, created_at"#,
        code,
        name,
        account_type as AccountType
    )
    .fetch_optional(tx)
    .await
}

pub(crate) async fn update(tx: &mut PgConnection, account: &Account) -> sqlx::Result<()> {
    let updated = sqlx::query!(
        "update ledger.accounts set name = $2, locked = $3, version = $4 where code = $1 and version = $4 - 1",
        account.code,
        account.name,
        account.locked,
        account.version
    )
    .execute(tx)
    .await?;
    if updated.rows_affected() == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}

pub(crate) async fn count(db: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar!(r#"select count(*) as "count!" from ledger.accounts"#).fetch_one(db).await
}

/// Sums of all accounts with entries at the end of a day, or of all days, by code. Reads a row an account and day.
pub(crate) async fn balances(
    db: &mut PgConnection,
    as_of: Option<NaiveDate>,
) -> sqlx::Result<Vec<Balance>> {
    let rows = sqlx::query_as!(
        Row,
        r#"select a.code, a.name, a.type as "account_type: _", a.control, a.locked, a.version, a.created_at,
                  sum(d.debit) as "debit!", sum(d.credit) as "credit!"
           from ledger.account_days d join ledger.accounts a on a.code = d.account
           where $1::date is null or d.day <= $1
           group by a.code order by a.code"#,
        as_of,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Balance::from).collect())
}

/// The same of one account, with or without entries. None when the chart lacks it.
pub(crate) async fn balance(
    db: &mut PgConnection,
    code: &str,
    as_of: Option<NaiveDate>,
) -> sqlx::Result<Option<Balance>> {
    let row = sqlx::query_as!(
        Row,
        r#"select a.code, a.name, a.type as "account_type: _", a.control, a.locked, a.version, a.created_at,
                  coalesce(sum(d.debit), 0) as "debit!", coalesce(sum(d.credit), 0) as "credit!"
           from ledger.accounts a
           left join ledger.account_days d on d.account = a.code and ($2::date is null or d.day <= $2)
           where a.code = $1
           group by a.code"#,
        code,
        as_of,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Balance::from))
}

struct Row {
    code: String,
    name: String,
    account_type: AccountType,
    control: bool,
    locked: bool,
    version: i32,
    created_at: DateTime<Utc>,
    debit: Decimal,
    credit: Decimal,
}

impl From<Row> for Balance {
    fn from(row: Row) -> Self {
        let Row { code, name, account_type, control, locked, version, created_at, debit, credit } =
            row;
        let account = Account { code, name, account_type, control, locked, version, created_at };
        Self { account, debit, credit }
    }
}
