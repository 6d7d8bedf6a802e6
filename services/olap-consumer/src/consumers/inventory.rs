use anyhow::ensure;
use log::Event;
use proto::events::v1::{ProductChanged, ProductCreated, ReorderPointSet, StockChanged};

use crate::domain::{Fact, NewLevel};

pub(super) fn read(event: &Event) -> anyhow::Result<Option<Fact>> {
    Ok(match event.event_type.as_str() {
        "product.created" => {
            let data: ProductCreated = event.data()?;
            ensure!(!data.sku.is_empty(), "a product without a SKU");
            Some(Fact::ProductCreated { sku: data.sku })
        }
        "product.archived" | "product.restored" => {
            let data: ProductChanged = event.data()?;
            ensure!(!data.sku.is_empty(), "a product without a SKU");
            let archived = event.event_type == "product.archived";
            Some(Fact::ProductArchived { sku: data.sku, archived })
        }
        "stock.received" | "stock.reserved" | "stock.released" | "stock.shipped"
        | "stock.returned" | "stock.adjusted" => {
            let data: StockChanged = event.data()?;
            ensure!(data.levels.iter().all(|level| !level.sku.is_empty()), "a level without a SKU");
            let levels = data.levels.into_iter().map(|level| NewLevel {
                sku: level.sku,
                on_hand: level.on_hand,
                reserved: level.reserved,
                reorder_point: level.reorder_point,
            });
            Some(Fact::StockChanged(levels.collect()))
        }
        "stock.reorder_point_set" => {
            let ReorderPointSet { sku, reorder_point } = event.data()?;
            ensure!(!sku.is_empty(), "a reorder point without a SKU");
            Some(Fact::ReorderPointSet { sku, reorder_point })
        }
        _ => None,
    })
}
