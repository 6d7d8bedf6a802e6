use log::{Cause, Log, RequestKey};

use crate::{LedgerError, commands, domain::Account, store};

#[derive(Debug)]
pub(crate) struct LockAccount {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) code: String,
    /// The version that the caller has seen; none to change whatever is there.
    pub(crate) etag: Option<String>,
    /// False to unlock it.
    pub(crate) locked: bool,
}

/// Locks an account against posting by hand, or unlocks it. Locks its row: who posts by hand at this moment has the account held, and is
/// waited for.
#[tracing::instrument(name = "ledger.lock_account", skip_all, fields(account = command.code))]
pub(crate) async fn lock_account(log: &Log, command: LockAccount) -> Result<Account, LedgerError> {
    let LockAccount { request_key, cause, code, etag, locked } = command;
    let mut tx = log.begin().await?;
    let answered = log::answered(&mut tx, store::SCHEMA, request_key.as_ref(), &code).await?;
    let before = store::accounts::lock(&mut tx, &code).await?;
    let before = before.ok_or(LedgerError::AccountNotFound(code))?;
    if answered.is_some() {
        return Ok(before);
    }
    if before.control {
        return Err(LedgerError::ControlAccount(before.code));
    }
    if etag.is_some_and(|etag| etag != before.version.to_string()) {
        return Err(LedgerError::StaleEtag(before.code));
    }
    if before.locked == locked {
        log.commit(tx).await?;
        return Ok(before);
    }
    let after = Account { locked, version: before.version + 1, ..before };
    store::accounts::update(&mut tx, &after).await?;
    let event_type = if locked { "account.locked" } else { "account.unlocked" };
    log.append(&mut tx, &[commands::account_event(event_type, &after, &cause)]).await?;
    log.commit(tx).await?;
    Ok(after)
}
