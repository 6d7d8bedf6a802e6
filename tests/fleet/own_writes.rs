//! Whoever has written something and asks analytics next finds it in the answer, by what the answer to the write said.

use proto::{
    analytics::v1::{
        GetArAgeingRequest, GetStockSnapshotRequest, GetTrialBalanceRequest,
        QuerySalesByHourRequest, SourcePosition, analytics_service_client::AnalyticsServiceClient,
    },
    billing::v1::RecordPaymentRequest,
    hr::v1::{CreateEmployeeRequest, hr_service_client::HrServiceClient},
    inventory::v1::ReceiveStockRequest,
    ledger::v1::ledger_service_client::LedgerServiceClient,
};
use tonic::Response;

use crate::{
    verify::till_money,
    world::{World, money, order},
};

fn position<T>(answer: &Response<T>) -> Vec<SourcePosition> {
    let told = answer.metadata().get("bramble-position").unwrap().to_str().unwrap();
    let (source, sequence) = told.split_once('=').unwrap();
    vec![SourcePosition { source: source.to_owned(), sequence: sequence.parse().unwrap() }]
}

#[tokio::test]
async fn an_answer_includes_what_its_caller_wrote() {
    let world = World::start().await;
    let mut analytics = AnalyticsServiceClient::new(world.client("analytics-svc"));
    world.product("TEA", "2.50", 100).await;
    let customer = world.customer().await;
    for turn in 1..=5 {
        let sold = world.orders().create_order(order(&customer, &[("TEA", 1)])).await.unwrap();
        let query = QuerySalesByHourRequest { min_position: position(&sold), ..Default::default() };
        let hours = analytics.query_sales_by_hour(query).await.unwrap().into_inner().hours;
        assert_eq!(hours.iter().map(|hour| hour.order_count).sum::<i32>(), turn);

        let receipt =
            ReceiveStockRequest { sku: "TEA".to_owned(), quantity: 1, ..Default::default() };
        let received = world.inventory().receive_stock(receipt).await.unwrap();
        let query =
            GetStockSnapshotRequest { min_position: position(&received), ..Default::default() };
        let levels = analytics.get_stock_snapshot(query).await.unwrap().into_inner().levels;
        assert_eq!(levels[0].qty_on_hand, 100 + turn);

        world.invoice(&sold.into_inner().order.unwrap().order_id).await;
        let payment = RecordPaymentRequest {
            customer_id: customer.clone(),
            external_reference: turn.to_string(),
            amount: money("2.50"),
            ..Default::default()
        };
        let paid = world.billing().record_payment(payment).await.unwrap();
        let query = GetArAgeingRequest { min_position: position(&paid), ..Default::default() };
        let ageing = analytics.get_ar_ageing(query).await.unwrap().into_inner();
        assert_eq!(ageing.total_ar.unwrap().amount, "0.00");

        let mut books = LedgerServiceClient::new(world.client("ledger-svc"));
        let posted = books.post_journal(till_money()).await.unwrap();
        let query =
            GetTrialBalanceRequest { min_position: position(&posted), ..Default::default() };
        let totals = analytics.get_trial_balance(query).await.unwrap().into_inner();
        let till = totals.accounts.iter().find(|of| of.account == "3200").unwrap();
        assert_eq!(till.credit.as_ref().unwrap().amount, format!("{}.00", 50 * turn));
    }
    let employee = CreateEmployeeRequest {
        name: "Ann".to_owned(),
        email: "ann@example.com".to_owned(),
        role: "clerk".to_owned(),
        ..Default::default()
    };
    let hired = HrServiceClient::new(world.client("hr-svc")).create_employee(employee).await;
    let at = position(&hired.unwrap());
    let end = world.sql("select max(id) from hr.events_log").await;
    assert_eq!((at[0].source.as_str(), at[0].sequence.to_string()), ("hr", end));
}
