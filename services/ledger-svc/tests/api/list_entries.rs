use log::NewEvent;
use proto::ledger::v1::{Entry, ListEntriesRequest, NewJournal};
use testkit::refusal;
use tonic::Code;

use crate::{
    app::{App, capital, money, new_id},
    events::{Pay, approved, issued, paid, stock, voided},
};

const DAY: &str = "2026-03-31";

fn of_account(account: &str) -> ListEntriesRequest {
    ListEntriesRequest { account: account.to_owned(), ..Default::default() }
}

fn of_document(id: &str) -> ListEntriesRequest {
    ListEntriesRequest {
        ref_type: "invoice".to_owned(),
        ref_id: id.to_owned(),
        ..Default::default()
    }
}

/// Account, debit and credit of each.
async fn list(app: &App, request: ListEntriesRequest) -> (Vec<String>, String) {
    let (entries, token) = app.entries(request).await.unwrap();
    let amount = |money: Option<proto::common::v1::Money>| money.unwrap().amount;
    let shown =
        |one: Entry| format!("{} {} {}", one.account, amount(one.debit), amount(one.credit));
    (entries.into_iter().map(shown).collect(), token)
}

#[tokio::test]
async fn an_entry_says_what_was_booked_for_what_and_when() {
    let app = App::start().await;
    let invoice = new_id();
    let event = issued(&invoice, "12.00", "0.00", DAY);
    app.hear(std::slice::from_ref(&event)).await;
    let (entries, token) = app.entries(of_account("1100")).await.unwrap();
    let (entry_id, journal_id, posted_at): (String, String, String) = sqlx::query_as(
        "select e.id::text, j.id::text, to_char(j.posted_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')
         from ledger.journals j join ledger.ledger_entries e on e.journal_id = j.id
         where e.account = '1100'",
    )
    .fetch_one(&app.db)
    .await
    .unwrap();
    let expected = Entry {
        entry_id,
        journal_id,
        account: "1100".to_owned(),
        debit: money("12.00"),
        credit: money("0.00"),
        ref_type: "invoice".to_owned(),
        ref_id: invoice,
        effective_date: DAY.to_owned(),
        create_time: Some(posted_at.parse().unwrap()),
        event_type: "invoice.issued".to_owned(),
        document_date: DAY.to_owned(),
    };
    assert_eq!((entries, token), (vec![expected], String::new()));
}

#[tokio::test]
async fn the_newest_come_first_page_by_page_while_others_are_booked() {
    let app = App::start().await;
    let gross = |n: usize| format!("{n}.00");
    for n in 1..=5 {
        app.hear(&[issued(&new_id(), &gross(n), "0.00", DAY)]).await;
    }
    let mut request = ListEntriesRequest { page_size: 2, ..of_account("1100") };
    let mut pages = Vec::new();
    for n in 6.. {
        let (page, token) = list(&app, request.clone()).await;
        pages.push(page);
        if token.is_empty() {
            break;
        }
        request.page_token = token;
        // One that comes meanwhile moves nothing.
        app.hear(&[issued(&new_id(), &gross(n), "0.00", DAY)]).await;
    }
    let shown = |n: usize| format!("1100 {n}.00 0.00");
    assert_eq!(pages, [vec![shown(5), shown(4)], vec![shown(3), shown(2)], vec![shown(1)]]);
    assert_eq!(list(&app, of_account("1100")).await.0.len(), 7);
}

#[tokio::test]
async fn a_document_has_all_that_was_booked_for_it() {
    let app = App::start().await;
    let (invoice, other, payment) = (new_id(), new_id(), new_id());
    app.hear(&[
        issued(&invoice, "12.00", "2.00", DAY),
        issued(&other, "9.00", "0.00", DAY),
        paid(&payment, "10.00", &[(&invoice, "5.00"), (&other, "4.00")], "1.00", DAY),
        voided(&new_id(), "9.00", "0.00", DAY),
    ])
    .await;
    let of_invoice = [
        "1100 0.00 5.00",
        "1200 5.00 0.00",
        "2200 0.00 2.00",
        "4000 0.00 10.00",
        "1100 12.00 0.00",
    ];
    assert_eq!(list(&app, of_document(&invoice)).await.0, of_invoice);
    let of_payment = ListEntriesRequest { ref_type: "payment".to_owned(), ..of_document(&payment) };
    assert_eq!(list(&app, of_payment).await.0, ["2110 0.00 1.00", "1200 1.00 0.00"]);
    let both = ListEntriesRequest { account: "1100".to_owned(), ..of_document(&invoice) };
    assert_eq!(list(&app, both).await.0, ["1100 0.00 5.00", "1100 12.00 0.00"]);
    let as_order = ListEntriesRequest { ref_type: "order".to_owned(), ..of_document(&invoice) };
    assert_eq!(list(&app, as_order).await.0, [""; 0]);

    let mut request = ListEntriesRequest { page_size: 2, ..of_document(&invoice) };
    let mut pages = Vec::new();
    loop {
        let (page, token) = list(&app, request.clone()).await;
        pages.push(page);
        if token.is_empty() {
            break;
        }
        request.page_token = token;
        app.hear(&[paid(&new_id(), "1.00", &[(&invoice, "1.00")], "0.00", DAY)]).await;
    }
    assert_eq!(pages, [&of_invoice[..2], &of_invoice[2..4], &of_invoice[4..]]);
}

#[tokio::test]
async fn documents_of_every_kind_can_be_asked_for() {
    let app = App::start().await;
    let ids = [(); 6].map(|()| new_id());
    let [invoice, payment, order, delivery, run, about] = &ids;
    app.hear(&[issued(invoice, "1.00", "0.00", DAY), paid(payment, "2.00", &[], "2.00", DAY)])
        .await;
    let moved = [
        stock("stock.shipped", order, "", "3.00", DAY),
        stock("stock.received", "", delivery, "4.00", DAY),
    ];
    app.hear_from("inventory", &moved).await;
    app.hear_from("hr", &[approved(run, Pay([500, 0, 0, 0, 0, 0]), DAY)]).await;
    let by_hand = app.post(capital("6.00", DAY)).await.unwrap().journal_id;
    let about_an_order =
        NewJournal { ref_type: "order".to_owned(), ref_id: about.clone(), ..capital("7.00", DAY) };
    app.post(about_an_order).await.unwrap();
    for (ref_type, ref_id, debit) in [
        ("invoice", invoice, "1100 1.00 0.00"),
        ("payment", payment, "1200 2.00 0.00"),
        ("order", order, "5000 3.00 0.00"),
        ("stock", delivery, "1001 4.00 0.00"),
        ("payroll", run, "7000 5.00 0.00"),
        ("journal", &by_hand, "1200 6.00 0.00"),
        ("order", about, "1200 7.00 0.00"),
    ] {
        let request = ListEntriesRequest {
            ref_type: ref_type.to_owned(),
            ref_id: ref_id.clone(),
            ..Default::default()
        };
        let (entries, _) = list(&app, request).await;
        assert_eq!((entries.len(), &*entries[1]), (2, debit), "{ref_type}");
    }
}

#[tokio::test]
async fn an_account_that_the_chart_lacks_is_not_found_and_one_without_entries_is_empty() {
    let app = App::start().await;
    let refused = refusal(app.entries(of_account("1101")).await);
    refused.is(Code::NotFound, "ACCOUNT_NOT_FOUND");
    assert_eq!(refused.facts, ["account: 1101"]);
    assert_eq!(app.entries(of_account("1100")).await.unwrap(), (vec![], String::new()));
    assert_eq!(app.entries(of_document(&new_id())).await.unwrap(), (vec![], String::new()));
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let bad = ListEntriesRequest {
        page_size: 1001,
        page_token: "x".to_owned(),
        account: "1".repeat(65),
        ref_id: "INV-000001".to_owned(),
        ref_type: "receipt".to_owned(),
        ..Default::default()
    };
    let named = ["page_size", "page_token", "ref_type", "ref_id", "account"];
    refusal(app.entries(bad).await).names(&named);
    refusal(app.entries(ListEntriesRequest::default()).await).names(&["account"]);
    let half = ListEntriesRequest { ref_id: String::new(), ..of_document("") };
    refusal(app.entries(half).await).names(&["ref_id"]);
    let half = ListEntriesRequest { ref_type: String::new(), ..of_document(&new_id()) };
    refusal(app.entries(half).await).names(&["ref_type"]);
    let days = |from: &str, to: &str| ListEntriesRequest {
        from_date: from.to_owned(),
        to_date: to.to_owned(),
        ..of_account("1100")
    };
    refusal(app.entries(days("31 March", "2026-02-30")).await).names(&["from_date", "to_date"]);
    refusal(app.entries(days("2026-04-01", "2026-03-31")).await).names(&["to_date"]);
}

#[tokio::test]
async fn a_range_of_days_has_what_belongs_to_it_the_latest_day_first_page_by_page() {
    let app = App::start().await;
    let day = |day: u32| format!("2026-03-{day:02}");
    for (n, on) in [(1, 10), (2, 12), (3, 11), (4, 12), (5, 14)] {
        let event = issued(&new_id(), &format!("{n}.00"), "0.00", &day(on));
        app.hear(std::slice::from_ref(&event)).await;
    }
    let days = |from: &str, to: &str| ListEntriesRequest {
        from_date: from.to_owned(),
        to_date: to.to_owned(),
        ..of_account("1100")
    };
    let shown = |n: u32| format!("1100 {n}.00 0.00");
    assert_eq!(list(&app, days(&day(12), &day(12))).await.0, [4, 2].map(shown));
    assert_eq!(list(&app, days(&day(12), "")).await.0, [5, 4, 2].map(shown));
    assert_eq!(list(&app, days("", &day(11))).await.0, [3, 1].map(shown));

    let mut request = ListEntriesRequest { page_size: 2, ..days(&day(10), &day(13)) };
    let mut pages = Vec::new();
    for n in 6.. {
        let (page, token) = list(&app, request.clone()).await;
        pages.push(page);
        if token.is_empty() {
            break;
        }
        request.page_token = token;
        // One that comes meanwhile, of a day that was sent already, moves nothing.
        app.hear(&[issued(&new_id(), &format!("{n}.00"), "0.00", &day(13))]).await;
    }
    assert_eq!(pages, [[4, 2].map(shown), [3, 1].map(shown)]);
}

#[tokio::test]
async fn a_token_goes_on_with_its_own_list_only() {
    let app = App::start().await;
    let events: Vec<NewEvent> = (0..2).map(|_| issued(&new_id(), "9.00", "1.00", DAY)).collect();
    app.hear(&events).await;
    let first = ListEntriesRequest { page_size: 1, ..of_account("1100") };
    let (_, page_token) = list(&app, first.clone()).await;
    let others = [
        ListEntriesRequest { account: "2200".to_owned(), ..first.clone() },
        ListEntriesRequest { account: "1100".to_owned(), ..of_document(&new_id()) },
        of_document(&new_id()),
    ];
    for other in others {
        let other = ListEntriesRequest { page_token: page_token.clone(), ..other };
        refusal(app.entries(other).await).names(&["page_token"]);
    }
    let broken = ListEntriesRequest { page_token: format!("{page_token}0"), ..first };
    refusal(app.entries(broken).await).names(&["page_token"]);
}
