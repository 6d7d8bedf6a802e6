//! Lines of an order as they are asked for, looked up in the catalogue.

use std::collections::{BTreeSet, HashMap};

use ids::OrderItemId;
use money::Money;
use proto::{inventory::v1::BatchGetProductsRequest, orders::v1 as pb};
use rpc::Fields;
use rust_decimal::Decimal;
use tonic::Status;

use super::{LINES_MAX, QUANTITY_MAX};
use crate::{OrdersError, commands, domain::Item, grpc::Orders};

/// Reads lines; those whose SKU the catalogue lacks are bad. A price that was agreed needs a permission.
pub(super) async fn lines(
    orders: &Orders,
    fields: &mut Fields,
    lines: Vec<pb::CreateOrderLine>,
) -> Result<Vec<Item>, Status> {
    if lines.iter().any(|line| line.unit_price.is_some()) {
        rpc::require("orders.price")?;
    }
    fields.count("lines", lines.len(), 1, LINES_MAX);
    let lines: Vec<pb::CreateOrderLine> = lines.into_iter().take(LINES_MAX).collect();
    let catalogue = look_up(orders, &lines).await?;
    let read = lines.into_iter().enumerate();
    Ok(read.map(|(index, one)| line(fields, index, one, &catalogue)).collect())
}

fn line(
    fields: &mut Fields,
    index: usize,
    line: pb::CreateOrderLine,
    catalogue: &HashMap<String, Money>,
) -> Item {
    let field = |name: &str| format!("lines[{index}].{name}");
    let sku = fields.sku(&field("sku"), line.sku);
    let qty = fields.within(&field("quantity"), line.quantity, 1, QUANTITY_MAX);
    let listed = catalogue.get(&sku).copied();
    if listed.is_none() && is_sku(&sku) {
        fields.bad(field("sku"), format!("{sku} is not in the catalogue"));
    }
    let agreed = line.unit_price.as_ref();
    let agreed = agreed.map(|price| price_of_one(fields, &field("unit_price"), price));
    Item {
        id: OrderItemId::generate(),
        sku,
        qty,
        price: agreed.or(listed).unwrap_or_default(),
        price_agreed: agreed.is_some(),
        tax_rate: tax_rate(fields, &field("tax_rate"), &line.tax_rate),
        shipped_qty: 0,
        cancelled_qty: 0,
        returned_qty: 0,
    }
}

/// Prices have two digits less than amounts.
fn price_of_one(fields: &mut Fields, field: &str, price: &proto::common::v1::Money) -> Money {
    let read = fields.money(field, Some(price));
    if read.hundredths() > 999_999_999_999 {
        fields.bad(format!("{field}.amount"), "is out of range: at most 9999999999.99");
    }
    read
}

fn tax_rate(fields: &mut Fields, field: &str, text: &str) -> Decimal {
    if text.is_empty() {
        return Decimal::ZERO;
    }
    let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
    let plain = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty();
    let rate = text.parse::<Decimal>().ok().filter(|rate| *rate <= Decimal::ONE);
    match rate {
        Some(rate) if plain(whole) && plain(places) && places.len() <= 4 => rate,
        _ => {
            fields.bad(field, "is not a rate from 0 to 1 with at most four places, such as 0.20");
            Decimal::ZERO
        }
    }
}

/// The prices of those SKUs that the catalogue has.
async fn look_up(
    orders: &Orders,
    lines: &[pb::CreateOrderLine],
) -> Result<HashMap<String, Money>, OrdersError> {
    let skus: BTreeSet<&String> =
        lines.iter().map(|line| &line.sku).filter(|sku| is_sku(sku)).collect();
    if skus.is_empty() {
        return Ok(HashMap::new());
    }
    let request = BatchGetProductsRequest { skus: skus.into_iter().cloned().collect() };
    let found = orders.inventory.clone().batch_get_products(request).await;
    let found = found.map_err(commands::not_asked)?.into_inner();
    found.products.into_iter().map(commands::price_of).collect()
}

fn is_sku(text: &str) -> bool {
    let mut fields = Fields::default();
    fields.sku("sku", text.to_owned());
    fields.is_clean()
}
