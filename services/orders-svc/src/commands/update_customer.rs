use ids::CustomerId;
use log::{Cause, Log, RequestKey};

use super::{check_etag, create_customers::customer_event};
use crate::{OrdersError, domain::Customer, store};

#[derive(Debug)]
pub(crate) struct UpdateCustomer {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) id: CustomerId,
    pub(crate) etag: String,
    /// None of each: as it is.
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) metadata: Option<Option<serde_json::Value>>,
}

/// Locks the customer. That an address is another's is known when it is written: the index waits for whoever is about to take it.
#[tracing::instrument(name = "orders.update_customer", skip_all, fields(customer.id = %command.id))]
pub(crate) async fn update_customer(
    log: &Log,
    command: UpdateCustomer,
) -> Result<Customer, OrdersError> {
    let mut tx = log.begin().await?;
    let before = store::customers::lock(&mut tx, command.id).await?;
    let request_key = command.request_key.as_ref();
    if log::answered(&mut tx, store::SCHEMA, request_key, command.id).await?.is_some() {
        return Ok(before);
    }
    check_etag(&command.etag, before.etag())?;
    let customer = Customer {
        name: command.name.unwrap_or(before.name),
        email: command.email.unwrap_or(before.email),
        phone: command.phone.unwrap_or(before.phone),
        metadata: command.metadata.unwrap_or(before.metadata),
        version: before.version + 1,
        ..before
    };
    if let Err(error) = store::customers::update(&mut tx, &customer).await {
        return Err(if store::customers::is_email_taken(&error) {
            drop(tx);
            taken(log, customer.email, error).await?
        } else {
            error.into()
        });
    }
    let (id, version) = (customer.id, customer.version);
    let event = customer_event("customer.updated", id, version, &command.cause);
    log.append(&mut tx, &[event]).await?;
    log.commit(tx).await?;
    Ok(customer)
}

/// Names who has an address; if that changed at this very moment, time helps.
async fn taken(log: &Log, email: String, error: sqlx::Error) -> Result<OrdersError, OrdersError> {
    let mut db = log.pool().acquire().await?;
    let found = store::customers::find_by_emails(&mut db, &[email]).await?.pop();
    Ok(match found {
        Some(other) => OrdersError::EmailTaken { customer_id: other.id },
        None => OrdersError::Database(error),
    })
}
