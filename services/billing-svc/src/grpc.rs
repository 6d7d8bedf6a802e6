//! The service's face: each method reads its request, calls one function, and answers.

mod read;
mod show;

use chrono::{DateTime, NaiveDate, Utc};
use ids::{CreditNoteId, CustomerId, InvoiceId, OrderId, PaymentId, RefundId};
use log::Log;
use pg::FilteredRead;
use proto::billing::v1 as pb;
use rpc::{Fields, Page};
use sqlx::{PgConnection, Postgres, pool::PoolConnection};
use tonic::{Request, Response, Status};

use crate::{BillingError, commands, domain::Calendar, queries, store};

pub(crate) struct Billing {
    pub(crate) log: Log,
    pub(crate) calendar: Calendar,
}

impl Billing {
    async fn db(&self) -> Result<PoolConnection<Postgres>, BillingError> {
        Ok(self.log.pool().acquire().await?)
    }

    async fn filtered(&self) -> Result<FilteredRead, BillingError> {
        Ok(FilteredRead::begin(self.log.pool()).await?)
    }

    /// The business day, by the database's clock.
    async fn today(&self, db: &mut PgConnection) -> Result<NaiveDate, BillingError> {
        let now: DateTime<Utc> = store::now(db).await?;
        Ok(self.calendar.day_of(now))
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
        let id: Option<InvoiceId> = fields.optional_id("invoice_id", &request.invoice_id);
        let order_id: Option<OrderId> = fields.optional_id("order_id", &request.order_id);
        if request.invoice_id.is_empty() == request.order_id.is_empty() {
            fields.bad("invoice_id", "either this or order_id is required");
        }
        fields.done()?;

        let mut db = self.db().await?;
        let today = self.today(&mut db).await?;
        let found = store::invoices::find(&mut db, id, order_id).await;
        let invoice = match (found.map_err(BillingError::from)?, id, order_id) {
            (Some(invoice), ..) => show::invoice(invoice, today),
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
        let mut db = self.db().await?;
        let today = self.today(&mut db).await?;
        let mut fields = Fields::default();
        let filters = format!(
            "{} {} {} {}",
            request.customer_id, request.status, request.due_date_from, request.due_date_to
        );
        let page = Page::read(&mut fields, request.page_size, &request.page_token, &filters);
        let before: Option<InvoiceId> = page.token.key(&mut fields);
        let filter = read::invoice_filter(&mut fields, &request, today);
        fields.done()?;

        let found = store::invoices::list(&mut db, &filter, before, page.limit()).await;
        let found = found.map_err(BillingError::from)?;
        let mut invoices: Vec<pb::Invoice> =
            found.into_iter().map(|invoice| show::invoice(invoice, today)).collect();
        let next_page_token = page.fit(&mut invoices, |invoice| invoice.invoice_id.clone());
        Ok(Response::new(pb::ListInvoicesResponse { invoices, next_page_token }))
    }

    async fn record_payment(
        &self,
        request: Request<pb::RecordPaymentRequest>,
    ) -> Result<Response<pb::RecordPaymentResponse>, Status> {
        let command = read::record_payment(request.into_inner())?;
        let (payment, where_it_is) =
            commands::record_payment(&self.log, &self.calendar, &command).await?;
        let payment = Some(show::payment(payment, where_it_is));
        Ok(Response::new(pb::RecordPaymentResponse { payment }))
    }

    async fn get_payment(
        &self,
        request: Request<pb::GetPaymentRequest>,
    ) -> Result<Response<pb::GetPaymentResponse>, Status> {
        let mut fields = Fields::default();
        let id: Option<PaymentId> = fields.id("payment_id", &request.into_inner().payment_id);
        let Some(id) = id else { return Err(fields.refuse()) };

        let (payment, where_it_is) = queries::payment(&self.log, id).await?;
        let payment = Some(show::payment(payment, where_it_is));
        Ok(Response::new(pb::GetPaymentResponse { payment }))
    }

    async fn list_payments(
        &self,
        request: Request<pb::ListPaymentsRequest>,
    ) -> Result<Response<pb::ListPaymentsResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let filters = format!("{} {}", request.customer_id, request.unallocated_only);
        let page = Page::read(&mut fields, request.page_size, &request.page_token, &filters);
        let before: Option<PaymentId> = page.token.key(&mut fields);
        let customer_id: Option<CustomerId> =
            fields.optional_id("customer_id", &request.customer_id);
        fields.done()?;

        let (only, limit) = (request.unallocated_only, page.limit());
        let found = queries::payments(&self.log, customer_id, only, before, limit).await?;
        let mut payments: Vec<pb::Payment> =
            found.into_iter().map(|(payment, rest)| show::payment(payment, rest)).collect();
        let next_page_token = page.fit(&mut payments, |payment| payment.payment_id.clone());
        Ok(Response::new(pb::ListPaymentsResponse { payments, next_page_token }))
    }

    async fn reverse_payment(
        &self,
        request: Request<pb::ReversePaymentRequest>,
    ) -> Result<Response<pb::ReversePaymentResponse>, Status> {
        let command = read::reverse_payment(request.into_inner())?;
        let (payment, where_it_is) =
            commands::reverse_payment(&self.log, &self.calendar, command).await?;
        let payment = Some(show::payment(payment, where_it_is));
        Ok(Response::new(pb::ReversePaymentResponse { payment }))
    }

    async fn allocate_credit(
        &self,
        request: Request<pb::AllocateCreditRequest>,
    ) -> Result<Response<pb::AllocateCreditResponse>, Status> {
        let command = read::allocate_credit(&request.into_inner())?;
        let allocation = commands::allocate_credit(&self.log, &self.calendar, &command).await?;
        let credit_allocation = Some(show::credit_allocation(allocation));
        Ok(Response::new(pb::AllocateCreditResponse { credit_allocation }))
    }

    async fn refund_credit(
        &self,
        request: Request<pb::RefundCreditRequest>,
    ) -> Result<Response<pb::RefundCreditResponse>, Status> {
        let command = read::refund_credit(request.into_inner())?;
        let refund = commands::refund_credit(&self.log, &self.calendar, command).await?;
        Ok(Response::new(pb::RefundCreditResponse { refund: Some(show::refund(refund)) }))
    }

    async fn get_refund(
        &self,
        request: Request<pb::GetRefundRequest>,
    ) -> Result<Response<pb::GetRefundResponse>, Status> {
        let mut fields = Fields::default();
        let id: Option<RefundId> = fields.id("refund_id", &request.into_inner().refund_id);
        let Some(id) = id else { return Err(fields.refuse()) };

        let refund = store::refunds::get(&mut *self.db().await?, id).await?;
        Ok(Response::new(pb::GetRefundResponse { refund: Some(show::refund(refund)) }))
    }

    async fn list_refunds(
        &self,
        request: Request<pb::ListRefundsRequest>,
    ) -> Result<Response<pb::ListRefundsResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let filters = &request.customer_id;
        let page = Page::read(&mut fields, request.page_size, &request.page_token, filters);
        let before: Option<RefundId> = page.token.key(&mut fields);
        let customer_id: Option<CustomerId> =
            fields.optional_id("customer_id", &request.customer_id);
        fields.done()?;

        let mut db = self.db().await?;
        let limit = page.limit();
        let found = match customer_id {
            Some(id) => store::refunds::list_of_customer(&mut db, id, before, limit).await,
            None => store::refunds::list(&mut db, before, limit).await,
        };
        let found = found.map_err(BillingError::from)?;
        let mut refunds: Vec<pb::Refund> = found.into_iter().map(show::refund).collect();
        let next_page_token = page.fit(&mut refunds, |refund| refund.refund_id.clone());
        Ok(Response::new(pb::ListRefundsResponse { refunds, next_page_token }))
    }

    async fn issue_credit_note(
        &self,
        request: Request<pb::IssueCreditNoteRequest>,
    ) -> Result<Response<pb::IssueCreditNoteResponse>, Status> {
        let command = read::issue_credit_note(request.into_inner())?;
        let note = commands::issue_credit_note(&self.log, &self.calendar, command).await?;
        let credit_note = Some(show::credit_note(note));
        Ok(Response::new(pb::IssueCreditNoteResponse { credit_note }))
    }

    async fn get_credit_note(
        &self,
        request: Request<pb::GetCreditNoteRequest>,
    ) -> Result<Response<pb::GetCreditNoteResponse>, Status> {
        let mut fields = Fields::default();
        let id = fields.id("credit_note_id", &request.into_inner().credit_note_id);
        let Some(id) = id else { return Err(fields.refuse()) };

        let note = store::credit_notes::get(&mut *self.db().await?, id).await?;
        let credit_note = Some(show::credit_note(note));
        Ok(Response::new(pb::GetCreditNoteResponse { credit_note }))
    }

    async fn list_credit_notes(
        &self,
        request: Request<pb::ListCreditNotesRequest>,
    ) -> Result<Response<pb::ListCreditNotesResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let filters = format!("{} {}", request.customer_id, request.invoice_id);
        let page = Page::read(&mut fields, request.page_size, &request.page_token, &filters);
        let before: Option<CreditNoteId> = page.token.key(&mut fields);
        let customer_id: Option<CustomerId> =
            fields.optional_id("customer_id", &request.customer_id);
        let invoice_id: Option<InvoiceId> = fields.optional_id("invoice_id", &request.invoice_id);
        fields.done()?;

        let mut db = self.db().await?;
        let limit = page.limit();
        let found = match (invoice_id, customer_id) {
            (Some(id), customer_id) => {
                store::credit_notes::list_of_invoice(&mut db, id, customer_id, before, limit).await
            }
            (None, Some(id)) => {
                store::credit_notes::list_of_customer(&mut db, id, before, limit).await
            }
            (None, None) => store::credit_notes::list(&mut db, before, limit).await,
        };
        let found = found.map_err(BillingError::from)?;
        let mut credit_notes: Vec<pb::CreditNote> =
            found.into_iter().map(show::credit_note).collect();
        let next_page_token = page.fit(&mut credit_notes, |note| note.credit_note_id.clone());
        Ok(Response::new(pb::ListCreditNotesResponse { credit_notes, next_page_token }))
    }

    async fn void_invoice(
        &self,
        request: Request<pb::VoidInvoiceRequest>,
    ) -> Result<Response<pb::VoidInvoiceResponse>, Status> {
        let command = read::void_invoice(request.into_inner())?;
        let invoice = commands::void_invoice(&self.log, &self.calendar, command).await?;
        let today = self.today(&mut *self.db().await?).await?;
        let invoice = Some(show::invoice(invoice, today));
        Ok(Response::new(pb::VoidInvoiceResponse { invoice }))
    }

    async fn write_off_invoice(
        &self,
        request: Request<pb::WriteOffInvoiceRequest>,
    ) -> Result<Response<pb::WriteOffInvoiceResponse>, Status> {
        let command = read::write_off_invoice(request.into_inner())?;
        let invoice = commands::write_off_invoice(&self.log, &self.calendar, command).await?;
        let today = self.today(&mut *self.db().await?).await?;
        let invoice = Some(show::invoice(invoice, today));
        Ok(Response::new(pb::WriteOffInvoiceResponse { invoice }))
    }

    async fn set_payment_terms(
        &self,
        request: Request<pb::SetPaymentTermsRequest>,
    ) -> Result<Response<pb::SetPaymentTermsResponse>, Status> {
        let command = read::set_payment_terms(request.into_inner())?;
        let customer_id = command.customer_id.to_string();
        let account = commands::set_payment_terms(&self.log, command).await?;
        let payment_terms = Some(show::terms(customer_id, account, &self.calendar));
        Ok(Response::new(pb::SetPaymentTermsResponse { payment_terms }))
    }

    async fn get_payment_terms(
        &self,
        request: Request<pb::GetPaymentTermsRequest>,
    ) -> Result<Response<pb::GetPaymentTermsResponse>, Status> {
        let mut fields = Fields::default();
        let id: Option<CustomerId> = fields.id("customer_id", &request.into_inner().customer_id);
        let Some(id) = id else { return Err(fields.refuse()) };

        let account = store::accounts::get(&mut *self.db().await?, id).await;
        let account = account.map_err(BillingError::from)?;
        let payment_terms = Some(show::terms(id.to_string(), account, &self.calendar));
        Ok(Response::new(pb::GetPaymentTermsResponse { payment_terms }))
    }

    async fn get_customer_balance(
        &self,
        request: Request<pb::GetCustomerBalanceRequest>,
    ) -> Result<Response<pb::GetCustomerBalanceResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let id: Option<CustomerId> = fields.id("customer_id", &request.customer_id);
        let day = fields.optional_date("as_of_date", &request.as_of_date);
        let Some(id) = id else { return Err(fields.refuse()) };
        fields.done()?;

        let mut db = self.db().await?;
        let day = day.unwrap_or(self.today(&mut db).await?);
        let balance = store::movements::balance(&mut db, id, day).await;
        let balance = balance.map_err(BillingError::from)?;
        Ok(Response::new(pb::GetCustomerBalanceResponse {
            as_of_date: rpc::to_date(day),
            owed: Some(rpc::to_money(balance.owed)),
            overdue: Some(rpc::to_money(balance.overdue)),
            credit: Some(rpc::to_money(balance.credit)),
        }))
    }

    async fn get_statement(
        &self,
        request: Request<pb::GetStatementRequest>,
    ) -> Result<Response<pb::GetStatementResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let filters = format!("{} {} {}", request.customer_id, request.from_date, request.to_date);
        let page = Page::read(&mut fields, request.page_size, &request.page_token, &filters);
        let after: Option<store::statements::Key> = page.token.key(&mut fields);
        let asked = read::statement(&mut fields, &request);
        let Some((id, from, to)) = asked else { return Err(fields.refuse()) };
        fields.done()?;

        let limit = page.limit();
        let (opening, mut lines, closing) =
            queries::statement(&self.log, id, (from, to), after, limit).await?;
        let next_page_token = page.cut(&mut lines, |line| line.key().to_string());
        Ok(Response::new(pb::GetStatementResponse {
            opening_balance: Some(rpc::to_money(opening)),
            lines: lines.into_iter().filter_map(show::line).collect(),
            closing_balance: Some(rpc::to_money(closing)),
            next_page_token,
        }))
    }

    async fn get_ageing(
        &self,
        request: Request<pb::GetAgeingRequest>,
    ) -> Result<Response<pb::GetAgeingResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let filters = format!("{} {}", request.as_of_date, request.customer_id);
        let page = Page::read(&mut fields, request.page_size, &request.page_token, &filters);
        let after: Option<CustomerId> = page.token.key(&mut fields);
        let day = fields.optional_date("as_of_date", &request.as_of_date);
        let customer_id = fields.optional_id("customer_id", &request.customer_id);
        fields.done()?;

        let mut db = self.filtered().await?;
        let day = day.unwrap_or(self.today(&mut db).await?);
        let limit = page.limit();
        let aged = store::ageing::ageing(&mut db, day, customer_id, after, limit).await;
        let mut aged = aged.map_err(BillingError::from)?;
        let total = aged.pop().map(|total| show::buckets(&total));
        let next_page_token =
            page.cut(&mut aged, |row| row.customer_id.map(|id| id.to_string()).unwrap_or_default());
        let customers = aged.iter().filter_map(|row| {
            let customer_id = row.customer_id?.to_string();
            Some(pb::CustomerAgeing { customer_id, buckets: Some(show::buckets(row)) })
        });
        Ok(Response::new(pb::GetAgeingResponse {
            as_of_date: rpc::to_date(day),
            customers: customers.collect(),
            total,
            next_page_token,
        }))
    }
}
