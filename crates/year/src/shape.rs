//! What real trade looks like: a folder as `bramble import` takes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    path::Path,
};

use anyhow::{Context, ensure};
use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use flate2::read::GzDecoder;
use serde::{Deserialize, de::DeserializeOwned};

use crate::money::Pence;

#[derive(Debug, Deserialize)]
pub(crate) struct Product {
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) price: Pence,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Customer {
    customer_ref: String,
    pub(crate) name: String,
    pub(crate) email: String,
}

#[derive(Debug, Deserialize)]
struct Stock {
    sku: String,
    qty: i32,
    reorder_point: i32,
}

#[derive(Debug, Deserialize)]
struct Line {
    order_ref: String,
    customer_ref: String,
    placed_at: DateTime<Utc>,
    sku: String,
    qty: i32,
    unit_price: Pence,
}

/// An order without what was in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Basket {
    /// Since Monday began.
    pub(crate) second_of_week: i64,
    pub(crate) lines: usize,
    pub(crate) customer: usize,
}

/// A line without its order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bought {
    pub(crate) product: usize,
    pub(crate) quantity: i32,
    pub(crate) price: Pence,
}

/// What a year is drawn from.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) products: Vec<Product>,
    pub(crate) customers: Vec<Customer>,
    /// What is there when trade begins, and the reorder point, by product.
    pub(crate) stock: Vec<(i32, i32)>,
    pub(crate) baskets: Vec<Basket>,
    pub(crate) bought: Vec<Bought>,
    /// How many days the orders are of.
    pub(crate) days: usize,
}

impl Shape {
    /// Real files are dirty: an order with a line that cannot be is left out, as an import refuses it.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let products: Vec<Product> = rows(folder, "products")?;
        let customers: Vec<Customer> = rows(folder, "customers")?;
        let by_sku: BTreeMap<&str, usize> =
            products.iter().enumerate().map(|(at, product)| (product.sku.as_str(), at)).collect();
        let by_ref: BTreeMap<&str, usize> = customers
            .iter()
            .enumerate()
            .map(|(at, customer)| (customer.customer_ref.as_str(), at))
            .collect();
        let mut stock = vec![(0, 0); products.len()];
        for row in rows::<Stock>(folder, "stock")? {
            let place = by_sku.get(row.sku.as_str()).and_then(|at| stock.get_mut(*at));
            *place.with_context(|| format!("stock of {}, which is no product", row.sku))? =
                (row.qty, row.reorder_point);
        }
        let (mut baskets, mut bought, mut days) = (Vec::new(), Vec::new(), BTreeSet::new());
        let lines: Vec<Line> = rows(folder, "orders")?;
        for order in lines.chunk_by(|line, next| line.order_ref == next.order_ref) {
            let Some(Line { placed_at, customer_ref, .. }) = order.first() else { continue };
            let of_order = order.iter().map(|line| {
                let product = *by_sku.get(line.sku.as_str())?;
                let bought = Bought { product, quantity: line.qty, price: line.unit_price };
                (line.qty > 0).then_some(bought)
            });
            let Some(of_order) = of_order.collect::<Option<Vec<_>>>() else { continue };
            let Some(customer) = by_ref.get(customer_ref.as_str()) else { continue };
            days.insert(day_of(*placed_at));
            baskets.push(Basket {
                second_of_week: second_of_week(*placed_at),
                lines: of_order.len(),
                customer: *customer,
            });
            bought.extend(of_order);
        }
        ensure!(!baskets.is_empty(), "{} has no order that can be", folder.display());
        Ok(Self { products, customers, stock, baskets, bought, days: days.len() })
    }
}

fn day_of(at: DateTime<Utc>) -> NaiveDate {
    at.date_naive()
}

fn second_of_week(at: DateTime<Utc>) -> i64 {
    let day = i64::from(at.weekday().num_days_from_monday());
    day * 86_400 + i64::from(at.time().num_seconds_from_midnight())
}

/// Of a CSV file, plain or gzipped.
fn rows<T: DeserializeOwned>(folder: &Path, what: &str) -> anyhow::Result<Vec<T>> {
    let plain = folder.join(format!("{what}.csv"));
    let (path, reader): (_, Box<dyn Read>) = match File::open(&plain) {
        Ok(file) => (plain, Box::new(file)),
        Err(_) => {
            let path = plain.with_extension("csv.gz");
            let file = File::open(&path)
                .with_context(|| format!("{} or {}", plain.display(), path.display()))?;
            (path, Box::new(GzDecoder::new(file)))
        }
    };
    let rows = csv::Reader::from_reader(reader).into_deserialize().collect::<Result<_, _>>();
    rows.with_context(|| path.display().to_string())
}
