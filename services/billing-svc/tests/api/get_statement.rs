use proto::billing::v1::{self as pb, StatementLineKind as Kind};
use tonic::Status;

use testkit::refusal;

use crate::app::{App, credit_note, new_id, oldest_due, payment, refund, void, write_off};

async fn ask(
    app: &App,
    request: pb::GetStatementRequest,
) -> Result<pb::GetStatementResponse, Status> {
    Ok(app.client.clone().get_statement(request).await?.into_inner())
}

fn of(customer: &str, from: &str, to: &str) -> pb::GetStatementRequest {
    pb::GetStatementRequest {
        customer_id: customer.to_owned(),
        from_date: from.to_owned(),
        to_date: to.to_owned(),
        ..Default::default()
    }
}

fn amount(money: &Option<proto::common::v1::Money>) -> String {
    money.clone().unwrap().amount
}

/// What was added, and the balance after it.
fn lines(statement: &pb::GetStatementResponse) -> Vec<(Kind, String, String)> {
    let line =
        |line: &pb::StatementLine| (line.kind(), amount(&line.amount), amount(&line.balance));
    statement.lines.iter().map(line).collect()
}

fn line(kind: Kind, amount: &str, balance: &str) -> (Kind, String, String) {
    (kind, amount.to_owned(), balance.to_owned())
}

async fn pay_on(app: &App, customer: &str, amount: &str, time: &str) -> pb::Payment {
    let time: chrono::DateTime<chrono::Utc> = time.parse().unwrap();
    let receive_time = Some(rpc::to_time(time));
    let request = pb::RecordPaymentRequest { receive_time, ..payment(customer, amount) };
    app.record(request).await.unwrap()
}

#[tokio::test]
async fn every_document_has_a_line_and_the_balance_runs_from_opening_to_closing() {
    let app = App::start().await;
    let customer = new_id();
    app.invoice(&customer, "10.00", "2016-10-01T12:00:00Z").await;
    let second = app.invoice(&customer, "20.00", "2016-11-03T12:00:00Z").await;
    // In London it was the 5th, and recorded after what came later.
    let late = pay_on(&app, &customer, "50.00", "2016-11-07T12:00:00Z").await;
    let early = pay_on(&app, &customer, "4.00", "2016-11-05T00:10:00Z").await;
    app.invoice(&new_id(), "99.00", "2016-11-04T12:00:00Z").await;

    let november = ask(&app, of(&customer, "2016-11-02", "2016-11-30")).await.unwrap();
    assert_eq!(amount(&november.opening_balance), "10.00");
    assert_eq!(
        lines(&november),
        [
            line(Kind::Invoice, "20.00", "30.00"),
            line(Kind::Payment, "-4.00", "26.00"),
            line(Kind::Payment, "-50.00", "-24.00"),
        ]
    );
    assert_eq!(amount(&november.closing_balance), "-24.00");
    let [invoice, first, last] = &november.lines[..] else { panic!("three lines") };
    assert_eq!((&invoice.reference, &invoice.document_id), (&second.number, &second.invoice_id));
    assert_eq!((&first.reference, first.date.as_str()), (&early.external_reference, "2016-11-05"));
    assert_eq!((&last.reference, last.date.as_str()), (&late.external_reference, "2016-11-07"));

    let third = app.invoice(&customer, "7.00", "2016-12-01T12:00:00Z").await;
    let fourth = app.invoice(&customer, "8.00", "2016-12-02T12:00:00Z").await;
    let wrong = app.invoice(&customer, "9.00", "2016-12-03T12:00:00Z").await;
    // Credit that pays an invoice changes nothing of the balance.
    app.allocate(pb::AllocateCreditRequest {
        amount: crate::app::money("7.00"),
        ..oldest_due(&customer)
    })
    .await
    .unwrap();
    let note = app.credit_note(credit_note(&third, "3.00")).await.unwrap();
    app.write_off(write_off(&fourth)).await.unwrap();
    app.void(void(&wrong)).await.unwrap();
    let back = app.refund(refund(&customer, "2.00")).await.unwrap();
    app.reverse(&early).await;

    let today = app.today().await.to_string();
    let this_day = ask(&app, of(&customer, &today, &today)).await.unwrap();
    assert_eq!(amount(&this_day.opening_balance), "0.00");
    assert_eq!(
        lines(&this_day),
        [
            line(Kind::CreditNote, "-3.00", "-3.00"),
            line(Kind::WriteOff, "-8.00", "-11.00"),
            line(Kind::Void, "-9.00", "-20.00"),
            line(Kind::Refund, "2.00", "-18.00"),
            line(Kind::Reversal, "4.00", "-14.00"),
        ]
    );
    let references: Vec<&str> = this_day.lines.iter().map(|line| line.reference.as_str()).collect();
    let expected = [
        &note.number,
        &fourth.number,
        &wrong.number,
        &back.external_reference,
        &early.external_reference,
    ];
    assert_eq!(references, expected.map(String::as_str));
    assert_eq!(amount(&this_day.closing_balance), "-14.00");
    let (owed, credit) = app.balance(&customer).await;
    assert_eq!((owed.as_str(), credit.as_str()), ("0.00", "14.00"), "what is owed less credit");
    app.check_books().await;
}

#[tokio::test]
async fn pages_go_on_where_the_last_one_ended_whatever_comes_meanwhile() {
    let app = App::start().await;
    let customer = new_id();
    for day in 1..=5 {
        app.invoice(&customer, "10.00", &format!("2016-11-{day:02}T12:00:00Z")).await;
    }
    let mut request =
        pb::GetStatementRequest { page_size: 2, ..of(&customer, "2016-11-01", "2016-11-30") };
    let first = ask(&app, request.clone()).await.unwrap();
    assert_eq!(first.lines.len(), 2);
    assert_eq!(amount(&first.closing_balance), "50.00");
    // One behind the page, and one before it, which only moves the balance.
    app.invoice(&customer, "1.00", "2016-11-04T13:00:00Z").await;
    app.invoice(&customer, "0.10", "2016-11-01T13:00:00Z").await;
    request.page_token = first.next_page_token;
    let second = ask(&app, request.clone()).await.unwrap();
    assert_eq!(
        lines(&second),
        [line(Kind::Invoice, "10.00", "30.10"), line(Kind::Invoice, "10.00", "40.10")]
    );
    request.page_token = second.next_page_token;
    let third = ask(&app, request).await.unwrap();
    assert_eq!(
        lines(&third),
        [line(Kind::Invoice, "1.00", "41.10"), line(Kind::Invoice, "10.00", "51.10")]
    );
    assert_eq!(
        (amount(&third.closing_balance), third.next_page_token),
        ("51.10".to_owned(), String::new())
    );
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let bad = pb::GetStatementRequest {
        customer_id: "ann".to_owned(),
        from_date: String::new(),
        to_date: "soon".to_owned(),
        page_size: 1001,
        page_token: "x".to_owned(),
    };
    refusal(ask(&app, bad).await).names(&[
        "page_size",
        "page_token",
        "customer_id",
        "from_date",
        "to_date",
    ]);
    for (from, to, why) in [
        ("2016-11-02", "2016-11-01", "must not be before from_date"),
        ("2016-11-01", "2026-11-10", "must be at most 3660 days after from_date"),
    ] {
        let refused = ask(&app, of(&new_id(), from, to)).await;
        assert!(refused.as_ref().unwrap_err().message().contains(why), "{refused:?}");
        refusal(refused).names(&["to_date"]);
    }
    let empty = ask(&app, of(&new_id(), "2016-11-01", "2026-11-09")).await.unwrap();
    assert_eq!((empty.lines.len(), amount(&empty.closing_balance)), (0, "0.00".to_owned()));
}
