//! Customers do what customers do, in any order: whatever has happened, the service comes to what a small model comes to, and the books tie.

mod model;

use futures::future::join_all;
use proto::billing::v1::{self as pb, InvoiceStatus};
use tonic::Status;
use uuid::Uuid;

use testkit::Dice;

use self::model::{Account, For, Refused, State};
use crate::app::{
    App, cancelled, credit_note, money, new_id, oldest_due, part_cancelled, payment, placed_at,
    refund, returned, void, write_off,
};

const CUSTOMERS: u64 = 12;
const STEPS: usize = 60;

struct Customer<'a> {
    app: &'a App,
    id: String,
    seed: u64,
    dice: Dice,
    account: Account,
    /// Orders that are paid already, and are placed later.
    coming: Vec<String>,
    history: Vec<String>,
}

#[tokio::test]
async fn whatever_customers_do_the_books_tie() {
    let app = App::start().await;
    let (_, fresh) = Uuid::now_v7().as_u64_pair();
    // The same ones each time, and one that nobody has tried yet.
    let seeds = (1..CUSTOMERS).chain([fresh]);
    join_all(seeds.map(|seed| Customer::new(&app, seed).live())).await;
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    app.check_books().await;
    check_days(&app).await;
    // All of it did happen.
    for event_type in [
        "invoice.issued",
        "invoice.paid",
        "invoice.overdue",
        "invoice.voided",
        "invoice.reopened",
        "invoice.written_off",
        "credit_note.issued",
        "payment.received",
        "payment.reversed",
        "credit.allocated",
        "refund.issued",
    ] {
        assert!(app.events(event_type).await.len() > 5, "hardly any {event_type}");
    }
    let owed_back = "select count(*) from billing.payments where unallocated < 0";
    let absorbed = "select count(*) from billing.invoices where absorbed_amount > 0";
    let waited = "select count(*) from billing.payments p where named_order_id is not null and exists (
                    select from billing.receivable_movements m where m.payment_id = p.id and m.kind = 'allocation')";
    for rare in [owed_back, absorbed, waited] {
        let count: i64 = sqlx::query_scalar(rare).fetch_one(&app.db).await.unwrap();
        assert!(count > 0, "none: {rare}");
    }
}

/// What is owed on a day, asked for today, is what had moved up to it.
async fn check_days(app: &App) {
    let days: Vec<(String, String)> = sqlx::query_as(
        "select d::date::text, coalesce(sum(m.amount), 0.00)::text
         from generate_series(date '2025-12-30', current_date + 60, '5 days') d
         left join billing.receivable_movements m on m.effective_date <= d::date group by d order by d",
    )
    .fetch_all(&app.db)
    .await
    .unwrap();
    let pence = |money: &Option<proto::common::v1::Money>| {
        money.clone().unwrap().amount.replace('.', "").parse::<i64>().unwrap()
    };
    for (as_of_date, owed) in days {
        let request = pb::GetAgeingRequest { as_of_date, page_size: 1000, ..Default::default() };
        let answer = app.client.clone().get_ageing(request).await.unwrap().into_inner();
        let total = answer.total.unwrap();
        assert_eq!(total.total.clone().unwrap().amount, owed, "{}", answer.as_of_date);
        let buckets = [
            &total.current,
            &total.days_1_to_30,
            &total.days_31_to_60,
            &total.days_61_to_90,
            &total.days_over_90,
        ];
        assert_eq!(buckets.map(pence).iter().sum::<i64>(), pence(&total.total));
        let customers = answer.customers.iter().map(|one| &one.buckets.as_ref().unwrap().total);
        assert_eq!(customers.map(pence).sum::<i64>(), pence(&total.total));
    }
}

impl<'a> Customer<'a> {
    fn new(app: &'a App, seed: u64) -> Self {
        let dice = Dice::new(seed);
        let account = Account::default();
        Self { app, id: new_id(), seed, dice, account, coming: Vec::new(), history: Vec::new() }
    }

    async fn live(mut self) {
        self.place().await;
        for _ in 0..STEPS {
            match self.dice.roll(22) {
                0..=2 => self.place().await,
                3..=6 => self.pay().await,
                7 | 8 => self.allocate().await,
                9 | 10 => self.give_up_a_part().await,
                11 => self.cancel().await,
                12 | 13 => self.reverse().await,
                14 | 15 => self.credit_by_hand().await,
                16 => self.void().await,
                17 | 18 => self.write_off().await,
                19 | 20 => self.refund().await,
                _ => self.app.sweeper.step().await.map(|_| ()).unwrap(),
            }
            self.check_balance().await;
        }
        self.check_documents().await;
        self.check_statement().await;
    }

    async fn place(&mut self) {
        let order = if self.dice.roll(2) == 0 { self.coming.pop() } else { None };
        let (order, amount) = (order.unwrap_or_else(new_id), self.pence(20_000) - 1);
        let tax = amount / 6;
        let day =
            format!("2026-{:02}-{:02}T12:00:00Z", 1 + self.dice.roll(10), 1 + self.dice.roll(28));
        self.note(format!("place {order} of {} at {day}", text(amount)));
        let event = || placed_at(&order, &self.id, &text(amount), &text(tax), &day);
        self.app.hear(&[event(), event()]).await;
        let invoice = self.app.invoice_of(&order).await;
        self.account.place(invoice.invoice_id, order, invoice.due_date, amount);
    }

    async fn pay(&mut self) {
        let amount = self.pence(15_000);
        let mut request = payment(&self.id, &text(amount));
        let what = match self.dice.roll(6) {
            0 | 1 => For::OldestDue,
            2 | 3 => {
                let place = self.any_invoice();
                let invoice = &self.account.invoices[place];
                // By its own name, or by its order's.
                if self.dice.roll(2) == 0 {
                    request.invoice_id.clone_from(&invoice.id);
                } else {
                    request.order_id.clone_from(&invoice.order_id);
                }
                For::Invoice(place)
            }
            _ => {
                // Some orders are paid more than once before they come, and some never come.
                let known = self.dice.pick(&self.coming).filter(|_| self.dice.roll(2) == 0);
                let order = known.cloned().unwrap_or_else(new_id);
                self.coming.retain(|coming| *coming != order);
                self.coming.push(order.clone());
                request.order_id.clone_from(&order);
                For::Order(order)
            }
        };
        self.note(format!("pay {} for {what:?}", text(amount)));
        if self.dice.roll(3) == 0 {
            // Recorded late, perhaps for what was not invoiced yet on that day.
            let day = self.app.days_ago(self.dice.roll(250)).await;
            let day: chrono::DateTime<chrono::Utc> = day.parse().unwrap();
            request.receive_time = Some(rpc::to_time(day));
        }
        let id = self.app.record(request.clone()).await.unwrap().payment_id;
        self.account.pay(id.clone(), amount, what);
        if self.dice.roll(4) == 0 {
            assert_eq!(self.app.record(request).await.unwrap().payment_id, id);
        }
    }

    async fn allocate(&mut self) {
        let mut request =
            pb::AllocateCreditRequest { request_id: new_id(), ..oldest_due(&self.id) };
        let expected = if self.dice.roll(2) == 0 {
            self.note("allocate to the oldest due".to_owned());
            self.account.allocate_oldest()
        } else {
            let place = self.any_invoice();
            let invoice = &self.account.invoices[place];
            let most = (invoice.residual().min(self.account.credit()) + 2).max(2);
            let amount = self.pence(most);
            request.allocations = vec![pb::Allocation {
                invoice_id: invoice.id.clone(),
                amount: money(&text(amount)),
            }];
            self.note(format!("allocate {} to {place}", text(amount)));
            self.account.allocate(place, amount)
        };
        let app = self.app;
        let answers = join_all([app.allocate(request.clone()), app.allocate(request)]).await;
        let same =
            answers.iter().map(|answer| answer.as_ref().ok().map(|done| &done.allocation_id));
        let same: Vec<_> = same.collect();
        assert_eq!(same[0], same[1], "{}", self.story());
        self.check_answers(answers, expected);
    }

    async fn refund(&mut self) {
        let amount = self.pence((self.account.credit() + 100).max(1));
        self.note(format!("refund {}", text(amount)));
        let expected = self.account.refund(amount);
        let request = refund(&self.id, &text(amount));
        let answers = [self.app.refund(request.clone()), self.app.refund(request)];
        let answers = join_all(answers).await;
        self.check_answers(answers, expected);
    }

    async fn reverse(&mut self) {
        let payments: Vec<usize> = (0..self.account.sources.len())
            .filter(|place| self.account.sources[*place].payment_id.is_some())
            .collect();
        if payments.is_empty() {
            return;
        }
        let place = payments[self.dice.roll(payments.len())];
        self.note(format!("reverse {place}"));
        self.account.reverse(place);
        let payment_id = self.account.sources[place].payment_id.clone().unwrap_or_default();
        let payment = pb::Payment { payment_id, ..Default::default() };
        join_all([self.app.reverse(&payment), self.app.reverse(&payment)]).await;
    }

    async fn credit_by_hand(&mut self) {
        let place = self.any_invoice();
        let invoice = &self.account.invoices[place];
        let amount = self.pence((invoice.creditable() + 2).min(12_000));
        let note = credit_note(
            &pb::Invoice { invoice_id: invoice.id.clone(), ..Default::default() },
            &text(amount),
        );
        let request = pb::IssueCreditNoteRequest { request_id: new_id(), ..note };
        self.note(format!("credit {} of {place}", text(amount)));
        let expected = self.account.credit_note(place, amount);
        let answers = [self.app.credit_note(request.clone()), self.app.credit_note(request)];
        let answers = join_all(answers).await;
        self.check_answers(answers, expected);
    }

    /// Heard twice, as it may be.
    async fn give_up_a_part(&mut self) {
        let place = self.any_invoice();
        let order = self.account.invoices[place].order_id.clone();
        let amount = self.pence(8_000);
        let (all, tax) = (text(amount), text(amount / 6));
        // What had not left is given up at most once an order.
        let given_up = format!("give up of {place}");
        let by_order = self.dice.roll(3) == 0 && !self.history.contains(&given_up);
        if by_order {
            self.note(given_up);
        }
        let key = new_id();
        let event = || {
            if by_order {
                part_cancelled(&order, &all, &tax)
            } else {
                returned(&order, &key, &all, &tax)
            }
        };
        self.note(format!("{all} less of {place}"));
        self.app.hear(&[event(), event()]).await;
        self.account.take_back(place, amount, true);
    }

    async fn cancel(&mut self) {
        let place = self.any_invoice();
        self.note(format!("cancel {place}"));
        self.account.cancel(place);
        let order = &self.account.invoices[place].order_id;
        self.app.hear(&[cancelled(order), cancelled(order)]).await;
    }

    async fn void(&mut self) {
        let place = self.any_invoice();
        self.note(format!("void {place}"));
        let expected = self.account.void(place);
        let invoice = self.shown(place);
        let answers =
            join_all([self.app.void(void(&invoice)), self.app.void(void(&invoice))]).await;
        self.check_answers(answers, expected);
    }

    async fn write_off(&mut self) {
        let place = self.any_invoice();
        self.note(format!("write off {place}"));
        let expected = self.account.write_off(place);
        let request = write_off(&self.shown(place));
        let answers = [self.app.write_off(request.clone()), self.app.write_off(request)];
        let answers = join_all(answers).await;
        self.check_answers(answers, expected);
    }

    /// From a penny up to so much.
    fn pence(&self, most: i64) -> i64 {
        1 + self.dice.roll(most.max(1))
    }

    fn any_invoice(&mut self) -> usize {
        self.dice.roll(self.account.invoices.len())
    }

    fn shown(&self, place: usize) -> pb::Invoice {
        pb::Invoice { invoice_id: self.account.invoices[place].id.clone(), ..Default::default() }
    }

    fn note(&mut self, what: String) {
        self.history.push(what);
    }

    fn story(&self) -> String {
        format!("seed {}: {}", self.seed, self.history.join("; "))
    }

    /// The two answers to the same are what the model says.
    fn check_answers<T: std::fmt::Debug>(
        &self,
        answers: Vec<Result<T, Status>>,
        expected: Result<(), Refused>,
    ) {
        for answer in answers {
            let got = answer.map(|_| ()).map_err(|status| {
                let refused: Result<(), Status> = Err(status);
                testkit::refusal(refused).reason
            });
            assert_eq!(got, expected.map_err(str::to_owned), "{}", self.story());
        }
    }

    async fn check_balance(&self) {
        let expected = (text(self.account.owed()), text(self.account.credit()));
        assert_eq!(self.app.balance(&self.id).await, expected, "{}", self.story());
    }

    /// The lines lead from nothing to what is owed less credit.
    async fn check_statement(&self) {
        let today = self.app.today().await;
        let request = pb::GetStatementRequest {
            customer_id: self.id.clone(),
            from_date: "2025-12-01".to_owned(),
            to_date: today.to_string(),
            page_size: 1000,
            ..Default::default()
        };
        let answer = self.app.client.clone().get_statement(request).await.unwrap().into_inner();
        let pence = |money: &Option<proto::common::v1::Money>| {
            money.clone().unwrap().amount.replace('.', "").parse::<i64>().unwrap()
        };
        let mut balance = 0;
        for line in &answer.lines {
            balance += pence(&line.amount);
            assert_eq!(pence(&line.balance), balance, "{}", self.story());
        }
        assert_eq!((pence(&answer.opening_balance), pence(&answer.closing_balance)), (0, balance));
        let expected = self.account.owed() - self.account.credit();
        assert_eq!(balance, expected, "{}", self.story());
    }

    async fn check_documents(&self) {
        let amount = |of: &Option<proto::common::v1::Money>| of.clone().unwrap().amount;
        for (place, invoice) in self.account.invoices.iter().enumerate() {
            let shown = self.app.find_invoice(&invoice.id, "").await.unwrap();
            assert_ne!(shown.status(), InvoiceStatus::Unspecified, "never sent");
            let state = match shown.status() {
                InvoiceStatus::Issued | InvoiceStatus::Overdue | InvoiceStatus::Unspecified => {
                    State::Open
                }
                InvoiceStatus::Paid => State::Paid,
                InvoiceStatus::Voided => State::Voided,
                InvoiceStatus::WrittenOff => State::WrittenOff,
            };
            let got =
                [&shown.residual, &shown.paid, &shown.credited, &shown.written_off].map(amount);
            let expected =
                [invoice.residual(), invoice.paid(), invoice.credited, invoice.written_off];
            let expected = (invoice.state, expected.map(text));
            assert_eq!((state, got), expected, "invoice {place}, {}", self.story());
        }
        for (place, source) in self.account.sources.iter().enumerate() {
            let Some(payment_id) = source.payment_id.clone() else { continue };
            let payment = pb::Payment { payment_id, ..Default::default() };
            let shown = self.app.get_payment(&payment).await;
            let paid = self.account.invoices.iter().filter_map(|invoice| {
                Some((invoice.id.clone(), text(*invoice.paid_by.get(&place)?)))
            });
            let mut paid: Vec<(String, String)> = paid.collect();
            paid.sort();
            let mut got = crate::app::allocated(&shown);
            got.sort();
            assert_eq!(got, paid, "payment {place}, {}", self.story());
            let got = (amount(&shown.unallocated), amount(&shown.refunded));
            assert_eq!(got, (text(source.left), text(source.refunded)), "{}", self.story());
            assert_eq!(shown.reverse_time.is_some(), source.reversed, "{}", self.story());
        }
    }
}

fn text(pence: i64) -> String {
    let sign = if pence < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", pence.abs() / 100, pence.abs() % 100)
}
