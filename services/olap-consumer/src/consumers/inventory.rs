use anyhow::ensure;
use log::Event;
use proto::events::v1::{ProductCreated, StockChanged};

use crate::domain::Fact;

pub(super) fn read(event: &Event) -> anyhow::Result<Option<Fact>> {
    Ok(match event.event_type.as_str() {
        "product.created" => {
            let data: ProductCreated = event.data()?;
            ensure!(!data.sku.is_empty(), "a product without a SKU");
            Some(Fact::ProductCreated { sku: data.sku })
        }
        "stock.received" | "stock.reserved" | "stock.released" | "stock.shipped"
        | "stock.returned" | "stock.adjusted" => {
            let data: StockChanged = event.data()?;
            ensure!(data.levels.iter().all(|level| !level.sku.is_empty()), "a level without a SKU");
            let levels = data.levels.into_iter();
            let levels = levels.map(|level| (level.sku, level.on_hand, level.reserved));
            Some(Fact::StockChanged(levels.collect()))
        }
        _ => None,
    })
}
