use std::collections::HashMap;

use log::{Apply, ApplyError, Cause, Event, Log};
use proto::events::v1::InvoicePaid;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    commands,
    domain::{Move, Order, OrderStatus},
    store,
};

/// `invoice.paid`: the order is paid and, if all has been shipped, complete.
#[derive(Debug, Clone)]
pub(crate) struct Payments {
    pub(crate) log: Log,
}

impl Apply for Payments {
    const TYPES: &'static [&'static str] = &["invoice.paid"];

    async fn apply(&self, tx: &mut PgConnection, events: &[Event]) -> Result<(), ApplyError> {
        let paid: Vec<(Uuid, &Event)> = events
            .iter()
            .map(|event| {
                let data: InvoicePaid = event.data()?;
                let id = data.order_id.parse::<Uuid>();
                Ok((id.map_err(|error| ApplyError::Refused(error.to_string()))?, event))
            })
            .collect::<Result<_, ApplyError>>()?;
        let causes: HashMap<Uuid, Cause> =
            paid.iter().map(|(id, event)| (*id, Cause::of_event(event))).collect();
        let ids: Vec<Uuid> = causes.keys().copied().collect();
        let orders = store::orders::lock(tx, &ids).await?;
        if let Some(unknown) = ids.iter().find(|id| !orders.iter().any(|order| order.id.0 == **id))
        {
            return Err(ApplyError::Refused(format!("order {unknown} does not exist")));
        }
        let mut changed: Vec<Order> = Vec::with_capacity(orders.len());
        let mut news = Vec::new();
        for mut order in orders.into_iter().filter(|order| !order.paid) {
            order.paid = true;
            if order.status == OrderStatus::Shipped {
                order =
                    order.after(Move::Complete).map_err(|e| ApplyError::Refused(e.to_string()))?;
                let cause = causes.get(&order.id.0).cloned().unwrap_or_default();
                news.push(commands::completed(&order, &cause));
            }
            changed.push(order);
        }
        store::orders::update(tx, &changed.iter().collect::<Vec<_>>()).await?;
        self.log.append(tx, &news).await?;
        Ok(())
    }
}
