//! `bramble import`: products, customers, stock and orders from CSV files, through the services' own doors.
//!
//! Every row is checked here and judged by the services; what is refused goes to a file with its reasons, the rest goes in. Nothing is
//! doubled by running the same import again: products and customers are known by SKU and e-mail address, deliveries by their contents,
//! orders by their `order_ref`. Memory does not grow with the orders but for their ids.

mod source;
mod check;
mod refused;
mod calls;
mod verdict;
mod progress;
mod batches;
mod products;
mod customers;
mod stock;
mod groups;
mod orders;
mod summary;
#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use proto::{
    inventory::v1::inventory_service_client::InventoryServiceClient,
    orders::v1::orders_service_client::OrdersServiceClient,
};
use rpc::ClientConfig;
use tokio::signal::unix::{SignalKind, signal};

use crate::duration;
use calls::Calls;
use customers::{CustomerIds, Customers};
use orders::Orders;
use products::Products;
use source::Source;
use stock::Stock;
use summary::Summary;

const UNFINISHED: u8 = 2;
/// How often progress is shown.
const TICK: Duration = Duration::from_millis(200);

/// Import products, customers, stock and orders from CSV files, plain or gzipped. Ends with 0 when all lines were judged, also when some
/// were refused, and with 2 when it could not finish.
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// Columns `sku, name, description, price`.
    #[arg(long, value_name = "FILE")]
    products: Option<PathBuf>,
    /// Columns `customer_ref, name, email, phone`.
    #[arg(long, value_name = "FILE")]
    customers: Option<PathBuf>,
    /// Columns `sku, qty, reorder_point`; the last may be empty.
    #[arg(long, value_name = "FILE")]
    stock: Option<PathBuf>,
    /// Columns `order_ref, customer_ref, placed_at, sku, qty, unit_price`: one row a line, the lines of an order together.
    #[arg(long, value_name = "FILE")]
    orders: Option<PathBuf>,
    /// Where the lines that are refused go, with their reasons.
    #[arg(long, value_name = "DIR", default_value = "refused")]
    refused_dir: PathBuf,
    /// Also write the result as JSON; - is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Orders in flight.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// How long a service may be away before the import ends.
    #[arg(long, default_value = "60s", value_parser = duration::parse)]
    patience: Duration,
    /// Names the delivery of --stock: the same goods are received once under each name.
    #[arg(long, value_name = "NAME", default_value = "")]
    delivery: String,
    #[arg(long, env = "BRAMBLE_ORDERS_URL", default_value = "http://127.0.0.1:50051")]
    orders_url: String,
    #[arg(long, env = "BRAMBLE_INVENTORY_URL", default_value = "http://127.0.0.1:50052")]
    inventory_url: String,
    #[command(flatten)]
    client: ClientConfig,
}

/// What all parts of an import need.
pub(crate) struct Shared {
    calls: Calls,
    refused_dir: PathBuf,
    /// The files that are being read, as their real paths.
    inputs: Vec<PathBuf>,
    concurrency: usize,
}

struct Sources {
    products: Option<Source>,
    customers: Option<Source>,
    stock: Option<Source>,
    orders: Option<Source>,
}

pub(crate) async fn run(import: Import) -> ExitCode {
    match run_to_end(import).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(UNFINISHED),
        Err(error) => {
            eprintln!("bramble: {error:#}");
            ExitCode::from(UNFINISHED)
        }
    }
}

/// True when all lines were judged.
async fn run_to_end(import: Import) -> anyhow::Result<bool> {
    let sources = open(&import)?;
    let shared = Shared {
        calls: Calls::new(import.patience),
        refused_dir: import.refused_dir.clone(),
        inputs: inputs(&sources)?,
        concurrency: import.concurrency.into(),
    };
    stop_on_signal(shared.calls.clone())?;
    let started = Instant::now();
    let mut summary = import_all(&import, sources, &shared).await?;
    summary.elapsed = started.elapsed();
    summary.why = shared.calls.why();
    report(&summary, import.json.as_deref())?;
    Ok(summary.why.is_none())
}

/// Opens all files and checks their columns, before anything is sent.
fn open(import: &Import) -> anyhow::Result<Sources> {
    let Import { products, customers, stock, orders, .. } = import;
    ensure!(
        products.is_some() || customers.is_some() || stock.is_some() || orders.is_some(),
        "nothing to import: give --products, --customers, --stock or --orders"
    );
    ensure!(
        orders.is_none() || customers.is_some(),
        "--orders needs --customers too: orders name their customers by customer_ref, and only that file tells whose e-mail address that is. Customers that are known already are left as they are"
    );
    let open = |path: &Option<PathBuf>, columns: &[&str]| {
        path.as_deref().map(|path| Source::open(path, columns)).transpose()
    };
    Ok(Sources {
        products: open(products, &products::COLUMNS)?,
        customers: open(customers, &customers::COLUMNS)?,
        stock: open(stock, &stock::COLUMNS)?,
        orders: open(orders, &orders::COLUMNS)?,
    })
}

fn inputs(sources: &Sources) -> anyhow::Result<Vec<PathBuf>> {
    let Sources { products, customers, stock, orders } = sources;
    let all = [products, customers, stock, orders].into_iter().flatten();
    all.map(|source| Ok(fs::canonicalize(source.path())?)).collect()
}

async fn import_all(import: &Import, sources: Sources, shared: &Shared) -> anyhow::Result<Summary> {
    let calls = &shared.calls;
    let orders = OrdersServiceClient::new(import.client.client(&import.orders_url)?);
    let inventory = InventoryServiceClient::new(import.client.client(&import.inventory_url)?);
    let mut summary = Summary::default();
    if let Some(source) = sources.products {
        let products = Products { calls: calls.clone(), inventory: inventory.clone() };
        summary.products = Some(batches::import(shared, "products", source, &products).await?);
    }
    let mut ids = CustomerIds::new();
    if let Some(source) = sources.customers.filter(|_| !calls.is_stopped()) {
        let customers = Customers::new(calls.clone(), orders.clone());
        summary.customers = Some(batches::import(shared, "customers", source, &customers).await?);
        ids = customers.into_ids();
    }
    if let Some(source) = sources.stock.filter(|_| !calls.is_stopped()) {
        let delivery = import.delivery.clone();
        let stock = Stock { calls: calls.clone(), inventory: inventory.clone(), delivery };
        summary.stock = Some(batches::import(shared, "stock", source, &stock).await?);
    }
    if let Some(source) = sources.orders.filter(|_| !calls.is_stopped()) {
        let orders = Orders { shared, orders, inventory, customers: ids };
        summary.orders = Some(orders.import(source).await?);
    }
    Ok(summary)
}

fn report(summary: &Summary, json: Option<&Path>) -> anyhow::Result<()> {
    match json {
        None => println!("{}", summary.text()),
        Some(path) if path == Path::new("-") => {
            eprintln!("{}", summary.text());
            println!("{:#}", summary.json());
        }
        Some(path) => {
            println!("{}", summary.text());
            fs::write(path, format!("{:#}\n", summary.json()))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

/// The first signal lets what is in flight end, the second does not.
fn stop_on_signal(calls: Calls) -> anyhow::Result<()> {
    let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::spawn(async move {
        tokio::select! { _ = int.recv() => (), _ = term.recv() => () }
        calls.stop("interrupted");
        eprintln!("stopping once what is in flight has been answered; once more stops at once");
        tokio::select! { _ = int.recv() => (), _ = term.recv() => () }
        std::process::exit(130);
    });
    Ok(())
}
