//! What is made good after the month's run.

use tonic::Code;

use testkit::refusal;

use crate::{
    app::App,
    payroll::{gross, net, regular, supplementary},
};

#[tokio::test]
async fn a_late_joiner_is_paid_after_the_months_run() {
    let app = App::start().await;
    app.hire(37_200, "2023-01-01").await;
    app.run(regular("2024-01")).await;
    let bob = app.hire(37_200, "2024-01-30").await;
    app.withhold(&bob, &[("paye_pence", 50)]).await;
    let more = app.run(supplementary("2024-01")).await;
    assert_eq!(app.gross_of(&more).await, [(bob.employee_id, 200)]);
    assert_eq!(net(&more), 150);
    assert_eq!(app.draft("2024-01").await.unwrap().payslip_count, 1, "the month's run is the same");
    let nothing = refusal(app.draft_more("2024-01").await);
    nothing.is(Code::FailedPrecondition, "NOTHING_TO_PAY");
    app.check_books().await;
}

#[tokio::test]
async fn a_rise_that_is_dated_back_is_made_good_to_the_penny() {
    let app = App::start().await;
    let ann = app.hire(1_000_001, "2023-01-01").await;
    app.withhold(&ann, &[("paye_pence", 10_000)]).await;
    let first = app.run(regular("2024-01")).await;
    assert_eq!(gross(&first), 83_333);
    app.set_salary(&ann, 2_345_679, "2024-01-14").await.unwrap();
    let more = app.run(supplementary("2024-01")).await;
    // floor(83333·13/31), and floor(2345679/12) less its first 13 days.
    let month = 34_946 + (195_473 - 81_972);
    assert_eq!((gross(&more), net(&more)), (month - 83_333, month - 83_333));
    let payslip = app.payslips_of(&more).await.pop().unwrap();
    assert_eq!(payslip.earnings.iter().map(|part| part.gross_pence).sum::<i64>(), month);
    let earlier = payslip.earlier.unwrap();
    assert_eq!(
        (earlier.gross_pence, earlier.paye_pence, earlier.net_pence),
        (83_333, 10_000, 73_333)
    );
    // And once more, with what is withheld of it.
    app.set_salary(&ann, 2_345_679, "2024-01-01").await.unwrap();
    app.withhold(&ann, &[("paye_pence", 20_000)]).await;
    let last = app.run(supplementary("2024-01")).await;
    assert_eq!((gross(&last), net(&last)), (195_473 - month, 195_473 - month - 10_000));
    app.check_books().await;
}

#[tokio::test]
async fn it_comes_after_the_months_run_only() {
    let app = App::start().await;
    app.hire(37_200, "2023-01-01").await;
    let missing = async || {
        let refused = refusal(app.draft_more("2024-01").await);
        refused.is(Code::FailedPrecondition, "REGULAR_RUN_MISSING");
    };
    missing().await;
    let draft = app.draft("2024-01").await.unwrap();
    missing().await;
    let run = app.approve(&draft).await.unwrap();
    app.hire(37_200, "2024-01-31").await;
    assert_eq!(gross(&app.draft_more("2024-01").await.unwrap()), 100);
    app.reverse(&run).await.unwrap();
    let drafts = app.draft_more("2024-01").await.unwrap();
    assert_eq!(gross(&drafts), 100, "a draft that there is, is found");
    app.discard(&drafts).await.unwrap();
    missing().await;
}

#[tokio::test]
async fn it_can_be_for_some_only() {
    let app = App::start().await;
    let ann = app.hire(37_200, "2023-01-01").await;
    app.run(regular("2024-01")).await;
    let (bob, cleo) = (app.hire(37_200, "2024-01-30").await, app.hire(37_200, "2024-01-31").await);
    let mut only = supplementary("2024-01");
    only.employee_ids = vec![cleo.employee_id.clone(), ann.employee_id.clone()];
    let draft = app.create_run(only.clone()).await.unwrap();
    assert_eq!(app.gross_of(&draft).await, [(cleo.employee_id.clone(), 100)]);
    assert_eq!(draft.employee_ids, [ann.employee_id.clone(), cleo.employee_id.clone()]);
    only.employee_ids.reverse();
    assert_eq!(app.create_run(only.clone()).await.unwrap(), draft, "whatever their order");
    let others = refusal(app.draft_more("2024-01").await);
    others.is(Code::AlreadyExists, "DRAFT_EXISTS");
    assert_eq!(others.facts, [format!("payroll_run_id: {}", draft.payroll_run_id)]);
    refusal(app.preview(supplementary("2024-01")).await).is(Code::AlreadyExists, "DRAFT_EXISTS");
    app.approve(&draft).await.unwrap();
    let rest = app.run(supplementary("2024-01")).await;
    assert_eq!(app.gross_of(&rest).await, [(bob.employee_id, 200)]);
}

#[tokio::test]
async fn it_takes_nothing_back_but_can_leave_those_out_who_owe() {
    let app = App::start().await;
    let ann = app.hire(37_200, "2023-01-01").await;
    app.run(regular("2024-01")).await;
    app.terminate(&ann, "2024-01-30").await.unwrap();
    let bob = app.hire(37_200, "2024-01-30").await;
    let refused = refusal(app.draft_more("2024-01").await);
    refused.is(Code::FailedPrecondition, "NET_NEGATIVE");
    assert_eq!(refused.facts, [format!("employee_ids: {}", ann.employee_id)]);
    // Not employed in the month at all any more, and so nothing of it is hers.
    app.terminate(&ann, "2023-12-31").await.unwrap();
    refusal(app.draft_more("2024-01").await).is(Code::FailedPrecondition, "NET_NEGATIVE");
    let mut only = supplementary("2024-01");
    only.employee_ids = vec![bob.employee_id.clone()];
    assert_eq!(gross(&app.run(only).await), 200);
    app.check_books().await;
}

#[tokio::test]
async fn less_withheld_is_no_supplement() {
    let app = App::start().await;
    let ann = app.hire(37_200, "2023-01-01").await;
    app.withhold(&ann, &[("paye_pence", 100), ("employer_pension_pence", 10)]).await;
    app.run(regular("2024-01")).await;
    for inputs in [
        [("paye_pence", 99), ("employer_pension_pence", 10)],
        [("paye_pence", 100), ("employer_pension_pence", 9)],
    ] {
        app.withhold(&ann, &inputs).await;
        let refused = refusal(app.draft_more("2024-01").await);
        refused.is(Code::FailedPrecondition, "CORRECTION_NEGATIVE");
        assert_eq!(refused.facts, [format!("employee_ids: {}", ann.employee_id)]);
    }
    // More on top of it is.
    app.withhold(&ann, &[("paye_pence", 100), ("employer_pension_pence", 25)]).await;
    let more = app.run(supplementary("2024-01")).await;
    let totals = more.totals.unwrap();
    assert_eq!((totals.gross_pence, totals.net_pence, totals.employer_pension_pence), (0, 0, 15));
}

#[tokio::test]
async fn those_named_are_in_the_group() {
    let app = App::start().await;
    app.hire(37_200, "2023-01-01").await;
    app.run(regular("2024-01")).await;
    let mut request = supplementary("2024-01");
    request.employee_ids = vec![crate::app::new_id()];
    let refused = refusal(app.create_run(request.clone()).await);
    refused.is(Code::NotFound, "EMPLOYEE_NOT_FOUND");
    assert_eq!(refused.facts, [format!("employee_id: {}", request.employee_ids[0])]);
    let mut other = crate::app::ann();
    other.payroll_group = "weekly".to_owned();
    request.employee_ids = vec![app.create(other).await.unwrap().employee_id];
    let refused = refusal(app.create_run(request.clone()).await);
    refused.is(Code::FailedPrecondition, "NOT_IN_GROUP");
    assert_eq!(refused.facts, [format!("employee_id: {}", request.employee_ids[0])]);
}
