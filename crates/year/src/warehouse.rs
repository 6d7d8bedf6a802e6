//! inventory-svc's rows and events: what is there of each product. A product that runs out is delivered just before it is sold again.

use chrono::{DateTime, Utc};
use proto::events::v1::{
    ProductCreated, ReorderNeeded, ReorderPointSet, StockChanged, StockLevelChanged,
};
use testkit::Dice;

use crate::{
    copying::Rows,
    events::{EventLog, Happened},
    shape::Shape,
    trade::{Line, Order, uuid},
};

/// Products in the first delivery each.
const DELIVERY: usize = 100;
/// A delivery is at least so many times what the shop began with.
const REFILL: i32 = 2;

#[derive(Debug)]
pub(crate) struct Warehouse<'a> {
    shape: &'a Shape,
    dice: Dice,
    pub(crate) log: EventLog,
    items: Vec<Item>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Item {
    on_hand: i32,
    reserved: i32,
    reorder_point: i32,
    told: bool,
    version: i32,
    updated_at: DateTime<Utc>,
}

/// So many of a product.
type Moved = (usize, i32);

impl<'a> Warehouse<'a> {
    /// With all products, and what is there when trade begins.
    pub(crate) fn open(
        shape: &'a Shape,
        log: EventLog,
        dice: Dice,
        at: DateTime<Utc>,
    ) -> anyhow::Result<Self> {
        let items = vec![Item { updated_at: at, ..Item::default() }; shape.products.len()];
        let mut warehouse = Self { shape, dice, log, items };
        for product in &shape.products {
            let (sku, name) = (product.sku.clone(), product.name.clone());
            let data = ProductCreated { sku, name, price: product.price.to_money() };
            warehouse.tell(at, "product.created", &product.sku, 1, &data)?;
        }
        let stock: Vec<Moved> =
            (0..).zip(&shape.stock).map(|(at, (there, _))| (at, *there)).collect();
        for (product, (_, reorder_point)) in shape.stock.iter().enumerate() {
            warehouse.set_reorder_point(product, *reorder_point, at)?;
        }
        for delivery in stock.chunks(DELIVERY) {
            let there: Vec<Moved> =
                delivery.iter().copied().filter(|(_, count)| *count > 0).collect();
            warehouse.receive(&there, at)?;
        }
        Ok(warehouse)
    }

    pub(crate) fn reserve(&mut self, order: &Order, at: DateTime<Utc>) -> anyhow::Result<()> {
        let moved: Vec<Moved> = moved(&order.lines, |line| line.quantity);
        let short = moved.iter().filter_map(|(product, count)| {
            let item = self.items.get(*product)?;
            let is_short = item.on_hand - item.reserved < *count;
            let usual = self.shape.stock.get(*product).map_or(0, |(there, _)| *there);
            is_short.then_some((*product, count + usual.max(item.reorder_point) * REFILL))
        });
        let short: Vec<Moved> = short.collect();
        self.receive(&short, at)?;
        self.of_order("stock.reserved", order, (1, at), &moved, |item, count| {
            item.reserved += count;
        })
    }

    pub(crate) fn release(
        &mut self,
        order: &Order,
        version: i32,
        at: DateTime<Utc>,
        count: impl Fn(&Line) -> i32,
    ) -> anyhow::Result<()> {
        let moved = moved(&order.lines, count);
        self.of_order("stock.released", order, (version, at), &moved, |item, count| {
            item.reserved -= count;
        })
    }

    pub(crate) fn ship(&mut self, order: &Order, at: DateTime<Utc>) -> anyhow::Result<()> {
        let moved = moved(&order.lines, |line| line.shipped);
        self.of_order("stock.shipped", order, (2, at), &moved, |item, count| {
            item.on_hand -= count;
            item.reserved -= count;
        })
    }

    pub(crate) fn take_back(
        &mut self,
        order: &Order,
        version: i32,
        at: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let moved = moved(&order.lines, |line| line.returned);
        self.of_order("stock.returned", order, (version, at), &moved, |item, count| {
            item.on_hand += count;
        })
    }

    /// What is there at the end.
    pub(crate) fn finish(
        self,
        products: Rows,
        items: Rows,
        opened: DateTime<Utc>,
    ) -> anyhow::Result<EventLog> {
        let (mut products, mut rows) = (products, items);
        for (product, item) in self.shape.products.iter().zip(&self.items) {
            products.plain(&product.sku).text(&product.name).text(&product.description);
            products.plain(product.price).time(opened).time(opened).end()?;
            rows.plain(&product.sku).plain(item.on_hand).plain(item.reserved);
            rows.plain(item.reorder_point).time(item.updated_at).plain(item.told);
            rows.plain(item.version).end()?;
        }
        products.finish()?;
        rows.finish()?;
        Ok(self.log)
    }

    fn set_reorder_point(
        &mut self,
        product: usize,
        point: i32,
        at: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let (Some(item), Some(of)) =
            (self.items.get_mut(product), self.shape.products.get(product))
        else {
            return Ok(());
        };
        if point == 0 {
            return Ok(());
        }
        item.reorder_point = point;
        item.version += 1;
        // Nothing has been there yet: it is told of once it falls.
        item.told = true;
        let (sku, version) = (of.sku.clone(), item.version);
        let data = ReorderPointSet { sku, reorder_point: point };
        self.tell(at, "stock.reorder_point_set", &format!("item:{}", of.sku), version, &data)
    }

    fn receive(&mut self, moved: &[Moved], at: DateTime<Utc>) -> anyhow::Result<()> {
        if moved.is_empty() {
            return Ok(());
        }
        let delivery = uuid(at, &self.dice).to_string();
        let levels = self.change(moved, at, |item, count| item.on_hand += count);
        let data = StockChanged { document_id: delivery.clone(), levels, ..Default::default() };
        self.tell(at, "stock.received", &delivery, 1, &data)?;
        self.tell_low(moved, at)
    }

    fn of_order(
        &mut self,
        event_type: &'static str,
        order: &Order,
        (version, at): (i32, DateTime<Utc>),
        moved: &[Moved],
        change: impl Fn(&mut Item, i32),
    ) -> anyhow::Result<()> {
        let order_id = order.id.to_string();
        let levels = self.change(moved, at, change);
        let data = StockChanged { order_id: order_id.clone(), levels, ..Default::default() };
        self.tell(at, event_type, &order_id, version, &data)?;
        self.tell_low(moved, at)
    }

    fn change(
        &mut self,
        moved: &[Moved],
        at: DateTime<Utc>,
        change: impl Fn(&mut Item, i32),
    ) -> Vec<StockLevelChanged> {
        let levels = moved.iter().filter_map(|(product, count)| {
            let (item, of) = (self.items.get_mut(*product)?, self.shape.products.get(*product)?);
            change(item, *count);
            item.updated_at = at;
            Some(StockLevelChanged {
                sku: of.sku.clone(),
                quantity: *count,
                on_hand: item.on_hand,
                reserved: item.reserved,
                reorder_point: item.reorder_point,
            })
        });
        levels.collect()
    }

    /// Once per fall.
    fn tell_low(&mut self, moved: &[Moved], at: DateTime<Utc>) -> anyhow::Result<()> {
        for (product, _) in moved {
            let (Some(item), Some(of)) =
                (self.items.get_mut(*product), self.shape.products.get(*product))
            else {
                continue;
            };
            let available = item.on_hand - item.reserved;
            let is_low = available <= item.reorder_point;
            let falls = is_low && !item.told;
            item.told = is_low;
            if falls {
                item.version += 1;
                let (version, reorder_point) = (item.version, item.reorder_point);
                let data = ReorderNeeded { sku: of.sku.clone(), available, reorder_point };
                let subject = format!("item:{}", of.sku);
                self.tell(at, "stock.reorder_needed", &subject, version, &data)?;
            }
        }
        Ok(())
    }

    fn tell(
        &mut self,
        at: DateTime<Utc>,
        event_type: &'static str,
        subject: &str,
        version: i32,
        data: &impl serde::Serialize,
    ) -> anyhow::Result<()> {
        let id = uuid(at, &self.dice);
        let happened = Happened { at, id, event_type, subject, version, because_of: None };
        self.log.append(happened, data)?;
        Ok(())
    }
}

fn moved(lines: &[Line], count: impl Fn(&Line) -> i32) -> Vec<Moved> {
    let moved = lines.iter().map(|line| (line.product, count(line)));
    moved.filter(|(_, count)| *count > 0).collect()
}
