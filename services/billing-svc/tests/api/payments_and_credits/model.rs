//! A customer's account as simply as it can be said, in pence: what the service must come to, too.

use std::collections::BTreeMap;

/// What the service says when it refuses.
pub(super) type Refused = &'static str;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    Paid,
    Voided,
    WrittenOff,
}

#[derive(Debug)]
pub(super) struct Invoice {
    pub(super) id: String,
    pub(super) order_id: String,
    pub(super) due_date: String,
    pub(super) amount: i64,
    pub(super) state: State,
    /// By the place of the source of the money.
    pub(super) paid_by: BTreeMap<usize, i64>,
    pub(super) credited: i64,
    pub(super) written_off: i64,
    noted: i64,
    absorbed: i64,
}

/// A payment, or a credit note that gave money back, in the order in which they came.
#[derive(Debug)]
pub(super) struct Source {
    /// Of the payment; none of a credit note.
    pub(super) payment_id: Option<String>,
    /// Of the credit note.
    invoice: Option<usize>,
    pub(super) left: i64,
    pub(super) refunded: i64,
    pub(super) reversed: bool,
    /// The order whose invoice is to come.
    order_id: Option<String>,
}

/// What a payment is for.
#[derive(Debug)]
pub(super) enum For {
    OldestDue,
    Invoice(usize),
    /// An order that has no invoice yet.
    Order(String),
}

#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) invoices: Vec<Invoice>,
    pub(super) sources: Vec<Source>,
}

impl Invoice {
    pub(super) fn paid(&self) -> i64 {
        self.paid_by.values().sum()
    }

    pub(super) fn residual(&self) -> i64 {
        self.amount - self.paid() - self.credited - self.written_off
    }

    /// What can be credited by hand.
    pub(super) fn creditable(&self) -> i64 {
        match self.state {
            State::Voided => 0,
            State::Open | State::Paid | State::WrittenOff => {
                self.amount - self.noted - self.written_off
            }
        }
    }

    fn untouched(&self) -> bool {
        self.paid() == 0 && self.noted == 0 && self.written_off == 0
    }

    fn settle(&mut self) {
        if self.state == State::Open && self.residual() == 0 {
            self.state = State::Paid;
        }
    }
}

impl Account {
    pub(super) fn owed(&self) -> i64 {
        self.invoices.iter().map(Invoice::residual).sum()
    }

    pub(super) fn credit(&self) -> i64 {
        self.sources.iter().map(|source| source.left).sum()
    }

    pub(super) fn place(&mut self, id: String, order_id: String, due_date: String, amount: i64) {
        let mut invoice = Invoice {
            id,
            order_id,
            due_date,
            amount,
            state: State::Open,
            paid_by: BTreeMap::new(),
            credited: 0,
            written_off: 0,
            noted: 0,
            absorbed: 0,
        };
        for (place, source) in self.sources.iter_mut().enumerate() {
            let share = source.left.min(invoice.residual());
            if source.order_id.as_ref() == Some(&invoice.order_id) && share > 0 {
                source.left -= share;
                invoice.paid_by.insert(place, share);
            }
        }
        invoice.settle();
        self.invoices.push(invoice);
    }

    /// Those on which something is owed, the oldest due first.
    fn open(&self) -> Vec<usize> {
        let mut open: Vec<usize> = (0..self.invoices.len())
            .filter(|place| self.invoices[*place].state == State::Open)
            .collect();
        open.sort_by_key(|place| {
            (self.invoices[*place].due_date.clone(), self.invoices[*place].id.clone())
        });
        open
    }

    /// Pays the named invoice, or whatever is due first; or waits.
    pub(super) fn pay(&mut self, payment_id: String, mut amount: i64, what: For) {
        let source = self.sources.len();
        let mut open = self.open();
        open.retain(|place| match &what {
            For::OldestDue => true,
            For::Invoice(named) => named == place,
            For::Order(_) => false,
        });
        for place in open {
            let invoice = &mut self.invoices[place];
            let share = amount.min(invoice.residual());
            if share > 0 {
                invoice.paid_by.insert(source, share);
                invoice.settle();
                amount -= share;
            }
        }
        self.sources.push(Source {
            payment_id: Some(payment_id),
            invoice: None,
            left: amount,
            refunded: 0,
            reversed: false,
            order_id: match what {
                For::OldestDue | For::Invoice(_) => None,
                For::Order(id) => Some(id),
            },
        });
    }

    /// Takes credit from the oldest source that has any: places with what each gives.
    fn draw(&mut self, mut amount: i64) -> Vec<(usize, i64)> {
        let mut draws = Vec::new();
        for (place, source) in self.sources.iter_mut().enumerate() {
            let share = amount.min(source.left);
            if share > 0 {
                source.left -= share;
                amount -= share;
                draws.push((place, share));
            }
        }
        draws
    }

    fn use_credit(&mut self, place: usize, amount: i64) {
        for (source, share) in self.draw(amount) {
            *self.invoices[place].paid_by.entry(source).or_default() += share;
        }
        self.invoices[place].settle();
    }

    pub(super) fn allocate(&mut self, place: usize, amount: i64) -> Result<(), Refused> {
        if amount > self.invoices[place].residual() {
            return Err("OVER_ALLOCATION");
        }
        if amount > self.credit().max(0) {
            return Err("CREDIT_SHORT");
        }
        self.use_credit(place, amount);
        Ok(())
    }

    pub(super) fn allocate_oldest(&mut self) -> Result<(), Refused> {
        let mut left = self.credit();
        if left <= 0 {
            return Err("CREDIT_SHORT");
        }
        let open = self.open();
        if open.is_empty() {
            return Err("NOTHING_OWED");
        }
        for place in open {
            let share = left.min(self.invoices[place].residual());
            self.use_credit(place, share);
            left -= share;
        }
        Ok(())
    }

    pub(super) fn refund(&mut self, amount: i64) -> Result<(), Refused> {
        if amount > self.credit().max(0) {
            return Err("CREDIT_SHORT");
        }
        for (source, share) in self.draw(amount) {
            self.sources[source].refunded += share;
        }
        Ok(())
    }

    /// What it had paid is owed again, but for what a credit note of the invoice has left; what it left over goes.
    pub(super) fn reverse(&mut self, payment: usize) {
        if self.sources[payment].reversed {
            return;
        }
        for (place, invoice) in self.invoices.iter_mut().enumerate() {
            let Some(mut owed) = invoice.paid_by.remove(&payment) else { continue };
            let notes = self.sources.iter_mut().enumerate();
            for (note, source) in notes.filter(|(_, source)| source.invoice == Some(place)) {
                let share = owed.min(source.left);
                if share > 0 {
                    source.left -= share;
                    owed -= share;
                    *invoice.paid_by.entry(note).or_default() += share;
                }
            }
            if owed > 0 {
                invoice.state = State::Open;
            }
        }
        self.sources[payment].left = -self.sources[payment].refunded;
        self.sources[payment].reversed = true;
    }

    /// The order is cancelled.
    pub(super) fn cancel(&mut self, place: usize) {
        let invoice = &mut self.invoices[place];
        if invoice.state == State::Voided {
            return;
        }
        if invoice.untouched() {
            invoice.state = State::Voided;
            invoice.credited = invoice.amount;
            return;
        }
        let noted = invoice.noted;
        self.take_back(place, i64::MAX, true);
        let invoice = &mut self.invoices[place];
        let closed = invoice.residual() == 0 && invoice.state != State::WrittenOff;
        if invoice.noted > noted && closed {
            invoice.state = State::Voided;
        }
    }

    /// A part of the order is given up, or comes back: then what was written off is lost.
    pub(super) fn take_back(&mut self, place: usize, amount: i64, of_order: bool) {
        let invoice = &mut self.invoices[place];
        if invoice.state == State::Voided {
            return;
        }
        let amount = amount.min(invoice.amount - invoice.noted - invoice.absorbed);
        let lowered = amount.min(invoice.residual());
        let lost = if of_order { invoice.written_off - invoice.absorbed } else { 0 };
        let absorbed = (amount - lowered).min(lost);
        let back = amount - lowered - absorbed;
        invoice.credited += lowered;
        invoice.absorbed += absorbed;
        invoice.noted += lowered + back;
        invoice.settle();
        if back > 0 {
            self.sources.push(Source {
                payment_id: None,
                invoice: Some(place),
                left: back,
                refunded: 0,
                reversed: false,
                order_id: None,
            });
        }
    }

    pub(super) fn credit_note(&mut self, place: usize, amount: i64) -> Result<(), Refused> {
        if amount > self.invoices[place].creditable() {
            return Err("OVER_CREDIT");
        }
        self.take_back(place, amount, false);
        Ok(())
    }

    pub(super) fn void(&mut self, place: usize) -> Result<(), Refused> {
        let invoice = &mut self.invoices[place];
        match invoice.state {
            State::Voided => return Ok(()),
            State::WrittenOff => return Err("INVOICE_STATE"),
            State::Open | State::Paid => (),
        }
        if !invoice.untouched() {
            return Err("CREDIT_NOTE_NEEDED");
        }
        invoice.state = State::Voided;
        invoice.credited = invoice.amount;
        Ok(())
    }

    pub(super) fn write_off(&mut self, place: usize) -> Result<(), Refused> {
        let invoice = &mut self.invoices[place];
        match invoice.state {
            State::WrittenOff => Ok(()),
            State::Paid | State::Voided => Err("INVOICE_STATE"),
            State::Open => {
                invoice.written_off += invoice.residual();
                invoice.state = State::WrittenOff;
                Ok(())
            }
        }
    }
}
