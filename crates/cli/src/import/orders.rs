//! Orders: many in flight, submitted in the order of the file, each accepted or refused whole.
//!
//! Memory: a few times as many orders as are in flight.

use std::collections::{BTreeSet, HashSet};

use futures::{StreamExt, stream};
use money::Money;
use proto::{
    inventory::v1::{BatchGetProductsRequest, inventory_service_client::InventoryServiceClient},
    orders::v1::{CreateOrderLine, CreateOrderRequest, orders_service_client::OrdersServiceClient},
};
use rpc::Fields;
use tokio::{
    sync::Semaphore,
    time::{MissedTickBehavior, interval},
};

use super::{
    Shared, TICK,
    calls::Failure,
    check::{Check, reason, why},
    customers::CustomerIds,
    groups::{Group, Groups},
    progress::Progress,
    refused::Refused,
    source::{Row, Source},
    summary::Sales,
    verdict::Verdict,
};

pub(crate) const COLUMNS: [&str; 6] =
    ["order_ref", "customer_ref", "placed_at", "sku", "qty", "unit_price"];
const LINES_MAX: usize = 500;
/// Answers wait for those before them, so that refused orders are written in the order of the file: so many times as are in flight.
const AHEAD: usize = 4;

pub(crate) struct Orders<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) orders: OrdersServiceClient<rpc::Client>,
    pub(crate) inventory: InventoryServiceClient<rpc::Client>,
    pub(crate) customers: CustomerIds,
}

/// What became of an order.
enum Outcome {
    Accepted {
        lines: usize,
        total: Money,
    },
    /// Each row with its reason.
    Refused(Vec<(Row, String)>),
    /// The import ends.
    Unknown,
}

impl Orders<'_> {
    /// Sends all orders of a file.
    pub(crate) async fn import(&self, source: Source) -> anyhow::Result<Sales> {
        let Shared { calls, refused_dir, inputs, concurrency } = self.shared;
        let mut refused = Refused::new(refused_dir, "orders", source.header(), inputs);
        let mut progress = Progress::new("orders", &source, calls);
        let mut sales = Sales::default();
        let in_flight = Semaphore::new(*concurrency);
        let outcomes = stream::iter(Groups::new(source))
            .take_while(|_| std::future::ready(!calls.is_stopped()))
            .map(async |group| match group {
                Ok(group) => self.submit(group, &in_flight).await,
                Err(error) => {
                    calls.stop(format!("{error:#}"));
                    Outcome::Unknown
                }
            })
            .buffered(concurrency * AHEAD);
        let mut outcomes = std::pin::pin!(outcomes);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                next = outcomes.next() => match next {
                    Some(Outcome::Accepted { lines, total }) => sales.accept(lines, total),
                    Some(Outcome::Refused(rows)) => {
                        sales.refuse(rows.len());
                        for (row, reason) in &rows {
                            refused.write(row, reason)?;
                        }
                    }
                    Some(Outcome::Unknown) => (),
                    None => break,
                },
                _ = tick.tick() => progress.show(sales.accepted + sales.refused),
            }
        }
        sales.elapsed = progress.finish(sales.accepted + sales.refused);
        sales.refused_file = refused.finish()?;
        Ok(sales)
    }

    async fn submit(&self, group: Group, in_flight: &Semaphore) -> Outcome {
        let (request, mut whys) = read(&group, &self.customers);
        let Ok(_permit) = in_flight.acquire().await else { return Outcome::Unknown };
        if whys.iter().any(|whys| !whys.is_empty()) {
            let Ok(unknown) = self.unknown_skus(&request).await else { return Outcome::Unknown };
            for (row, whys) in group.rows.iter().zip(&mut whys) {
                if unknown.contains(row.get("sku")) {
                    whys.push(why(row, "sku", "is not in the catalogue"));
                }
            }
            return refuse(group, whys, &[]);
        }
        let call = async || self.orders.clone().create_order(request.clone()).await;
        match self.shared.calls.patiently("orders-svc", call).await {
            Ok(answer) => {
                let total = answer.order.and_then(|order| order.total).unwrap_or_default();
                match Money::parse(&total.amount) {
                    Ok(total) => Outcome::Accepted { lines: group.rows.len(), total },
                    Err(error) => {
                        let total = total.amount;
                        let calls = &self.shared.calls;
                        calls
                            .stop(format!("orders-svc answers with a total of {total:?}: {error}"));
                        Outcome::Unknown
                    }
                }
            }
            Err(Failure::Refused(status)) => {
                let verdict = Verdict::read(&status, "lines");
                let whys = by_row(&group.rows, &verdict);
                let mut general: Vec<String> = verdict
                    .fields
                    .iter()
                    .map(|(column, said)| why(&group.rows[0], column, said))
                    .collect();
                if general.is_empty() && whys.iter().all(Vec::is_empty) {
                    general.push(verdict.message);
                }
                refuse(group, whys, &general)
            }
            Err(Failure::Stopped) => Outcome::Unknown,
        }
    }

    /// Those SKUs of an order that is refused anyway which the catalogue lacks too: each bad line hears of it the first time.
    async fn unknown_skus(&self, request: &CreateOrderRequest) -> Result<HashSet<String>, Failure> {
        let sound = |sku: &str| {
            let mut fields = Fields::default();
            fields.sku("sku", sku.to_owned());
            fields.is_clean()
        };
        let lines = request.lines.iter().take(LINES_MAX);
        let skus: BTreeSet<&String> =
            lines.map(|line| &line.sku).filter(|sku| sound(sku)).collect();
        let mut unknown: HashSet<String> = skus.into_iter().cloned().collect();
        if unknown.is_empty() {
            return Ok(unknown);
        }
        let asked = BatchGetProductsRequest { skus: unknown.iter().cloned().collect() };
        let call = async || self.inventory.clone().batch_get_products(asked.clone()).await;
        match self.shared.calls.patiently("inventory-svc", call).await {
            Ok(found) => {
                for product in found.products {
                    unknown.remove(&product.sku);
                }
                Ok(unknown)
            }
            Err(Failure::Refused(_)) => Ok(HashSet::new()),
            Err(Failure::Stopped) => Err(Failure::Stopped),
        }
    }
}

/// An order as a request, and what is wrong with each of its rows.
fn read(group: &Group, customers: &CustomerIds) -> (CreateOrderRequest, Vec<Vec<String>>) {
    let first = &group.rows[0];
    let mut request = CreateOrderRequest {
        request_id: group.request_id.to_string(),
        customer_id: customers.get(first.get("customer_ref")).cloned().unwrap_or_default(),
        place: true,
        ..CreateOrderRequest::default()
    };
    let mut whys = Vec::with_capacity(group.rows.len());
    for row in &group.rows {
        let mut check = Check::new(row);
        check.text("order_ref", 1, 255);
        if let Some(line) = group.earlier {
            let together = "the lines of an order must stand together";
            check.bad("order_ref", format!("is that of line {line} already: {together}"));
        }
        if group.rows.len() > LINES_MAX {
            let count = group.rows.len();
            check.bad("order_ref", format!("has {count} lines: at most {LINES_MAX} are possible"));
        }
        let customer_ref = check.text("customer_ref", 1, 255);
        if !customer_ref.is_empty() && !customers.contains_key(&customer_ref) {
            check.bad("customer_ref", "is not among the customers that were accepted");
        }
        request.place_time = check.time("placed_at");
        for column in ["customer_ref", "placed_at"] {
            if row.get(column) != first.get(column) {
                let value = first.get(column);
                check.bad(column, format!("is {value:?} at line {} of the same order", first.line));
            }
        }
        request.lines.push(CreateOrderLine {
            sku: check.sku("sku"),
            quantity: check.whole("qty", 1, 1_000_000),
            unit_price: Some(check.price("unit_price")),
            tax_rate: String::new(),
        });
        whys.push(check.done());
    }
    (request, whys)
}

fn by_row(rows: &[Row], verdict: &Verdict) -> Vec<Vec<String>> {
    let of_row = |(place, row): (usize, &Row)| {
        let named = verdict.places.get(&place).into_iter().flatten();
        let mut whys: Vec<String> = named.map(|(column, said)| why(row, column, said)).collect();
        whys.extend(verdict.skus.get(row.get("sku")).map(|said| why(row, "sku", said)));
        whys
    };
    rows.iter().enumerate().map(of_row).collect()
}

/// Gives each row of a refused order a reason: its own, that of the whole order, or which rows are to blame.
fn refuse(group: Group, whys: Vec<Vec<String>>, general: &[String]) -> Outcome {
    let blamed = group.rows.iter().zip(&whys).filter(|(_, whys)| !whys.is_empty());
    let blamed: Vec<String> = blamed.map(|(row, _)| row.line.to_string()).collect();
    let count = blamed.len();
    let mut lines = blamed.into_iter().take(5).collect::<Vec<_>>().join(", ");
    if count > 5 {
        lines += " and more";
    }
    let with = format!("the order is refused for line {lines}");
    let rows = group.rows.into_iter().zip(whys).map(|(row, mut whys)| {
        whys.extend(general.iter().cloned());
        if whys.is_empty() {
            whys.push(with.clone());
        }
        let reason = reason(&row, &whys);
        (row, reason)
    });
    Outcome::Refused(rows.collect())
}
