use ids::CustomerId;
use log::{Cause, Log, RequestKey};

use super::{check_etag, create_customers::customer_event};
use crate::{OrdersError, domain::Customer, store};

#[derive(Debug)]
pub(crate) struct ArchiveCustomer {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) id: CustomerId,
    pub(crate) etag: String,
}

/// No new orders from now on. An order that is placed at this very moment counts as placed before, so orders need no lock.
#[tracing::instrument(name = "orders.archive_customer", skip_all, fields(customer.id = %command.id))]
pub(crate) async fn archive_customer(
    log: &Log,
    command: ArchiveCustomer,
) -> Result<Customer, OrdersError> {
    set_archived(log, command, true).await
}

#[tracing::instrument(name = "orders.restore_customer", skip_all, fields(customer.id = %command.id))]
pub(crate) async fn restore_customer(
    log: &Log,
    command: ArchiveCustomer,
) -> Result<Customer, OrdersError> {
    set_archived(log, command, false).await
}

/// Locks the customer.
async fn set_archived(
    log: &Log,
    command: ArchiveCustomer,
    archived: bool,
) -> Result<Customer, OrdersError> {
    let mut tx = log.begin().await?;
    let mut customer = store::customers::lock(&mut tx, command.id).await?;
    let request_key = command.request_key.as_ref();
    if log::answered(&mut tx, store::SCHEMA, request_key, command.id).await?.is_some() {
        return Ok(customer);
    }
    check_etag(&command.etag, customer.etag())?;
    if customer.archived_at.is_some() != archived {
        customer.archived_at =
            if archived { Some(store::orders::now(&mut tx).await?) } else { None };
        customer.version += 1;
        store::customers::update(&mut tx, &customer).await?;
        let what = if archived { "customer.archived" } else { "customer.restored" };
        let event = customer_event(what, customer.id, customer.version, &command.cause);
        log.append(&mut tx, &[event]).await?;
    }
    log.commit(tx).await?;
    Ok(customer)
}
