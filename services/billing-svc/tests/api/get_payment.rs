use proto::billing::v1::GetPaymentRequest;
use tonic::Code;

use testkit::refusal;

use crate::app::{App, new_id};

#[tokio::test]
async fn a_payment_is_as_it_was_answered() {
    let app = App::start().await;
    let customer = new_id();
    app.invoice(&customer, "10.00", "2026-10-02T12:00:00Z").await;
    app.invoice(&customer, "10.00", "2026-10-01T12:00:00Z").await;
    let payment = app.pay(&customer, "25.00").await;
    assert_eq!(payment.allocations.len(), 2);
    let request = GetPaymentRequest { payment_id: payment.payment_id.clone() };
    let found = app.client.clone().get_payment(request).await.unwrap().into_inner();
    assert_eq!(found.payment, Some(payment));
}

#[tokio::test]
async fn an_unknown_payment_is_not_found_and_a_bad_id_is_named() {
    let app = App::start().await;
    let id = new_id();
    let get = async |payment_id: &str| {
        let request = GetPaymentRequest { payment_id: payment_id.to_owned() };
        refusal(app.client.clone().get_payment(request).await)
    };
    let refused = get(&id).await;
    refused.is(Code::NotFound, "PAYMENT_NOT_FOUND");
    assert_eq!(refused.facts, [format!("payment_id: {id}")]);
    get("").await.names(&["payment_id"]);
}
