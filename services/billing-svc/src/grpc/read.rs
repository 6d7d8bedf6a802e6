//! Requests as the commands have them: every bad field is named.

use std::collections::HashSet;

use chrono::{Days, NaiveDate};
use ids::{CustomerId, InvoiceId};
use log::{Cause, RequestKey};
use money::Money;
use prost::Message;
use proto::{billing::v1 as pb, common::v1 as common};
use rpc::Fields;
use tonic::Status;

use crate::{
    commands::{
        AllocateCredit, CloseInvoice, IssueCreditNote, RecordPayment, RefundCredit, ReversePayment,
        SetPaymentTerms, Wanted,
    },
    domain::{Allocation, InvoiceStatus},
    store::invoices::{Filter, Standing},
};

const REFERENCE_MAX: usize = 64;
const REASON_MAX: usize = 500;
const ALLOCATIONS_MAX: usize = 1000;
const TERMS_DAYS_MAX: i32 = 365;
const STATEMENT_DAYS_MAX: u64 = 3660;

/// What every mutation starts with: its key, and its cause.
fn begin(
    fields: &mut Fields,
    request_id: &str,
    method: &'static str,
    message: &impl Message,
) -> (Option<RequestKey>, Cause) {
    let request_id = fields.request_id(request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, method, message));
    (request_key, Cause::of_call().with_request(request_id))
}

pub(super) fn record_payment(request: pb::RecordPaymentRequest) -> Result<RecordPayment, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = begin(&mut fields, &request.request_id, "RecordPayment", &request);
    let customer_id = fields.id("customer_id", &request.customer_id);
    let external_reference = reference(&mut fields, request.external_reference);
    let amount = positive(&mut fields, "amount", request.amount.as_ref());
    let named_invoice_id = fields.optional_id("invoice_id", &request.invoice_id);
    let named_order_id = fields.optional_id("order_id", &request.order_id);
    if !request.invoice_id.is_empty() && !request.order_id.is_empty() {
        fields.bad("order_id", "must be empty when invoice_id is given");
    }
    let received_at = fields.optional_time("receive_time", request.receive_time);
    let Some(customer_id) = customer_id else { return Err(fields.refuse()) };
    fields.done()?;
    Ok(RecordPayment {
        request_key,
        cause,
        customer_id,
        external_reference,
        amount,
        named_invoice_id,
        named_order_id,
        received_at,
    })
}

pub(super) fn reverse_payment(
    request: pb::ReversePaymentRequest,
) -> Result<ReversePayment, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = begin(&mut fields, &request.request_id, "ReversePayment", &request);
    let id = fields.id("payment_id", &request.payment_id);
    let reason = fields.text("reason", request.reason, 1, REASON_MAX);
    let Some(id) = id else { return Err(fields.refuse()) };
    fields.done()?;
    Ok(ReversePayment { request_key, cause, id, reason })
}

pub(super) fn allocate_credit(
    request: &pb::AllocateCreditRequest,
) -> Result<AllocateCredit, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = begin(&mut fields, &request.request_id, "AllocateCredit", request);
    let customer_id = fields.id("customer_id", &request.customer_id);
    let count = request.allocations.len();
    fields.count("allocations", count, 0, ALLOCATIONS_MAX);
    let wanted = if count == 0 {
        let amount = request.amount.as_ref();
        Wanted::OldestDue(amount.map(|amount| positive(&mut fields, "amount", Some(amount))))
    } else {
        if request.amount.is_some() {
            fields.bad("amount", "is the sum of the allocations when they are given");
        }
        let some = request.allocations.iter().take(ALLOCATIONS_MAX);
        Wanted::Invoices(allocations(&mut fields, some))
    };
    let Some(customer_id) = customer_id else { return Err(fields.refuse()) };
    fields.done()?;
    Ok(AllocateCredit { request_key, cause, customer_id, wanted })
}

fn allocations<'a>(
    fields: &mut Fields,
    parts: impl Iterator<Item = &'a pb::Allocation>,
) -> Vec<Allocation> {
    let (mut seen, mut read) = (HashSet::new(), Vec::new());
    for (place, part) in parts.enumerate() {
        let field = format!("allocations[{place}].invoice_id");
        let invoice_id: Option<InvoiceId> = fields.id(&field, &part.invoice_id);
        if invoice_id.is_some_and(|id| !seen.insert(id)) {
            fields.bad(field, "is there twice");
        }
        let field = format!("allocations[{place}].amount");
        let amount = positive(fields, &field, part.amount.as_ref());
        read.extend(invoice_id.map(|invoice_id| Allocation { invoice_id, amount }));
    }
    read
}

pub(super) fn refund_credit(request: pb::RefundCreditRequest) -> Result<RefundCredit, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = begin(&mut fields, &request.request_id, "RefundCredit", &request);
    let customer_id = fields.id("customer_id", &request.customer_id);
    let amount = positive(&mut fields, "amount", request.amount.as_ref());
    let external_reference = reference(&mut fields, request.external_reference);
    let Some(customer_id) = customer_id else { return Err(fields.refuse()) };
    fields.done()?;
    Ok(RefundCredit { request_key, cause, customer_id, amount, external_reference })
}

pub(super) fn issue_credit_note(
    request: pb::IssueCreditNoteRequest,
) -> Result<IssueCreditNote, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = begin(&mut fields, &request.request_id, "IssueCreditNote", &request);
    let invoice_id = fields.id("invoice_id", &request.invoice_id);
    let amount = positive(&mut fields, "amount", request.amount.as_ref());
    let tax = request.tax.as_ref().map(|tax| fields.money("tax", Some(tax)));
    if tax.is_some_and(|tax| tax > amount) && fields.is_clean() {
        fields.bad("tax.amount", "must not be more than the amount");
    }
    let reason = fields.text("reason", request.reason, 1, REASON_MAX);
    let Some(invoice_id) = invoice_id else { return Err(fields.refuse()) };
    fields.done()?;
    Ok(IssueCreditNote { request_key, cause, invoice_id, amount, tax, reason })
}

pub(super) fn void_invoice(request: pb::VoidInvoiceRequest) -> Result<CloseInvoice, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = begin(&mut fields, &request.request_id, "VoidInvoice", &request);
    close_invoice(fields, request_key, cause, &request.invoice_id, request.reason)
}

pub(super) fn write_off_invoice(
    request: pb::WriteOffInvoiceRequest,
) -> Result<CloseInvoice, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = begin(&mut fields, &request.request_id, "WriteOffInvoice", &request);
    close_invoice(fields, request_key, cause, &request.invoice_id, request.reason)
}

fn close_invoice(
    mut fields: Fields,
    request_key: Option<RequestKey>,
    cause: Cause,
    id: &str,
    reason: String,
) -> Result<CloseInvoice, Status> {
    let id = fields.id("invoice_id", id);
    let reason = fields.text("reason", reason, 1, REASON_MAX);
    let Some(id) = id else { return Err(fields.refuse()) };
    fields.done()?;
    Ok(CloseInvoice { request_key, cause, id, reason })
}

pub(super) fn set_payment_terms(
    request: pb::SetPaymentTermsRequest,
) -> Result<SetPaymentTerms, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = begin(&mut fields, &request.request_id, "SetPaymentTerms", &request);
    let customer_id = fields.id("customer_id", &request.customer_id);
    let days = request.days.map(|days| fields.within("days", days, 0, TERMS_DAYS_MAX));
    let Some(customer_id) = customer_id else { return Err(fields.refuse()) };
    fields.done()?;
    let etag = Some(request.etag).filter(|etag| !etag.is_empty());
    Ok(SetPaymentTerms { request_key, cause, customer_id, days, etag })
}

/// Which invoices a list holds on a day.
pub(super) fn invoice_filter(
    fields: &mut Fields,
    request: &pb::ListInvoicesRequest,
    today: NaiveDate,
) -> Filter {
    let customer_id = fields.optional_id("customer_id", &request.customer_id);
    let from = fields.optional_date("due_date_from", &request.due_date_from);
    let to = fields.optional_date("due_date_to", &request.due_date_to);
    if let (Some(from), Some(to)) = (from, to)
        && to < from
    {
        fields.bad("due_date_to", "must not be before due_date_from");
    }
    // What is open is overdue from the day after its due date on.
    let yesterday = today.pred_opt().unwrap_or(today);
    let not_late = Some(from.map_or(today, |from| from.max(today)));
    let late = Some(to.map_or(yesterday, |to| to.min(yesterday)));
    let (standing, from, to) = match pb::InvoiceStatus::try_from(request.status) {
        Ok(pb::InvoiceStatus::Unspecified) => (Standing::Any, from, to),
        Ok(pb::InvoiceStatus::Issued) => (Standing::Open, not_late, to),
        Ok(pb::InvoiceStatus::Overdue) => (Standing::Open, from, late),
        Ok(pb::InvoiceStatus::Paid) => (Standing::Closed(InvoiceStatus::Paid), from, to),
        Ok(pb::InvoiceStatus::Voided) => (Standing::Closed(InvoiceStatus::Voided), from, to),
        Ok(pb::InvoiceStatus::WrittenOff) => {
            (Standing::Closed(InvoiceStatus::WrittenOff), from, to)
        }
        Err(_) => {
            fields.bad("status", "is not a status of an invoice");
            (Standing::Any, from, to)
        }
    };
    Filter { customer_id, standing, from, to }
}

/// Whose account, and over which days.
pub(super) fn statement(
    fields: &mut Fields,
    request: &pb::GetStatementRequest,
) -> Option<(CustomerId, NaiveDate, NaiveDate)> {
    let customer_id = fields.id("customer_id", &request.customer_id);
    let mut day = |field: &str, text: &str| {
        if text.is_empty() {
            fields.bad(field, "is required");
        }
        fields.optional_date(field, text)
    };
    let from = day("from_date", &request.from_date);
    let to = day("to_date", &request.to_date);
    if let (Some(from), Some(to)) = (from, to) {
        let last = from.checked_add_days(Days::new(STATEMENT_DAYS_MAX)).unwrap_or(to);
        if to < from {
            fields.bad("to_date", "must not be before from_date");
        } else if to > last {
            let why = format!("must be at most {STATEMENT_DAYS_MAX} days after from_date");
            fields.bad("to_date", why);
        }
    }
    Some((customer_id?, from?, to?))
}

/// What the bank or the till calls it. Blanks around it would make another one of the same.
fn reference(fields: &mut Fields, text: String) -> String {
    let text = fields.text("external_reference", text, 1, REFERENCE_MAX);
    let inner = text.trim();
    if inner != text && !inner.is_empty() {
        fields.bad("external_reference", "must not start or end with a blank");
    }
    text
}

/// An amount of more than 0.
fn positive(fields: &mut Fields, field: &str, money: Option<&common::Money>) -> Money {
    let amount = fields.money(field, money);
    // An amount that cannot be read is one of 0, too, and was complained of.
    let nothing = |money: &common::Money| Money::parse(&money.amount).is_ok_and(Money::is_zero);
    if money.is_some_and(nothing) {
        fields.bad(format!("{field}.amount"), "must be more than 0");
    }
    amount
}
