//! Lives a year: what happens to all orders happens in the order of time, and each service writes its rows and its log.
//!
//! What a question of analytics needs is there, and ties; what none asks about (shipments, reservations, movements of stock, a customer's
//! credit) is in the logs only.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use chrono::{DateTime, Utc};
use proto::{
    common::v1::Money,
    events::v1::{
        CancelledLine, CustomerChanged, OrderCancelled, OrderCompleted, OrderDrafted,
        OrderPartCancelled, OrderPlaced, OrderReturned, OrderShipped, OrderedLine, ReturnedLine,
        ShippedLine,
    },
};
use serde::Serialize;
use testkit::Dice;
use uuid::Uuid;

use crate::{
    calendar::start_of,
    copying::Rows,
    events::{EventLog, Happened, Logged},
    money::Pence,
    receivables::{Invoice, Receivables},
    shape::Shape,
    trade::{Order, Step, Year, uuid},
    warehouse::Warehouse,
};

/// Where rows of what else orders-svc has go.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) customers: Rows,
    pub(crate) orders: Rows,
    pub(crate) order_items: Rows,
    pub(crate) products: Rows,
    pub(crate) inventory_items: Rows,
}

#[derive(Debug)]
pub(crate) struct Shop<'a> {
    shape: &'a Shape,
    tables: Tables,
    log: EventLog,
    warehouse: Warehouse<'a>,
    receivables: Receivables,
    dice: Dice,
    customers: Vec<Uuid>,
    opened: DateTime<Utc>,
    /// Those to which something will happen, by a number of their own.
    open: BTreeMap<u64, Open>,
    next: BinaryHeap<Reverse<(DateTime<Utc>, u64)>>,
    placed: u64,
    lines: u64,
}

/// An order that is not at its end.
#[derive(Debug)]
struct Open {
    order: Order,
    invoice: Option<Invoice>,
    status: &'static str,
    paid: bool,
    returned: Pence,
    version: i32,
    /// Steps that were taken.
    taken: usize,
}

/// What came of a year.
#[derive(Debug)]
pub(crate) struct Lived {
    /// The newest event of each source.
    pub(crate) newest: Vec<Logged>,
    pub(crate) orders: u64,
    pub(crate) lines: u64,
}

impl<'a> Shop<'a> {
    pub(crate) fn open(
        shape: &'a Shape,
        year: &Year<'_>,
        tables: Tables,
        (log, inventory): (EventLog, EventLog),
        receivables: Receivables,
        dice: &Dice,
    ) -> anyhow::Result<Self> {
        let opened = start_of(year.first_day);
        let warehouse = Warehouse::open(shape, inventory, dice.clone(), opened)?;
        let mut shop = Self {
            shape,
            tables,
            log,
            warehouse,
            receivables,
            dice: dice.clone(),
            customers: Vec::new(),
            opened,
            open: BTreeMap::new(),
            next: BinaryHeap::new(),
            placed: 0,
            lines: 0,
        };
        for customer in &shape.customers {
            for copy in 1..=year.copies {
                let id = uuid(opened, dice);
                shop.customers.push(id);
                let rows = &mut shop.tables.customers;
                rows.plain(id).text(&customer.name).text(&format!("{copy}-{}", customer.email));
                rows.time(opened).end()?;
                let data = CustomerChanged { customer_id: id.to_string() };
                shop.tell(opened, "customer.created", id, 1, &data)?;
            }
        }
        Ok(shop)
    }

    /// All of it, up to but not including an instant.
    pub(crate) fn live(
        mut self,
        orders: impl Iterator<Item = Order>,
        end: DateTime<Utc>,
        mut progress: impl FnMut(u64),
    ) -> anyhow::Result<Lived> {
        for order in orders {
            let Some((at, _)) = order.steps.first().copied() else { continue };
            self.happen(at)?;
            self.placed += 1;
            self.lines += u64::try_from(order.lines.len())?;
            let open = Open {
                order,
                invoice: None,
                status: "placed",
                paid: false,
                returned: Pence::ZERO,
                version: 0,
                taken: 0,
            };
            self.open.insert(self.placed, open);
            self.next.push(Reverse((at, self.placed)));
            progress(self.lines);
        }
        self.happen(end)?;
        for open in std::mem::take(&mut self.open).into_values() {
            self.write(&open)?;
        }
        let Self { tables, log, warehouse, receivables, opened, placed, lines, .. } = self;
        let Tables { customers, orders, order_items, products, inventory_items } = tables;
        for rows in [customers, orders, order_items] {
            rows.finish()?;
        }
        let inventory = warehouse.finish(products, inventory_items, opened)?;
        let (billing, ledger) = receivables.finish()?;
        let logs = [log, inventory, billing, ledger].into_iter().map(EventLog::finish);
        Ok(Lived { newest: logs.collect::<anyhow::Result<_>>()?, orders: placed, lines })
    }

    /// Whatever happens before `until`.
    fn happen(&mut self, until: DateTime<Utc>) -> anyhow::Result<()> {
        while let Some(Reverse((at, number))) = self.next.peek().copied()
            && at < until
        {
            self.next.pop();
            let Some(mut open) = self.open.remove(&number) else { continue };
            let step = open.order.steps.get(open.taken).map(|(_, step)| *step);
            if let Some(step) = step {
                self.take(&mut open, step, at)?;
            }
            open.taken += 1;
            match open.order.steps.get(open.taken) {
                Some((next, _)) => {
                    self.next.push(Reverse((*next, number)));
                    self.open.insert(number, open);
                }
                None => self.write(&open)?,
            }
        }
        Ok(())
    }

    fn take(&mut self, open: &mut Open, step: Step, at: DateTime<Utc>) -> anyhow::Result<()> {
        match step {
            Step::Place => self.place(open, at),
            Step::Cancel => self.cancel(open, at),
            Step::Ship(left) => self.ship(open, left, at),
            Step::GiveUpRest => self.give_up_rest(open, at),
            Step::Return => self.take_back(open, at),
            Step::Pay => self.pay(open, at),
            Step::FallOverdue => match &mut open.invoice {
                Some(invoice) => self.receivables.fall_overdue(invoice, at),
                None => Ok(()),
            },
        }
    }

    fn place(&mut self, open: &mut Open, at: DateTime<Utc>) -> anyhow::Result<()> {
        let customer = self.customer(open);
        let id = open.order.id.to_string();
        let drafted = OrderDrafted { order_id: id.clone(), customer_id: customer.to_string() };
        self.tell(at, "order.created", open.order.id, 1, &drafted)?;
        self.warehouse.reserve(&open.order, at)?;
        let lines = open.order.lines.iter().map(|line| OrderedLine {
            line_id: line.id.to_string(),
            sku: self.sku(line.product),
            quantity: line.quantity,
            unit_price: line.price.to_money(),
            tax_rate: "0".to_owned(),
        });
        let total = open.order.total();
        let placed = OrderPlaced {
            order_id: id,
            customer_id: customer.to_string(),
            total: total.to_money(),
            tax: nothing(),
            place_time: Some(at.into()),
            lines: lines.collect(),
        };
        open.version = 2;
        let placed = self.tell(at, "order.placed", open.order.id, 2, &placed)?;
        open.invoice =
            Some(self.receivables.issue((open.order.id, customer), total, at, placed)?);
        Ok(())
    }

    fn cancel(&mut self, open: &mut Open, at: DateTime<Utc>) -> anyhow::Result<()> {
        (open.status, open.version) = ("cancelled", open.version + 1);
        let data = OrderCancelled {
            order_id: open.order.id.to_string(),
            customer_id: self.customer(open).to_string(),
            total: open.order.total().to_money(),
            place_time: placed_at(open).map(Into::into),
        };
        let cause = self.tell(at, "order.cancelled", open.order.id, open.version, &data)?;
        self.warehouse.release(&open.order, 2, at, |line| line.quantity)?;
        match &mut open.invoice {
            Some(invoice) => self.receivables.void(invoice, at, cause),
            None => Ok(()),
        }
    }

    fn ship(&mut self, open: &mut Open, left: i32, at: DateTime<Utc>) -> anyhow::Result<()> {
        for (place, line) in open.order.lines.iter_mut().enumerate() {
            line.shipped = line.quantity - if place == 0 { left } else { 0 };
        }
        let complete = left == 0;
        let lines = open.order.lines.iter().filter(|line| line.shipped > 0);
        let lines = lines.map(|line| ShippedLine {
            line_id: line.id.to_string(),
            sku: self.sku(line.product),
            quantity: line.shipped,
        });
        let data = OrderShipped {
            order_id: open.order.id.to_string(),
            shipment_id: uuid(at, &self.dice).to_string(),
            lines: lines.collect(),
            complete,
        };
        open.version += 1;
        open.status = if complete { "shipped" } else { "placed" };
        self.tell(at, "order.shipped", open.order.id, open.version, &data)?;
        self.warehouse.ship(&open.order, at)
    }

    fn give_up_rest(&mut self, open: &mut Open, at: DateTime<Utc>) -> anyhow::Result<()> {
        let before = open.order.total();
        open.order.lines.iter_mut().for_each(|line| line.cancelled = line.quantity - line.shipped);
        let amount = before - open.order.total();
        let given_up = open.order.lines.iter().filter(|line| line.cancelled > 0);
        let given_up = given_up.map(|line| CancelledLine {
            line_id: line.id.to_string(),
            sku: self.sku(line.product),
            quantity: line.cancelled,
        });
        let data = OrderPartCancelled {
            order_id: open.order.id.to_string(),
            customer_id: self.customer(open).to_string(),
            lines: given_up.collect(),
            amount: amount.to_money(),
            tax: nothing(),
            place_time: placed_at(open).map(Into::into),
        };
        (open.status, open.version) = ("shipped", open.version + 1);
        let cause = self.tell(at, "order.part_cancelled", open.order.id, open.version, &data)?;
        self.warehouse.release(&open.order, 3, at, |line| line.cancelled)?;
        match &mut open.invoice {
            Some(invoice) => self.receivables.credit(invoice, amount, at, cause),
            None => Ok(()),
        }
    }

    fn take_back(&mut self, open: &mut Open, at: DateTime<Utc>) -> anyhow::Result<()> {
        let Some(line) = open.order.lines.last_mut() else { return Ok(()) };
        line.returned = line.shipped;
        let (line, amount) = (*line, line.price * line.shipped);
        let returned = ReturnedLine {
            line_id: line.id.to_string(),
            sku: self.sku(line.product),
            quantity: line.returned,
            restock: true,
        };
        let data = OrderReturned {
            order_id: open.order.id.to_string(),
            return_id: uuid(at, &self.dice).to_string(),
            customer_id: self.customer(open).to_string(),
            lines: vec![returned],
            amount: amount.to_money(),
            tax: nothing(),
        };
        (open.returned, open.version) = (amount, open.version + 1);
        let cause = self.tell(at, "order.returned", open.order.id, open.version, &data)?;
        self.warehouse.take_back(&open.order, 4, at)?;
        match &mut open.invoice {
            Some(invoice) => self.receivables.credit(invoice, amount, at, cause),
            None => Ok(()),
        }
    }

    fn pay(&mut self, open: &mut Open, at: DateTime<Utc>) -> anyhow::Result<()> {
        let Some(invoice) = &mut open.invoice else { return Ok(()) };
        self.receivables.pay(invoice, at)?;
        (open.status, open.paid, open.version) = ("completed", true, open.version + 1);
        let data = OrderCompleted { order_id: open.order.id.to_string() };
        self.tell(at, "order.completed", open.order.id, open.version, &data)?;
        Ok(())
    }

    /// It does not change any more.
    fn write(&mut self, open: &Open) -> anyhow::Result<()> {
        let (Some(at), customer) = (placed_at(open), self.customer(open)) else { return Ok(()) };
        let rows = &mut self.tables.orders;
        rows.plain(open.order.id).plain(customer).plain(open.status).plain(open.order.total());
        rows.time(at).time(at).plain(open.paid).plain(open.version).plain(open.returned).end()?;
        for (number, line) in (1_i32..).zip(&open.order.lines) {
            let sku = self.shape.products.get(line.product).map_or("", |of| of.sku.as_str());
            let rows = &mut self.tables.order_items;
            rows.plain(line.id).plain(open.order.id).plain(sku).plain(line.quantity);
            rows.plain(line.price).plain(number).plain(line.shipped);
            rows.plain(line.cancelled).plain(line.returned).end()?;
        }
        match &open.invoice {
            Some(invoice) => self.receivables.write(invoice),
            None => Ok(()),
        }
    }

    fn customer(&self, open: &Open) -> Uuid {
        self.customers.get(open.order.customer).copied().unwrap_or_default()
    }

    fn sku(&self, product: usize) -> String {
        self.shape.products.get(product).map(|of| of.sku.clone()).unwrap_or_default()
    }

    fn tell(
        &mut self,
        at: DateTime<Utc>,
        event_type: &'static str,
        subject: Uuid,
        version: i32,
        data: &impl Serialize,
    ) -> anyhow::Result<Uuid> {
        let (subject, id) = (subject.to_string(), uuid(at, &self.dice));
        let because_of = None;
        self.log
            .append(Happened { at, id, event_type, subject: &subject, version, because_of }, data)
    }
}

fn placed_at(open: &Open) -> Option<DateTime<Utc>> {
    open.order.steps.first().map(|(at, _)| *at)
}

fn nothing() -> Option<Money> {
    Pence::ZERO.to_money()
}
