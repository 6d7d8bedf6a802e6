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
        credited_amount: Money::ZERO,
        written_off_amount: Money::ZERO,
        noted_amount: Money::ZERO,
        noted_tax_amount: Money::ZERO,
        absorbed_amount: Money::ZERO,
        status,
        issued_at: time("2026-10-01T12:00:00Z"),
        due_date: day("2026-10-31"),
        paid_at: None,
        close_reason: String::new(),
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
    fn taking_back_an_invoice_drops_what_is_owed_and_gives_back_what_was_paid(
        amount in 1..100_000i128, paid in 0..100_000i128, lost in 0..100_000i128, tax in 0..100_000i128, parts in prop::collection::vec(1..60_000i128, 0..5),
    ) {
        let paid = paid % (amount + 1);
        let lost = lost % (amount - paid + 1);
        let open = paid + lost < amount;
        let status = if open { InvoiceStatus::Overdue } else { InvoiceStatus::Paid };
        let mut taken = Invoice {
            tax_amount: money(tax % (amount + 1)),
            written_off_amount: money(lost),
            ..invoice(money(amount), money(paid), status)
        };
        let (mut lowered, mut credited, mut absorbed, mut taxes) = (0, 0, 0, 0);
        // Parts with the tax that their seller gave them, and then all that is left.
        for part in parts.into_iter().map(Some).chain([None]) {
            let like = part.map_or(taken.rest(), |part| Part { amount: money(part), tax: money(part / 3) });
            let before = taken.left_to_take_back().hundredths();
            let by = taken.reduction(like, like.amount, taken.lost());
            let [low, gone, back, tax] = [by.lowered, by.absorbed, by.credited, by.tax].map(Money::hundredths);
            prop_assert_eq!(low + gone + back, like.amount.hundredths().min(before));
            prop_assert!(back == 0 || taken.residual() == by.lowered, "what is owed falls first");
            prop_assert!((0..=low + back).contains(&tax));
            (lowered, credited, absorbed, taxes) = (lowered + low, credited + back, absorbed + gone, taxes + tax);
            let version = taken.version;
            taken = taken.reduced(&by, part.is_none(), time("2026-11-24T09:00:00Z"));
            prop_assert_eq!(taken.version > version, low + back > 0);
            prop_assert_eq!(taken.noted_amount, money(lowered + credited));
            prop_assert_eq!(taken.residual(), money(amount - paid - lost - lowered));
        }
        prop_assert_eq!((lowered, credited, absorbed), (amount - paid - lost, paid, lost));
        prop_assert!(taxes <= taken.tax_amount.hundredths());
        prop_assert!(lost > 0 || taxes == taken.tax_amount.hundredths(), "all of the tax, to the penny");
    }

    #[test]
    fn credit_is_drawn_from_its_sources_in_turn_to_the_penny(
        sources in prop::collection::vec(-500..1_000i128, 0..8), uses in prop::collection::vec(1..900i128, 0..8),
    ) {
        let mut credits: Vec<Credit> = sources
            .iter()
            .filter(|left| **left != 0)
            .map(|left| Credit { source: Source::Payment(PaymentId::generate()), left: money(*left) })
            .collect();
        let there = available(&credits).hundredths();
        prop_assert_eq!(there, sources.iter().sum::<i128>().max(0));
        let uses: Vec<_> = uses.into_iter().map(|amount| (Some(InvoiceId::generate()), money(amount))).collect();
        let wanted: i128 = uses.iter().map(|(_, amount)| amount.hundredths()).sum();
        let positive: i128 = sources.iter().filter(|left| **left > 0).sum();
        let draws = draw(&mut credits, &uses);
        let drawn: i128 = draws.iter().map(|draw| draw.amount.hundredths()).sum();
        prop_assert_eq!(drawn, wanted.min(positive));
        let left: i128 = credits.iter().map(|credit| credit.left.hundredths()).sum();
        prop_assert_eq!(left, sources.iter().sum::<i128>() - drawn);
        prop_assert!(draws.iter().all(|draw| draw.amount.is_positive()));
        if wanted <= positive {
            for (invoice_id, amount) in uses {
                let got = draws.iter().filter(|draw| draw.invoice_id == invoice_id);
                prop_assert_eq!(got.map(|draw| draw.amount.hundredths()).sum::<i128>(), amount.hundredths());
            }
        }
    }
}

#[test]
fn what_is_closed_is_only_opened_again_and_what_is_paid_is_not_paid_again() {
    let possible = |status: InvoiceStatus, what| {
        invoice(money(100), money(0), status).after(what).map(|after| after.status)
    };
    let ways = [Move::PayRest, Move::FallOverdue, Move::TakeBack, Move::WriteOff];
    for closed in [InvoiceStatus::Voided, InvoiceStatus::WrittenOff] {
        assert!(ways.iter().all(|what| possible(closed, *what).is_none()), "{closed}");
        assert_eq!(possible(closed, Move::Reopen), Some(InvoiceStatus::Issued));
    }
    for open in [InvoiceStatus::Issued, InvoiceStatus::Overdue] {
        assert_eq!(possible(open, Move::WriteOff), Some(InvoiceStatus::WrittenOff));
        assert_eq!(possible(open, Move::Reopen), None);
    }
    assert_eq!(possible(InvoiceStatus::Paid, Move::WriteOff), None);
    assert_eq!(possible(InvoiceStatus::Paid, Move::Reopen), Some(InvoiceStatus::Issued));
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
    assert_eq!(monthly.due_date(day("2026-10-24"), None), day("2026-11-23"));
    assert_eq!(monthly.due_date(day("2028-02-01"), None), day("2028-03-02"));
    assert_eq!(monthly.due_date(day("2026-10-24"), Some(7)), day("2026-10-31"));
    let at_once = Calendar::new(chrono_tz::Europe::London, 0);
    assert_eq!(at_once.due_date(day("2026-10-24"), None), day("2026-10-24"));
    assert_eq!(at_once.due_date(day("2026-10-24"), Some(1)), day("2026-10-25"));
    assert_eq!(monthly.due_date(NaiveDate::MAX, None), NaiveDate::MAX);
}
