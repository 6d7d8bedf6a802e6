//! billing-svc's rows and events: an invoice for each order, and what becomes of it.

use chrono::{DateTime, NaiveDate, Utc};
use proto::events::v1::{
    CreditNoteIssued, InvoiceIssued, InvoiceOverdue, InvoicePaid, InvoiceVoided, PaymentAllocated,
    PaymentReceived,
};
use serde::Serialize;
use testkit::Dice;
use uuid::Uuid;

use crate::{
    books::{BANK, Books, CUSTOMER_CREDIT, DEBTORS, Entry, SALES, SALES_RETURNS},
    calendar::{TERMS, day_of},
    copying::Rows,
    events::{EventLog, Happened},
    money::Pence,
    trade::uuid,
};

#[derive(Debug)]
pub(crate) struct Receivables {
    pub(crate) log: EventLog,
    pub(crate) books: Books,
    pub(crate) dice: Dice,
    pub(crate) invoices: Rows,
    pub(crate) payments: Rows,
    pub(crate) movements: Rows,
    pub(crate) notes: Rows,
    pub(crate) invoice_count: u32,
    pub(crate) note_count: u32,
    pub(crate) movement_count: u32,
}

/// An invoice as it is.
#[derive(Debug)]
pub(crate) struct Invoice {
    id: Uuid,
    number: String,
    order: Uuid,
    customer: Uuid,
    amount: Pence,
    paid: Pence,
    /// Not owed any more without having been paid.
    credited: Pence,
    /// Taken back by credit notes.
    noted: Pence,
    status: &'static str,
    issued_at: DateTime<Utc>,
    due_date: NaiveDate,
    paid_at: Option<DateTime<Utc>>,
    version: i32,
}

impl Invoice {
    pub(crate) fn residual(&self) -> Pence {
        self.amount - self.paid - self.credited
    }
}

impl Receivables {
    pub(crate) fn issue(
        &mut self,
        (order, customer): (Uuid, Uuid),
        amount: Pence,
        at: DateTime<Utc>,
        placed: Uuid,
    ) -> anyhow::Result<Invoice> {
        self.invoice_count += 1;
        let invoice = Invoice {
            id: uuid(at, &self.dice),
            number: format!("INV-{:06}", self.invoice_count),
            order,
            customer,
            amount,
            paid: Pence::ZERO,
            credited: Pence::ZERO,
            noted: Pence::ZERO,
            status: "issued",
            issued_at: at,
            due_date: day_of(at) + TERMS,
            paid_at: None,
            version: 1,
        };
        let data = InvoiceIssued {
            invoice_id: invoice.id.to_string(),
            number: invoice.number.clone(),
            order_id: order.to_string(),
            customer_id: customer.to_string(),
            amount: amount.to_money(),
            tax: Pence::ZERO.to_money(),
            issue_time: Some(at.into()),
            issue_date: day_of(at).to_string(),
            due_date: invoice.due_date.to_string(),
        };
        let event_id = self.tell(at, "invoice.issued", &invoice, Some(placed), &data)?;
        self.owe(&invoice, "invoice", invoice.id, None, at, amount)?;
        let entry = Entry { event_type: "invoice.issued", event_id, invoice: invoice.id, at };
        self.books.post(entry, &[(DEBTORS, amount), (SALES, Pence::ZERO - amount)])?;
        Ok(invoice)
    }

    pub(crate) fn void(
        &mut self,
        invoice: &mut Invoice,
        at: DateTime<Utc>,
        cause: Uuid,
    ) -> anyhow::Result<()> {
        let amount = invoice.residual();
        (invoice.credited, invoice.status, invoice.version) =
            (amount, "voided", invoice.version + 1);
        let data = InvoiceVoided {
            invoice_id: invoice.id.to_string(),
            order_id: invoice.order.to_string(),
            amount: invoice.amount.to_money(),
            tax: Pence::ZERO.to_money(),
            void_date: day_of(at).to_string(),
        };
        let event_id = self.tell(at, "invoice.voided", invoice, Some(cause), &data)?;
        self.owe(invoice, "void", invoice.id, None, at, Pence::ZERO - amount)?;
        let entry = Entry { event_type: "invoice.voided", event_id, invoice: invoice.id, at };
        self.books.post(entry, &[(SALES, amount), (DEBTORS, Pence::ZERO - amount)])
    }

    /// All that is owed.
    pub(crate) fn pay(&mut self, invoice: &mut Invoice, at: DateTime<Utc>) -> anyhow::Result<()> {
        let (amount, payment) = (invoice.residual(), uuid(at, &self.dice));
        invoice.paid = invoice.paid + amount;
        (invoice.status, invoice.paid_at) = ("paid", Some(at));
        self.payments.plain(payment).plain(invoice.customer).plain(&invoice.number).plain(amount);
        self.payments.plain(Pence::ZERO).time(at).time(at).end()?;
        let data = PaymentReceived {
            payment_id: payment.to_string(),
            customer_id: invoice.customer.to_string(),
            amount: amount.to_money(),
            allocations: vec![PaymentAllocated {
                invoice_id: invoice.id.to_string(),
                amount: amount.to_money(),
                residual: invoice.residual().to_money(),
                due_date: String::new(),
            }],
            unallocated: Pence::ZERO.to_money(),
            receive_date: day_of(at).to_string(),
        };
        let happened = Happened {
            at,
            id: uuid(at, &self.dice),
            event_type: "payment.received",
            subject: &payment.to_string(),
            version: 1,
            because_of: None,
        };
        let event_id = self.log.append(happened, &data)?;
        invoice.version += 1;
        let data =
            InvoicePaid { invoice_id: invoice.id.to_string(), order_id: invoice.order.to_string() };
        self.tell(at, "invoice.paid", invoice, None, &data)?;
        self.owe(invoice, "payment", payment, Some(payment), at, Pence::ZERO - amount)?;
        let entry = Entry { event_type: "payment.received", event_id, invoice: invoice.id, at };
        self.books.post(entry, &[(BANK, amount), (DEBTORS, Pence::ZERO - amount)])
    }

    /// Takes a part of it back: less is owed or, of what was paid, the customer has credit.
    pub(crate) fn credit(
        &mut self,
        invoice: &mut Invoice,
        amount: Pence,
        at: DateTime<Utc>,
        cause: Uuid,
    ) -> anyhow::Result<()> {
        self.note_count += 1;
        let (note, number) = (uuid(at, &self.dice), format!("CRN-{:06}", self.note_count));
        let less_owed = amount.min(invoice.residual());
        let credited = amount - less_owed;
        invoice.credited = invoice.credited + less_owed;
        invoice.noted = invoice.noted + amount;
        invoice.version += 1;
        self.notes.plain(note).plain(&number).plain(invoice.id).plain(amount).plain(credited);
        self.notes.time(at).plain(invoice.customer).plain(credited).end()?;
        let data = CreditNoteIssued {
            credit_note_id: note.to_string(),
            number,
            invoice_id: invoice.id.to_string(),
            customer_id: invoice.customer.to_string(),
            amount: amount.to_money(),
            tax: Pence::ZERO.to_money(),
            residual: less_owed.to_money(),
            issue_date: day_of(at).to_string(),
            invoice_residual: invoice.residual().to_money(),
            order_id: invoice.order.to_string(),
        };
        let event_id = self.tell(at, "credit_note.issued", invoice, Some(cause), &data)?;
        self.owe(invoice, "credit_note", note, None, at, Pence::ZERO - less_owed)?;
        let entry = Entry { event_type: "credit_note.issued", event_id, invoice: invoice.id, at };
        let other = [(DEBTORS, Pence::ZERO - less_owed), (CUSTOMER_CREDIT, Pence::ZERO - credited)];
        self.books.post(entry, &[(SALES_RETURNS, amount), other[0], other[1]])
    }

    pub(crate) fn fall_overdue(
        &mut self,
        invoice: &mut Invoice,
        at: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        (invoice.status, invoice.version) = ("overdue", invoice.version + 1);
        let data = InvoiceOverdue {
            invoice_id: invoice.id.to_string(),
            order_id: invoice.order.to_string(),
            customer_id: invoice.customer.to_string(),
            due_date: invoice.due_date.to_string(),
        };
        self.tell(at, "invoice.overdue", invoice, None, &data)?;
        Ok(())
    }

    /// It does not change any more.
    pub(crate) fn write(&mut self, invoice: &Invoice) -> anyhow::Result<()> {
        let rows = &mut self.invoices;
        rows.plain(invoice.id).plain(invoice.order).plain(invoice.amount).plain(invoice.status);
        rows.time(invoice.issued_at).plain(invoice.due_date);
        rows.optional(invoice.paid_at.map(crate::copying::time)).plain(&invoice.number);
        rows.plain(invoice.customer).plain(invoice.paid).plain(invoice.version);
        rows.plain(invoice.credited).plain(invoice.noted).end()
    }

    pub(crate) fn finish(self) -> anyhow::Result<(EventLog, EventLog)> {
        for rows in [self.invoices, self.payments, self.movements, self.notes] {
            rows.finish()?;
        }
        Ok((self.log, self.books.finish()?))
    }

    fn owe(
        &mut self,
        invoice: &Invoice,
        kind: &str,
        document: Uuid,
        payment: Option<Uuid>,
        at: DateTime<Utc>,
        amount: Pence,
    ) -> anyhow::Result<()> {
        if amount == Pence::ZERO {
            return Ok(());
        }
        self.movement_count += 1;
        let rows = &mut self.movements;
        rows.plain(self.movement_count).plain(invoice.id).plain(invoice.customer).plain(kind);
        rows.plain(document).optional(payment).plain(day_of(at)).plain(amount).time(at).end()
    }

    fn tell(
        &mut self,
        at: DateTime<Utc>,
        event_type: &'static str,
        invoice: &Invoice,
        because_of: Option<Uuid>,
        data: &impl Serialize,
    ) -> anyhow::Result<Uuid> {
        let (subject, version) = (invoice.id.to_string(), invoice.version);
        let id = uuid(at, &self.dice);
        let happened = Happened { at, id, event_type, subject: &subject, version, because_of };
        self.log.append(happened, data)
    }
}
