use log::{Cause, Log, RequestKey};

use crate::{
    LedgerError, commands,
    domain::{Account, AccountType},
    store,
};

/// What answers and trial balances have room for without pages.
const ACCOUNTS_MAX: i64 = 1000;

#[derive(Debug)]
pub(crate) struct CreateAccount {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) account_type: AccountType,
}

#[tracing::instrument(name = "ledger.create_account", skip_all, fields(account = command.code))]
pub(crate) async fn create_account(
    log: &Log,
    command: CreateAccount,
) -> Result<Account, LedgerError> {
    let CreateAccount { request_key, cause, code, name, account_type } = command;
    let mut tx = log.begin().await?;
    if log::answered(&mut tx, store::SCHEMA, request_key.as_ref(), &code).await?.is_some() {
        let found = store::accounts::find(&mut tx, &code).await?;
        return found.ok_or(LedgerError::AccountNotFound(code));
    }
    if store::accounts::find(&mut tx, &code).await?.is_some() {
        return Err(LedgerError::AccountExists(code));
    }
    if store::accounts::count(&mut tx).await? >= ACCOUNTS_MAX {
        return Err(LedgerError::ChartFull(ACCOUNTS_MAX));
    }
    let account = store::accounts::insert(&mut tx, &code, &name, account_type).await?;
    let account = account.ok_or(LedgerError::AccountExists(code))?;
    let event = commands::account_event("account.created", &account, &cause);
    log.append(&mut tx, &[event]).await?;
    log.commit(tx).await?;
    Ok(account)
}
