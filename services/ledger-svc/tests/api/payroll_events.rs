//! The journal of each event of hr-svc. All events come twice.

use log::{Cause, NewEvent};
use proto::events::v1::{PayrollDrafted, PayrollReversed};

use crate::{
    app::{App, Journal, new_id},
    events::{Pay, approved, paid_out, repaid, taken_back},
};

const DAY: &str = "2026-03-31";
/// Gross, PAYE, employee's and employer's National Insurance, employee's and employer's pension.
const PAY: Pay = Pay([500_000, 70_000, 24_000, 61_000, 25_000, 15_000]);
const APPROVED: [&str; 7] = [
    "7000 5000.00 0.00",
    "7006 610.00 0.00",
    "7007 150.00 0.00",
    "2210 0.00 700.00",
    "2211 0.00 850.00",
    "2230 0.00 400.00",
    "2220 0.00 3810.00",
];
const TAKEN_BACK: [&str; 7] = [
    "7000 0.00 5000.00",
    "7006 0.00 610.00",
    "7007 0.00 150.00",
    "2210 700.00 0.00",
    "2211 850.00 0.00",
    "2230 400.00 0.00",
    "2220 3810.00 0.00",
];

#[tokio::test]
async fn wages_are_owed_when_they_are_approved_and_gone_when_they_are_paid() {
    let app = App::start().await;
    let run = new_id();
    let events = [approved(&run, PAY, DAY), paid_out(&run, PAY, "2026-04-02")];
    app.hear_from("hr", &events).await;
    let document = format!("payroll {run}");
    let expected = Journal::of(&document, "payroll.approved", DAY, &APPROVED);
    assert_eq!(app.journal(&events[0]).await, Some(expected));
    let lines = ["2220 3810.00 0.00", "1200 0.00 3810.00"];
    let expected = Journal::of(&document, "payroll.paid", "2026-04-02", &lines);
    assert_eq!(app.journal(&events[1]).await, Some(expected));
    assert_eq!(app.balances(DAY).await[2], "2220 -3810.00");
    assert_eq!(app.balances("").await[3], "2220 0.00");
    app.check_books().await;
}

#[tokio::test]
async fn a_run_that_is_taken_back_leaves_nothing_of_itself() {
    let app = App::start().await;
    for was_paid in [false, true] {
        let run = new_id();
        let mut events = vec![approved(&run, PAY, DAY)];
        if was_paid {
            events.push(paid_out(&run, PAY, DAY));
        }
        let reversal = events.len();
        events.push(taken_back(&run, PAY, was_paid, DAY));
        if was_paid {
            events.push(repaid(&run, PAY, "2026-04-03"));
        }
        app.hear_from("hr", &events).await;
        let document = format!("payroll {run}");
        // The wages were never owed: March has none of them, and the money that came back is April's.
        let expected = Journal::of(&document, "payroll.reversed", DAY, &TAKEN_BACK);
        assert_eq!(app.journal(&events[reversal]).await, Some(expected));
        if was_paid {
            let lines = ["1200 3810.00 0.00", "2220 0.00 3810.00"];
            let expected = Journal::of(&document, "payroll.repaid", "2026-04-03", &lines);
            assert_eq!(app.journal(events.last().unwrap()).await, Some(expected));
        }
        let wages = app.balances(DAY).await.into_iter().filter(|one| one.starts_with('7'));
        let nothing = ["7000 0.00", "7006 0.00", "7007 0.00"];
        assert_eq!(wages.collect::<Vec<_>>(), nothing, "was paid: {was_paid}");
        let left: Vec<String> = sqlx::query_scalar(
            "select account from ledger.ledger_entries where ref_type = 'payroll' and ref_id = $1::uuid
             group by account having sum(debit) <> sum(credit)",
        )
        .bind(&run)
        .fetch_all(&app.db)
        .await
        .unwrap();
        assert_eq!(left, [""; 0], "was paid: {was_paid}");
    }
    app.check_books().await;
}

#[tokio::test]
async fn a_draft_is_not_booked_and_neither_is_a_run_of_nothing() {
    let app = App::start().await;
    let run = new_id();
    let data = PayrollDrafted { payroll_run_id: run.clone(), ..Default::default() };
    let events = [
        NewEvent::new("payroll.drafted", &run, 1, &data, &Cause::of_call()),
        NewEvent::new("payroll.discarded", &run, 2, &data, &Cause::of_call()),
        approved(&new_id(), Pay([0; 6]), DAY),
    ];
    app.hear_from("hr", &events).await;
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    assert_eq!(app.count("ledger.journals").await, 0);
}

#[tokio::test]
async fn a_run_whose_sums_do_not_agree_is_put_aside_with_the_reason() {
    let app = App::start().await;
    let run = new_id();
    let mut data = PAY.approved(&run, DAY);
    data.net = data.gross.clone();
    let nothing = PayrollReversed { payroll_run_id: new_id(), ..Default::default() };
    let events = [
        NewEvent::new("payroll.approved", &run, 2, &data, &Cause::of_call()),
        NewEvent::new("payroll.reversed", new_id(), 4, &nothing, &Cause::of_call()),
    ];
    app.hr.publish(&events).await;
    app.log.catch_up("hr").await;
    let letters = app.log.dead_letters().await;
    assert_eq!(
        letters,
        ["debit 5760.00 is not credit 6950.00", "a reversal without what was approved"]
    );
    assert_eq!(app.count("ledger.journals").await, 0);
}
