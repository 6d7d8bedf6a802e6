use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Account {
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) account_type: AccountType,
    /// It sums up what another service keeps: only events post on it.
    pub(crate) control: bool,
    /// Nobody posts on it by hand.
    pub(crate) locked: bool,
    pub(crate) version: i32,
    pub(crate) created_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "varchar", rename_all = "snake_case")]
pub(crate) enum AccountType {
    Asset,
    Liability,
    Equity,
    Income,
    Expense,
}

/// All that was booked on an account. Sums may be larger than an amount can be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Balance {
    pub(crate) account: Account,
    pub(crate) debit: Decimal,
    pub(crate) credit: Decimal,
}
