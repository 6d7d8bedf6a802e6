use std::fmt::Display;

use chrono::{DateTime, Utc};
use log::{Apply, ApplyError, Cause, Event, Log};
use proto::events::v1::{OrderCancelled, OrderPlaced};
use sqlx::PgConnection;

use crate::{
    commands::{self, CancelledOrder, PlacedOrder},
    domain::Calendar,
};

/// What becomes of orders: a placed one gets its invoice, a cancelled one's is taken back.
#[derive(Debug, Clone)]
pub(crate) struct OrderFates {
    pub(crate) log: Log,
    pub(crate) calendar: Calendar,
}

impl Apply for OrderFates {
    const TYPES: &'static [&'static str] = &["order.placed", "order.cancelled"];

    /// Eight statements whatever happened. An order is placed before it is cancelled, so all invoices of a batch are issued first.
    async fn apply(&self, tx: &mut PgConnection, events: &[Event]) -> Result<(), ApplyError> {
        let (mut placed, mut cancelled) = (Vec::new(), Vec::new());
        for event in events {
            if event.event_type == "order.placed" {
                placed.push(read_placed(event)?);
            } else {
                cancelled.extend(read_cancelled(event)?);
            }
        }
        let mut news = commands::issue_invoices(tx, &self.calendar, placed).await?;
        news.extend(commands::take_back_invoices(tx, &self.calendar, &cancelled).await?);
        self.log.append(tx, &news).await?;
        Ok(())
    }
}

fn read_placed(event: &Event) -> Result<PlacedOrder, ApplyError> {
    let data: OrderPlaced = event.data()?;
    let placed_at = data.place_time.ok_or_else(|| refused("a placed order without place_time"))?;
    let order = PlacedOrder {
        order_id: data.order_id.parse().map_err(refused)?,
        customer_id: data.customer_id.parse().map_err(refused)?,
        total: rpc::from_money(data.total.as_ref()).map_err(refused)?,
        tax: rpc::from_money(data.tax.as_ref()).map_err(refused)?,
        placed_at: DateTime::<Utc>::try_from(placed_at).map_err(refused)?,
        cause: Cause::of_event(event),
    };
    if order.tax > order.total {
        return Err(refused(format!("tax {} of a total of {}", order.tax, order.total)));
    }
    Ok(order)
}

/// None of a draft: it has no invoice.
fn read_cancelled(event: &Event) -> Result<Option<CancelledOrder>, ApplyError> {
    let data: OrderCancelled = event.data()?;
    if data.place_time.is_none() {
        return Ok(None);
    }
    Ok(Some(CancelledOrder {
        order_id: data.order_id.parse().map_err(refused)?,
        cancelled_at: event.time,
        cause: Cause::of_event(event),
    }))
}

fn refused(why: impl Display) -> ApplyError {
    ApplyError::Refused(why.to_string())
}
