use ids::CustomerId;
use log::{Cause, Log, NewEvent, RequestKey};
use proto::events::v1::PaymentTermsSet;

use crate::{
    BillingError,
    store::{self, accounts::Account},
};

#[derive(Debug)]
pub(crate) struct SetPaymentTerms {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) customer_id: CustomerId,
    /// None for the deployment's.
    pub(crate) days: Option<i32>,
    /// The version that the caller has seen; none to set whatever is there.
    pub(crate) etag: Option<String>,
}

/// Locks the customer's account. Setting what is set already writes nothing.
#[tracing::instrument(name = "billing.set_payment_terms", skip_all)]
pub(crate) async fn set_payment_terms(
    log: &Log,
    command: SetPaymentTerms,
) -> Result<Account, BillingError> {
    let mut tx = log.begin().await?;
    let id = command.customer_id;
    let before = store::accounts::lock(&mut tx, id).await?;
    let request_key = command.request_key.as_ref();
    if log::answered(&mut tx, store::SCHEMA, request_key, id).await?.is_some() {
        return Ok(before);
    }
    if command.etag.is_some_and(|etag| etag != before.etag()) {
        return Err(BillingError::StaleEtag(id));
    }
    if before.terms_days == command.days {
        log.commit(tx).await?;
        return Ok(before);
    }
    let after = Account { terms_days: command.days, version: before.version + 1 };
    store::accounts::update(&mut tx, id, after).await?;
    let data = PaymentTermsSet { customer_id: id.to_string(), days: command.days };
    let event = NewEvent::new("payment_terms.set", id, after.version, &data, &command.cause);
    log.append(&mut tx, &[event]).await?;
    log.commit(tx).await?;
    Ok(after)
}
