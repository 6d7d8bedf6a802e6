use std::collections::BTreeSet;

use chrono::TimeDelta;
use log::{Log, NewEvent};
use proto::events::v1::ReservationExtended;

use crate::{InventoryError, commands::Asked, queries::Promise, store};

/// Holds it at least so long from now on. Locks the reservation.
#[tracing::instrument(name = "inventory.extend_reservation", skip_all, fields(order.id = %asked.order_id))]
pub(crate) async fn extend_reservation(
    log: &Log,
    asked: Asked,
    ttl: TimeDelta,
) -> Result<Promise, InventoryError> {
    let Asked { request_key, cause, order_id } = asked;
    let mut tx = log.begin().await?;
    let key = request_key.as_ref();
    let again = log::answered(&mut tx, store::SCHEMA, key, order_id).await?.is_some();
    let orders = BTreeSet::from([order_id]);
    let mut book = store::book::lock(&mut tx, &orders, &orders, &[]).await?;
    if !again && book.extend(order_id, ttl)? {
        let version = book.tell(order_id)?;
        let expire_time = Some(book.expires_at(order_id)?.into());
        let data = ReservationExtended { order_id: order_id.to_string(), expire_time };
        let event = NewEvent::new("reservation.extended", order_id, version, &data, &cause);
        store::book::save(&mut tx, &book).await?;
        log.append(&mut tx, &[event]).await?;
    }
    let now = book.state_of(order_id)?;
    log.commit(tx).await?;
    Ok(now)
}
