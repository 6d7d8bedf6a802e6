//! Whole imports against services in memory.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rpc::ClientConfig;
use tempfile::TempDir;

use crate::import::{
    Import, Shared,
    calls::Calls,
    import_all, inputs, open,
    summary::Summary,
    tests::{
        fake::{self, World},
        rows,
    },
};

struct Shop {
    dir: TempDir,
    url: String,
    world: fake::Shared,
}

impl Shop {
    async fn new() -> Self {
        let world: fake::Shared = Arc::default();
        let url = fake::serve(Arc::clone(&world)).await;
        Self { dir: tempfile::tempdir().unwrap(), url, world }
    }

    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    fn file(&self, name: &str, contents: &str) -> Option<PathBuf> {
        let path = self.dir.path().join(name);
        fs::write(&path, contents).unwrap();
        Some(path)
    }

    fn refused(&self, name: &str) -> PathBuf {
        self.dir.path().join("refused").join(name)
    }

    fn command(&self) -> Import {
        Import {
            products: None,
            customers: None,
            stock: None,
            orders: None,
            refused_dir: self.dir.path().join("refused"),
            json: None,
            concurrency: 8,
            patience: Duration::from_secs(1),
            delivery: String::new(),
            orders_url: self.url.clone(),
            inventory_url: self.url.clone(),
            client: ClientConfig::default(),
        }
    }
}

async fn run(import: &Import) -> Summary {
    let calls = Calls::new(import.patience);
    run_with(import, &calls).await
}

async fn run_with(import: &Import, calls: &Calls) -> Summary {
    let sources = open(import).unwrap();
    let shared = Shared {
        calls: calls.clone(),
        refused_dir: import.refused_dir.clone(),
        inputs: inputs(&sources).unwrap(),
        concurrency: import.concurrency.into(),
    };
    let mut summary = import_all(import, sources, &shared).await.unwrap();
    summary.why = calls.why();
    summary
}

fn reasons(path: &Path, key: &str) -> BTreeMap<String, String> {
    rows(path).into_iter().map(|row| (row[key].clone(), row["reason"].clone())).collect()
}

const PRODUCTS: &str = "sku,name,description,price\n\
    P1,Tea,,1.50\nP2,Milk,Semi,0.89\nP 3,Jam,,2.00\nP4,Bread,,1.005\nP1,Tea again,,1.50\nP5,Eggs,Six,2.20\n";
const CUSTOMERS: &str = "customer_ref,name,email,phone\n\
    H1,Ann,ann@example.com,\nH2,Bob,bob.example.com,\nH3,Cid,cid@example.com,01\nH4,Ann 2,ANN@example.com,\n";
const STOCK: &str = "sku,qty,reorder_point\nP1,10,2\nP2,5,\nP9,1,1\nP5,0,3\n";
const ORDERS: &str = "order_ref,customer_ref,placed_at,sku,qty,unit_price\n\
    O1,H1,2017-01-09T08:00:00Z,P1,2,1.50\n\
    O1,H1,2017-01-09T08:00:00Z,P2,1,0.8\n\
    O2,H2,2017-01-09T09:00:00Z,P1,1,1.50\n\
    O3,H3,2017-01-09T10:00:00Z,P1,0,1.50\n\
    O3,H3,2017-01-09T10:00:00Z,P2,1,0.89\n\
    O3,H3,2017-01-09T10:00:00Z,P9,1,0.89\n\
    O4,H3,2017-01-09T11:00:00Z,P9,1,0.89\n\
    O4,H3,2017-01-09T11:00:00Z,P1,1,1.00\n\
    O5,H3,2017-01-09T12:00:00Z,P1,1,1.00\n\
    O5,H3,2017-01-09T12:00:00Z,P2,5,1.00\n\
    O1,H1,2017-01-09T08:00:00Z,P1,1,1.50\n\
    O6,H3,2017-01-09T13:00:00Z,P1,1,1.00\n\
    O6,H1,2017-01-09T13:00:01Z,P1,1,1.00\n\
    O7,H3,2017-01-09T14:00:00Z,P1,3,1.00\n";

fn everything(shop: &Shop) -> Import {
    Import {
        products: shop.file("products.csv", PRODUCTS),
        customers: shop.file("customers.csv", CUSTOMERS),
        stock: shop.file("stock.csv", STOCK),
        orders: shop.file("orders.csv", ORDERS),
        ..shop.command()
    }
}

#[tokio::test]
async fn what_is_good_goes_in_and_the_rest_comes_back_with_reasons() {
    let shop = Shop::new().await;
    let json = run(&everything(&shop)).await.json();
    let expected = serde_json::json!({
        "finished": true,
        "products_accepted": 3, "products_refused": 3,
        "customers_accepted": 2, "customers_refused": 2,
        "stock_accepted": 3, "stock_refused": 1,
        "orders_accepted": 2, "orders_refused": 6,
        "lines_accepted": 3, "lines_refused": 11,
        "total_accepted": "6.80",
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(json[name], *value, "{name}");
    }
    assert_eq!(shop.world().stock, BTreeMap::from([("P1".into(), 5), ("P2".into(), 4)]));

    let products = reasons(&shop.refused("products.csv"), "name");
    assert_eq!(products["Jam"], "line 4: sku \"P 3\" may hold letters, digits, and . _ - / only");
    assert_eq!(products["Bread"], "line 5: price \"1.005\" is more than two decimal places");
    assert_eq!(products["Tea again"], "line 6: sku \"P1\" is that of line 2 already");
    let customers = reasons(&shop.refused("customers.csv"), "name");
    assert_eq!(customers["Bob"], "line 3: email \"bob.example.com\" is not an e-mail address");
    assert_eq!(customers["Ann 2"], "line 5: email \"ANN@example.com\" is that of line 2 already");
    let stock = reasons(&shop.refused("stock.csv"), "sku");
    assert_eq!(stock["P9"], "line 4: sku \"P9\" is not in the catalogue");
    let orders: Vec<String> =
        rows(&shop.refused("orders.csv")).into_iter().map(|row| row["reason"].clone()).collect();
    let together =
        "order_ref \"O1\" is that of line 2 already: the lines of an order must stand together";
    assert_eq!(
        orders,
        [
            "line 4: customer_ref \"H2\" is not among the customers that were accepted",
            "line 5: qty \"0\" is 0: 1 to 1000000 are possible",
            "line 6: the order is refused for line 5, 7",
            "line 7: sku \"P9\" is not in the catalogue",
            "line 8: sku \"P9\" is not in the catalogue",
            "line 9: the order is refused for line 8",
            "line 10: the order is refused for line 11",
            "line 11: sku \"P2\" has too little stock: requested 5, available 4",
            &format!("line 12: {together}"),
            "line 13: the order is refused for line 14",
            "line 14: customer_ref \"H1\" is \"H3\" at line 13 of the same order; placed_at \"2017-01-09T13:00:01Z\" is \"2017-01-09T13:00:00Z\" at line 13 of the same order",
        ]
    );
}

#[tokio::test]
async fn running_again_doubles_nothing_though_answers_get_lost() {
    let shop = Shop::new().await;
    shop.world().lose_every = 3;
    let import = everything(&shop);
    let first = run(&import).await.json();
    let stock = shop.world().stock.clone();
    let orders = shop.world().orders.clone();
    for _ in 0..3 {
        let again = run(&import).await.json();
        for name in ["orders_accepted", "orders_refused", "total_accepted", "stock_accepted"] {
            assert_eq!(again[name], first[name], "{name}");
        }
    }
    assert_eq!(shop.world().stock, stock);
    assert_eq!(shop.world().orders, orders);
    let second_delivery = Import { delivery: "second".to_owned(), orders: None, ..import };
    run(&second_delivery).await;
    assert_eq!(shop.world().stock["P1"], stock["P1"] + 10);
}

#[tokio::test]
async fn refused_lines_are_mended_and_imported_as_they_are() {
    let shop = Shop::new().await;
    run(&everything(&shop)).await;
    let path = shop.refused("orders.csv");
    let kept = |line: &&str| !line.starts_with("O1,") && !line.starts_with("O5,");
    let text = fs::read_to_string(&path).unwrap();
    let text: String =
        text.lines().filter(kept).fold(String::new(), |text, line| text + line + "\n");
    let mended = text
        .replace(",P1,0,", ",P1,1,")
        .replace(",P9,", ",P2,")
        .replace("O2,H2,", "O2,H1,")
        .replace("O6,H1,2017-01-09T13:00:01Z", "O6,H3,2017-01-09T13:00:00Z");
    fs::write(&path, mended).unwrap();
    let customers = shop.file("customers.csv", CUSTOMERS);
    let import = Import { customers, orders: Some(path.clone()), ..shop.command() };
    let json = run(&import).await.json();
    assert_eq!((&json["orders_accepted"], &json["orders_refused"]), (&4.into(), &0.into()));
    assert!(!shop.refused("orders-refused.csv").exists());
    assert_eq!(shop.world().orders.len(), 6);
}

/// So many products, of which some are known to the service with other contents and one is refused without a name.
#[tokio::test]
async fn a_bad_row_of_a_batch_sinks_none_of_its_neighbours() {
    let shop = Shop::new().await;
    let known = (0..1200).filter(|n| n % 100 == 7).fold(String::new(), |mut text, n| {
        writeln!(text, "P{n},Known,,1.00").unwrap();
        text
    });
    let head = "sku,name,description,price\n";
    let products = shop.file("products.csv", &format!("{head}{known}"));
    run(&Import { products, ..shop.command() }).await;

    let all = (0..1200).fold(String::new(), |mut text, n| {
        let name = if n == 640 { "UNSPEAKABLE" } else { "New" };
        writeln!(text, "P{n},{name},,1.00").unwrap();
        text
    });
    let products = shop.file("products.csv", &format!("{head}{all}"));
    let json = run(&Import { products, ..shop.command() }).await.json();
    assert_eq!(json["products_accepted"], 1187);
    assert_eq!(json["products_refused"], 13);
    let reasons = reasons(&shop.refused("products.csv"), "sku");
    assert_eq!(reasons["P107"], "line 109: sku \"P107\" exists with other contents");
    assert_eq!(reasons["P640"], "line 642: there is something unspeakable");
    let lines: Vec<String> =
        rows(&shop.refused("products.csv")).iter().map(|row| row["sku"].clone()).collect();
    assert_eq!(lines.first().map(String::as_str), Some("P7"));
    assert_eq!(lines[7], "P640", "in the order of the file");
}

/// As many orders as need several rounds, each of its own customer line.
fn many(shop: &Shop, count: usize) -> Import {
    let orders = (0..count).fold(String::new(), |mut text, n| {
        writeln!(text, "O{n},H1,2017-01-09T08:00:00Z,P1,1,1.50").unwrap();
        text
    });
    let head = "order_ref,customer_ref,placed_at,sku,qty,unit_price\n";
    Import {
        products: shop.file("products.csv", "sku,name,description,price\nP1,Tea,,1.50\n"),
        customers: shop.file("customers.csv", CUSTOMERS),
        stock: shop.file("stock.csv", &format!("sku,qty,reorder_point\nP1,{count},\n")),
        orders: shop.file("orders.csv", &format!("{head}{orders}")),
        ..shop.command()
    }
}

#[tokio::test]
async fn an_import_that_was_stopped_goes_on_without_doubling() {
    let shop = Shop::new().await;
    let import = many(&shop, 2000);
    let calls = Calls::new(Duration::from_secs(1));
    let stopping = calls.clone();
    let world = Arc::clone(&shop.world);
    tokio::spawn(async move {
        while world.lock().unwrap().orders.len() < 100 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stopping.stop("interrupted");
    });
    let summary = run_with(&import, &calls).await;
    let json = summary.json();
    assert_eq!(json["finished"], false);
    let accepted = json["orders_accepted"].as_u64().unwrap();
    let held = u64::try_from(shop.world().orders.len()).unwrap();
    assert!((100..2000).contains(&held), "{held}");
    assert_eq!(accepted, held, "what was in flight is waited for");
    assert!(summary.text().contains("interrupted.\nRun the same command again"));

    let json = run(&import).await.json();
    assert_eq!(json["orders_accepted"], 2000);
    assert_eq!(json["total_accepted"], "3000.00");
    assert_eq!(shop.world().orders.len(), 2000);
    assert_eq!(shop.world().stock["P1"], 0);
}

#[tokio::test]
async fn a_service_that_stays_away_ends_the_import() {
    let shop = Shop::new().await;
    let import = many(&shop, 500);
    shop.world().away_from = 100;
    let summary = run(&import).await;
    let why = summary.why.as_deref().unwrap();
    assert!(why.contains("orders-svc: for 1 s in vain: nobody is there"), "{why}");
    assert_eq!(summary.json()["finished"], false);

    shop.world().away_from = 0;
    assert_eq!(run(&import).await.json()["orders_accepted"], 500);
    assert_eq!(shop.world().orders.len(), 500);
}

#[tokio::test]
async fn orders_are_submitted_in_the_order_of_the_file_and_may_be_up_to_500_lines() {
    let shop = Shop::new().await;
    let line = |order: &str, lines: usize| {
        format!("{order},H1,2017-01-09T08:00:00Z,P1,1,1.50\n").repeat(lines)
    };
    let mut import = many(&shop, 2000);
    let head = "order_ref,customer_ref,placed_at,sku,qty,unit_price\n";
    let text = [head.to_owned(), line("A", 500), line("B", 501), line("C", 1)].concat();
    import.orders = shop.file("orders.csv", &text);
    import.concurrency = 1;
    let json = run(&import).await.json();
    assert_eq!((&json["orders_accepted"], &json["lines_refused"]), (&2.into(), &501.into()));
    let counts: Vec<usize> = shop.world().orders.iter().map(|order| order.lines.len()).collect();
    assert_eq!(counts, [500, 1]);
}

#[tokio::test]
async fn an_import_that_cannot_begin_says_why() {
    let shop = Shop::new().await;
    let refusal = |import: &Import| open(import).err().map(|error| format!("{error:#}")).unwrap();
    assert!(refusal(&shop.command()).starts_with("nothing to import"));
    let orders = shop.file("orders.csv", ORDERS);
    let without = Import { orders, ..shop.command() };
    assert!(refusal(&without).starts_with("--orders needs --customers too"));
    let stock = shop.file("stock.csv", "sku,qty\n");
    let import = Import { stock, ..shop.command() };
    assert!(refusal(&import).contains("missing: reorder_point"));
}
