use futures::future::join_all;
use proto::billing::v1 as pb;
use tonic::{Code, Status};

use testkit::refusal;

use crate::app::{App, new_id, placed_at};

async fn set(app: &App, request: pb::SetPaymentTermsRequest) -> Result<pb::PaymentTerms, Status> {
    Ok(app.client.clone().set_payment_terms(request).await?.into_inner().payment_terms.unwrap())
}

async fn get(app: &App, customer: &str) -> pb::PaymentTerms {
    let request = pb::GetPaymentTermsRequest { customer_id: customer.to_owned() };
    app.client.clone().get_payment_terms(request).await.unwrap().into_inner().payment_terms.unwrap()
}

fn days(customer: &str, days: Option<i32>) -> pb::SetPaymentTermsRequest {
    pb::SetPaymentTermsRequest { customer_id: customer.to_owned(), days, ..Default::default() }
}

async fn due(app: &App, customer: &str) -> String {
    app.invoice(customer, "1.00", "2026-10-01T12:00:00Z").await.due_date
}

#[tokio::test]
async fn invoices_that_are_issued_afterwards_are_due_by_them() {
    let app = App::start().await;
    let (customer, other) = (new_id(), new_id());
    let standard = get(&app, &customer).await;
    assert_eq!((standard.days, standard.own, standard.etag.as_str()), (30, false, "0"));
    let before = app.invoice(&customer, "1.00", "2026-10-01T12:00:00Z").await;
    let terms = set(&app, days(&customer, Some(14))).await.unwrap();
    assert_eq!((terms.days, terms.own), (14, true));
    assert_eq!(get(&app, &customer).await, terms);
    assert_eq!(due(&app, &customer).await, "2026-10-15");
    assert_eq!(due(&app, &other).await, "2026-10-31");
    assert_eq!(app.find_invoice(&before.invoice_id, "").await.unwrap().due_date, "2026-10-31");
    // In one batch each customer has its own.
    let (one, two) = (new_id(), new_id());
    let time = "2026-10-01T12:00:00Z";
    let events = [
        placed_at(&one, &customer, "1.00", "0.00", time),
        placed_at(&two, &other, "1.00", "0.00", time),
    ];
    app.hear(&events).await;
    assert_eq!(app.invoice_of(&one).await.due_date, "2026-10-15");
    assert_eq!(app.invoice_of(&two).await.due_date, "2026-10-31");

    set(&app, days(&customer, Some(0))).await.unwrap();
    assert_eq!(due(&app, &customer).await, "2026-10-01");
    let again = set(&app, days(&customer, None)).await.unwrap();
    assert_eq!((again.days, again.own), (30, false));
    assert_eq!(due(&app, &customer).await, "2026-10-31");
    let told = app.log.events_of(&customer).await;
    let id = serde_json::json!({"customerId": customer});
    let with = |days: i32| serde_json::json!({"customerId": customer, "days": days});
    let told: Vec<_> = told.into_iter().map(|(_, version, data)| (version, data)).collect();
    assert_eq!(told, [(1, with(14)), (2, with(0)), (3, id)]);
    app.check_books().await;
}

#[tokio::test]
async fn a_stale_etag_is_refused_and_the_same_terms_again_are_no_news() {
    let app = App::start().await;
    let customer = new_id();
    let read = get(&app, &customer).await;
    let first = pb::SetPaymentTermsRequest {
        etag: read.etag.clone(),
        request_id: new_id(),
        ..days(&customer, Some(7))
    };
    let all = join_all((0..20).map(|_| set(&app, first.clone()))).await;
    let terms = get(&app, &customer).await;
    for answer in all {
        assert_eq!(answer.unwrap(), terms);
    }
    let stale = pb::SetPaymentTermsRequest { etag: read.etag, ..days(&customer, Some(8)) };
    let refused = refusal(set(&app, stale).await);
    refused.is(Code::Aborted, "ETAG_STALE");
    assert_eq!(refused.facts, [format!("customer_id: {customer}")]);
    let other = pb::SetPaymentTermsRequest { days: Some(8), ..first };
    refusal(set(&app, other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
    assert_eq!(set(&app, days(&customer, Some(7))).await.unwrap(), terms);
    assert_eq!(app.log.told_of(&customer).await.len(), 1);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    for bad_days in [-1, 366] {
        let bad = pb::SetPaymentTermsRequest {
            request_id: "x".to_owned(),
            ..days("ann", Some(bad_days))
        };
        refusal(set(&app, bad).await).names(&["request_id", "customer_id", "days"]);
    }
    set(&app, days(&new_id(), Some(365))).await.unwrap();
    let bad = pb::GetPaymentTermsRequest::default();
    refusal(app.client.clone().get_payment_terms(bad).await).names(&["customer_id"]);
}
