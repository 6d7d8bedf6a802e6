//! The service's face: each method reads its request, calls one function, and answers.

use ids::{InvoiceId, PaymentId};
use log::{Cause, Log, RequestKey};
use money::Money;
use proto::billing::v1 as pb;
use rpc::{Fields, Page};
use sqlx::{Postgres, pool::PoolConnection};
use tonic::{Request, Response, Status};

use crate::{
    BillingError,
    commands::{self, RecordPayment},
    domain::{Allocation, Calendar, Invoice, InvoiceStatus, Payment},
    store,
};

const REFERENCE_MAX: usize = 64;

pub(crate) struct Billing {
    pub(crate) log: Log,
    pub(crate) calendar: Calendar,
}

impl Billing {
    async fn db(&self) -> Result<PoolConnection<Postgres>, BillingError> {
        Ok(self.log.pool().acquire().await?)
    }
}

#[tonic::async_trait]
impl pb::billing_service_server::BillingService for Billing {
    async fn get_invoice(
        &self,
        request: Request<pb::GetInvoiceRequest>,
    ) -> Result<Response<pb::GetInvoiceResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let id = fields.optional_id("invoice_id", &request.invoice_id);
        let order_id = fields.optional_id("order_id", &request.order_id);
        if request.invoice_id.is_empty() == request.order_id.is_empty() {
            fields.bad("invoice_id", "either this or order_id is required");
        }
        fields.done()?;

        let mut db = self.db().await?;
        let now = store::now(&mut db).await.map_err(BillingError::from)?;
        let found = store::invoices::find(&mut db, id, order_id).await;
        let invoice = match (found.map_err(BillingError::from)?, id, order_id) {
            (Some(invoice), ..) => show(invoice, &self.calendar, now),
            (None, Some(id), _) => return Err(BillingError::InvoiceNotFound(id).into()),
            (None, _, Some(id)) => return Err(BillingError::OrderNotInvoiced(id).into()),
            (None, None, None) => return Err(Status::internal("checked above")),
        };
        Ok(Response::new(pb::GetInvoiceResponse { invoice: Some(invoice) }))
    }

    async fn list_invoices(
        &self,
        request: Request<pb::ListInvoicesRequest>,
    ) -> Result<Response<pb::ListInvoicesResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let filters = format!("{} {}", request.customer_id, request.status);
        let page = Page::read(&mut fields, request.page_size, &request.page_token, &filters);
        let before: Option<InvoiceId> = page.token.key(&mut fields);
        let customer_id = fields.optional_id("customer_id", &request.customer_id);
        let status = read_status(&mut fields, request.status);
        fields.done()?;

        let mut db = self.db().await?;
        let now = store::now(&mut db).await.map_err(BillingError::from)?;
        let today = self.calendar.day_of(now);
        let found =
            store::invoices::list(&mut db, customer_id, status, today, before, page.limit()).await;
        let mut found = found.map_err(BillingError::from)?;
        let next_page_token = page.cut(&mut found, |invoice| invoice.id.to_string());
        let invoices =
            found.into_iter().map(|invoice| show(invoice, &self.calendar, now)).collect();
        Ok(Response::new(pb::ListInvoicesResponse { invoices, next_page_token }))
    }

    async fn record_payment(
        &self,
        request: Request<pb::RecordPaymentRequest>,
    ) -> Result<Response<pb::RecordPaymentResponse>, Status> {
        let command = read_record_payment(request.into_inner())?;
        let (payment, allocations) =
            commands::record_payment(&self.log, &self.calendar, &command).await?;
        let payment = Some(show_payment(payment, allocations));
        Ok(Response::new(pb::RecordPaymentResponse { payment }))
    }

    async fn get_payment(
        &self,
        request: Request<pb::GetPaymentRequest>,
    ) -> Result<Response<pb::GetPaymentResponse>, Status> {
        let mut fields = Fields::default();
        let id: Option<PaymentId> = fields.id("payment_id", &request.into_inner().payment_id);
        let Some(id) = id else { return Err(fields.refuse()) };

        let mut db = self.db().await?;
        let payment = store::payments::get(&mut db, id).await?;
        let allocations = store::payments::allocations(&mut db, id).await;
        let payment = Some(show_payment(payment, allocations.map_err(BillingError::from)?));
        Ok(Response::new(pb::GetPaymentResponse { payment }))
    }
}

fn read_record_payment(request: pb::RecordPaymentRequest) -> Result<RecordPayment, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "RecordPayment", &request));
    let customer_id = fields.id("customer_id", &request.customer_id);
    let external_reference =
        fields.text("external_reference", request.external_reference, 1, REFERENCE_MAX);
    let amount = fields.money("amount", request.amount.as_ref());
    // An amount that cannot be read is one of 0, too, and was complained of.
    let nothing =
        |money: &proto::common::v1::Money| Money::parse(&money.amount).is_ok_and(Money::is_zero);
    if request.amount.as_ref().is_some_and(nothing) {
        fields.bad("amount.amount", "must be more than 0");
    }
    let named_invoice_id = fields.optional_id("invoice_id", &request.invoice_id);
    let received_at = fields.optional_time("receive_time", request.receive_time);
    let Some(customer_id) = customer_id else { return Err(fields.refuse()) };
    fields.done()?;
    Ok(RecordPayment {
        request_key,
        cause: Cause::of_call(),
        customer_id,
        external_reference,
        amount,
        named_invoice_id,
        received_at,
    })
}

/// A filter: unspecified is none.
fn read_status(fields: &mut Fields, status: i32) -> Option<InvoiceStatus> {
    match pb::InvoiceStatus::try_from(status) {
        Ok(pb::InvoiceStatus::Unspecified) => None,
        Ok(pb::InvoiceStatus::Issued) => Some(InvoiceStatus::Issued),
        Ok(pb::InvoiceStatus::Paid) => Some(InvoiceStatus::Paid),
        Ok(pb::InvoiceStatus::Overdue) => Some(InvoiceStatus::Overdue),
        Ok(pb::InvoiceStatus::Voided) => Some(InvoiceStatus::Voided),
        Err(_) => {
            fields.bad("status", "is not a status of an invoice");
            None
        }
    }
}

fn show(invoice: Invoice, calendar: &Calendar, now: chrono::DateTime<chrono::Utc>) -> pb::Invoice {
    let status = match invoice.status_on(calendar.day_of(now)) {
        InvoiceStatus::Issued => pb::InvoiceStatus::Issued,
        InvoiceStatus::Paid => pb::InvoiceStatus::Paid,
        InvoiceStatus::Overdue => pb::InvoiceStatus::Overdue,
        InvoiceStatus::Voided => pb::InvoiceStatus::Voided,
    };
    pb::Invoice {
        invoice_id: invoice.id.to_string(),
        order_id: invoice.order_id.to_string(),
        customer_id: invoice.customer_id.to_string(),
        amount: Some(rpc::to_money(invoice.amount)),
        tax: Some(rpc::to_money(invoice.tax_amount)),
        residual: Some(rpc::to_money(invoice.residual())),
        status: status.into(),
        issue_time: Some(rpc::to_time(invoice.issued_at)),
        due_date: rpc::to_date(invoice.due_date),
        pay_time: invoice.paid_at.map(rpc::to_time),
        number: invoice.number,
    }
}

fn show_payment(payment: Payment, allocations: Vec<Allocation>) -> pb::Payment {
    let allocations = allocations.into_iter().map(|part| pb::Allocation {
        invoice_id: part.invoice_id.to_string(),
        amount: Some(rpc::to_money(part.amount)),
    });
    pb::Payment {
        payment_id: payment.id.to_string(),
        customer_id: payment.customer_id.to_string(),
        external_reference: payment.external_reference,
        amount: Some(rpc::to_money(payment.amount)),
        unallocated: Some(rpc::to_money(payment.unallocated)),
        allocations: allocations.collect(),
        receive_time: Some(rpc::to_time(payment.received_at)),
    }
}
