use proptest::prelude::*;

use super::*;

fn money(hundredths: i128) -> Money {
    Money::from_hundredths(hundredths).unwrap()
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn invoice(amount: Money, paid: Money, status: InvoiceStatus) -> Invoice {
    Invoice {
        id: InvoiceId::generate(),
        number: "INV-000001".to_owned(),
        order_id: OrderId::generate(),
        customer_id: CustomerId::generate(),
        amount,
        tax_amount: Money::ZERO,
        paid_amount: paid,
        status,
        issued_at: time("2026-10-01T12:00:00Z"),
        due_date: day("2026-10-31"),
        paid_at: None,
        version: 1,
    }
}

fn open_invoices() -> impl Strategy<Value = Vec<Invoice>> {
    let open = (1..100_000i128, 0..100_000i128, any::<bool>()).prop_map(|(amount, paid, late)| {
        let status = if late { InvoiceStatus::Overdue } else { InvoiceStatus::Issued };
        invoice(money(amount), money(paid % amount), status)
    });
    prop::collection::vec(open, 0..20)
}

proptest! {
    #[test]
    fn no_penny_is_lost_and_no_invoice_is_overpaid(amount in 1..2_000_000i128, open in open_invoices()) {
        let shares = allocate(money(amount), open.clone(), time("2026-11-24T09:00:00Z"));
        let shared: i128 = shares.paid.iter().map(|(_, share)| share.hundredths()).sum();
        prop_assert_eq!(shared + shares.left.hundredths(), amount);
        for (after, share) in &shares.paid {
            let before = open.iter().find(|invoice| invoice.id == after.id).unwrap();
            prop_assert!(share.is_positive());
            prop_assert_eq!(before.residual().checked_sub(*share).unwrap(), after.residual());
            prop_assert!(after.paid_amount <= after.amount);
            let paid = after.residual().is_zero();
            prop_assert_eq!(after.status == InvoiceStatus::Paid, paid);
            prop_assert_eq!(after.paid_at.is_some(), paid);
            prop_assert_eq!(after.version, before.version + i32::from(paid));
        }
    }

    #[test]
    fn whoever_is_first_is_paid_in_full_before_the_next_gets_anything(amount in 1..2_000_000i128, open in open_invoices()) {
        let shares = allocate(money(amount), open.clone(), time("2026-11-24T09:00:00Z"));
        let order: Vec<InvoiceId> = open.iter().map(|invoice| invoice.id).take(shares.paid.len()).collect();
        let got: Vec<InvoiceId> = shares.paid.iter().map(|(invoice, _)| invoice.id).collect();
        prop_assert_eq!(got, order);
        let all_but_last = shares.paid.len().saturating_sub(1);
        prop_assert!(shares.paid.iter().take(all_but_last).all(|(invoice, _)| invoice.residual().is_zero()));
        prop_assert!(shares.left.is_zero() || shares.paid.len() == open.len());
    }

    #[test]
    fn a_credit_note_gives_back_what_was_paid_and_drops_the_rest(amount in 1..100_000i128, paid in 0..100_000i128) {
        let paid = paid % (amount + 1);
        let taken = invoice(money(amount), money(paid), InvoiceStatus::Overdue).after(Move::TakeBack).unwrap();
        prop_assert!(taken.residual().is_zero());
        let note = taken.credit_note(CreditNoteId::generate(), "CRN-000001".to_owned(), taken.issued_at);
        prop_assert_eq!(note.credited, money(paid));
        prop_assert_eq!(note.residual(), money(amount - paid));
    }
}

#[test]
fn what_is_voided_stays_voided_and_what_is_paid_is_not_paid_again() {
    let possible = |status: InvoiceStatus, what| {
        invoice(money(100), money(0), status).after(what).map(|after| after.status)
    };
    for what in [Move::PayRest, Move::FallOverdue, Move::TakeBack] {
        assert_eq!(possible(InvoiceStatus::Voided, what), None);
    }
    assert_eq!(possible(InvoiceStatus::Paid, Move::PayRest), None);
    assert_eq!(possible(InvoiceStatus::Paid, Move::FallOverdue), None);
    assert_eq!(possible(InvoiceStatus::Paid, Move::TakeBack), Some(InvoiceStatus::Voided));
}

#[test]
fn a_day_begins_at_midnight_where_the_business_is() {
    let london = Calendar::new(chrono_tz::Europe::London, 30);
    // Clocks go back on 2026-10-25 at 01:00 UTC and forward on 2027-03-28 at 01:00 UTC.
    for (instant, local_day) in [
        ("2026-10-24T22:59:59Z", "2026-10-24"),
        ("2026-10-24T23:00:00Z", "2026-10-25"),
        ("2026-10-25T23:59:59Z", "2026-10-25"),
        ("2026-10-26T00:00:00Z", "2026-10-26"),
        ("2027-03-27T23:59:59Z", "2027-03-27"),
        ("2027-03-28T00:00:00Z", "2027-03-28"),
        ("2027-03-28T22:59:59Z", "2027-03-28"),
        ("2027-03-28T23:00:00Z", "2027-03-29"),
    ] {
        assert_eq!(london.day_of(time(instant)), day(local_day), "{instant}");
    }
    let auckland = Calendar::new(chrono_tz::Pacific::Auckland, 30);
    assert_eq!(auckland.day_of(time("2026-11-24T11:00:00Z")), day("2026-11-25"));
}

#[test]
fn an_invoice_is_overdue_from_the_day_after_its_due_date_on() {
    let due = invoice(money(100), money(40), InvoiceStatus::Issued);
    assert_eq!(due.status_on(day("2026-10-31")), InvoiceStatus::Issued);
    assert_eq!(due.status_on(day("2026-11-01")), InvoiceStatus::Overdue);
    let paid = invoice(money(100), money(100), InvoiceStatus::Paid);
    assert_eq!(paid.status_on(day("2026-11-01")), InvoiceStatus::Paid);
}

#[test]
fn terms_are_counted_in_days() {
    let monthly = Calendar::new(chrono_tz::Europe::London, 30);
    assert_eq!(monthly.due_date(day("2026-10-24")), day("2026-11-23"));
    assert_eq!(monthly.due_date(day("2028-02-01")), day("2028-03-02"));
    let at_once = Calendar::new(chrono_tz::Europe::London, 0);
    assert_eq!(at_once.due_date(day("2026-10-24")), day("2026-10-24"));
    assert_eq!(monthly.due_date(NaiveDate::MAX), NaiveDate::MAX);
}
