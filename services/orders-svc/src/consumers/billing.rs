use std::collections::BTreeMap;

use ids::OrderId;
use log::{Apply, ApplyError, Cause, Event, Log, NewEvent};
use proto::events::v1::{InvoicePaid, InvoiceReopened, OrderReopened};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    commands,
    domain::{Move, Order, OrderStatus},
    store,
};

/// `invoice.paid`: the order is paid and, if all has been shipped, complete. `invoice.reopened`: it is not paid any more. That an invoice
/// was voided or credited follows from the order's own cancellation or return, so there is nothing to hear: if nothing is owed by that,
/// billing-svc says `invoice.paid` as well.
#[derive(Debug, Clone)]
pub(crate) struct Payments {
    pub(crate) log: Log,
}

impl Apply for Payments {
    const TYPES: &'static [&'static str] = &["invoice.paid", "invoice.reopened"];

    /// Three statements however many. Locks the orders as every command does.
    async fn apply(&self, tx: &mut PgConnection, events: &[Event]) -> Result<(), ApplyError> {
        let told = events.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let ids: Vec<Uuid> = told.iter().map(|(id, _)| id.0).collect();
        let orders = store::orders::lock(tx, &ids).await?;
        let mut orders: BTreeMap<OrderId, Order> =
            orders.into_iter().map(|order| (order.id, order)).collect();
        let before = orders.clone();
        let mut news = Vec::new();
        for (event, (id, paid)) in events.iter().zip(told) {
            let order = orders
                .get_mut(&id)
                .ok_or_else(|| ApplyError::Refused(format!("order {id} does not exist")))?;
            let (now, what) = pay(order.clone(), paid, &Cause::of_event(event))?;
            *order = now;
            news.extend(what);
        }
        let changed: Vec<&Order> =
            orders.values().filter(|order| before.get(&order.id) != Some(*order)).collect();
        store::orders::update(tx, &changed).await?;
        self.log.append(tx, &news).await?;
        Ok(())
    }
}

/// Which order, and whether it is paid now.
fn read(event: &Event) -> Result<(OrderId, bool), ApplyError> {
    let (order_id, paid) = if event.event_type == "invoice.paid" {
        (event.data::<InvoicePaid>()?.order_id, true)
    } else {
        (event.data::<InvoiceReopened>()?.order_id, false)
    };
    let id =
        order_id.parse().map_err(|error: uuid::Error| ApplyError::Refused(error.to_string()))?;
    Ok((id, paid))
}

/// Notes it, and what follows for the order. What is noted already changes nothing.
fn pay(
    mut order: Order,
    paid: bool,
    cause: &Cause,
) -> Result<(Order, Option<NewEvent>), ApplyError> {
    order.paid = paid;
    let refused = |error: crate::OrdersError| ApplyError::Refused(error.to_string());
    Ok(match (order.status, paid) {
        (OrderStatus::Shipped, true) => {
            let order = order.after(Move::Complete).map_err(refused)?;
            let event = commands::completed(&order, cause);
            (order, Some(event))
        }
        (OrderStatus::Completed, false) => {
            let order = order.after(Move::Reopen).map_err(refused)?;
            let data = OrderReopened { order_id: order.id.to_string() };
            let event = NewEvent::new("order.reopened", order.id, order.version, &data, cause);
            (order, Some(event))
        }
        _ => (order, None),
    })
}
