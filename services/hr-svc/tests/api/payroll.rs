//! The words of the payroll, for the tests of it.

use proto::{common::v1::Money, hr::v1 as pb};
use tonic::Status;

use crate::app::App;

impl App {
    pub(crate) async fn create_run(
        &self,
        request: pb::CreatePayrollRunRequest,
    ) -> Result<pb::PayrollRun, Status> {
        let answer = self.payroll.clone().create_payroll_run(request).await?;
        Ok(answer.into_inner().payroll_run.unwrap())
    }

    pub(crate) async fn draft(&self, period: &str) -> Result<pb::PayrollRun, Status> {
        self.create_run(regular(period)).await
    }

    pub(crate) async fn draft_more(&self, period: &str) -> Result<pb::PayrollRun, Status> {
        self.create_run(supplementary(period)).await
    }

    pub(crate) async fn preview(
        &self,
        request: pb::CreatePayrollRunRequest,
    ) -> Result<(pb::PayrollRun, Vec<pb::Payslip>), Status> {
        let request = pb::CreatePayrollRunRequest { validate_only: true, ..request };
        let answer = self.payroll.clone().create_payroll_run(request).await?.into_inner();
        Ok((answer.payroll_run.unwrap(), answer.payslips))
    }

    pub(crate) async fn get_run(&self, id: &str) -> Result<pb::PayrollRun, Status> {
        let request = pb::GetPayrollRunRequest { payroll_run_id: id.to_owned() };
        let answer = self.payroll.clone().get_payroll_run(request).await?;
        Ok(answer.into_inner().payroll_run.unwrap())
    }

    pub(crate) async fn recalculate(&self, run: &pb::PayrollRun) -> Result<pb::PayrollRun, Status> {
        let request = pb::RecalculatePayrollRunRequest {
            payroll_run_id: run.payroll_run_id.clone(),
            ..Default::default()
        };
        let answer = self.payroll.clone().recalculate_payroll_run(request).await?;
        Ok(answer.into_inner().payroll_run.unwrap())
    }

    pub(crate) async fn approve(&self, run: &pb::PayrollRun) -> Result<pb::PayrollRun, Status> {
        let answer = self.payroll.clone().approve_payroll_run(approval(run)).await?;
        Ok(answer.into_inner().payroll_run.unwrap())
    }

    pub(crate) async fn pay_run(
        &self,
        run: &pb::PayrollRun,
        pay_date: &str,
    ) -> Result<pb::PayrollRun, Status> {
        let answer = self.payroll.clone().pay_payroll_run(payment(run, pay_date)).await?;
        Ok(answer.into_inner().payroll_run.unwrap())
    }

    pub(crate) async fn discard(&self, run: &pb::PayrollRun) -> Result<pb::PayrollRun, Status> {
        let request = pb::DiscardPayrollRunRequest {
            payroll_run_id: run.payroll_run_id.clone(),
            ..Default::default()
        };
        let answer = self.payroll.clone().discard_payroll_run(request).await?;
        Ok(answer.into_inner().payroll_run.unwrap())
    }

    /// The run as it is then, and its mirror.
    pub(crate) async fn reverse(
        &self,
        run: &pb::PayrollRun,
    ) -> Result<(pb::PayrollRun, pb::PayrollRun), Status> {
        let request = pb::ReversePayrollRunRequest {
            payroll_run_id: run.payroll_run_id.clone(),
            ..Default::default()
        };
        let answer = self.payroll.clone().reverse_payroll_run(request).await?.into_inner();
        Ok((answer.payroll_run.unwrap(), answer.reversal.unwrap()))
    }

    /// Drafts and approves.
    pub(crate) async fn run(&self, request: pb::CreatePayrollRunRequest) -> pb::PayrollRun {
        let draft = self.create_run(request).await.unwrap();
        self.approve(&draft).await.unwrap()
    }

    pub(crate) async fn payslips_of(&self, run: &pb::PayrollRun) -> Vec<pb::Payslip> {
        let request = pb::ListPayslipsRequest {
            page_size: 1000,
            payroll_run_id: run.payroll_run_id.clone(),
            ..Default::default()
        };
        self.payroll.clone().list_payslips(request).await.unwrap().into_inner().payslips
    }

    /// What a run pays to each, in the order of the employees' keys.
    pub(crate) async fn gross_of(&self, run: &pb::PayrollRun) -> Vec<(String, i64)> {
        let payslips = self.payslips_of(run).await.into_iter();
        payslips.map(|slip| (slip.employee_id, slip.pay.unwrap().gross_pence)).collect()
    }

    /// Runs and payslips that there are, and events of runs.
    pub(crate) async fn run_counts(&self) -> (i64, i64, i64) {
        sqlx::query_as(
            "select (select count(*) from hr.payroll_runs), (select count(*) from hr.payslips),
                    (select count(*) from hr.events_log where event_type like 'payroll.%')",
        )
        .fetch_one(&self.db)
        .await
        .unwrap()
    }

    /// Panics unless the books that the events make are those of the runs.
    pub(crate) async fn check_books(&self) {
        let off: Vec<String> =
            sqlx::query_scalar(include_str!("books.sql")).fetch_all(&self.db).await.unwrap();
        assert!(off.is_empty(), "the books do not tie: {off:?}");
    }
}

pub(crate) fn regular(period: &str) -> pb::CreatePayrollRunRequest {
    pb::CreatePayrollRunRequest { period: period.to_owned(), ..Default::default() }
}

pub(crate) fn supplementary(period: &str) -> pb::CreatePayrollRunRequest {
    pb::CreatePayrollRunRequest { supplementary: true, ..regular(period) }
}

/// Of the run as it was seen.
pub(crate) fn approval(run: &pb::PayrollRun) -> pb::ApprovePayrollRunRequest {
    pb::ApprovePayrollRunRequest {
        request_id: String::new(),
        payroll_run_id: run.payroll_run_id.clone(),
        etag: run.etag.clone(),
    }
}

pub(crate) fn payment(run: &pb::PayrollRun, pay_date: &str) -> pb::PayPayrollRunRequest {
    pb::PayPayrollRunRequest {
        payroll_run_id: run.payroll_run_id.clone(),
        pay_date: pay_date.to_owned(),
        ..Default::default()
    }
}

pub(crate) fn gross(run: &pb::PayrollRun) -> i64 {
    run.totals.unwrap().gross_pence
}

pub(crate) fn net(run: &pb::PayrollRun) -> i64 {
    run.totals.unwrap().net_pence
}

/// As ProtoJSON has it.
pub(crate) fn pounds(amount: &str) -> serde_json::Value {
    let money = Money { amount: amount.to_owned(), currency_code: "GBP".to_owned() };
    serde_json::to_value(money).unwrap()
}
