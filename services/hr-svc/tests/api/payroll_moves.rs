//! How a run moves: what it says, what it refuses, and that each move is made once.

use futures::future::join_all;
use proto::hr::v1::{self as pb, PayrollRun, PayrollRunKind, PayrollRunStatus};
use tonic::{Code, Status};

use testkit::{Refusal, refusal};

use crate::{
    app::{App, day, new_id},
    payroll::{approval, gross, net, payment, regular, supplementary},
};

/// One on 10000 pence a month, who pays 1000 of it.
async fn shop() -> (App, pb::Employee) {
    let app = App::start().await;
    let ann = app.hire(120_000, "2024-01-01").await;
    app.withhold(&ann, &[("paye_pence", 1000), ("employer_ni_pence", 100)]).await;
    (app, ann)
}

type Answers = [(&'static str, Result<PayrollRun, Status>); 5];

async fn all_moves(app: &App, run: &PayrollRun) -> Answers {
    [
        ("draft", app.recalculate(run).await),
        ("approved", app.approve(run).await),
        ("paid", app.pay_run(run, "").await),
        ("discarded", app.discard(run).await),
        ("reversed", app.reverse(run).await.map(|(run, _)| run)),
    ]
}

#[track_caller]
fn not_possible(refused: &Refusal, run: &PayrollRun, from: &str, to: &str) {
    refused.is(Code::FailedPrecondition, "MOVE_NOT_POSSIBLE");
    let facts = [
        format!("from: {from}"),
        format!("payroll_run_id: {}", run.payroll_run_id),
        format!("to: {to}"),
    ];
    assert_eq!(refused.facts, facts);
}

#[tokio::test]
async fn what_the_table_of_moves_lacks_is_refused() {
    let (app, _) = shop().await;
    let refused_for = async |run: &PayrollRun, from: &str, to: &[&str]| {
        for (target, answer) in all_moves(&app, run).await {
            if to.contains(&target) {
                not_possible(&refusal(answer), run, from, target);
            } else {
                assert_eq!(&answer.unwrap(), run, "{target} was so already");
            }
        }
    };
    let draft = app.draft("2024-05").await.unwrap();
    not_possible(&refusal(app.pay_run(&draft, "").await), &draft, "draft", "paid");
    not_possible(&refusal(app.reverse(&draft).await), &draft, "draft", "reversed");
    let discarded = app.discard(&draft).await.unwrap();
    refused_for(&discarded, "discarded", &["draft", "approved", "paid", "reversed"]).await;

    let approved = app.run(regular("2024-05")).await;
    not_possible(&refusal(app.recalculate(&approved).await), &approved, "approved", "draft");
    not_possible(&refusal(app.discard(&approved).await), &approved, "approved", "discarded");
    assert_eq!(app.approve(&approved).await.unwrap(), approved);
    let paid = app.pay_run(&approved, "").await.unwrap();
    not_possible(&refusal(app.recalculate(&paid).await), &paid, "paid", "draft");
    not_possible(&refusal(app.approve(&paid).await), &paid, "paid", "approved");
    not_possible(&refusal(app.discard(&paid).await), &paid, "paid", "discarded");
    assert_eq!(app.pay_run(&paid, "").await.unwrap(), paid);
    let (reversed, mirror) = app.reverse(&paid).await.unwrap();
    refused_for(&reversed, "reversed", &["draft", "approved", "paid", "discarded"]).await;
    let all = ["draft", "approved", "paid", "discarded", "reversed"];
    refused_for(&mirror, "reversed", &all).await;
    app.check_books().await;
}

#[tokio::test]
async fn what_is_approved_is_what_was_seen() {
    let (app, ann) = shop().await;
    let seen = app.draft("2024-05").await.unwrap();
    app.set_salary(&ann, 240_000, "2024-05-31").await.unwrap();
    let stale = async |run: &PayrollRun| {
        let refused = refusal(app.approve(run).await);
        refused.is(Code::FailedPrecondition, "RUN_STALE");
        assert_eq!(refused.facts, [format!("payroll_run_id: {}", run.payroll_run_id)]);
    };
    stale(&seen).await;
    let run = app.recalculate(&seen).await.unwrap();
    assert_eq!((run.etag.as_str(), gross(&run)), ("2", 9677 + 646));
    let old = refusal(app.approve(&seen).await);
    old.is(Code::Aborted, "ETAG_STALE");
    assert_eq!(old.facts, [format!("payroll_run_id: {}", seen.payroll_run_id)]);
    assert_eq!(app.recalculate(&run).await.unwrap(), run, "nothing has changed since");

    // All else that it depends on, one after the other.
    app.terminate(&ann, "2024-05-30").await.unwrap();
    stale(&run).await;
    app.terminate(&ann, "2024-05-31").await.unwrap();
    app.withhold(&ann, &[("paye_pence", 1000), ("employer_ni_pence", 101)]).await;
    stale(&run).await;
    app.withhold(&ann, &[("paye_pence", 1_000_000), ("employer_ni_pence", 100)]).await;
    stale(&run).await;
    app.withhold(&ann, &[("paye_pence", 1000), ("employer_ni_pence", 100)]).await;
    let bob = app.hire(120_000, "2024-05-31").await;
    stale(&run).await;
    app.terminate(&bob, "2024-05-30").await.unwrap();
    let approved = app.approve(&run).await.unwrap();
    assert_eq!((approved.status(), approved.totals), (PayrollRunStatus::Approved, run.totals));
    assert!(approved.approve_time.is_some());
    assert_eq!(app.get_run(&run.payroll_run_id).await.unwrap(), approved);
    app.check_books().await;
}

#[tokio::test]
async fn of_two_drafts_for_the_same_wages_one_is_approved() {
    let (app, ann) = shop().await;
    app.run(regular("2024-05")).await;
    app.set_salary(&ann, 240_000, "2024-05-01").await.unwrap();
    let first = app.draft_more("2024-05").await.unwrap();
    // Another group's run of the month, with her in it.
    let mut other = crate::app::ann();
    (other.payroll_group, other.hire_date) = ("shop-2".to_owned(), "2024-05-01".to_owned());
    app.create(other).await.unwrap();
    let to = pb::Employee { payroll_group: "shop-2".to_owned(), ..ann.clone() };
    app.update(crate::app::change(&to, &["payroll_group"])).await.unwrap();
    let request =
        pb::CreatePayrollRunRequest { payroll_group: "shop-2".to_owned(), ..regular("2024-05") };
    let second = app.create_run(request).await.unwrap();
    let to = pb::Employee { payroll_group: "main".to_owned(), ..ann };
    app.update(crate::app::change(&to, &["payroll_group"])).await.unwrap();
    app.approve(&first).await.unwrap();
    refusal(app.approve(&second).await).is(Code::FailedPrecondition, "RUN_STALE");
    assert_eq!(app.recalculate(&second).await.unwrap().payslip_count, 1);
}

#[tokio::test]
async fn a_run_is_paid_on_a_day_of_its_month_or_later_and_not_ahead() {
    let (app, _) = shop().await;
    let run = app.run(regular("2024-05")).await;
    let today = app.today().await;
    let tomorrow = day(today + chrono::Days::new(1));
    for pay_date in ["2024-04-30", &tomorrow] {
        refusal(app.pay_run(&run, pay_date).await).names(&["pay_date"]);
    }
    let paid = app.pay_run(&run, "2024-05-01").await.unwrap();
    assert_eq!((paid.pay_date.as_str(), paid.status()), ("2024-05-01", PayrollRunStatus::Paid));
    assert_eq!(app.pay_run(&run, "2024-05-01").await.unwrap(), paid);
    let refused = refusal(app.pay_run(&run, "2024-05-02").await);
    refused.is(Code::AlreadyExists, "PAID_ON_ANOTHER_DAY");
    let id = format!("payroll_run_id: {}", run.payroll_run_id);
    assert_eq!(refused.facts, ["pay_date: 2024-05-01".to_owned(), id]);
    // The run of the month to come is paid today at the earliest, and at the latest.
    let next = day(today.checked_add_months(chrono::Months::new(1)).unwrap());
    let run = app.run(regular(&next[..7])).await;
    assert_eq!(app.pay_run(&run, "").await.unwrap().pay_date, day(today));
}

#[tokio::test]
async fn a_mirror_takes_a_run_back_and_the_month_can_be_run_again() {
    let (app, ann) = shop().await;
    let run = app.run(regular("2024-05")).await;
    app.set_salary(&ann, 240_000, "2024-05-01").await.unwrap();
    let more = app.run(supplementary("2024-05")).await;
    assert_eq!((net(&run), net(&more)), (9000, 10_000));
    let (reversed, mirror) = app.reverse(&run).await.unwrap();
    assert_eq!(reversed.status(), PayrollRunStatus::Reversed);
    assert_eq!(
        (reversed.reversal_run_id.as_str(), reversed.etag.as_str()),
        (mirror.payroll_run_id.as_str(), "3")
    );
    assert_eq!(
        (mirror.kind(), mirror.status()),
        (PayrollRunKind::Reversal, PayrollRunStatus::Reversed)
    );
    assert_eq!(mirror.reverses_run_id, run.payroll_run_id);
    assert_eq!(reversed.reverse_date, day(app.today().await));
    let (taken, totals) = (mirror.totals.unwrap(), run.totals.unwrap());
    assert_eq!((taken.gross_pence, taken.net_pence), (-totals.gross_pence, -totals.net_pence));
    assert_eq!((taken.paye_pence, taken.employer_ni_pence), (-1000, -100));
    let slip = app.payslips_of(&mirror).await.pop().unwrap();
    assert_eq!((slip.pay.unwrap().net_pence, slip.earnings[0].gross_pence), (-9000, -10_000));
    assert_eq!(app.get_run(&mirror.payroll_run_id).await.unwrap(), mirror);
    assert_eq!(app.reverse(&run).await.unwrap(), (reversed, mirror), "once");
    // The supplementary run stays, so the rest of the month is paid.
    let again = app.run(regular("2024-05")).await;
    assert_ne!(again.payroll_run_id, run.payroll_run_id);
    assert_eq!((gross(&again), net(&again)), (10_000, 9000));
    app.check_books().await;
}

#[tokio::test]
async fn a_hundred_equal_requests_at_once_have_one_effect() {
    let (app, _) = shop().await;
    let draft = app.draft("2024-05").await.unwrap();
    let all_answer = |answers: Vec<Result<PayrollRun, Status>>, etag: &str| {
        assert_eq!(answers.len(), 200);
        answers.into_iter().for_each(|answer| assert_eq!(answer.unwrap().etag, etag));
    };
    // Half of them with a request id, half without.
    let approve = async |request_id: String| {
        let request = pb::ApprovePayrollRunRequest { request_id, ..approval(&draft) };
        let answer = app.payroll.clone().approve_payroll_run(request).await?;
        Ok(answer.into_inner().payroll_run.unwrap())
    };
    let ids = || {
        let id = new_id();
        (0..200).map(move |place| if place % 2 == 0 { id.clone() } else { String::new() })
    };
    all_answer(join_all(ids().map(approve)).await, "2");
    let run = app.get_run(&draft.payroll_run_id).await.unwrap();
    let pay = async |request_id: String| {
        let request = pb::PayPayrollRunRequest { request_id, ..payment(&run, "2024-05-31") };
        let answer = app.payroll.clone().pay_payroll_run(request).await?;
        Ok(answer.into_inner().payroll_run.unwrap())
    };
    all_answer(join_all(ids().map(pay)).await, "3");
    let reverse = async |request_id: String| {
        let payroll_run_id = run.payroll_run_id.clone();
        let request =
            pb::ReversePayrollRunRequest { request_id, payroll_run_id, etag: String::new() };
        let answer = app.payroll.clone().reverse_payroll_run(request).await?;
        Ok(answer.into_inner().payroll_run.unwrap())
    };
    all_answer(join_all(ids().map(reverse)).await, "5");
    assert_eq!(app.run_counts().await, (2, 2, 5));
    app.check_books().await;
}

#[tokio::test]
async fn of_those_who_approve_and_discard_at_once_some_win_and_nobody_else() {
    let (app, _) = shop().await;
    for month in 1..=9 {
        let draft = app.draft(&format!("2024-0{month}")).await.unwrap();
        let approved = join_all((0..20).map(|_| app.approve(&draft)));
        let discarded = join_all((0..20).map(|_| app.discard(&draft)));
        let (approved, discarded) = futures::join!(approved, discarded);
        let won = |answers: &[Result<PayrollRun, Status>]| {
            answers.iter().filter(|answer| answer.is_ok()).count()
        };
        let counts = (won(&approved), won(&discarded));
        assert!(matches!(counts, (20, 0) | (0, 20)), "{counts:?}");
    }
    app.check_books().await;
}

#[tokio::test]
async fn two_runs_that_would_pay_the_same_wages_are_not_both_approved_at_once() {
    let (app, ann) = shop().await;
    for month in 1..=9 {
        let period = format!("2024-0{month}");
        let run = app.run(regular(&period)).await;
        app.set_salary(&ann, 120_000 + 12 * month, &format!("{period}-01")).await.unwrap();
        let more = app.draft_more(&period).await.unwrap();
        app.reverse(&run).await.unwrap();
        // Nothing is paid now, and each of the two would pay all of it.
        let more = app.recalculate(&more).await.unwrap();
        let again = app.draft(&period).await.unwrap();
        assert_eq!((gross(&more), gross(&again)), (10_000 + month, 10_000 + month));
        let (one, other) = futures::join!(app.approve(&more), app.approve(&again));
        let (won, lost) = if one.is_ok() { (one, other) } else { (other, one) };
        won.unwrap();
        refusal(lost).is(Code::FailedPrecondition, "RUN_STALE");
    }
    app.check_books().await;
}

#[tokio::test]
async fn salaries_that_change_while_runs_are_approved_are_paid_or_are_due() {
    let (app, ann) = shop().await;
    for month in 1..=9 {
        let period = format!("2024-0{month}");
        let draft = app.draft(&period).await.unwrap();
        let first = format!("{period}-01");
        let raise = app.set_salary(&ann, 120_000 + 12 * month, &first);
        let (approved, raised) = futures::join!(app.approve(&draft), raise);
        raised.unwrap();
        let run = match approved {
            Ok(run) => run,
            Err(status) => {
                refusal::<()>(Err(status)).is(Code::FailedPrecondition, "RUN_STALE");
                app.approve(&app.recalculate(&draft).await.unwrap()).await.unwrap()
            }
        };
        let more = app.draft_more(&period).await;
        let due = match more {
            Ok(more) => gross(&app.approve(&more).await.unwrap()),
            Err(status) => {
                refusal::<()>(Err(status)).is(Code::FailedPrecondition, "NOTHING_TO_PAY");
                0
            }
        };
        assert_eq!(gross(&run) + due, 10_000 + month);
    }
}

#[tokio::test]
async fn request_ids_are_for_one_request_and_refusals_are_not_remembered() {
    let (app, _) = shop().await;
    let draft = app.draft("2024-05").await.unwrap();
    let run_id = draft.payroll_run_id.clone();
    let request_id = new_id();
    let early = pb::PayPayrollRunRequest { request_id: request_id.clone(), ..payment(&draft, "") };
    refusal(app.payroll.clone().pay_payroll_run(early.clone()).await)
        .is(Code::FailedPrecondition, "MOVE_NOT_POSSIBLE");
    app.approve(&draft).await.unwrap();
    let paid = app.payroll.clone().pay_payroll_run(early.clone()).await.unwrap().into_inner();
    assert_eq!(app.payroll.clone().pay_payroll_run(early).await.unwrap().into_inner(), paid);
    let used = |answer: Refusal| {
        answer.is(Code::AlreadyExists, "REQUEST_ID_USED");
        assert_eq!(answer.facts, [format!("request_id: {request_id}")]);
    };
    let mut payroll = app.payroll.clone();
    let other = pb::PayPayrollRunRequest {
        request_id: request_id.clone(),
        ..payment(&draft, "2024-05-02")
    };
    used(refusal(payroll.pay_payroll_run(other).await));
    let other = pb::ApprovePayrollRunRequest { request_id: request_id.clone(), ..approval(&draft) };
    used(refusal(payroll.approve_payroll_run(other).await));
    let (id, etag) = (request_id.clone(), String::new());
    let other = pb::RecalculatePayrollRunRequest {
        request_id: id.clone(),
        payroll_run_id: run_id.clone(),
        etag: etag.clone(),
    };
    used(refusal(payroll.recalculate_payroll_run(other).await));
    let other = pb::DiscardPayrollRunRequest {
        request_id: id.clone(),
        payroll_run_id: run_id.clone(),
        etag: etag.clone(),
    };
    used(refusal(payroll.discard_payroll_run(other).await));
    let other = pb::ReversePayrollRunRequest { request_id: id, payroll_run_id: run_id, etag };
    used(refusal(payroll.reverse_payroll_run(other).await));
}

#[tokio::test]
async fn etags_bad_fields_and_unknown_runs_are_refused() {
    let (app, _) = shop().await;
    let mut payroll = app.payroll.clone();
    let draft = app.draft("2024-05").await.unwrap();
    for (id, etag) in [("x", ""), (draft.payroll_run_id.as_str(), "7"), (&new_id(), "")] {
        let (request_id, payroll_run_id, etag) = (id.to_owned(), id.to_owned(), etag.to_owned());
        let request_id = if id == "x" { request_id } else { String::new() };
        let approve = pb::ApprovePayrollRunRequest {
            request_id: request_id.clone(),
            payroll_run_id: payroll_run_id.clone(),
            etag: if etag.is_empty() { "1".to_owned() } else { etag.clone() },
        };
        let pay = pb::PayPayrollRunRequest {
            request_id: request_id.clone(),
            payroll_run_id: payroll_run_id.clone(),
            etag: etag.clone(),
            pay_date: String::new(),
        };
        let recalculate = pb::RecalculatePayrollRunRequest {
            request_id: request_id.clone(),
            payroll_run_id: payroll_run_id.clone(),
            etag: etag.clone(),
        };
        let discard = pb::DiscardPayrollRunRequest {
            request_id: request_id.clone(),
            payroll_run_id: payroll_run_id.clone(),
            etag: etag.clone(),
        };
        let reverse = pb::ReversePayrollRunRequest { request_id, payroll_run_id, etag };
        let get = pb::GetPayrollRunRequest { payroll_run_id: id.to_owned() };
        let answers = [
            refusal(payroll.approve_payroll_run(approve).await),
            refusal(payroll.recalculate_payroll_run(recalculate).await),
            refusal(payroll.discard_payroll_run(discard).await),
        ];
        // A draft is neither paid nor reversed, whoever has seen it.
        let others = [
            refusal(payroll.pay_payroll_run(pay).await),
            refusal(payroll.reverse_payroll_run(reverse).await),
        ];
        let facts = [format!("payroll_run_id: {id}")];
        if id == "x" {
            answers
                .iter()
                .chain(&others)
                .for_each(|answer| answer.names(&["request_id", "payroll_run_id"]));
            refusal(payroll.get_payroll_run(get).await).names(&["payroll_run_id"]);
        } else if id == draft.payroll_run_id {
            answers.iter().for_each(|answer| answer.is(Code::Aborted, "ETAG_STALE"));
            answers.iter().for_each(|answer| assert_eq!(answer.facts, facts));
        } else {
            let got = refusal(payroll.get_payroll_run(get).await);
            for answer in answers.iter().chain(&others).chain([&got]) {
                answer.is(Code::NotFound, "PAYROLL_RUN_NOT_FOUND");
                assert_eq!(answer.facts, facts);
            }
        }
    }
    let blind = pb::ApprovePayrollRunRequest { etag: String::new(), ..approval(&draft) };
    refusal(payroll.approve_payroll_run(blind).await).names(&["etag"]);
    let run = app.approve(&draft).await.unwrap();
    let stale = pb::PayPayrollRunRequest {
        etag: draft.etag.clone(),
        pay_date: "2024-13-01".to_owned(),
        ..payment(&run, "")
    };
    refusal(payroll.pay_payroll_run(stale.clone()).await).names(&["pay_date"]);
    let stale = pb::PayPayrollRunRequest { pay_date: String::new(), ..stale };
    refusal(payroll.pay_payroll_run(stale).await).is(Code::Aborted, "ETAG_STALE");
    assert_eq!(app.get_run(&run.payroll_run_id).await.unwrap(), run);
}

#[tokio::test]
async fn postgres_refuses_what_no_command_does() {
    let (app, _) = shop().await;
    app.run(regular("2024-05")).await;
    let refused = [
        ("update hr.payslips set gross_pence = gross_pence + 1", "final"),
        ("delete from hr.payslips", "final"),
        ("update hr.payroll_runs set gross_pence = gross_pence + 1", "final"),
        ("update hr.payroll_runs set status = 'draft', approved_at = null", "final"),
        ("update hr.payroll_runs set period = '2024-06-01'", "another"),
        ("delete from hr.payroll_runs", "not deleted"),
        (
            "insert into hr.payroll_runs (id, period, payroll_group, kind, status, payslip_count, gross_pence, paye_pence,
               employee_ni_pence, employee_pension_pence, employer_ni_pence, employer_pension_pence)
             values (gen_random_uuid(), '2024-05-01', 'main', 'regular', 'draft', 1, 0, 0, 0, 0, 0, 0)",
            "payroll_runs_regular_key",
        ),
    ];
    for (statement, why) in refused {
        let error = sqlx::query(statement).execute(&app.db).await.unwrap_err().to_string();
        assert!(error.contains(why), "{statement}: {error}");
    }
    app.draft("2024-06").await.unwrap();
    let unsummed = "update hr.payroll_runs set status = 'approved', approved_at = now(), paye_pence = 1 where status = 'draft'";
    let error = sqlx::query(unsummed).execute(&app.db).await.unwrap_err().to_string();
    assert!(error.contains("sum of its payslips"), "{error}");
}
