//! Programs of other languages, and people with grpcurl.

use std::process::Command;

use serde_json::{Value, json};

use crate::world::{World, root, said};

fn python(script: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg(root().join("tests/clients").join(script));
    command
}

#[tokio::test]
async fn python_sells_by_reflection_and_follows_the_events() {
    let world = World::start().await;
    let mut sale = python("sale.py");
    sale.args([world.fleet.address("orders-svc"), world.fleet.address("inventory-svc")]);
    let order: Value = serde_json::from_str(&said(&mut sale)).unwrap();
    assert_eq!(order["status"], "ORDER_STATUS_PLACED");
    assert_eq!(order["total"]["amount"], "6.28");

    let count = world.sql("select count(*) from orders.events_log").await;
    let mut follow = python("follow.py");
    let followed = said(follow.args([&world.nats.url(), "orders", &count]));
    let order_id = order["order_id"].as_str().unwrap();
    assert!(followed.contains(&format!("order.placed {order_id}")), "{followed}");
    assert_eq!(followed.lines().count().to_string(), count);
    world.verify().await;
}

fn grpcurl(world: &World, service: &str, method: &str, request: &Value) -> Value {
    let mut command = Command::new("grpcurl");
    command.args(["-plaintext", "-d", &request.to_string(), &world.fleet.address(service), method]);
    serde_json::from_str(&said(&mut command)).unwrap()
}

#[tokio::test]
async fn grpcurl_sells_and_is_told_why_not() {
    let world = World::start().await;
    let customer = grpcurl(
        &world,
        "orders-svc",
        "bramble.orders.v1.OrdersService/CreateCustomer",
        &json!({"name": "Ann", "email": "ann@example.com"}),
    );
    let product = json!({"sku": "TEA-100", "name": "Tea", "price": {"amount": "2.50"}});
    let inventory = |method: &str, request: &Value| {
        let method = format!("bramble.inventory.v1.InventoryService/{method}");
        grpcurl(&world, "inventory-svc", &method, request)
    };
    inventory("CreateProduct", &product);
    inventory("ReceiveStock", &json!({"sku": "TEA-100", "quantity": 3}));
    let order = |quantity: i32| {
        json!({
            "customerId": customer["customer"]["customerId"],
            "lines": [{"sku": "TEA-100", "quantity": quantity}],
            "place": true,
        })
    };
    let create = "bramble.orders.v1.OrdersService/CreateOrder";
    let sold = grpcurl(&world, "orders-svc", create, &order(2));
    assert_eq!(sold["order"]["total"]["amount"], "5.00");

    let mut command = Command::new("grpcurl");
    command.args([
        "-plaintext",
        "-d",
        &order(2).to_string(),
        &world.fleet.address("orders-svc"),
        create,
    ]);
    let refused = command.output().unwrap();
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("FailedPrecondition") && why.contains("TEA-100"), "{why}");
    world.verify().await;
}
