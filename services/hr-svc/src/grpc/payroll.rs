use chrono_tz::Tz;
use ids::{PayrollRunId, PayslipId};
use log::Log;
use pg::FilteredRead;
use proto::hr::v1 as pb;
use rpc::{Fields, Page};
use tonic::{Request, Response, Status};

use super::{read, show};
use crate::{HrError, commands, store};

pub(crate) struct Payroll {
    pub(crate) log: Log,
    pub(crate) zone: Tz,
}

#[tonic::async_trait]
impl pb::payroll_service_server::PayrollService for Payroll {
    async fn create_payroll_run(
        &self,
        request: Request<pb::CreatePayrollRunRequest>,
    ) -> Result<Response<pb::CreatePayrollRunResponse>, Status> {
        let request = request.into_inner();
        let validate_only = request.validate_only;
        let command = read::create_payroll_run(&request)?;
        let (run, payslips) = if validate_only {
            let preview = commands::preview_payroll_run(&self.log, self.zone, &command);
            preview.await?
        } else {
            let run = commands::create_payroll_run(&self.log, self.zone, &command).await?;
            (run, Vec::new())
        };
        let payslips =
            payslips.iter().filter(|_| rpc::may("pay.read")).map(show::payslip).collect();
        let payroll_run = Some(show::payroll_run(run));
        Ok(Response::new(pb::CreatePayrollRunResponse { payroll_run, payslips }))
    }

    async fn get_payroll_run(
        &self,
        request: Request<pb::GetPayrollRunRequest>,
    ) -> Result<Response<pb::GetPayrollRunResponse>, Status> {
        let mut fields = Fields::default();
        let id: Option<PayrollRunId> =
            fields.id("payroll_run_id", &request.into_inner().payroll_run_id);
        let Some(id) = id else { return Err(fields.refuse()) };

        let mut db = self.log.pool().acquire().await.map_err(HrError::from)?;
        let run = store::payroll_runs::get(&mut db, id).await?;
        Ok(Response::new(pb::GetPayrollRunResponse { payroll_run: Some(show::payroll_run(run)) }))
    }

    async fn list_payroll_runs(
        &self,
        request: Request<pb::ListPayrollRunsRequest>,
    ) -> Result<Response<pb::ListPayrollRunsResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let filter = read::payroll_runs(&mut fields, &request);
        let list = format!("payroll runs {filter:?}");
        let page = Page::read(&mut fields, request.page_size, &request.page_token, &list);
        let before: Option<PayrollRunId> = page.token.key(&mut fields);
        fields.done()?;

        let mut db = FilteredRead::begin(self.log.pool()).await.map_err(HrError::from)?;
        let found = store::payroll_runs::list(&mut db, &filter, before, page.limit()).await;
        let found = found.map_err(HrError::from)?;
        let mut payroll_runs: Vec<pb::PayrollRun> =
            found.into_iter().map(show::payroll_run).collect();
        let next_page_token = page.fit(&mut payroll_runs, |run| run.payroll_run_id.clone());
        Ok(Response::new(pb::ListPayrollRunsResponse { payroll_runs, next_page_token }))
    }

    async fn recalculate_payroll_run(
        &self,
        request: Request<pb::RecalculatePayrollRunRequest>,
    ) -> Result<Response<pb::RecalculatePayrollRunResponse>, Status> {
        let request = request.into_inner();
        let said = [request.request_id.as_str(), &request.payroll_run_id, &request.etag];
        let command = read::on_run(Fields::default(), "RecalculatePayrollRun", &request, said)?;
        let run = commands::recalculate_payroll_run(&self.log, &command).await?;
        let payroll_run = Some(show::payroll_run(run));
        Ok(Response::new(pb::RecalculatePayrollRunResponse { payroll_run }))
    }

    async fn approve_payroll_run(
        &self,
        request: Request<pb::ApprovePayrollRunRequest>,
    ) -> Result<Response<pb::ApprovePayrollRunResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        if request.etag.is_empty() {
            fields.bad("etag", "is required: what was looked at is what is approved");
        }
        let said = [request.request_id.as_str(), &request.payroll_run_id, &request.etag];
        let command = read::on_run(fields, "ApprovePayrollRun", &request, said)?;
        let run = commands::approve_payroll_run(&self.log, &command).await?;
        let payroll_run = Some(show::payroll_run(run));
        Ok(Response::new(pb::ApprovePayrollRunResponse { payroll_run }))
    }

    async fn pay_payroll_run(
        &self,
        request: Request<pb::PayPayrollRunRequest>,
    ) -> Result<Response<pb::PayPayrollRunResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let pay_date = fields.optional_date("pay_date", &request.pay_date);
        let said = [request.request_id.as_str(), &request.payroll_run_id, &request.etag];
        let command = read::on_run(fields, "PayPayrollRun", &request, said)?;
        let run = commands::pay_payroll_run(&self.log, self.zone, &command, pay_date).await?;
        Ok(Response::new(pb::PayPayrollRunResponse { payroll_run: Some(show::payroll_run(run)) }))
    }

    async fn discard_payroll_run(
        &self,
        request: Request<pb::DiscardPayrollRunRequest>,
    ) -> Result<Response<pb::DiscardPayrollRunResponse>, Status> {
        let request = request.into_inner();
        let said = [request.request_id.as_str(), &request.payroll_run_id, &request.etag];
        let command = read::on_run(Fields::default(), "DiscardPayrollRun", &request, said)?;
        let run = commands::discard_payroll_run(&self.log, &command).await?;
        let payroll_run = Some(show::payroll_run(run));
        Ok(Response::new(pb::DiscardPayrollRunResponse { payroll_run }))
    }

    async fn reverse_payroll_run(
        &self,
        request: Request<pb::ReversePayrollRunRequest>,
    ) -> Result<Response<pb::ReversePayrollRunResponse>, Status> {
        let request = request.into_inner();
        let said = [request.request_id.as_str(), &request.payroll_run_id, &request.etag];
        let command = read::on_run(Fields::default(), "ReversePayrollRun", &request, said)?;
        let (run, mirror) = commands::reverse_payroll_run(&self.log, self.zone, &command).await?;
        Ok(Response::new(pb::ReversePayrollRunResponse {
            payroll_run: Some(show::payroll_run(run)),
            reversal: Some(show::payroll_run(mirror)),
        }))
    }

    async fn get_payslip(
        &self,
        request: Request<pb::GetPayslipRequest>,
    ) -> Result<Response<pb::GetPayslipResponse>, Status> {
        let mut fields = Fields::default();
        let id: Option<PayslipId> = fields.id("payslip_id", &request.into_inner().payslip_id);
        let Some(id) = id else { return Err(fields.refuse()) };

        let mut db = self.log.pool().acquire().await.map_err(HrError::from)?;
        let payslip = store::payslips::get(&mut db, id).await?;
        Ok(Response::new(pb::GetPayslipResponse { payslip: Some(show::payslip(&payslip)) }))
    }

    async fn list_payslips(
        &self,
        request: Request<pb::ListPayslipsRequest>,
    ) -> Result<Response<pb::ListPayslipsResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let filter = read::payslips(&mut fields, &request);
        let list = format!("payslips {filter:?}");
        let page = Page::read(&mut fields, request.page_size, &request.page_token, &list);
        let after: Option<PayslipId> = page.token.key(&mut fields);
        fields.done()?;

        let mut db = FilteredRead::begin(self.log.pool()).await.map_err(HrError::from)?;
        if let Some(id) = filter.payroll_run_id {
            store::payroll_runs::get(&mut db, id).await?;
        }
        let found = store::payslips::list(&mut db, &filter, after, page.limit()).await;
        let found = found.map_err(HrError::from)?;
        let mut payslips: Vec<pb::Payslip> = found.iter().map(show::payslip).collect();
        let next_page_token = page.fit(&mut payslips, |payslip| payslip.payslip_id.clone());
        Ok(Response::new(pb::ListPayslipsResponse { payslips, next_page_token }))
    }
}
