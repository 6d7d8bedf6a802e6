//! One sale from the draft to the books and the reports.

use std::process::Stdio;

use proto::{
    billing::v1::{InvoiceStatus, RecordPaymentRequest},
    ledger::v1::{GetTrialBalanceRequest, ledger_service_client::LedgerServiceClient},
    orders::v1::{CancelOrderRequest, GetOrderRequest, Order, OrderStatus, ShipOrderRequest},
};
use uuid::Uuid;

use crate::world::{World, eventually, money};

impl World {
    async fn ship(&self, order_id: &str) {
        let request =
            ShipOrderRequest { order_id: order_id.to_owned(), ..ShipOrderRequest::default() };
        self.orders().ship_order(request).await.unwrap();
    }

    async fn pay(&self, customer_id: &str, amount: &str) {
        let request = RecordPaymentRequest {
            customer_id: customer_id.to_owned(),
            external_reference: Uuid::now_v7().to_string(),
            amount: money(amount),
            ..Default::default()
        };
        self.billing().record_payment(request).await.unwrap();
    }

    /// One order of 4, shipped, and paid with that much.
    pub(crate) async fn sell_ship_and_pay(
        &self,
        customer_id: &str,
        sku: &str,
        amount: &str,
    ) -> Order {
        let order = self.order(customer_id, &[(sku, 4)]).await.unwrap();
        self.invoice(&order.order_id).await;
        self.ship(&order.order_id).await;
        self.pay(customer_id, amount).await;
        eventually("completed order", async || {
            let found = self.find(&order.order_id).await;
            (found.status() == OrderStatus::Completed).then_some(found)
        })
        .await
    }

    async fn find(&self, order_id: &str) -> Order {
        let request = GetOrderRequest { order_id: order_id.to_owned() };
        self.orders().get_order(request).await.unwrap().into_inner().order.unwrap()
    }
}

#[tokio::test]
async fn a_sale_walks_through_all_services_and_the_books_tie() {
    let world = World::start().await;
    world.product("TEA", "2.50", 10).await;
    world.product("CUP", "4.00", 3).await;
    let customer = world.customer().await;

    let sold = world.order(&customer, &[("TEA", 4), ("CUP", 1)]).await.unwrap();
    assert_eq!(sold.total.clone().unwrap().amount, "14.00");
    let dropped = world.order(&customer, &[("CUP", 2)]).await.unwrap();
    let owed = world.order(&customer, &[("TEA", 2)]).await.unwrap();

    let invoice = world.invoice(&sold.order_id).await;
    assert_eq!(invoice.amount.unwrap().amount, "14.00");
    world.invoice(&dropped.order_id).await;
    world.invoice(&owed.order_id).await;
    let request = CancelOrderRequest { order_id: dropped.order_id.clone(), ..Default::default() };
    world.orders().cancel_order(request).await.unwrap();
    eventually("voided invoice", async || {
        let invoice = world.invoice(&dropped.order_id).await;
        (invoice.status() == InvoiceStatus::Voided).then_some(())
    })
    .await;
    world.ship(&sold.order_id).await;
    // Oldest first: this order's invoice, and 1.00 of what is owed for the tea.
    world.pay(&customer, "15.00").await;
    eventually("completed order", async || {
        let order = world.find(&sold.order_id).await;
        (order.status() == OrderStatus::Completed).then_some(())
    })
    .await;
    let left = eventually("part payment", async || {
        let invoice = world.invoice(&owed.order_id).await;
        (invoice.residual.clone()?.amount == "4.00").then_some(invoice)
    })
    .await;
    assert_eq!(left.status(), InvoiceStatus::Issued);
    world.verify().await;

    let mut ledger = LedgerServiceClient::new(world.client("ledger-svc"));
    let balance = ledger.get_trial_balance(GetTrialBalanceRequest::default()).await.unwrap();
    let balance = balance.into_inner();
    assert_eq!(balance.total_debit, balance.total_credit);
    let of = |code: &str| {
        let mut found = balance.balances.iter();
        let found = found.find(|of| of.account.as_ref().is_some_and(|it| it.code == code));
        found.and_then(|of| of.balance.clone()).map(|money| money.amount)
    };
    assert_eq!(of("1100").as_deref(), Some("4.00"), "debtors");
    assert_eq!(of("1200").as_deref(), Some("15.00"), "bank");
    assert_eq!(of("4000").as_deref(), Some("-19.00"), "sales");

    let sales = world.bramble(&["report", "sales", "--wait-for-fresh", "--format", "csv"]);
    let sums: Vec<&str> = sales.lines().skip(1).filter_map(|row| row.rsplit(',').next()).collect();
    let pence: i64 = sums.iter().map(|sum| sum.replace('.', "").parse::<i64>().unwrap()).sum();
    assert_eq!(pence, 1900, "{sales}");
    let ageing = world.bramble(&["report", "ageing", "--wait-for-fresh", "--format", "json"]);
    assert!(ageing.contains("\"4.00\""), "{ageing}");
    let ageing = world.bramble(&["report", "ageing", "--by-customer", "--format", "csv"]);
    let (_, row) = ageing.split_once('\n').unwrap();
    assert_eq!(row, format!("{customer},4.00,0.00,0.00,0.00,0.00,4.00\n"));
    let of_day = world.bramble(&["report", "stock", "--as-of", "2999-12-31", "--format", "csv"]);
    assert_eq!(of_day, "sku,on_hand,reserved,available\nCUP,2,0,2\nTEA,6,2,4\n");
    let stock = world.bramble(&["report", "stock", "--format", "csv"]);
    assert!(stock.contains("CUP,a CUP,2,0,2,0") && stock.contains("TEA,a TEA,6,2,4,0"), "{stock}");

    // Who reads it goes away before the end.
    let mut report = world.fleet.cli().unwrap();
    let mut report = report.args(["report", "stock"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(report.stdout.take());
    assert!(report.wait().unwrap().success());
}
