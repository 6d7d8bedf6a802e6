//! The words that the tests use.

use prost_types::{FieldMask, Struct, Value, value::Kind};
use proto::{
    common::v1::Money,
    inventory::v1::{
        CreateProductRequest, GetItemRequest, GetReservationRequest, Product, ReceiveStockRequest,
        Reservation, UpdateProductRequest,
    },
    orders::v1 as pb,
};
use tonic::Status;
use uuid::Uuid;

use crate::app::App;

impl App {
    /// Adds a product of which so many are on hand.
    pub(crate) async fn stock(&self, sku: &str, on_hand: i32, price: &str) {
        let sku = sku.to_owned();
        let name = format!("a {sku}");
        let product = CreateProductRequest {
            sku: sku.clone(),
            name,
            price: money(price),
            ..Default::default()
        };
        self.inventory.clone().create_product(product).await.unwrap();
        if on_hand > 0 {
            self.receive(&sku, on_hand).await;
        }
    }

    pub(crate) async fn receive(&self, sku: &str, quantity: i32) {
        let request = ReceiveStockRequest { sku: sku.to_owned(), quantity, ..Default::default() };
        self.inventory.clone().receive_stock(request).await.unwrap();
    }

    pub(crate) async fn set_price(&self, sku: &str, price: &str) {
        let product = Product { sku: sku.to_owned(), price: money(price), ..Default::default() };
        let request = UpdateProductRequest {
            product: Some(product),
            update_mask: mask(&["price"]),
            ..Default::default()
        };
        self.inventory.clone().update_product(request).await.unwrap();
    }

    /// On hand and reserved.
    pub(crate) async fn levels(&self, sku: &str) -> (i32, i32) {
        let request = GetItemRequest { sku: sku.to_owned() };
        let item =
            self.inventory.clone().get_item(request).await.unwrap().into_inner().item.unwrap();
        (item.on_hand, item.reserved)
    }

    pub(crate) async fn reservation(&self, order_id: &str) -> Result<Reservation, Status> {
        let request = GetReservationRequest { order_id: order_id.to_owned() };
        let answer = self.inventory.clone().get_reservation(request).await?;
        Ok(answer.into_inner().reservation.unwrap())
    }

    /// Lets a reservation's time have run out so long ago.
    pub(crate) async fn run_out(&self, order_id: &str, seconds_ago: i32) {
        let updated = sqlx::query(
            "update inventory.reservations set expires_at = now() - make_interval(secs => $2) where order_id = $1",
        )
        .bind(order_id.parse::<Uuid>().unwrap())
        .bind(f64::from(seconds_ago))
        .execute(&self.db)
        .await
        .unwrap();
        assert_eq!(updated.rows_affected(), 1);
    }

    pub(crate) async fn create_customer(
        &self,
        request: pb::CreateCustomerRequest,
    ) -> Result<pb::Customer, Status> {
        Ok(self.client.clone().create_customer(request).await?.into_inner().customer.unwrap())
    }

    /// Somebody new.
    pub(crate) async fn customer(&self) -> String {
        let request = customer(&format!("{}@example.com", new_id()));
        self.create_customer(request).await.unwrap().customer_id
    }

    pub(crate) async fn create(
        &self,
        request: pb::CreateOrderRequest,
    ) -> Result<pb::Order, Status> {
        Ok(self.client.clone().create_order(request).await?.into_inner().order.unwrap())
    }

    /// A draft of somebody new.
    pub(crate) async fn draft(&self, lines: &[(&str, i32)]) -> pb::Order {
        self.create(order(&self.customer().await, lines)).await.unwrap()
    }

    /// A placed order of somebody new, which inventory-svc has heard of.
    pub(crate) async fn placed(&self, lines: &[(&str, i32)]) -> pb::Order {
        let request =
            pb::CreateOrderRequest { place: true, ..order(&self.customer().await, lines) };
        let order = self.create(request).await.unwrap();
        self.settle().await;
        order
    }

    pub(crate) async fn find_order(&self, order_id: &str) -> Result<pb::Order, Status> {
        let request = pb::GetOrderRequest { order_id: order_id.to_owned() };
        Ok(self.client.clone().get_order(request).await?.into_inner().order.unwrap())
    }

    pub(crate) async fn order(&self, order_id: &str) -> pb::Order {
        self.find_order(order_id).await.unwrap()
    }

    pub(crate) async fn place_as(
        &self,
        request: pb::PlaceOrderRequest,
    ) -> Result<pb::Order, Status> {
        Ok(self.client.clone().place_order(request).await?.into_inner().order.unwrap())
    }

    pub(crate) async fn place(&self, order_id: &str) -> Result<pb::Order, Status> {
        self.place_as(placing(order_id)).await
    }

    pub(crate) async fn ship_as(
        &self,
        request: pb::ShipOrderRequest,
    ) -> Result<(pb::Order, pb::Shipment), Status> {
        let answer = self.client.clone().ship_order(request).await?.into_inner();
        Ok((answer.order.unwrap(), answer.shipment.unwrap()))
    }

    /// Ships all that is open.
    pub(crate) async fn ship(&self, order_id: &str) -> Result<(pb::Order, pb::Shipment), Status> {
        self.ship_as(shipping(order_id, &[])).await
    }

    pub(crate) async fn cancel_as(
        &self,
        request: pb::CancelOrderRequest,
    ) -> Result<pb::Order, Status> {
        Ok(self.client.clone().cancel_order(request).await?.into_inner().order.unwrap())
    }

    pub(crate) async fn cancel(&self, order_id: &str) -> Result<pb::Order, Status> {
        self.cancel_as(cancelling(order_id)).await
    }

    pub(crate) async fn update_order(
        &self,
        request: pb::UpdateOrderRequest,
    ) -> Result<pb::Order, Status> {
        Ok(self.client.clone().update_order(request).await?.into_inner().order.unwrap())
    }

    pub(crate) async fn delete_as(&self, request: pb::DeleteOrderRequest) -> Result<(), Status> {
        self.client.clone().delete_order(request).await.map(drop)
    }

    pub(crate) async fn hold_as(&self, request: pb::HoldOrderRequest) -> Result<pb::Order, Status> {
        Ok(self.client.clone().hold_order(request).await?.into_inner().order.unwrap())
    }

    pub(crate) async fn hold(&self, order_id: &str) -> Result<pb::Order, Status> {
        self.hold_as(holding(order_id)).await
    }

    pub(crate) async fn release_as(
        &self,
        request: pb::ReleaseOrderRequest,
    ) -> Result<pb::Order, Status> {
        Ok(self.client.clone().release_order(request).await?.into_inner().order.unwrap())
    }

    pub(crate) async fn release(&self, order_id: &str) -> Result<pb::Order, Status> {
        let order_id = order_id.to_owned();
        self.release_as(pb::ReleaseOrderRequest { order_id, ..Default::default() }).await
    }

    pub(crate) async fn take_back(
        &self,
        request: pb::ReturnOrderRequest,
    ) -> Result<(pb::Order, pb::Return), Status> {
        let answer = self.client.clone().return_order(request).await?.into_inner();
        Ok((answer.order.unwrap(), answer.returned.unwrap()))
    }

    pub(crate) async fn archive(&self, customer_id: &str) -> Result<pb::Customer, Status> {
        let customer_id = customer_id.to_owned();
        let request = pb::ArchiveCustomerRequest { customer_id, ..Default::default() };
        Ok(self.client.clone().archive_customer(request).await?.into_inner().customer.unwrap())
    }

    pub(crate) async fn restore(&self, customer_id: &str) -> Result<pb::Customer, Status> {
        let customer_id = customer_id.to_owned();
        let request = pb::RestoreCustomerRequest { customer_id, ..Default::default() };
        Ok(self.client.clone().restore_customer(request).await?.into_inner().customer.unwrap())
    }

    /// Types and data of what is published of a subject behind the first so many.
    pub(crate) async fn told_behind(
        &self,
        subject: &str,
        count: usize,
    ) -> Vec<(String, serde_json::Value)> {
        let told = self.log.events_of(subject).await.into_iter().skip(count);
        told.map(|(what, _, data)| (what, data)).collect()
    }
}

pub(crate) fn new_id() -> String {
    Uuid::now_v7().to_string()
}

pub(crate) fn customer(email: &str) -> pb::CreateCustomerRequest {
    pb::CreateCustomerRequest {
        name: "Ann".to_owned(),
        email: email.to_owned(),
        ..Default::default()
    }
}

/// A draft.
pub(crate) fn order(customer_id: &str, lines: &[(&str, i32)]) -> pb::CreateOrderRequest {
    pb::CreateOrderRequest {
        customer_id: customer_id.to_owned(),
        lines: lines.iter().map(|(sku, quantity)| line(sku, *quantity)).collect(),
        ..Default::default()
    }
}

pub(crate) fn line(sku: &str, quantity: i32) -> pb::CreateOrderLine {
    pb::CreateOrderLine { sku: sku.to_owned(), quantity, ..Default::default() }
}

pub(crate) fn placing(order_id: &str) -> pb::PlaceOrderRequest {
    pb::PlaceOrderRequest { request_id: String::new(), order_id: order_id.to_owned() }
}

/// Some of each of these lines.
pub(crate) fn shipping(order_id: &str, lines: &[(&str, i32)]) -> pb::ShipOrderRequest {
    let line = |(line_id, quantity): &(&str, i32)| pb::ShipOrderLine {
        line_id: (*line_id).to_owned(),
        quantity: *quantity,
    };
    pb::ShipOrderRequest {
        request_id: String::new(),
        order_id: order_id.to_owned(),
        lines: lines.iter().map(line).collect(),
    }
}

pub(crate) fn cancelling(order_id: &str) -> pb::CancelOrderRequest {
    pb::CancelOrderRequest { order_id: order_id.to_owned(), ..Default::default() }
}

pub(crate) fn holding(order_id: &str) -> pb::HoldOrderRequest {
    pb::HoldOrderRequest { order_id: order_id.to_owned(), ..Default::default() }
}

/// Some of each of these lines; true to sell them again.
pub(crate) fn returning(order_id: &str, lines: &[(&str, i32, bool)]) -> pb::ReturnOrderRequest {
    let disposition = |restock: bool| match restock {
        true => pb::ReturnDisposition::Restock,
        false => pb::ReturnDisposition::Scrap,
    };
    let line = |(line_id, quantity, restock): &(&str, i32, bool)| pb::ReturnOrderLine {
        line_id: (*line_id).to_owned(),
        quantity: *quantity,
        disposition: disposition(*restock).into(),
    };
    pb::ReturnOrderRequest {
        order_id: order_id.to_owned(),
        lines: lines.iter().map(line).collect(),
        ..Default::default()
    }
}

/// Which fields an update changes.
pub(crate) fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

/// Other lines for a draft.
pub(crate) fn relining(order_id: &str, lines: &[(&str, i32)]) -> pb::UpdateOrderRequest {
    pb::UpdateOrderRequest {
        order: Some(pb::Order { order_id: order_id.to_owned(), ..Default::default() }),
        update_mask: mask(&["lines"]),
        lines: lines.iter().map(|(sku, quantity)| line(sku, *quantity)).collect(),
        ..Default::default()
    }
}

/// What came back: gross and tax.
pub(crate) fn refunds(order: &pb::Order) -> (&str, &str) {
    (amount(order.refunded_total.as_ref()), amount(order.refunded_tax.as_ref()))
}

/// Ordered, shipped, cancelled and returned, of each line.
pub(crate) fn quantities(order: &pb::Order) -> Vec<[i32; 4]> {
    let of = |line: &pb::OrderLine| {
        [line.quantity, line.shipped_quantity, line.cancelled_quantity, line.returned_quantity]
    };
    order.lines.iter().map(of).collect()
}

pub(crate) fn money(amount: &str) -> Option<Money> {
    Some(Money { amount: amount.to_owned(), currency_code: "GBP".to_owned() })
}

/// What an amount says; empty when there is none.
pub(crate) fn amount(money: Option<&Money>) -> &str {
    money.map_or("", |money| &money.amount)
}

/// Total and tax.
pub(crate) fn totals(order: &pb::Order) -> (&str, &str) {
    (amount(order.total.as_ref()), amount(order.tax.as_ref()))
}

/// Price of one on each line.
pub(crate) fn prices(order: &pb::Order) -> Vec<&str> {
    order.lines.iter().map(|line| amount(line.unit_price.as_ref())).collect()
}

/// One field with a text.
pub(crate) fn metadata(key: &str, text: &str) -> Option<Struct> {
    let value = Value { kind: Some(Kind::StringValue(text.to_owned())) };
    Some(Struct { fields: [(key.to_owned(), value)].into() })
}
