//! What the service knows, as it answers.

use prost::Message;
use prost_types::Timestamp;
use proto::orders::v1 as pb;

use crate::{
    domain::{Customer, Item, Order, OrderStatus, Portion, Return, ReturnLine, Shipment},
    queries::WholeOrder,
};

/// Shipments that go with an order, and returns: with both and its lines it still fits into a message.
const SHOWN_MAX_BYTES: usize = 1 << 20;

pub(super) fn customer(customer: Customer) -> pb::Customer {
    pb::Customer {
        etag: customer.etag(),
        customer_id: customer.id.to_string(),
        name: customer.name,
        email: customer.email,
        phone: customer.phone,
        create_time: Some(rpc::to_time(customer.created_at)),
        metadata: customer.metadata.map(rpc::json_to_struct),
        archive_time: customer.archived_at.map(rpc::to_time),
    }
}

/// With its lines, shipments and returns.
pub(super) fn whole_order(whole: WholeOrder) -> pb::Order {
    let WholeOrder { order: one, items, shipments, returns } = whole;
    pb::Order {
        lines: items.into_iter().map(line).collect(),
        shipments: fitting(shipments.into_iter().map(shipment)),
        returns: fitting(returns.into_iter().map(returned)),
        ..order(one)
    }
}

/// As in lists.
pub(super) fn order(order: Order) -> pb::Order {
    pb::Order {
        order_id: order.id.to_string(),
        customer_id: order.customer_id.to_string(),
        status: status(order.status).into(),
        lines: Vec::new(),
        total: Some(rpc::to_money(order.total_amount)),
        tax: Some(rpc::to_money(order.tax_amount)),
        create_time: Some(rpc::to_time(order.created_at)),
        place_time: order.placed_at.map(rpc::to_time),
        paid: order.paid,
        shipments: Vec::new(),
        etag: order.etag(),
        metadata: order.metadata.map(rpc::json_to_struct),
        cancel_reason: order.cancel_reason,
        held: order.held_at.is_some(),
        hold_reason: order.hold_reason,
        hold_time: order.held_at.map(rpc::to_time),
        returns: Vec::new(),
        refunded_total: Some(rpc::to_money(order.returned_amount)),
        refunded_tax: Some(rpc::to_money(order.returned_tax)),
    }
}

pub(super) fn line(item: Item) -> pb::OrderLine {
    let sold = item.price.checked_mul(item.qty - item.cancelled_qty);
    pb::OrderLine {
        line_id: item.id.to_string(),
        sku: item.sku,
        quantity: item.qty,
        unit_price: Some(rpc::to_money(item.price)),
        tax_rate: item.tax_rate.normalize().to_string(),
        amount: sold.ok().map(rpc::to_money),
        shipped_quantity: item.shipped_qty,
        cancelled_quantity: item.cancelled_qty,
        returned_quantity: item.returned_qty,
    }
}

pub(super) fn shipment(shipment: Shipment) -> pb::Shipment {
    let line = |line: Portion| pb::ShipmentLine {
        line_id: line.item_id.to_string(),
        sku: line.sku,
        quantity: line.qty,
    };
    pb::Shipment {
        shipment_id: shipment.id.to_string(),
        ship_time: Some(rpc::to_time(shipment.shipped_at)),
        lines: shipment.lines.into_iter().map(line).collect(),
    }
}

pub(super) fn returned(returned: Return) -> pb::Return {
    let line = |ReturnLine { of, restock }| pb::ReturnLine {
        line_id: of.item_id.to_string(),
        sku: of.sku,
        quantity: of.qty,
        disposition: if restock {
            pb::ReturnDisposition::Restock.into()
        } else {
            pb::ReturnDisposition::Scrap.into()
        },
    };
    pb::Return {
        return_id: returned.id.to_string(),
        return_time: Some(rpc::to_time(returned.returned_at)),
        lines: returned.lines.into_iter().map(line).collect(),
        amount: Some(rpc::to_money(returned.amount)),
        tax: Some(rpc::to_money(returned.tax_amount)),
        reason: returned.reason,
    }
}

/// Where a list in the order of time goes on, as `store::TimeKey` reads it.
pub(super) fn time_key(time: Option<Timestamp>, id: &str) -> String {
    let time = time.unwrap_or_default();
    format!("{}/{id}", time.seconds * 1_000_000 + i64::from(time.nanos) / 1000)
}

/// Where a list in the order of names goes on, as `store::NameKey` reads it.
pub(super) fn name_key(name: &str, id: &str) -> String {
    format!("{id}/{name}")
}

/// The first ones, as many as an order has room for.
fn fitting<T: Message>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut bytes = 0;
    let fits = |one: &T| {
        bytes += one.encoded_len();
        bytes <= SHOWN_MAX_BYTES
    };
    all.take_while(fits).collect()
}

fn status(status: OrderStatus) -> pb::OrderStatus {
    match status {
        OrderStatus::Draft => pb::OrderStatus::Draft,
        OrderStatus::Placed => pb::OrderStatus::Placed,
        OrderStatus::Cancelled => pb::OrderStatus::Cancelled,
        OrderStatus::Shipped => pb::OrderStatus::Shipped,
        OrderStatus::Completed => pb::OrderStatus::Completed,
    }
}
