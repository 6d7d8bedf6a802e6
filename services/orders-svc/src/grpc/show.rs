//! What the service knows, as it answers.

use proto::orders::v1 as pb;

use crate::domain::{Customer, Item, Order, OrderStatus, Shipment};

pub(super) fn customer(customer: Customer) -> pb::Customer {
    pb::Customer {
        customer_id: customer.id.to_string(),
        name: customer.name,
        email: customer.email,
        phone: customer.phone,
        create_time: Some(rpc::to_time(customer.created_at)),
        metadata: customer.metadata.map(rpc::json_to_struct),
        etag: customer.version.to_string(),
    }
}

pub(super) fn order(order: Order, items: Vec<Item>, shipments: Vec<Shipment>) -> pb::Order {
    pb::Order {
        order_id: order.id.to_string(),
        customer_id: order.customer_id.to_string(),
        status: status(order.status).into(),
        lines: items.into_iter().map(line).collect(),
        total: Some(rpc::to_money(order.total_amount)),
        tax: Some(rpc::to_money(order.tax_amount)),
        create_time: Some(rpc::to_time(order.created_at)),
        place_time: order.placed_at.map(rpc::to_time),
        paid: order.paid,
        shipments: shipments.into_iter().map(shipment).collect(),
        metadata: order.metadata.map(rpc::json_to_struct),
        // Payment makes no event of the order, so no version of its own.
        etag: format!("{}-{}", order.version, u8::from(order.paid)),
        cancel_reason: order.cancel_reason,
    }
}

fn line(item: Item) -> pb::OrderLine {
    pb::OrderLine {
        line_id: item.id.to_string(),
        sku: item.sku,
        quantity: item.qty,
        unit_price: Some(rpc::to_money(item.price)),
        tax_rate: item.tax_rate.normalize().to_string(),
        amount: item.price.checked_mul(item.qty).ok().map(rpc::to_money),
        shipped_quantity: item.shipped_qty,
    }
}

pub(super) fn shipment(shipment: Shipment) -> pb::Shipment {
    pb::Shipment {
        shipment_id: shipment.id.to_string(),
        ship_time: Some(rpc::to_time(shipment.shipped_at)),
        lines: shipment
            .lines
            .into_iter()
            .map(|line| pb::ShipmentLine {
                line_id: line.item_id.to_string(),
                sku: line.sku,
                quantity: line.qty,
            })
            .collect(),
    }
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
