use proto::billing::v1 as pb;
use tonic::Status;

use testkit::refusal;

use crate::app::{App, new_id};

async fn list(
    app: &App,
    request: pb::ListPaymentsRequest,
) -> Result<(Vec<pb::Payment>, String), Status> {
    let page = app.client.clone().list_payments(request).await?.into_inner();
    Ok((page.payments, page.next_page_token))
}

#[tokio::test]
async fn they_come_newest_first_page_by_page_with_what_became_of_them() {
    let app = App::start().await;
    let (ann, bob) = (new_id(), new_id());
    app.invoice(&ann, "10.00", "2026-10-01T12:00:00Z").await;
    app.invoice(&ann, "10.00", "2026-10-02T12:00:00Z").await;
    let mut payments = Vec::new();
    for (customer, amount) in [(&ann, "15.00"), (&bob, "1.00"), (&ann, "6.00"), (&ann, "2.00")] {
        payments.push(app.pay(customer, amount).await);
    }
    let bounced = app.reverse(&payments[3]).await;
    let of_ann =
        pb::ListPaymentsRequest { customer_id: ann.clone(), page_size: 2, ..Default::default() };
    let (page, page_token) = list(&app, of_ann.clone()).await.unwrap();
    assert_eq!(page, [bounced.clone(), payments[2].clone()]);
    // One that comes meanwhile moves nothing.
    app.pay(&ann, "1.00").await;
    let next = pb::ListPaymentsRequest { page_token, ..of_ann };
    assert_eq!(list(&app, next).await.unwrap(), (vec![payments[0].clone()], String::new()));
    let all = list(&app, pb::ListPaymentsRequest::default()).await.unwrap().0;
    assert_eq!(all[1..], [bounced, payments[2].clone(), payments[1].clone(), payments[0].clone()]);
}

#[tokio::test]
async fn those_of_which_something_is_credit_can_be_asked_for() {
    let app = App::start().await;
    let (ann, bob) = (new_id(), new_id());
    let invoice = app.invoice(&ann, "10.00", "2026-10-01T12:00:00Z").await;
    app.pay_invoice(&invoice, "9.00").await;
    let over = app.pay(&ann, "3.00").await;
    let ahead = app.pay(&bob, "5.00").await;
    let only = pb::ListPaymentsRequest { unallocated_only: true, ..Default::default() };
    assert_eq!(list(&app, only.clone()).await.unwrap().0, [ahead, over.clone()]);
    let of_ann = pb::ListPaymentsRequest { customer_id: ann, ..only };
    assert_eq!(list(&app, of_ann).await.unwrap().0, [over]);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let bad = pb::ListPaymentsRequest {
        page_size: 1001,
        page_token: "x".to_owned(),
        customer_id: "ann".to_owned(),
        unallocated_only: false,
    };
    refusal(list(&app, bad).await).names(&["page_size", "page_token", "customer_id"]);
    app.pay(&new_id(), "1.00").await;
    app.pay(&new_id(), "1.00").await;
    let first = pb::ListPaymentsRequest { page_size: 1, ..Default::default() };
    let (_, page_token) = list(&app, first.clone()).await.unwrap();
    let other = pb::ListPaymentsRequest { page_token, unallocated_only: true, ..first };
    refusal(list(&app, other).await).names(&["page_token"]);
}
