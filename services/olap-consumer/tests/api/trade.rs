//! Random but sensible trade: what the three services would log of it, a transaction at a time.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use log::{Cause, NewEvent};
use proto::{
    common::v1::Money,
    events::v1::{
        CancelledLine, CreditAllocated, CreditNoteIssued, CustomerChanged, InvoiceIssued,
        InvoiceOverdue, InvoicePaid, InvoiceVoided, InvoiceWrittenOff, JournalLine, JournalPosted,
        OrderCancelled, OrderPartCancelled, OrderPlaced, OrderReturned, OrderShipped, OrderedLine,
        PaymentAllocated, PaymentReceived, PaymentReversed, ProductChanged, ProductCreated,
        ReorderPointSet, ReturnedLine, ShippedLine, StockChanged, StockLevelChanged,
    },
};
use testkit::Dice;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use uuid::Uuid;

use crate::{
    folder::amount,
    shop::{SOURCES, Shop, now},
};

/// One source's trade.
#[derive(Debug, Clone)]
pub(crate) struct Trade {
    source: &'static str,
    dice: Dice,
    /// Placed and not cancelled.
    orders: Vec<Order>,
    products: i64,
    /// Open, with what is owed.
    invoices: Vec<(Invoice, i64)>,
    /// Paid in full.
    settled: Vec<Invoice>,
    /// Payments of one invoice, with what they paid.
    payments: Vec<(String, Invoice, i64)>,
}

#[derive(Debug, Clone)]
struct Order {
    id: String,
    total: i64,
    placed: DateTime<Utc>,
    lines: Vec<Line>,
}

#[derive(Debug, Clone)]
struct Line {
    id: String,
    /// Neither shipped nor cancelled.
    open: i32,
    /// And not returned.
    shipped: i32,
}

#[derive(Debug, Clone, PartialEq)]
struct Invoice {
    id: String,
    customer_id: String,
    due_date: String,
}

impl Trade {
    pub(crate) fn new(source: &'static str, seed: u64) -> Self {
        let dice = Dice::new(seed);
        let (orders, invoices, settled, payments) = Default::default();
        Self { source, dice, orders, products: 0, invoices, settled, payments }
    }

    /// Commits some transactions; now and then one is rolled back, which leaves a gap in the log's ids.
    pub(crate) async fn go_on(&mut self, shop: &Shop, transactions: usize) {
        self.go_on_with(shop.log(self.source), transactions, Duration::ZERO).await;
    }

    async fn go_on_with(&mut self, log: &log::Log, transactions: usize, pause: Duration) {
        for _ in 0..transactions {
            let before = self.clone();
            let mut events = Vec::new();
            for _ in 0..=self.dice.roll(4) {
                self.next(&mut events);
            }
            let mut tx = log.begin().await.unwrap();
            log.append(&mut tx, &events).await.unwrap();
            if self.dice.roll(20) == 0 {
                tx.rollback().await.unwrap();
                *self = Self { dice: self.dice.clone(), ..before };
            } else {
                log.commit(tx).await.unwrap();
            }
            sleep(pause).await;
        }
    }

    fn next(&mut self, events: &mut Vec<NewEvent>) {
        match self.source {
            "orders" => self.order(events),
            "inventory" => self.stock(events),
            "ledger" => self.journal(events),
            _ => self.invoice(events),
        }
    }

    fn order(&mut self, events: &mut Vec<NewEvent>) {
        match self.dice.roll(16) {
            0..6 => self.place(events),
            6..8 => {
                let Some(order) = self.dice.take(&mut self.orders) else { return };
                let data = OrderCancelled {
                    order_id: order.id.clone(),
                    total: money(order.total),
                    place_time: Some(order.placed.into()),
                    ..Default::default()
                };
                events.push(event("order.cancelled", &order.id, &data));
            }
            8..10 => self.cancel_part(events),
            10 => {
                let order_id = new_id();
                let data = OrderCancelled { order_id: order_id.clone(), ..Default::default() };
                events.push(event("order.cancelled", &order_id, &data));
            }
            11..14 => self.ship(events),
            14 => self.take_back(events),
            _ => {
                let customer_id = new_id();
                let data = CustomerChanged { customer_id: customer_id.clone() };
                events.push(event("customer.created", &customer_id, &data));
            }
        }
    }

    fn place(&mut self, events: &mut Vec<NewEvent>) {
        // As by an import: of the last two days.
        let placed = now() - TimeDelta::minutes(self.dice.roll(2880));
        let (id, total) = (new_id(), self.dice.roll(50_000));
        let (mut ordered, mut lines) = (Vec::new(), Vec::new());
        for _ in 0..self.dice.roll(4) {
            let line =
                Line { id: new_id(), open: self.dice.roll(9_u32).try_into().unwrap(), shipped: 0 };
            ordered.push(OrderedLine {
                line_id: line.id.clone(),
                sku: format!("sku-{:05}", self.dice.roll(50)),
                quantity: line.open,
                unit_price: money(self.dice.roll(10_000)),
                tax_rate: if self.dice.roll(3) == 0 { String::new() } else { "0.2".to_owned() },
            });
            lines.push(line);
        }
        let data = OrderPlaced {
            order_id: id.clone(),
            customer_id: new_id(),
            total: money(total),
            place_time: Some(placed.into()),
            lines: ordered,
            ..Default::default()
        };
        events.push(event("order.placed", &id, &data));
        self.orders.push(Order { id, total, placed, lines });
    }

    /// So many of each line, of those that `of` counts.
    fn some(&self, order: &mut Order, of: fn(&mut Line) -> &mut i32) -> Vec<(String, i32)> {
        let mut some = Vec::new();
        for line in &mut order.lines {
            let there = of(line);
            let quantity = self.dice.roll(u32::try_from(*there + 1).unwrap()).try_into().unwrap();
            *there -= quantity;
            if quantity > 0 {
                some.push((line.id.clone(), quantity));
            }
        }
        some
    }

    fn cancel_part(&mut self, events: &mut Vec<NewEvent>) {
        let Some(mut order) = self.dice.take(&mut self.orders) else { return };
        let by = self.dice.roll(order.total + 1);
        let some = self.some(&mut order, |line| &mut line.open).into_iter();
        let lines = some.map(|(line_id, quantity)| CancelledLine {
            line_id,
            quantity,
            ..Default::default()
        });
        let data = OrderPartCancelled {
            order_id: order.id.clone(),
            amount: money(by),
            place_time: Some(order.placed.into()),
            lines: lines.collect(),
            ..Default::default()
        };
        events.push(event("order.part_cancelled", &order.id, &data));
        order.total -= by;
        self.orders.push(order);
    }

    fn ship(&mut self, events: &mut Vec<NewEvent>) {
        let Some(mut order) = self.dice.take(&mut self.orders) else { return };
        let some = self.some(&mut order, |line| &mut line.open);
        for (line_id, quantity) in &some {
            let line = order.lines.iter_mut().find(|line| line.id == *line_id).unwrap();
            line.shipped += quantity;
        }
        let lines = some.into_iter().map(|(line_id, quantity)| ShippedLine {
            line_id,
            quantity,
            ..Default::default()
        });
        let data = OrderShipped {
            order_id: order.id.clone(),
            shipment_id: new_id(),
            lines: lines.collect(),
            ..Default::default()
        };
        events.push(event("order.shipped", &order.id, &data));
        self.orders.push(order);
    }

    fn take_back(&mut self, events: &mut Vec<NewEvent>) {
        let Some(mut order) = self.dice.take(&mut self.orders) else { return };
        let some = self.some(&mut order, |line| &mut line.shipped).into_iter();
        let lines = some.map(|(line_id, quantity)| ReturnedLine {
            line_id,
            quantity,
            ..Default::default()
        });
        let data = OrderReturned {
            order_id: order.id.clone(),
            lines: lines.collect(),
            ..Default::default()
        };
        events.push(event("order.returned", &order.id, &data));
        self.orders.push(order);
    }

    /// On a few days and accounts; some as they were told before lines were.
    fn journal(&mut self, events: &mut Vec<NewEvent>) {
        let (id, amount) = (new_id(), 1 + self.dice.roll(100_000));
        let account = || format!("{}", 1000 + 100 * self.dice.roll(9));
        let part = self.dice.roll(amount);
        let mut lines = vec![
            JournalLine { account: account(), debit: money(amount), credit: None },
            JournalLine { account: account(), debit: None, credit: money(amount - part) },
        ];
        if part > 0 {
            lines.push(JournalLine { account: account(), debit: None, credit: money(part) });
        }
        let day = now().date_naive() - TimeDelta::days(self.dice.roll(5));
        let data = JournalPosted {
            journal_id: id.clone(),
            effective_date: day.to_string(),
            amount: money(amount),
            lines: if self.dice.roll(5) == 0 { Vec::new() } else { lines },
            ..Default::default()
        };
        events.push(event("journal.posted", &id, &data));
    }

    fn stock(&mut self, events: &mut Vec<NewEvent>) {
        if self.products == 0 || self.dice.roll(4) == 0 {
            self.products += 1;
            let sku = format!("sku-{:05}", self.products);
            let data = ProductCreated { sku: sku.clone(), ..Default::default() };
            return events.push(event("product.created", &sku, &data));
        }
        if self.dice.roll(4) == 0 {
            return events.push(self.item());
        }
        let kinds = [
            "stock.received",
            "stock.reserved",
            "stock.released",
            "stock.shipped",
            "stock.returned",
            "stock.adjusted",
        ];
        let kind = kinds[self.dice.roll(kinds.len())];
        let levels = (0..=self.dice.roll(5)).map(|_| StockLevelChanged {
            sku: format!("sku-{:05}", 1 + self.dice.roll(self.products)),
            on_hand: self.dice.roll(1000),
            reserved: self.dice.roll(100),
            reorder_point: self.dice.roll(30),
            ..Default::default()
        });
        let data = StockChanged { levels: levels.collect(), ..Default::default() };
        events.push(event(kind, &new_id(), &data));
    }

    /// Of a product itself.
    fn item(&self) -> NewEvent {
        let sku = format!("sku-{:05}", 1 + self.dice.roll(self.products));
        match self.dice.roll(3) {
            0 => {
                let data = ReorderPointSet { sku: sku.clone(), reorder_point: self.dice.roll(30) };
                event("stock.reorder_point_set", &sku, &data)
            }
            kind => {
                let data = ProductChanged { sku: sku.clone(), ..Default::default() };
                let kind = if kind == 1 { "product.archived" } else { "product.restored" };
                event(kind, &sku, &data)
            }
        }
    }

    fn invoice(&mut self, events: &mut Vec<NewEvent>) {
        match self.dice.roll(16) {
            0..6 => {
                let (id, owed) = (new_id(), self.dice.roll(50_000));
                let due = now().date_naive() + TimeDelta::days(self.dice.roll(160) - 130);
                let customer_id = Uuid::from_u128(1 + self.dice.roll(5_u128)).to_string();
                let data =
                    InvoiceIssued { customer_id, ..issued_data(&id, owed, &due.to_string()) };
                events.push(event("invoice.issued", &id, &data));
                let (customer_id, due_date) = (data.customer_id, data.due_date);
                let invoice = Invoice { id, customer_id, due_date };
                if owed == 0 {
                    return self.settle(events, invoice);
                }
                self.invoices.push((invoice, owed));
            }
            6..9 => self.pay(events),
            9 => {
                let Some((invoice, owed)) = self.dice.take(&mut self.invoices) else { return };
                let (invoice_id, amount) = (invoice.id.clone(), money(owed));
                if self.dice.roll(2) == 0 {
                    let data = InvoiceVoided { invoice_id, amount, ..Default::default() };
                    events.push(event("invoice.voided", &invoice.id, &data));
                } else {
                    let data = InvoiceWrittenOff { invoice_id, amount, ..Default::default() };
                    events.push(event("invoice.written_off", &invoice.id, &data));
                }
            }
            10..12 => self.credit(events),
            12..15 => self.reverse(events),
            _ => {
                let Some((Invoice { id, .. }, _)) = self.invoices.first() else { return };
                let data = InvoiceOverdue { invoice_id: id.clone(), ..Default::default() };
                events.push(event("invoice.overdue", id, &data));
            }
        }
    }

    /// One payment, or credit, for up to three invoices, the last of them perhaps in part.
    fn pay(&mut self, events: &mut Vec<NewEvent>) {
        let (mut allocations, mut settled, mut paid) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..=self.dice.roll(3) {
            let Some((invoice, owed)) = self.dice.take(&mut self.invoices) else { break };
            let residual = if self.dice.roll(2) == 0 { 0 } else { self.dice.roll(owed) };
            allocations.push(PaymentAllocated {
                invoice_id: invoice.id.clone(),
                amount: money(owed - residual),
                residual: money(residual),
                ..Default::default()
            });
            paid.push((invoice.clone(), owed - residual));
            if residual == 0 {
                settled.push(invoice);
            } else {
                self.invoices.push((invoice, residual));
                break;
            }
        }
        let id = new_id();
        if self.dice.roll(4) == 0 {
            let data = CreditAllocated { allocations, ..Default::default() };
            events.push(event("credit.allocated", &id, &data));
        } else {
            let data = PaymentReceived { allocations, ..Default::default() };
            events.push(event("payment.received", &id, &data));
            if let [(invoice, amount)] = &paid[..] {
                self.payments.push((id, invoice.clone(), *amount));
            }
        }
        settled.into_iter().for_each(|invoice| self.settle(events, invoice));
    }

    /// The whole invoice or a part of it, or one that is paid already.
    fn credit(&mut self, events: &mut Vec<NewEvent>) {
        let open = self.dice.roll(3) > 0;
        let open = if open { self.dice.take(&mut self.invoices) } else { None };
        let owed = open.as_ref().map_or(0, |(_, owed)| *owed);
        let invoice = open.map(|(invoice, _)| invoice);
        let Some(invoice) = invoice.or_else(|| self.dice.take(&mut self.settled)) else { return };
        let residual = if owed == 0 { 0 } else { self.dice.roll(owed) };
        // As it was told before notes could be for a part.
        let whole = residual == 0 && self.dice.roll(2) == 0;
        let data = CreditNoteIssued {
            invoice_id: invoice.id.clone(),
            invoice_residual: if whole { None } else { money(residual) },
            ..Default::default()
        };
        events.push(event("credit_note.issued", &invoice.id, &data));
        if residual > 0 {
            self.invoices.push((invoice, residual));
        }
    }

    /// A payment bounces: what it paid is owed again, unless the invoice was taken back meanwhile.
    fn reverse(&mut self, events: &mut Vec<NewEvent>) {
        let Some((id, invoice, amount)) = self.dice.take(&mut self.payments) else { return };
        let open = self.invoices.iter().position(|(open, _)| *open == invoice);
        let settled = self.settled.iter().position(|settled| *settled == invoice);
        let residual = match (open, settled) {
            (Some(open), _) => self.invoices.swap_remove(open).1 + amount,
            (None, Some(settled)) => {
                self.settled.swap_remove(settled);
                amount
            }
            (None, None) => 0,
        };
        let part = PaymentAllocated {
            invoice_id: invoice.id.clone(),
            amount: money(amount),
            residual: money(residual),
            due_date: invoice.due_date.clone(),
        };
        let data = PaymentReversed {
            payment_id: id.clone(),
            customer_id: invoice.customer_id.clone(),
            allocations: vec![part],
            ..Default::default()
        };
        events.push(event("payment.reversed", &id, &data));
        if residual > 0 {
            self.invoices.push((invoice, residual));
        }
    }

    fn settle(&mut self, events: &mut Vec<NewEvent>, invoice: Invoice) {
        let data = InvoicePaid { invoice_id: invoice.id.clone(), ..Default::default() };
        events.push(event("invoice.paid", &invoice.id, &data));
        self.settled.push(invoice);
    }
}

/// Trade of all sources for a while, each by itself.
pub(crate) fn trade(shop: &Shop, transactions: usize, seed: u64) -> Vec<JoinHandle<()>> {
    let one = |source: &'static str| {
        let (log, mut trade) = (shop.log(source).clone(), Trade::new(source, seed));
        tokio::spawn(async move {
            trade.go_on_with(&log, transactions, Duration::from_millis(2)).await;
        })
    };
    SOURCES.into_iter().map(one).collect()
}

pub(crate) async fn ended(trade: Vec<JoinHandle<()>>) {
    for one in trade {
        one.await.unwrap();
    }
}

/// More trade does not begin then.
const LASTS_MAX: Duration = Duration::from_secs(120);

/// Trade that can begin again when it has ended, so that there is some for as long as it is needed.
pub(crate) struct Lasting<'a> {
    shop: &'a Shop,
    transactions: usize,
    seed: u64,
    under_way: Vec<JoinHandle<()>>,
    until: Instant,
}

impl<'a> Lasting<'a> {
    pub(crate) fn start(shop: &'a Shop, transactions: usize, seed: u64) -> Self {
        let (under_way, until) = (trade(shop, transactions, seed), Instant::now() + LASTS_MAX);
        Self { shop, transactions, seed, under_way, until }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.under_way.iter().all(JoinHandle::is_finished)
    }

    /// Begins again if it has ended.
    pub(crate) async fn go_on(&mut self) {
        if self.has_ended() {
            assert!(Instant::now() < self.until, "what is waited for does not come");
            ended(std::mem::take(&mut self.under_way)).await;
            self.seed += 1;
            self.under_way = trade(self.shop, self.transactions, self.seed);
        }
    }

    /// Waits for its end.
    pub(crate) async fn end(self) {
        ended(self.under_way).await;
    }
}

pub(crate) fn issued(id: &str, owed: i64, due_date: &str) -> NewEvent {
    event("invoice.issued", id, &issued_data(id, owed, due_date))
}

pub(crate) fn issued_data(id: &str, owed: i64, due_date: &str) -> InvoiceIssued {
    InvoiceIssued {
        invoice_id: id.to_owned(),
        customer_id: new_id(),
        amount: money(owed),
        due_date: due_date.to_owned(),
        ..Default::default()
    }
}

/// An order of one line.
pub(crate) fn order(id: &str, line_id: &str, price: i64) -> NewEvent {
    order_at(id, line_id, price, now())
}

pub(crate) fn order_at(id: &str, line_id: &str, price: i64, time: DateTime<Utc>) -> NewEvent {
    let line = OrderedLine {
        line_id: line_id.to_owned(),
        sku: "one".to_owned(),
        quantity: 1,
        unit_price: money(price),
        ..Default::default()
    };
    let data = OrderPlaced {
        order_id: id.to_owned(),
        customer_id: new_id(),
        total: money(price),
        place_time: Some(time.into()),
        lines: vec![line],
        ..Default::default()
    };
    event("order.placed", id, &data)
}

/// An order of no lines.
pub(crate) fn placed(id: &str, total: i64, time: &str) -> NewEvent {
    let time: DateTime<Utc> = time.parse().unwrap();
    let data = OrderPlaced {
        order_id: id.to_owned(),
        customer_id: new_id(),
        total: money(total),
        place_time: Some(time.into()),
        ..Default::default()
    };
    event("order.placed", id, &data)
}

pub(crate) fn cancelled(id: &str, total: i64, time: &str) -> NewEvent {
    let time: DateTime<Utc> = time.parse().unwrap();
    let data = OrderCancelled {
        order_id: id.to_owned(),
        total: money(total),
        place_time: Some(time.into()),
        ..Default::default()
    };
    event("order.cancelled", id, &data)
}

pub(crate) fn event(
    event_type: &'static str,
    subject: &str,
    data: &impl serde::Serialize,
) -> NewEvent {
    NewEvent::new(event_type, subject, 1, data, &Cause::of_call())
}

pub(crate) fn money(hundredths: i64) -> Option<Money> {
    Some(Money { amount: amount(hundredths), currency_code: "GBP".to_owned() })
}

pub(crate) fn new_id() -> String {
    Uuid::now_v7().to_string()
}
