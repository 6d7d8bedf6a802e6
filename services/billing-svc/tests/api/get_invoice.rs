use tonic::Code;

use testkit::refusal;

use crate::app::{App, new_id};

#[tokio::test]
async fn an_invoice_is_found_by_its_id_and_by_its_order() {
    let app = App::start().await;
    let other = app.invoice(&new_id(), "1.00", "2026-10-01T12:00:00Z").await;
    let invoice = app.invoice(&new_id(), "10.00", "2026-10-01T12:00:00Z").await;
    assert_ne!(invoice.invoice_id, other.invoice_id);
    assert_eq!(app.find_invoice(&invoice.invoice_id, "").await.unwrap(), invoice);
    assert_eq!(app.find_invoice("", &invoice.order_id).await.unwrap(), invoice);
}

#[tokio::test]
async fn an_unknown_invoice_or_order_is_not_found() {
    let app = App::start().await;
    let id = new_id();
    let refused = refusal(app.find_invoice(&id, "").await);
    refused.is(Code::NotFound, "INVOICE_NOT_FOUND");
    assert_eq!(refused.facts, [format!("invoice_id: {id}")]);
    let refused = refusal(app.find_invoice("", &id).await);
    refused.is(Code::NotFound, "INVOICE_NOT_FOUND");
    assert_eq!(refused.facts, [format!("order_id: {id}")]);
}

#[tokio::test]
async fn one_of_both_ids_is_needed() {
    let app = App::start().await;
    refusal(app.find_invoice("", "").await).names(&["invoice_id"]);
    refusal(app.find_invoice(&new_id(), &new_id()).await).names(&["invoice_id"]);
    refusal(app.find_invoice("x", "").await).names(&["invoice_id"]);
    refusal(app.find_invoice("", "INV-000001").await).names(&["order_id"]);
}
