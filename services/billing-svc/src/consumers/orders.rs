use std::fmt::Display;

use chrono::{DateTime, Utc};
use log::{Apply, ApplyError, Cause, Event, Log};
use proto::{
    common::v1 as pb,
    events::v1::{OrderCancelled, OrderPartCancelled, OrderPlaced, OrderReturned},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    commands::{self, GivenUp, PlacedOrder, What},
    domain::{Calendar, Part},
};

/// What becomes of orders: a placed one gets its invoice, a cancelled one's is taken back; what is given up of an order, and what comes back,
/// is credited.
#[derive(Debug, Clone)]
pub(crate) struct OrderFates {
    pub(crate) log: Log,
    pub(crate) calendar: Calendar,
}

impl Apply for OrderFates {
    const TYPES: &'static [&'static str] =
        &["order.placed", "order.cancelled", "order.part_cancelled", "order.returned"];

    /// Nineteen statements whatever happened. An order is placed before anything else becomes of it, so all invoices of a batch are issued first.
    async fn apply(&self, tx: &mut PgConnection, events: &[Event]) -> Result<(), ApplyError> {
        let (mut placed, mut given_up) = (Vec::new(), Vec::new());
        for event in events {
            match event.event_type.as_str() {
                "order.placed" => placed.push(read_placed(event)?),
                "order.cancelled" => given_up.extend(read_cancelled(event)?),
                "order.part_cancelled" => given_up.push(read_part_cancelled(event)?),
                _ => given_up.push(read_returned(event)?),
            }
        }
        let mut news = commands::issue_invoices(tx, &self.calendar, placed).await?;
        news.extend(commands::take_back_invoices(tx, &self.calendar, &given_up).await?);
        self.log.append(tx, &news).await?;
        Ok(())
    }
}

fn read_placed(event: &Event) -> Result<PlacedOrder, ApplyError> {
    let data: OrderPlaced = event.data()?;
    let placed_at = data.place_time.ok_or_else(|| refused("a placed order without place_time"))?;
    let Part { amount, tax } = read_part(data.total.as_ref(), data.tax.as_ref())?;
    Ok(PlacedOrder {
        order_id: data.order_id.parse().map_err(refused)?,
        customer_id: data.customer_id.parse().map_err(refused)?,
        total: amount,
        tax,
        placed_at: DateTime::<Utc>::try_from(placed_at).map_err(refused)?,
        cause: Cause::of_event(event),
    })
}

/// None of a draft: it has no invoice.
fn read_cancelled(event: &Event) -> Result<Option<GivenUp>, ApplyError> {
    let data: OrderCancelled = event.data()?;
    if data.place_time.is_none() {
        return Ok(None);
    }
    given_up(event, &data.order_id, What::All).map(Some)
}

/// A part is given up once, by which the order is shipped: the order is its key.
fn read_part_cancelled(event: &Event) -> Result<GivenUp, ApplyError> {
    let data: OrderPartCancelled = event.data()?;
    let part = read_part(data.amount.as_ref(), data.tax.as_ref())?;
    let key: Uuid = data.order_id.parse().map_err(refused)?;
    given_up(event, &data.order_id, What::Part { key, part, reason: "order cancelled in part" })
}

fn read_returned(event: &Event) -> Result<GivenUp, ApplyError> {
    let data: OrderReturned = event.data()?;
    let part = read_part(data.amount.as_ref(), data.tax.as_ref())?;
    let key: Uuid = data.return_id.parse().map_err(refused)?;
    given_up(event, &data.order_id, What::Part { key, part, reason: "goods returned" })
}

fn given_up(event: &Event, order_id: &str, what: What) -> Result<GivenUp, ApplyError> {
    Ok(GivenUp {
        order_id: order_id.parse().map_err(refused)?,
        at: event.time,
        cause: Cause::of_event(event),
        what,
    })
}

fn read_part(amount: Option<&pb::Money>, tax: Option<&pb::Money>) -> Result<Part, ApplyError> {
    let part = Part {
        amount: rpc::from_money(amount).map_err(refused)?,
        tax: rpc::from_money(tax).map_err(refused)?,
    };
    if part.tax > part.amount {
        return Err(refused(format!("tax {} of a total of {}", part.tax, part.amount)));
    }
    Ok(part)
}

fn refused(why: impl Display) -> ApplyError {
    ApplyError::Refused(why.to_string())
}
