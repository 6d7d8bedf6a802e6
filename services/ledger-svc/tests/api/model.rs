//! Random lives of a whole shop, told by three services and posted by hand while months close and open, beside books that fit on a page.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, Days, NaiveDate};
use log::NewEvent;
use proto::ledger::v1::{
    Journal, LockAccountRequest, NewJournal, ReverseJournalRequest, UnlockAccountRequest,
};
use testkit::{Dice, refusal};
use tonic::Code;

use crate::{
    app::{App, capital, lines, new_id, pence},
    events::{
        Pay, allocated, amount, approved, bounced, credited, found, issued, paid, paid_out,
        refunded, repaid, stock, taken_back, voided, written_off,
    },
};

const STEPS: u64 = 240;
/// January to April 2020.
const DAYS: u64 = 121;
/// Accounts that are posted on by hand.
const BY_HAND: [&str; 5] = ["1200", "2109", "2210", "3200", "9998"];

#[tokio::test]
async fn whatever_happens_the_books_agree_with_a_model_on_every_day() {
    for seed in [20_200_101, 7, 4_711] {
        let mut life = Life::begin(seed).await;
        for step in 0..STEPS {
            life.step().await;
            if step % 40 == 39 {
                life.tell().await;
                life.check(step).await;
            }
        }
        assert!(life.seen.len() >= 20, "seed {seed}: too little happened: {:?}", life.seen);
    }
}

/// The books as they ought to be, in pence.
#[derive(Debug, Default)]
struct Books {
    /// Debit − credit by day and account.
    days: BTreeMap<(NaiveDate, String), i64>,
    /// First days of months that have a journal.
    months: BTreeSet<NaiveDate>,
    closed_through: Option<NaiveDate>,
    closed_once: BTreeSet<NaiveDate>,
}

struct Invoice {
    id: String,
    gross: i64,
    tax: i64,
    /// What was not taken back yet.
    left: i64,
    owed: i64,
}

struct Payment {
    id: String,
    amount: i64,
    shares: Vec<(String, i64)>,
    rest: i64,
}

struct Run {
    id: String,
    pay: Pay,
    paid: bool,
    /// Its own day.
    on: NaiveDate,
}

struct Life {
    app: App,
    dice: Dice,
    seed: u64,
    books: Books,
    invoices: Vec<Invoice>,
    payments: Vec<Payment>,
    runs: Vec<Run>,
    credit: i64,
    stock: i64,
    wages: i64,
    /// Journals by hand with the day of their reversal.
    by_hand: Vec<(Journal, Option<Journal>)>,
    locked: BTreeSet<&'static str>,
    /// What happened and was not told yet, by source.
    untold: BTreeMap<&'static str, Vec<NewEvent>>,
    seen: BTreeMap<&'static str, u32>,
}

impl Books {
    /// Posts on a day or, when that is closed, on the first open one after it.
    fn post(&mut self, own: NaiveDate, lines: &[(&str, i64)]) {
        let day = self.closed_through.map_or(own, |closed| own.max(next_month(closed)));
        let lines: Vec<_> = lines.iter().filter(|(_, pence)| *pence != 0).collect();
        assert_eq!(lines.iter().map(|(_, pence)| pence).sum::<i64>(), 0);
        if lines.is_empty() {
            return;
        }
        self.months.insert(first_of_month(day));
        for (account, pence) in lines {
            *self.days.entry((day, (*account).to_owned())).or_default() += pence;
        }
    }

    fn is_closed(&self, day: NaiveDate) -> bool {
        self.closed_through.is_some_and(|closed| first_of_month(day) <= closed)
    }

    fn up_to(&self, day: NaiveDate) -> BTreeMap<String, i64> {
        let mut sums = BTreeMap::new();
        for ((on, account), pence) in &self.days {
            if *on <= day {
                *sums.entry(account.clone()).or_default() += pence;
            }
        }
        sums
    }
}

impl Life {
    async fn begin(seed: u64) -> Self {
        Self {
            app: App::start().await,
            dice: Dice::new(seed),
            seed,
            books: Books::default(),
            invoices: Vec::new(),
            payments: Vec::new(),
            runs: Vec::new(),
            credit: 0,
            stock: 0,
            wages: 0,
            by_hand: Vec::new(),
            locked: BTreeSet::new(),
            untold: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    async fn step(&mut self) {
        match self.dice.roll(24) {
            0..=3 => self.issue(),
            4..=6 => self.pay(),
            7 => self.take_back(),
            8 => self.credit_part(),
            9 => self.bounce(),
            10 => self.allocate(),
            11 => self.refund(),
            12 => self.write_off(),
            13..=14 => self.move_stock(),
            15 => self.approve(),
            16 => self.pay_out(),
            17 => self.take_back_run(),
            18..=19 => self.post_by_hand().await,
            20 => self.reverse_by_hand().await,
            21 => self.lock_or_unlock().await,
            22 => self.close().await,
            _ => self.reopen().await,
        }
    }

    /// The place of one of them, if there is any.
    fn one_of<T>(&self, all: &[T]) -> Option<usize> {
        (!all.is_empty()).then(|| self.dice.roll(all.len()))
    }

    fn some_pence(&self, most: i64) -> i64 {
        1 + self.dice.roll(most)
    }

    fn some_day(&self) -> NaiveDate {
        NaiveDate::from_ymd_opt(2020, 1, 1).unwrap() + Days::new(self.dice.roll(DAYS))
    }

    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn happen(&mut self, source: &'static str, event: NewEvent) {
        self.untold.entry(source).or_default().push(event);
    }

    fn issue(&mut self) {
        let (id, on, gross) = (new_id(), self.some_day(), self.some_pence(50_000) - 1);
        let tax = gross * self.dice.roll(101) / 100;
        self.books.post(on, &[("1100", gross), ("2200", -tax), ("4000", tax - gross)]);
        self.happen("billing", issued(&id, &amount(gross), &amount(tax), &on.to_string()));
        self.invoices.push(Invoice { id, gross, tax, left: gross, owed: gross });
        self.saw("invoice.issued");
    }

    fn pay(&mut self) {
        let (id, on, whole) = (new_id(), self.some_day(), self.some_pence(80_000));
        let mut rest = whole;
        let mut shares = Vec::new();
        let skip = self.one_of(&self.invoices).unwrap_or(0);
        for invoice in self.invoices.iter_mut().skip(skip).filter(|one| one.owed > 0) {
            let share = rest.min(invoice.owed);
            if share > 0 {
                invoice.owed -= share;
                rest -= share;
                shares.push((invoice.id.clone(), share));
            }
        }
        self.credit += rest;
        self.books.post(on, &[("1200", whole), ("1100", rest - whole), ("2110", -rest)]);
        let event = with_shares(&shares, |shares| {
            paid(&id, &amount(whole), shares, &amount(rest), &on.to_string())
        });
        self.happen("billing", event);
        self.payments.push(Payment { id, amount: whole, shares, rest });
        self.saw("payment.received");
    }

    fn take_back(&mut self) {
        let Some(which) = self.one_of(&self.invoices) else { return };
        let on = self.some_day();
        let invoice = &mut self.invoices[which];
        if invoice.left < invoice.gross || invoice.gross == 0 || invoice.owed > invoice.gross {
            return;
        }
        let Invoice { gross, tax, owed, .. } = *invoice;
        (invoice.left, invoice.owed) = (0, 0);
        let (id, whole, part) = (invoice.id.clone(), amount(gross), amount(tax));
        if owed == gross {
            self.books.post(on, &[("4000", gross - tax), ("2200", tax), ("1100", -gross)]);
            self.happen("billing", voided(&id, &whole, &part, &on.to_string()));
            self.saw("invoice.voided");
        } else {
            self.credit += gross - owed;
            let lines =
                [("4090", gross - tax), ("2200", tax), ("1100", -owed), ("2110", owed - gross)];
            self.books.post(on, &lines);
            let event = credited(&id, &whole, &part, &amount(owed), &on.to_string());
            self.happen("billing", event);
            self.saw("credit_note.issued");
        }
    }

    fn credit_part(&mut self) {
        let Some(which) = self.one_of(&self.invoices) else { return };
        let (on, some) = (self.some_day(), self.some_pence(20_000));
        let invoice = &mut self.invoices[which];
        let gross = some.min(invoice.left);
        if gross == 0 {
            return;
        }
        let (tax, owed) = (gross * invoice.tax / invoice.gross, gross.min(invoice.owed));
        invoice.left -= gross;
        invoice.owed -= owed;
        let id = invoice.id.clone();
        self.credit += gross - owed;
        let lines = [("4090", gross - tax), ("2200", tax), ("1100", -owed), ("2110", owed - gross)];
        self.books.post(on, &lines);
        let event = credited(&id, &amount(gross), &amount(tax), &amount(owed), &on.to_string());
        self.happen("billing", event);
        self.saw("credit_note.issued in part");
    }

    fn bounce(&mut self) {
        let Some(payment) = self.dice.take(&mut self.payments) else { return };
        let on = self.some_day();
        for (id, share) in &payment.shares {
            let invoice = self.invoices.iter_mut().find(|one| one.id == *id).unwrap();
            invoice.owed += share;
        }
        let Payment { id, amount: whole, shares, rest } = payment;
        self.credit -= rest;
        self.books.post(on, &[("1200", -whole), ("1100", whole - rest), ("2110", rest)]);
        let event = with_shares(&shares, |shares| {
            bounced(&id, &amount(whole), shares, &amount(rest), &on.to_string())
        });
        self.happen("billing", event);
        self.saw("payment.reversed");
    }

    fn allocate(&mut self) {
        let on = self.some_day();
        let mut shares = Vec::new();
        for invoice in self.invoices.iter_mut().filter(|one| one.owed > 0) {
            let share = self.credit.min(invoice.owed);
            if share > 0 {
                invoice.owed -= share;
                self.credit -= share;
                shares.push((invoice.id.clone(), share));
            }
        }
        let whole: i64 = shares.iter().map(|(_, share)| share).sum();
        if whole == 0 {
            return;
        }
        self.books.post(on, &[("2110", whole), ("1100", -whole)]);
        let event =
            with_shares(&shares, |shares| allocated(&amount(whole), shares, &on.to_string()));
        self.happen("billing", event);
        self.saw("credit.allocated");
    }

    fn refund(&mut self) {
        if self.credit <= 0 {
            return;
        }
        let (on, some) = (self.some_day(), self.some_pence(self.credit));
        self.credit -= some;
        self.books.post(on, &[("2110", some), ("1200", -some)]);
        self.happen("billing", refunded(&new_id(), &amount(some), &on.to_string()));
        self.saw("refund.issued");
    }

    fn write_off(&mut self) {
        let Some(which) = self.one_of(&self.invoices) else { return };
        let on = self.some_day();
        let invoice = &mut self.invoices[which];
        let owed = std::mem::take(&mut invoice.owed);
        let id = invoice.id.clone();
        if owed > 0 {
            self.books.post(on, &[("8100", owed), ("1100", -owed)]);
            self.happen("billing", written_off(&id, &amount(owed), &on.to_string()));
            self.saw("invoice.written_off");
        }
    }

    fn move_stock(&mut self) {
        let (on, cost, id) = (self.some_day(), self.some_pence(10_000), new_id());
        let (worth, day) = (amount(cost), on.to_string());
        let (what, more, other, event) = match self.dice.roll(5) {
            0 => ("stock.received", cost, "2109", stock("stock.received", "", &id, &worth, &day)),
            1 => ("stock.shipped", -cost, "5000", stock("stock.shipped", &id, "", &worth, &day)),
            2 => {
                let event = stock("stock.returned", &id, &new_id(), &worth, &day);
                ("stock.returned", cost, "5000", event)
            }
            3 => ("stock found", cost, "5210", found(&id, &worth, &day)),
            _ => ("stock lost", -cost, "5210", stock("stock.adjusted", "", &id, &worth, &day)),
        };
        self.stock += more;
        self.books.post(on, &[("1001", more), (other, -more)]);
        self.happen("inventory", event);
        self.saw(what);
    }

    fn approve(&mut self) {
        let (id, on) = (new_id(), self.some_day());
        let parts = [(); 5].map(|()| self.some_pence(900) - 1);
        let [paye, employee_ni, employer_ni, employee_pension, employer_pension] = parts;
        let gross = paye + employee_ni + employee_pension + self.some_pence(5_000);
        let pay = Pay([gross, paye, employee_ni, employer_ni, employee_pension, employer_pension]);
        self.book_run(pay, on, 1);
        self.happen("hr", approved(&id, pay, &on.to_string()));
        self.runs.push(Run { id, pay, paid: false, on });
        self.saw("payroll.approved");
    }

    /// `sign` is −1 for a mirror.
    fn book_run(&mut self, pay: Pay, on: NaiveDate, sign: i64) {
        let [gross, paye, employee_ni, employer_ni, employee_pension, employer_pension] = pay.0;
        self.wages += sign * pay.net();
        let lines = [
            ("7000", gross),
            ("7006", employer_ni),
            ("7007", employer_pension),
            ("2210", -paye),
            ("2211", -employee_ni - employer_ni),
            ("2230", -employee_pension - employer_pension),
            ("2220", -pay.net()),
        ];
        self.books.post(on, &lines.map(|(account, pence)| (account, sign * pence)));
    }

    fn pay_out(&mut self) {
        let Some(which) = self.one_of(&self.runs) else { return };
        let on = self.some_day();
        let run = &mut self.runs[which];
        if std::mem::replace(&mut run.paid, true) {
            return;
        }
        let (id, pay) = (run.id.clone(), run.pay);
        self.wages -= pay.net();
        self.books.post(on, &[("2220", pay.net()), ("1200", -pay.net())]);
        self.happen("hr", paid_out(&id, pay, &on.to_string()));
        self.saw("payroll.paid");
    }

    fn take_back_run(&mut self) {
        let Some(Run { id, pay, paid, on }) = self.dice.take(&mut self.runs) else { return };
        self.book_run(pay, on, -1);
        self.happen("hr", taken_back(&id, pay, paid, &on.to_string()));
        self.saw("payroll.reversed");
        if paid {
            let on = self.some_day();
            self.wages += pay.net();
            self.books.post(on, &[("1200", pay.net()), ("2220", -pay.net())]);
            self.happen("hr", repaid(&id, pay, &on.to_string()));
            self.saw("payroll.repaid");
        }
    }

    async fn post_by_hand(&mut self) {
        let (on, some) = (self.some_day(), self.some_pence(9_999));
        let [debit, credit] = [(); 2].map(|()| *self.dice.pick(&BY_HAND).unwrap());
        let worth = amount(some);
        let journal = NewJournal {
            lines: lines(&[(debit, &worth, ""), (credit, "", &worth)]),
            ..capital("1.00", &on.to_string())
        };
        // What was told before is booked before.
        self.tell().await;
        let answer = self.app.post(journal).await;
        if self.locked.contains(debit) || self.locked.contains(credit) {
            refusal(answer).is(Code::FailedPrecondition, "ACCOUNT_LOCKED");
            self.saw("by hand, locked");
        } else if self.books.is_closed(on) {
            refusal(answer).is(Code::FailedPrecondition, "PERIOD_CLOSED");
            self.saw("by hand, closed");
        } else {
            self.by_hand.push((answer.unwrap(), None));
            self.books.months.insert(first_of_month(on));
            self.books.post(on, &[(debit, some), (credit, -some)]);
            self.saw("by hand");
        }
    }

    async fn reverse_by_hand(&mut self) {
        let Some(which) = self.one_of(&self.by_hand) else { return };
        let on = self.some_day();
        let (journal, reversal) = self.by_hand[which].clone();
        self.tell().await;
        let request = ReverseJournalRequest {
            journal_id: journal.journal_id.clone(),
            effective_date: on.to_string(),
            ..Default::default()
        };
        let answer = self.app.reverse(request).await;
        let accounts = || journal.entries.iter().map(|one| one.account.as_str());
        match reversal {
            Some(reversal) if reversal.effective_date == on.to_string() => {
                assert_eq!(answer.unwrap(), reversal);
            }
            Some(_) => refusal(answer).is(Code::FailedPrecondition, "ALREADY_REVERSED"),
            None if on.to_string() < journal.effective_date => {
                refusal(answer).names(&["effective_date"]);
            }
            None if accounts().any(|account| self.locked.contains(account)) => {
                refusal(answer).is(Code::FailedPrecondition, "ACCOUNT_LOCKED");
            }
            None if self.books.is_closed(on) => {
                refusal(answer).is(Code::FailedPrecondition, "PERIOD_CLOSED");
            }
            None => {
                let posted: Vec<(String, i64)> = journal
                    .entries
                    .iter()
                    .map(|one| {
                        (one.account.clone(), pence(one.credit.clone()) - pence(one.debit.clone()))
                    })
                    .collect();
                let lines: Vec<(&str, i64)> =
                    posted.iter().map(|(account, pence)| (account.as_str(), *pence)).collect();
                self.books.post(on, &lines);
                self.by_hand[which].1 = Some(answer.unwrap());
                self.saw("by hand, reversed");
            }
        }
    }

    async fn lock_or_unlock(&mut self) {
        let account = *self.dice.pick(&BY_HAND).unwrap();
        let (code, mut client) = (account.to_owned(), self.app.client.clone());
        if self.locked.remove(account) {
            let request = UnlockAccountRequest { code, ..Default::default() };
            client.unlock_account(request).await.unwrap();
            self.saw("unlocked");
        } else {
            let request = LockAccountRequest { code, ..Default::default() };
            client.lock_account(request).await.unwrap();
            self.locked.insert(account);
            self.saw("locked");
        }
    }

    async fn close(&mut self) {
        let month = first_of_month(self.some_day());
        self.tell().await;
        let answer = self.app.close(&month.format("%Y-%m").to_string()).await;
        let closed = self.books.closed_through;
        if closed.is_some_and(|closed| month <= closed) {
            answer.unwrap();
            return;
        }
        let open_from = closed.map_or(NaiveDate::MIN, next_month);
        match self.books.months.range(open_from..month).next() {
            Some(first) => {
                let refused = refusal(answer);
                refused.is(Code::FailedPrecondition, "PERIOD_OUT_OF_ORDER");
                assert_eq!(refused.facts, [format!("period: {}", first.format("%Y-%m"))]);
                self.saw("closed out of order");
            }
            None => {
                answer.unwrap();
                self.books.closed_through = Some(month);
                self.books.closed_once.insert(month);
                self.saw("closed");
            }
        }
    }

    async fn reopen(&mut self) {
        let month = first_of_month(self.some_day());
        self.tell().await;
        let answer = self.app.reopen(&month.format("%Y-%m").to_string()).await;
        match self.books.closed_through {
            Some(last) if last > month => {
                let refused = refusal(answer);
                refused.is(Code::FailedPrecondition, "PERIOD_OUT_OF_ORDER");
                assert_eq!(refused.facts, [format!("period: {}", last.format("%Y-%m"))]);
            }
            Some(last) if last == month => {
                answer.unwrap();
                // What is closed now is up to the last one that was closed itself.
                self.books.closed_once.remove(&month);
                self.books.closed_through = self.books.closed_once.last().copied();
                self.saw("reopened");
            }
            _ => {
                answer.unwrap();
            }
        }
    }

    /// Tells what happened, each event twice, all sources at once.
    async fn tell(&mut self) {
        let mut of = |source| self.untold.remove(source).unwrap_or_default();
        let (billing, inventory, hr) = (of("billing"), of("inventory"), of("hr"));
        tokio::join!(
            self.app.hear_from("billing", &billing),
            self.app.hear_from("inventory", &inventory),
            self.app.hear_from("hr", &hr),
        );
    }

    async fn check(&self, step: u64) {
        let at = format!("seed {}, step {step}", self.seed);
        assert_eq!(self.app.log.dead_letters().await, [""; 0], "{at}");
        let days: BTreeSet<NaiveDate> = self.books.days.keys().map(|(day, _)| *day).collect();
        for day in days.iter().copied().chain([NaiveDate::from_ymd_opt(2999, 12, 31).unwrap()]) {
            let booked = self.booked_up_to(&day.to_string()).await;
            assert_eq!(booked, self.books.up_to(day), "{at}, up to {day}");
            assert_eq!(booked.values().sum::<i64>(), 0, "{at}, up to {day}");
        }
        let all = self.booked_up_to("").await;
        let balance = |account: &str| all.get(account).copied().unwrap_or_default();
        let owed: i64 = self.invoices.iter().map(|one| one.owed).sum();
        let kept = [owed, -self.credit, self.stock, -self.wages];
        assert_eq!(["1100", "2110", "1001", "2220"].map(balance), kept, "{at}");
        let residuals: Vec<(String, i64)> = sqlx::query_as(
            "select ref_id::text, (sum(debit - credit) * 100)::bigint from ledger.ledger_entries
             where account = '1100' group by ref_id",
        )
        .fetch_all(&self.app.db)
        .await
        .unwrap();
        let expected = self.invoices.iter().filter(|one| one.gross > 0);
        let expected = expected.map(|one| (one.id.clone(), one.owed));
        assert_eq!(BTreeMap::from_iter(residuals), expected.collect(), "{at}");
        self.app.check_books().await;
    }

    async fn booked_up_to(&self, day: &str) -> BTreeMap<String, i64> {
        let answer = self.app.trial_balance(day).await;
        assert_eq!(answer.total_debit, answer.total_credit, "seed {}: {day}", self.seed);
        let one = |one: proto::ledger::v1::AccountBalance| {
            (one.account.unwrap().code, pence(one.balance))
        };
        answer.balances.into_iter().map(one).collect()
    }
}

fn with_shares<T>(shares: &[(String, i64)], event: impl Fn(&[(&str, &str)]) -> T) -> T {
    let shown: Vec<(&str, String)> =
        shares.iter().map(|(id, share)| (id.as_str(), amount(*share))).collect();
    let shown: Vec<(&str, &str)> = shown.iter().map(|(id, share)| (*id, share.as_str())).collect();
    event(&shown)
}

fn first_of_month(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap()
}

fn next_month(first: NaiveDate) -> NaiveDate {
    first_of_month(first + Days::new(31))
}
