use log::{Cause, Log, RequestKey};

use crate::{LedgerError, commands, domain::Account, store};

#[derive(Debug)]
pub(crate) struct UpdateAccount {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) code: String,
    /// The version that the caller has seen; none to change whatever is there.
    pub(crate) etag: Option<String>,
    pub(crate) name: String,
}

/// Locks the account's row. A change that changes nothing writes nothing.
#[tracing::instrument(name = "ledger.update_account", skip_all, fields(account = command.code))]
pub(crate) async fn update_account(
    log: &Log,
    command: UpdateAccount,
) -> Result<Account, LedgerError> {
    let UpdateAccount { request_key, cause, code, etag, name } = command;
    let mut tx = log.begin().await?;
    let answered = log::answered(&mut tx, store::SCHEMA, request_key.as_ref(), &code).await?;
    let before = store::accounts::lock(&mut tx, &code).await?;
    let before = before.ok_or(LedgerError::AccountNotFound(code))?;
    if answered.is_some() {
        return Ok(before);
    }
    if etag.is_some_and(|etag| etag != before.version.to_string()) {
        return Err(LedgerError::StaleEtag(before.code));
    }
    if before.name == name {
        log.commit(tx).await?;
        return Ok(before);
    }
    let after = Account { name, version: before.version + 1, ..before };
    store::accounts::update(&mut tx, &after).await?;
    let event = commands::account_event("account.updated", &after, &cause);
    log.append(&mut tx, &[event]).await?;
    log.commit(tx).await?;
    Ok(after)
}
