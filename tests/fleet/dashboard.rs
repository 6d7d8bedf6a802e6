//! The dashboard in a real Chromium: `tests/browser/dashboard.mjs` looks, this file trades.

use std::{fs, path::PathBuf, process::Stdio};

use proto::{
    inventory::v1::{CreateProductRequest, ReceiveStockRequest},
    orders::v1::CreateCustomerRequest,
};
use serde_json::json;
use stack::{
    Interrupt, Port,
    process::{Program, Stop, tied},
};
use testkit::{Keys, past_midnight};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::Command as AsyncCommand,
};

use crate::world::{World, bin, money, root, said};

/// Where it is another day than in Europe most of the time.
const SETTINGS: [(&str, &str); 2] =
    [("BRAMBLE_TIME_ZONE", "Pacific/Auckland"), ("BRAMBLE_CURRENCY", "NZD")];
const PRODUCTS: &str = "sku,name,description,price
JAM-340,\"Blackberry jam, 340 g\",,8.90
TEA-125,Assam loose leaf,,14.50
OAT-1K,Rolled oats,,5.20
HON-500,Clover honey,,16.00
CHU-300,Plum chutney,,9.40
SOD-750,Soda bread,,7.10
";
const CUSTOMERS: &str = "customer_ref,name,email,phone
C0,Aroha,aroha@example.com,
C1,\"<script>window.pwned=3</script>\",ben@example.com,
C2,Cora,cora@example.com,
";
const HOSTILE: &str =
    r#"<img src=x onerror="window.pwned=1"></td><script>window.pwned=2</script>&amp;"#;
/// Six weeks of a shop that is closed on Sundays, up to now.
const TRADE: &str = "
    with days as (
      select d, (now() at time zone 'Pacific/Auckland')::date - d as day from generate_series(0, 42) d),
    placed as (
      select (day + time '08:05' + k * interval '49 minutes' + d * 13 % 29 * interval '1 minute')
               at time zone 'Pacific/Auckland' as at
      from days, generate_series(0, 11) k
      where extract(isodow from day) < 7 and (d * 5 + k * 3) % 7 < 5 - d % 2),
    orders as (
      select row_number() over (order by at) as n, at from placed where at < now()),
    lines as (
      select n, at, n * n % 3 as customer, 1 + n * 7 % 4 as qty,
             (array['JAM-340', 'TEA-125', 'OAT-1K', 'HON-500', 'CHU-300', 'SOD-750'])[1 + n * 5 % 6] as sku,
             (array['8.90', '14.50', '5.20', '16.00', '9.40', '7.10'])[1 + n * 5 % 6] as price
      from orders)";
const ORDERS: &str = "select E'order_ref,customer_ref,placed_at,sku,qty,unit_price\n' || string_agg(concat_ws(',',
      'O' || n, 'C' || customer, to_char(at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), sku, qty, price), E'\n' order by n)
    from lines";
/// So much that a little is left of each.
const STOCK: &str = "select E'sku,qty,reorder_point\n' || string_agg(concat_ws(',', sku, ordered + spare, point), E'\n' order by sku)
    from (select sku, sum(qty) as ordered, ascii(sku) * 7 % 23 as spare, 12 as point from lines group by sku) s";

/// All of it is counted then.
async fn trade(world: &World) {
    let folder = world.folder.path();
    // The same for all that is asked: another order may be due in a moment.
    let trade = TRADE.replace("now()", &format!("timestamptz '{}'", world.sql("now()").await));
    let mut import = world.fleet.cli().unwrap();
    import.arg("import").arg("--refused-dir").arg(folder.join("refused"));
    for (what, text) in [
        ("products", PRODUCTS.to_owned()),
        ("customers", CUSTOMERS.to_owned()),
        ("stock", world.sql(&format!("{trade} {STOCK}")).await),
        ("orders", world.sql(&format!("{trade} {ORDERS}")).await),
    ] {
        let file = folder.join(format!("{what}.csv"));
        fs::write(&file, text).unwrap();
        import.arg(format!("--{what}")).arg(file);
    }
    said(&mut import);
    world.bramble(&["report", "sales", "--wait-for-fresh"]);
}

/// The same figures, for those with a token only.
fn behind_closed_doors(world: &World, keys: &Keys) -> ([Port; 2], Program) {
    let ports = [Port::any().unwrap(), Port::any().unwrap()];
    let [grpc, http] = ports.each_ref().map(Port::number);
    let mut service = tied(bin().join("analytics-svc"), Stop::Term);
    service
        .env("BRAMBLE_GRPC_ADDR", format!("127.0.0.1:{grpc}"))
        .env("BRAMBLE_HTTP_ADDR", format!("127.0.0.1:{http}"))
        .env("BRAMBLE_OLAP_DIR", world.folder.path().join("olap"))
        .env("BRAMBLE_AUTH_PUBLIC_KEY", keys.public())
        .envs(SETTINGS);
    let log = world.folder.path().join("logs/closed.log");
    let mut program = Program::start("closed", &mut service, Stop::Term, &log).unwrap();
    let limit = std::time::Duration::from_secs(20);
    let answers = || std::net::TcpStream::connect(("127.0.0.1", http)).is_ok();
    program.wait_until(limit, &Interrupt::default(), answers).unwrap();
    (ports, program)
}

#[tokio::test]
async fn people_see_a_sale_appear_on_the_dashboard() {
    let mut world = World::start_with(&SETTINGS).await;
    past_midnight(&world.db, "Pacific/Auckland", 5).await;
    trade(&world).await;
    let customer = CreateCustomerRequest {
        name: HOSTILE.to_owned(),
        email: "d@example.com".to_owned(),
        ..Default::default()
    };
    let customer = world.orders().create_customer(customer).await.unwrap().into_inner();
    let customer = customer.customer.unwrap().customer_id;

    let keys = Keys::new(1);
    let ([_grpc, http], _closed) = behind_closed_doors(&world, &keys);
    let closed = format!("http://127.0.0.1:{}", http.number());
    // With this a new pair is made for the README.
    let screens = std::env::var_os("BRAMBLE_SCREENS").map(PathBuf::from);
    let screens = screens.map_or_else(|| world.folder.path().to_owned(), |to| root().join(to));
    fs::create_dir_all(&screens).unwrap();
    let parts = ["BRAMBLE_CHROMIUM", "BRAMBLE_BROWSER_PARTS"].map(std::env::var_os);
    assert!(parts.iter().all(Option::is_some), "`cargo xtask test` brings the browser");
    let mut browser = AsyncCommand::new("node")
        .arg(root().join("tests/browser/dashboard.mjs"))
        .args([&world.fleet.dashboard(), &closed, &keys.token(&["analytics.read"], 600)])
        .arg(&screens)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut answers = browser.stdin.take().unwrap();
    let mut asked = BufReader::new(browser.stdout.take().unwrap()).lines();
    let mut done = false;
    while let Some(word) = asked.next_line().await.unwrap() {
        let answer = match word.as_str() {
            "sell" => {
                let product = CreateProductRequest {
                    sku: "HOSTILE-1".to_owned(),
                    name: HOSTILE.to_owned(),
                    price: money("12.34"),
                    ..Default::default()
                };
                world.inventory().create_product(product).await.unwrap();
                let receipt = ReceiveStockRequest {
                    sku: "HOSTILE-1".to_owned(),
                    quantity: 2,
                    ..Default::default()
                };
                world.inventory().receive_stock(receipt).await.unwrap();
                let order = world.order(&customer, &[("HOSTILE-1", 2)]).await.unwrap();
                json!({ "order_id": order.order_id, "total": order.total.unwrap().amount })
                    .to_string()
            }
            "stop" => {
                world.fleet.program("analytics-svc").unwrap().kill().unwrap();
                String::new()
            }
            "start" => {
                world.fleet.restart("analytics-svc").unwrap();
                String::new()
            }
            "done" => {
                done = true;
                continue;
            }
            other => panic!("the browser asks to {other}"),
        };
        answers.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
    }
    assert!(done && browser.wait().await.unwrap().success(), "see above what it missed");
    for name in ["desktop-light.png", "phone-dark.png"] {
        let size = fs::metadata(screens.join(name)).unwrap().len();
        assert!((10_000..=200_000).contains(&size), "{name} has {size} bytes");
    }
    world.verify().await;
}
