//! The domain's values as the protos have them.

use chrono::NaiveDate;
use proto::billing::v1 as pb;

use crate::{
    commands::CreditAllocation,
    domain::{
        Allocation, Calendar, CreditNote, Invoice, InvoiceStatus, MovementKind, Payment, Refund,
    },
    store::{accounts::Account, ageing::Ageing, payments::Whereabouts, statements::Line},
};

pub(super) fn invoice(invoice: Invoice, today: NaiveDate) -> pb::Invoice {
    let status = match invoice.status_on(today) {
        InvoiceStatus::Issued => pb::InvoiceStatus::Issued,
        InvoiceStatus::Paid => pb::InvoiceStatus::Paid,
        InvoiceStatus::Overdue => pb::InvoiceStatus::Overdue,
        InvoiceStatus::Voided => pb::InvoiceStatus::Voided,
        InvoiceStatus::WrittenOff => pb::InvoiceStatus::WrittenOff,
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
        paid: Some(rpc::to_money(invoice.paid_amount)),
        credited: Some(rpc::to_money(invoice.credited_amount)),
        written_off: Some(rpc::to_money(invoice.written_off_amount)),
        close_reason: invoice.close_reason,
        number: invoice.number,
    }
}

pub(super) fn payment(payment: Payment, where_it_is: Whereabouts) -> pb::Payment {
    pb::Payment {
        payment_id: payment.id.to_string(),
        customer_id: payment.customer_id.to_string(),
        external_reference: payment.external_reference,
        amount: Some(rpc::to_money(payment.amount)),
        unallocated: Some(rpc::to_money(payment.unallocated)),
        allocations: allocations(where_it_is.allocations),
        receive_time: Some(rpc::to_time(payment.received_at)),
        refunded: Some(rpc::to_money(where_it_is.refunded)),
        reverse_time: payment.reversed_at.map(rpc::to_time),
        reverse_reason: payment.reversal_reason,
    }
}

pub(super) fn credit_allocation(allocation: CreditAllocation) -> pb::CreditAllocation {
    pb::CreditAllocation {
        allocation_id: allocation.id.to_string(),
        customer_id: allocation.customer_id.to_string(),
        allocations: allocations(allocation.allocations),
        amount: Some(rpc::to_money(allocation.amount)),
        allocate_date: rpc::to_date(allocation.day),
    }
}

pub(super) fn refund(refund: Refund) -> pb::Refund {
    pb::Refund {
        refund_id: refund.id.to_string(),
        customer_id: refund.customer_id.to_string(),
        external_reference: refund.external_reference,
        amount: Some(rpc::to_money(refund.amount)),
        refund_time: Some(rpc::to_time(refund.refunded_at)),
    }
}

pub(super) fn credit_note(note: CreditNote) -> pb::CreditNote {
    pb::CreditNote {
        credit_note_id: note.id.to_string(),
        number: note.number,
        invoice_id: note.invoice_id.to_string(),
        customer_id: note.customer_id.to_string(),
        amount: Some(rpc::to_money(note.amount)),
        tax: Some(rpc::to_money(note.tax_amount)),
        credited: Some(rpc::to_money(note.credited)),
        unallocated: Some(rpc::to_money(note.unallocated)),
        issue_time: Some(rpc::to_time(note.issued_at)),
        reason: note.reason,
    }
}

pub(super) fn terms(
    customer_id: String,
    account: Account,
    calendar: &Calendar,
) -> pb::PaymentTerms {
    let own = account.terms_days.and_then(|days| days.try_into().ok());
    pb::PaymentTerms {
        customer_id,
        days: calendar.terms_days(own).into(),
        own: own.is_some(),
        etag: account.etag(),
    }
}

/// None of what no statement has.
pub(super) fn line(line: Line) -> Option<pb::StatementLine> {
    let kind = match line.kind {
        MovementKind::Invoice => pb::StatementLineKind::Invoice,
        MovementKind::Void => pb::StatementLineKind::Void,
        MovementKind::Payment => pb::StatementLineKind::Payment,
        MovementKind::Reversal => pb::StatementLineKind::Reversal,
        MovementKind::CreditNote => pb::StatementLineKind::CreditNote,
        MovementKind::WriteOff => pb::StatementLineKind::WriteOff,
        MovementKind::Refund => pb::StatementLineKind::Refund,
        MovementKind::Allocation => return None,
    };
    Some(pb::StatementLine {
        date: rpc::to_date(line.day),
        kind: kind.into(),
        document_id: line.document_id.to_string(),
        reference: line.reference,
        amount: Some(rpc::to_money(line.amount)),
        balance: Some(rpc::to_money(line.balance)),
    })
}

pub(super) fn buckets(ageing: &Ageing) -> pb::AgeingBuckets {
    pb::AgeingBuckets {
        current: Some(rpc::to_money(ageing.current)),
        days_1_to_30: Some(rpc::to_money(ageing.to_30)),
        days_31_to_60: Some(rpc::to_money(ageing.to_60)),
        days_61_to_90: Some(rpc::to_money(ageing.to_90)),
        days_over_90: Some(rpc::to_money(ageing.over_90)),
        total: Some(rpc::to_money(ageing.total)),
    }
}

fn allocations(parts: Vec<Allocation>) -> Vec<pb::Allocation> {
    let allocation = |part: Allocation| pb::Allocation {
        invoice_id: part.invoice_id.to_string(),
        amount: Some(rpc::to_money(part.amount)),
    };
    parts.into_iter().map(allocation).collect()
}
