use chrono::NaiveDate;
use ids::CustomerId;
use log::Log;
use money::Money;

use crate::{
    BillingError,
    store::{
        self,
        statements::{Key, Line},
    },
};

/// A page of a customer's account with its balances before the first day and at the end of the last, all as of one moment.
pub(crate) async fn statement(
    log: &Log,
    customer_id: CustomerId,
    days: (NaiveDate, NaiveDate),
    after: Option<Key>,
    limit: i64,
) -> Result<(Money, Vec<Line>, Money), BillingError> {
    let mut tx = log.begin().await?;
    store::hold_still(&mut tx).await?;
    let (opening, closing) = store::statements::ends(&mut tx, customer_id, days).await?;
    let lines = store::statements::lines(&mut tx, customer_id, days, opening, after, limit).await?;
    Ok((opening, lines, closing))
}
