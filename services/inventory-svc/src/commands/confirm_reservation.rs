use std::collections::BTreeSet;

use log::{Log, NewEvent};
use proto::events::v1::ReservationConfirmed;

use crate::{InventoryError, commands::Asked, domain::By, queries::Promise, store};

/// The order is placed. Locks the reservation.
#[tracing::instrument(name = "inventory.confirm_reservation", skip_all, fields(order.id = %asked.order_id))]
pub(crate) async fn confirm_reservation(
    log: &Log,
    asked: Asked,
) -> Result<Promise, InventoryError> {
    let Asked { request_key, cause, order_id } = asked;
    let mut tx = log.begin().await?;
    let key = request_key.as_ref();
    let again = log::answered(&mut tx, store::SCHEMA, key, order_id).await?.is_some();
    let orders = BTreeSet::from([order_id]);
    let mut book = store::book::lock(&mut tx, &orders, &orders, &[]).await?;
    if !again && book.confirm(order_id, By::Call)? {
        let version = book.tell(order_id)?;
        let data = ReservationConfirmed { order_id: order_id.to_string() };
        let event = NewEvent::new("reservation.confirmed", order_id, version, &data, &cause);
        store::book::save(&mut tx, &book).await?;
        log.append(&mut tx, &[event]).await?;
    }
    let now = book.state_of(order_id)?;
    log.commit(tx).await?;
    Ok(now)
}
