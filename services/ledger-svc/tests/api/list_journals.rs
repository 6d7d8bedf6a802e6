use proto::ledger::v1::{Journal, ListJournalsRequest};
use testkit::refusal;
use tonic::Status;

use crate::{
    app::{App, capital, new_id},
    events::{Pay, approved, issued, paid, stock},
};

async fn journals(
    app: &App,
    request: ListJournalsRequest,
) -> Result<(Vec<Journal>, String), Status> {
    let page = app.client.clone().list_journals(request).await?.into_inner();
    Ok((page.journals, page.next_page_token))
}

/// Day, source and sum of each.
async fn list(app: &App, request: ListJournalsRequest) -> (Vec<String>, String) {
    let (journals, token) = journals(app, request).await.unwrap();
    let shown = |one: Journal| {
        assert!(one.entries.is_empty());
        format!("{} {} {}", &one.effective_date[8..], one.source, one.amount.unwrap().amount)
    };
    (journals.into_iter().map(shown).collect(), token)
}

fn day(day: u32) -> String {
    format!("2026-03-{day:02}")
}

/// Of all sources, not in the order of the days. Gives the invoice.
async fn some_of_all(app: &App) -> String {
    let invoice = new_id();
    app.post(capital("1.00", &day(12))).await.unwrap();
    app.hear(&[issued(&invoice, "2.00", "0.00", &day(10))]).await;
    app.hear_from("inventory", &[stock("stock.received", "", &new_id(), "3.00", &day(14))]).await;
    app.hear_from("hr", &[approved(&new_id(), Pay([400, 0, 0, 0, 0, 0]), &day(11))]).await;
    app.hear(&[paid(&new_id(), "5.00", &[(&invoice, "2.00")], "3.00", &day(12))]).await;
    app.post(capital("6.00", &day(10))).await.unwrap();
    invoice
}

#[tokio::test]
async fn the_latest_day_comes_first_and_sources_and_days_can_be_chosen() {
    let app = App::start().await;
    some_of_all(&app).await;
    let all = [
        "14 inventory 3.00",
        "12 billing 5.00",
        "12 ledger 1.00",
        "11 hr 4.00",
        "10 ledger 6.00",
        "10 billing 2.00",
    ];
    assert_eq!(list(&app, ListJournalsRequest::default()).await.0, all);
    let of = |source: &str| ListJournalsRequest { source: source.to_owned(), ..Default::default() };
    for (source, expected) in [
        ("billing", vec![all[1], all[5]]),
        ("inventory", vec![all[0]]),
        ("hr", vec![all[3]]),
        ("ledger", vec![all[2], all[4]]),
    ] {
        assert_eq!(list(&app, of(source)).await.0, expected);
    }
    let within = |from: &str, to: &str| ListJournalsRequest {
        from_date: from.to_owned(),
        to_date: to.to_owned(),
        ..Default::default()
    };
    assert_eq!(list(&app, within(&day(11), &day(12))).await.0, all[1..4]);
    assert_eq!(list(&app, within(&day(12), "")).await.0, all[..3]);
    assert_eq!(list(&app, within("", &day(10))).await.0, all[4..]);
    let both = ListJournalsRequest { source: "ledger".to_owned(), ..within("", &day(10)) };
    assert_eq!(list(&app, both).await.0, all[4..5]);
}

#[tokio::test]
async fn a_document_has_all_journals_with_an_entry_for_it() {
    let app = App::start().await;
    let invoice = some_of_all(&app).await;
    let of_document = ListJournalsRequest {
        ref_type: "invoice".to_owned(),
        ref_id: invoice,
        ..Default::default()
    };
    let expected = ["12 billing 5.00", "10 billing 2.00"];
    assert_eq!(list(&app, of_document.clone()).await.0, expected);
    let first = ListJournalsRequest { page_size: 1, ..of_document.clone() };
    let (page, page_token) = list(&app, first.clone()).await;
    assert_eq!(page, expected[..1]);
    let (page, token) = list(&app, ListJournalsRequest { page_token, ..first }).await;
    assert_eq!((page, token), (vec![expected[1].to_owned()], String::new()));
    let by_hand = ListJournalsRequest { source: "ledger".to_owned(), ..of_document.clone() };
    assert_eq!(list(&app, by_hand).await.0, [""; 0]);
    let later = ListJournalsRequest { from_date: day(11), ..of_document };
    assert_eq!(list(&app, later).await.0, expected[..1]);
}

#[tokio::test]
async fn pages_stay_right_while_others_are_posted() {
    let app = App::start().await;
    some_of_all(&app).await;
    let mut request = ListJournalsRequest { page_size: 2, ..Default::default() };
    let all = list(&app, ListJournalsRequest::default()).await.0;
    let mut pages = Vec::new();
    loop {
        let (page, token) = list(&app, request.clone()).await;
        pages.push(page);
        if token.is_empty() {
            break;
        }
        request.page_token = token;
        app.post(capital("9.00", &day(14))).await.unwrap();
    }
    assert_eq!(pages, [&all[..2], &all[2..4], &all[4..]]);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let bad = ListJournalsRequest {
        page_size: -1,
        page_token: "x".to_owned(),
        from_date: "x".to_owned(),
        to_date: "2026-02-30".to_owned(),
        source: "orders".to_owned(),
        ref_type: "receipt".to_owned(),
        ref_id: "1".to_owned(),
    };
    let named = ["page_size", "page_token", "from_date", "to_date", "source", "ref_type", "ref_id"];
    refusal(journals(&app, bad).await).names(&named);
    let upside_down =
        ListJournalsRequest { from_date: day(2), to_date: day(1), ..Default::default() };
    refusal(journals(&app, upside_down).await).names(&["to_date"]);

    some_of_all(&app).await;
    let first = ListJournalsRequest { page_size: 1, ..Default::default() };
    let (_, page_token) = list(&app, first.clone()).await;
    let other = ListJournalsRequest { page_token, source: "ledger".to_owned(), ..first };
    refusal(journals(&app, other).await).names(&["page_token"]);
}
