use anyhow::{Context, anyhow};
use chrono::{DateTime, Utc};
use log::Event;
use proto::events::v1::{OrderCancelled, OrderPartCancelled, OrderPlaced};

use crate::domain::Fact;

pub(super) fn read(event: &Event) -> anyhow::Result<Option<Fact>> {
    Ok(match event.event_type.as_str() {
        "order.placed" => {
            let data: OrderPlaced = event.data()?;
            let placed_at = data.place_time.context("a placed order without place_time")?;
            Some(Fact::OrderPlaced {
                placed_at: time(placed_at.try_into())?,
                total: rpc::from_money(data.total.as_ref())?.into(),
            })
        }
        "order.cancelled" => {
            let data: OrderCancelled = event.data()?;
            // A draft was never sold.
            let Some(placed_at) = data.place_time else { return Ok(None) };
            Some(Fact::OrderCancelled {
                placed_at: time(placed_at.try_into())?,
                total: rpc::from_money(data.total.as_ref())?.into(),
            })
        }
        "order.part_cancelled" => {
            let data: OrderPartCancelled = event.data()?;
            let placed_at = data.place_time.context("a part of an order without place_time")?;
            Some(Fact::OrderReduced {
                placed_at: time(placed_at.try_into())?,
                by: rpc::from_money(data.amount.as_ref())?.into(),
            })
        }
        _ => None,
    })
}

fn time(read: Result<DateTime<Utc>, &str>) -> anyhow::Result<DateTime<Utc>> {
    read.map_err(|why| anyhow!("place_time: {why}"))
}
