//! Reads of more than one statement: each sees one moment only.

use chrono::NaiveDate;
use ids::{CustomerId, PaymentId};
use log::Log;
use money::Money;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use crate::{
    BillingError,
    domain::Payment,
    store::{
        self,
        payments::Whereabouts,
        statements::{Key, Line},
    },
};

const SNAPSHOT: &str = "begin isolation level repeatable read, read only";

/// A payment with what became of its money.
pub(crate) async fn payment(
    log: &Log,
    id: PaymentId,
) -> Result<(Payment, Whereabouts), BillingError> {
    let mut tx = snapshot(log).await?;
    let payment = store::payments::get(&mut tx, id).await?;
    Ok((payment, store::payments::whereabouts(&mut tx, id).await?))
}

/// Payments of all customers, or of one, newest first, with what became of their money.
pub(crate) async fn payments(
    log: &Log,
    customer_id: Option<CustomerId>,
    unallocated_only: bool,
    before: Option<PaymentId>,
    limit: i64,
) -> Result<Vec<(Payment, Whereabouts)>, BillingError> {
    let (mut tx, only) = (snapshot(log).await?, unallocated_only);
    let found = match customer_id {
        Some(id) => store::payments::list_of_customer(&mut tx, id, only, before, limit).await?,
        None if only => store::payments::list_unallocated(&mut tx, before, limit).await?,
        None => store::payments::list(&mut tx, before, limit).await?,
    };
    let ids: Vec<Uuid> = found.iter().map(|payment| payment.id.0).collect();
    let mut all = store::payments::whereabouts_of(&mut tx, &ids).await?;
    let with_whereabouts = found.into_iter().map(|payment| {
        let where_it_is = all.remove(&payment.id.0).unwrap_or_default();
        (payment, where_it_is)
    });
    Ok(with_whereabouts.collect())
}

/// A page of a customer's account with its balances before the first day and at the end of the last.
pub(crate) async fn statement(
    log: &Log,
    customer_id: CustomerId,
    days: (NaiveDate, NaiveDate),
    after: Option<Key>,
    limit: i64,
) -> Result<(Money, Vec<Line>, Money), BillingError> {
    let mut tx = snapshot(log).await?;
    let (opening, closing) = store::statements::ends(&mut tx, customer_id, days).await?;
    let lines = store::statements::lines(&mut tx, customer_id, days, opening, after, limit).await?;
    Ok((opening, lines, closing))
}

async fn snapshot(log: &Log) -> sqlx::Result<Transaction<'static, Postgres>> {
    log.pool().begin_with(SNAPSHOT).await
}
