use anyhow::{Context, anyhow, ensure};
use chrono::{DateTime, SubsecRound, Utc};
use log::Event;
use proto::events::v1::{
    OrderCancelled, OrderPartCancelled, OrderPlaced, OrderReturned, OrderShipped, OrderedLine,
};

use crate::domain::{Fact, Moved, NewLine};

/// Of a tax rate.
const DECIMALS: usize = 4;

pub(super) fn read(event: &Event) -> anyhow::Result<Option<Fact>> {
    Ok(match event.event_type.as_str() {
        "order.placed" => {
            let data: OrderPlaced = event.data()?;
            let placed_at = data.place_time.context("a placed order without place_time")?;
            Some(Fact::OrderPlaced {
                order: data.order_id.parse()?,
                customer_id: data.customer_id.parse()?,
                placed_at: time(placed_at.try_into())?,
                total: rpc::from_money(data.total.as_ref())?.into(),
                lines: data.lines.into_iter().map(line).collect::<Result<_, _>>()?,
            })
        }
        "order.cancelled" => {
            let data: OrderCancelled = event.data()?;
            // A draft was never sold.
            let Some(placed_at) = data.place_time else { return Ok(None) };
            Some(Fact::OrderCancelled {
                order: data.order_id.parse()?,
                placed_at: time(placed_at.try_into())?,
                total: rpc::from_money(data.total.as_ref())?.into(),
            })
        }
        "order.part_cancelled" => {
            let data: OrderPartCancelled = event.data()?;
            let placed_at = data.place_time.context("a part of an order without place_time")?;
            let lines = data.lines.iter().map(|line| (line.line_id.as_str(), line.quantity));
            Some(Fact::OrderReduced {
                order: data.order_id.parse()?,
                placed_at: time(placed_at.try_into())?,
                by: rpc::from_money(data.amount.as_ref())?.into(),
                lines: moved(lines)?,
            })
        }
        "order.shipped" => {
            let data: OrderShipped = event.data()?;
            let lines = data.lines.iter().map(|line| (line.line_id.as_str(), line.quantity));
            Some(Fact::OrderShipped { order: data.order_id.parse()?, lines: moved(lines)? })
        }
        "order.returned" => {
            let data: OrderReturned = event.data()?;
            let lines = data.lines.iter().map(|line| (line.line_id.as_str(), line.quantity));
            Some(Fact::OrderReturned { order: data.order_id.parse()?, lines: moved(lines)? })
        }
        _ => None,
    })
}

fn line(line: OrderedLine) -> anyhow::Result<NewLine> {
    ensure!(line.quantity >= 0, "a line of fewer than none");
    Ok(NewLine {
        line_id: line.line_id.parse()?,
        sku: line.sku,
        quantity: line.quantity,
        unit_price: rpc::from_money(line.unit_price.as_ref())?.into(),
        tax_rate: if line.tax_rate.is_empty() { None } else { Some(rate(&line.tax_rate)?) },
    })
}

fn moved<'a>(lines: impl Iterator<Item = (&'a str, i32)>) -> anyhow::Result<Moved> {
    lines.map(|(line, quantity)| Ok((line.parse()?, quantity))).collect()
}

/// Such as `0.2`, in ten-thousandths. No rate has five digits before the point.
fn rate(text: &str) -> anyhow::Result<i32> {
    let (whole, parts) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let known = (1..=4).contains(&whole.len()) && parts.len() <= DECIMALS;
    ensure!(known && digits(whole) && digits(parts), "{text} is no tax rate");
    let hundredths = format!("{whole}{parts:0<DECIMALS$}").parse()?;
    ensure!(hundredths < 100_000, "{text} is no tax rate");
    Ok(hundredths)
}

/// To the microsecond, as it is on the disk: it is a part of keys.
fn time(read: Result<DateTime<Utc>, &str>) -> anyhow::Result<DateTime<Utc>> {
    Ok(read.map_err(|why| anyhow!("place_time: {why}"))?.trunc_subsecs(6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_kept_to_the_ten_thousandth() {
        for (text, expected) in
            [("0", 0), ("0.2", 2000), ("0.20", 2000), ("0.1750", 1750), ("9.9999", 99_999)]
        {
            assert_eq!(rate(text).unwrap(), expected, "{text}");
        }
        for text in ["", ".2", "-0.2", "0.20001", "10", "0,2", "0.2.0", "20 %", "99999"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
