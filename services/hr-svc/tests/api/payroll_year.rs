//! Payroll over a year: random commands beside a small model, which counts every day by itself.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, Days, NaiveDate};
use proto::hr::v1::{self as pb, PayrollRunStatus};
use testkit::{Dice, refusal};
use tonic::Code;

use crate::{
    app::{App, day},
    payroll::{regular, supplementary},
};

const STEPS: u64 = 400;
const YEAR: i32 = 2024;
const INPUTS: [&str; 5] = [
    "paye_pence",
    "employee_ni_pence",
    "employee_pension_pence",
    "employer_ni_pence",
    "employer_pension_pence",
];

/// Gross, and then what the inputs are.
type Pay = [i64; 6];

#[tokio::test]
async fn whatever_happens_in_a_year_each_gets_what_the_days_come_to() {
    let mut seen = BTreeSet::new();
    for seed in [1, 42, 20_240_229] {
        let mut year = Year::begin(seed).await;
        for step in 0..STEPS {
            year.step().await;
            if step % 100 == 99 {
                year.check().await;
            }
        }
        year.end().await;
        seen.append(&mut year.seen);
    }
    assert!(seen.len() >= 25, "too little happened: {seen:?}");
}

struct Person {
    is: pb::Employee,
    /// First and last days.
    spans: Vec<(NaiveDate, Option<NaiveDate>)>,
    salaries: BTreeMap<NaiveDate, i64>,
    inputs: [i64; 5],
}

struct Run {
    is: pb::PayrollRun,
    month: u32,
    supplementary: bool,
    /// Places of those whom it was asked for; none: all.
    only: BTreeSet<usize>,
    status: PayrollRunStatus,
    /// By the place of the person.
    slips: BTreeMap<usize, Pay>,
}

struct Year {
    app: App,
    dice: Dice,
    seed: u64,
    people: Vec<Person>,
    runs: Vec<Run>,
    seen: BTreeSet<String>,
}

impl Person {
    fn works_on(&self, day: NaiveDate) -> bool {
        self.spans.iter().any(|(first, last)| *first <= day && last.is_none_or(|last| day <= last))
    }

    /// Day by day: what the month has come to in the evening, less what it had in the morning.
    fn gross(&self, month: u32) -> i64 {
        let days: Vec<NaiveDate> = days_of(month).collect();
        let count = i64::try_from(days.len()).unwrap();
        let of_day = |day: &NaiveDate| {
            let salary = self.salaries.range(..=*day).next_back().map_or(0, |(_, salary)| *salary);
            let by_month = |month: u32| salary * i64::from(month) / 12;
            let whole = by_month(month) - by_month(month - 1);
            let by_day = |day: u32| whole * i64::from(day) / count;
            by_day(day.day()) - by_day(day.day() - 1)
        };
        days.iter().filter(|day| self.works_on(**day)).map(of_day).sum()
    }

    fn works_in(&self, month: u32) -> bool {
        days_of(month).any(|day| self.works_on(day))
    }
}

fn days_of(month: u32) -> impl Iterator<Item = NaiveDate> {
    let first = NaiveDate::from_ymd_opt(YEAR, month, 1).unwrap();
    first.iter_days().take_while(move |day| day.month() == month)
}

fn net(pay: &Pay) -> i64 {
    pay[0] - pay[1] - pay[2] - pay[3]
}

fn shown(pay: pb::Pay) -> Pay {
    [
        pay.gross_pence,
        pay.paye_pence,
        pay.employee_ni_pence,
        pay.employee_pension_pence,
        pay.employer_ni_pence,
        pay.employer_pension_pence,
    ]
}

fn is_live(run: &Run) -> bool {
    matches!(run.status, PayrollRunStatus::Approved | PayrollRunStatus::Paid)
}

impl Year {
    async fn begin(seed: u64) -> Self {
        let (app, dice) = (App::start().await, Dice::new(seed));
        let mut year =
            Self { app, dice, seed, people: Vec::new(), runs: Vec::new(), seen: BTreeSet::new() };
        // One who is there all year long, on an odd salary.
        year.hire_on(NaiveDate::from_ymd_opt(YEAR - 1, 6, 1).unwrap(), 2_345_679).await;
        year
    }

    async fn step(&mut self) {
        match self.dice.roll(25) {
            0 => {
                let (first_day, pence) = (self.day(), self.dice.roll(3_000_001_i64));
                if self.people.len() < 8 {
                    self.hire_on(first_day, pence).await;
                }
            }
            1 => self.terminate().await,
            2 | 3 => self.rehire().await,
            4 => self.raise().await,
            5 => self.withhold().await,
            6..=9 => self.draft(false).await,
            10..=13 => self.draft(true).await,
            14 => self.recalculate().await,
            15..=18 => self.approve().await,
            19..=21 => self.pay().await,
            22 => self.discard().await,
            23 => self.correct().await,
            _ => self.reverse().await,
        }
    }

    fn saw(&mut self, what: &str) {
        self.seen.insert(what.to_owned());
    }

    /// Some day of the year.
    fn day(&self) -> NaiveDate {
        NaiveDate::from_ymd_opt(YEAR, 1, 1).unwrap() + Days::new(self.dice.roll(366))
    }

    /// Anybody but the one who is there all year long.
    fn anybody(&self) -> Option<usize> {
        (self.people.len() > 1).then(|| 1 + self.dice.roll(self.people.len() - 1))
    }

    async fn hire_on(&mut self, first_day: NaiveDate, pence: i64) {
        let is = self.app.hire(pence, &day(first_day)).await;
        let (spans, salaries) = (vec![(first_day, None)], BTreeMap::from([(first_day, pence)]));
        self.people.push(Person { is, spans, salaries, inputs: [0; 5] });
    }

    async fn terminate(&mut self) {
        let (Some(who), last_day) = (self.anybody(), self.day()) else { return };
        let person = &mut self.people[who];
        let answer = self.app.terminate(&person.is, &day(last_day)).await;
        let newest = person.spans.last_mut().unwrap();
        if last_day >= newest.0.pred_opt().unwrap() {
            answer.unwrap();
            newest.1 = Some(last_day);
            self.saw("leaver");
        } else {
            refusal(answer).is(Code::FailedPrecondition, "LAST_DAY_TOO_EARLY");
        }
    }

    async fn rehire(&mut self) {
        let (Some(who), first_day) = (self.anybody(), self.day()) else { return };
        let person = &mut self.people[who];
        let answer = self.app.rehire(&person.is, &day(first_day)).await;
        match person.spans.last().unwrap() {
            (first, None) if *first == first_day => drop(answer.unwrap()),
            (_, None) => refusal(answer).is(Code::FailedPrecondition, "STILL_EMPLOYED"),
            (_, Some(last)) if first_day <= *last => {
                refusal(answer).is(Code::FailedPrecondition, "EMPLOYMENTS_OVERLAP");
            }
            (_, Some(_)) => {
                answer.unwrap();
                person.spans.push((first_day, None));
                self.saw("returner");
            }
        }
    }

    async fn correct(&mut self) {
        let (Some(who), first_day) = (self.anybody(), self.day()) else { return };
        let person = &mut self.people[who];
        let answer = self.app.correct(&person.is, &day(first_day)).await;
        let before = person.spans.iter().rev().nth(1).and_then(|(_, last)| *last);
        let newest = person.spans.last_mut().unwrap();
        if newest.0 != first_day
            && newest.1.is_some_and(|last| first_day > last.succ_opt().unwrap())
        {
            refusal(answer).is(Code::FailedPrecondition, "FIRST_DAY_TOO_LATE");
        } else if newest.0 != first_day && before.is_some_and(|last| first_day <= last) {
            refusal(answer).is(Code::FailedPrecondition, "EMPLOYMENTS_OVERLAP");
        } else {
            answer.unwrap();
            newest.0 = first_day;
            let (known, pence) = person.salaries.first_key_value().unwrap();
            if first_day < *known {
                let pence = *pence;
                person.salaries.insert(first_day, pence);
            }
            self.saw("first day");
        }
    }

    async fn raise(&mut self) {
        let (Some(who), from) = (self.anybody(), self.day()) else { return };
        // Mostly more: a month that was run takes nothing back.
        let before = self.people[who].salaries.range(..=from).next_back();
        let before = before.map_or(0, |(_, pence)| *pence);
        let least = if self.dice.roll(5) == 0 { 0 } else { before };
        let pence = least + self.dice.roll(300_001_i64);
        self.app.set_salary(&self.people[who].is, pence, &day(from)).await.unwrap();
        self.people[who].salaries.insert(from, pence);
        self.saw("salary");
    }

    async fn withhold(&mut self) {
        let Some(who) = self.anybody() else { return };
        // Mostly more, too.
        let before = self.people[who].inputs;
        let [less, most] = if self.dice.roll(10) == 0 { [0, 90_000] } else { [1, 900] };
        let inputs =
            before.map(|pence| less * i32::try_from(pence).unwrap() + self.dice.roll(most));
        self.set_inputs(who, inputs).await;
        self.saw("inputs");
    }

    async fn set_inputs(&mut self, who: usize, inputs: [i32; 5]) {
        let named: Vec<(&str, i32)> = INPUTS.into_iter().zip(inputs).collect();
        self.app.withhold(&self.people[who].is, &named).await;
        self.people[who].inputs = inputs.map(i64::from);
    }

    /// What live runs have paid for a month to one.
    fn earlier(&self, month: u32, who: usize) -> Option<Pay> {
        let of_month = self.runs.iter().filter(|run| run.month == month && is_live(run));
        let slips = of_month.filter_map(|run| run.slips.get(&who));
        slips.copied().reduce(|sum, slip| std::array::from_fn(|place| sum[place] + slip[place]))
    }

    /// What a run of the month would be, or why there is none.
    fn calculate(
        &self,
        month: u32,
        only: &BTreeSet<usize>,
    ) -> Result<BTreeMap<usize, Pay>, (&'static str, Vec<String>)> {
        let mut slips = BTreeMap::new();
        let (mut negative, mut taken) = (Vec::new(), Vec::new());
        let asked = |who: &usize| only.is_empty() || only.contains(who);
        for who in (0..self.people.len()).filter(asked) {
            let person = &self.people[who];
            let (works, earlier) = (person.works_in(month), self.earlier(month, who));
            let mut pay = [0; 6];
            if works {
                pay[0] = person.gross(month);
                pay[1..].copy_from_slice(&person.inputs);
            }
            let before = earlier.unwrap_or_default();
            let pay: Pay = std::array::from_fn(|place| pay[place] - before[place]);
            if pay == [0; 6] && (earlier.is_some() || !works) {
                continue;
            }
            let id = person.is.employee_id.clone();
            if net(&pay) < 0 {
                negative.push(id);
            } else if pay.iter().any(|pence| *pence < 0) {
                taken.push(id);
            }
            slips.insert(who, pay);
        }
        match (negative.is_empty(), taken.is_empty(), slips.is_empty()) {
            (false, ..) => Err(("NET_NEGATIVE", negative)),
            (_, false, _) => Err(("CORRECTION_NEGATIVE", taken)),
            (.., true) => Err(("NOTHING_TO_PAY", Vec::new())),
            (.., false) => Ok(slips),
        }
    }

    async fn draft(&mut self, more: bool) {
        // Few months, so that much happens in each.
        let month = [1, 2, 3, 12][self.dice.roll(4_usize)];
        let named = if more && self.dice.roll(2) == 0 { self.dice.roll(3) } else { 0 };
        let only = (0..named).map(|_| self.dice.roll(self.people.len())).collect();
        let _ = self.draft_of(month, more, only).await;
    }

    /// The place of the run, if there is one.
    async fn draft_of(&mut self, month: u32, more: bool, only: BTreeSet<usize>) -> Option<usize> {
        let period = format!("{YEAR}-{month:02}");
        let mut request = if more { supplementary(&period) } else { regular(&period) };
        request.employee_ids =
            only.iter().map(|who| self.people[*who].is.employee_id.clone()).collect();
        let there = |run: &Run| {
            run.month == month
                && run.supplementary == more
                && (run.status == PayrollRunStatus::Draft || !more && is_live(run))
        };
        let found = self.runs.iter().position(there);
        let regular_is_live =
            self.runs.iter().any(|run| run.month == month && !run.supplementary && is_live(run));
        let preview = self.app.preview(request.clone()).await;
        let answer = self.app.create_run(request).await;
        if let Some(found) = found {
            if self.runs[found].only != only {
                refusal(preview).is(Code::AlreadyExists, "DRAFT_EXISTS");
                refusal(answer).is(Code::AlreadyExists, "DRAFT_EXISTS");
                self.saw("DRAFT_EXISTS");
                return None;
            }
            assert_eq!(answer.unwrap(), self.runs[found].is, "seed {}", self.seed);
            self.saw("the same run again");
            return Some(found);
        }
        if more && !regular_is_live {
            refusal(answer).is(Code::FailedPrecondition, "REGULAR_RUN_MISSING");
            self.saw("REGULAR_RUN_MISSING");
            return None;
        }
        match self.calculate(month, &only) {
            Err((reason, ids)) => {
                refusal(preview).is(Code::FailedPrecondition, reason);
                let refused = refusal(answer);
                refused.is(Code::FailedPrecondition, reason);
                let facts = [format!("employee_ids: {}", ids.join(","))];
                assert!(ids.is_empty() || refused.facts == facts, "seed {}", self.seed);
                self.saw(reason);
                None
            }
            Ok(slips) => {
                let is = answer.unwrap();
                assert_eq!(preview.unwrap().0.totals, is.totals, "seed {}", self.seed);
                let status = PayrollRunStatus::Draft;
                self.runs.push(Run { is, month, supplementary: more, only, status, slips });
                self.saw(if more { "supplementary draft" } else { "regular draft" });
                self.check_run(self.runs.len() - 1).await;
                Some(self.runs.len() - 1)
            }
        }
    }

    /// Any run, and mostly one that stands so.
    fn any(&self, status: PayrollRunStatus) -> Option<usize> {
        let all: Vec<usize> = (0..self.runs.len()).collect();
        let fit: Vec<usize> =
            all.iter().copied().filter(|place| self.runs[*place].status == status).collect();
        let from = if self.dice.roll(6) == 0 || fit.is_empty() { all } else { fit };
        self.dice.pick(&from).copied()
    }

    async fn recalculate(&mut self) {
        let Some(place) = self.any(PayrollRunStatus::Draft) else { return };
        self.recalculate_one(place).await;
    }

    async fn recalculate_one(&mut self, place: usize) {
        let run = &self.runs[place];
        let answer = self.app.recalculate(&run.is).await;
        if run.status != PayrollRunStatus::Draft {
            return self.not_possible(answer);
        }
        match self.calculate(run.month, &run.only) {
            Ok(slips) => {
                let is = answer.unwrap();
                assert_eq!(slips == run.slips, is.etag == run.is.etag, "seed {}", self.seed);
                (self.runs[place].is, self.runs[place].slips) = (is, slips);
                self.saw("recalculated");
                self.check_run(place).await;
            }
            Err((reason, _)) => refusal(answer).is(Code::FailedPrecondition, reason),
        }
    }

    async fn approve(&mut self) {
        let Some(place) = self.any(PayrollRunStatus::Draft) else { return };
        let run = &self.runs[place];
        let answer = self.app.approve(&run.is).await;
        match run.status {
            PayrollRunStatus::Approved => assert_eq!(answer.unwrap(), run.is),
            PayrollRunStatus::Draft
                if self.calculate(run.month, &run.only).as_ref() != Ok(&run.slips) =>
            {
                refusal(answer).is(Code::FailedPrecondition, "RUN_STALE");
                self.saw("RUN_STALE");
            }
            PayrollRunStatus::Draft => {
                self.moved(place, answer.unwrap(), PayrollRunStatus::Approved);
            }
            _ => self.not_possible(answer),
        }
    }

    async fn pay(&mut self) {
        let Some(place) = self.any(PayrollRunStatus::Approved) else { return };
        let run = &self.runs[place];
        let answer = self.app.pay_run(&run.is, "").await;
        match run.status {
            PayrollRunStatus::Paid => assert_eq!(answer.unwrap(), run.is),
            PayrollRunStatus::Approved => {
                self.moved(place, answer.unwrap(), PayrollRunStatus::Paid);
            }
            _ => self.not_possible(answer),
        }
    }

    async fn discard(&mut self) {
        let Some(place) = self.any(PayrollRunStatus::Draft) else { return };
        let run = &self.runs[place];
        let answer = self.app.discard(&run.is).await;
        match run.status {
            PayrollRunStatus::Discarded => assert_eq!(answer.unwrap(), run.is),
            PayrollRunStatus::Draft => {
                self.moved(place, answer.unwrap(), PayrollRunStatus::Discarded);
            }
            _ => self.not_possible(answer),
        }
    }

    async fn reverse(&mut self) {
        let live = if self.dice.roll(2) == 0 {
            PayrollRunStatus::Paid
        } else {
            PayrollRunStatus::Approved
        };
        let Some(place) = self.any(live) else { return };
        self.reverse_one(place).await;
    }

    async fn reverse_one(&mut self, place: usize) {
        let run = &self.runs[place];
        let answer = self.app.reverse(&run.is).await;
        match run.status {
            PayrollRunStatus::Reversed => assert_eq!(answer.unwrap().0, run.is),
            PayrollRunStatus::Approved | PayrollRunStatus::Paid => {
                let (is, mirror) = answer.unwrap();
                let negative: Pay = shown(run.is.totals.unwrap()).map(|pence| -pence);
                assert_eq!(shown(mirror.totals.unwrap()), negative, "seed {}", self.seed);
                self.saw(&format!("reversed after {:?}", run.status));
                self.moved(place, is, PayrollRunStatus::Reversed);
            }
            _ => self.not_possible(answer),
        }
    }

    fn moved(&mut self, place: usize, is: pb::PayrollRun, status: PayrollRunStatus) {
        assert_eq!(is.status(), status, "seed {}", self.seed);
        let kind = if self.runs[place].supplementary { "supplementary" } else { "regular" };
        self.saw(&format!("{kind} {status:?}"));
        (self.runs[place].is, self.runs[place].status) = (is, status);
    }

    fn not_possible<T: std::fmt::Debug>(&mut self, answer: Result<T, tonic::Status>) {
        refusal(answer).is(Code::FailedPrecondition, "MOVE_NOT_POSSIBLE");
        self.saw("MOVE_NOT_POSSIBLE");
    }

    /// Payslip by payslip.
    async fn check_run(&self, place: usize) {
        let run = &self.runs[place];
        let who: BTreeMap<&str, usize> = self
            .people
            .iter()
            .enumerate()
            .map(|(place, one)| (one.is.employee_id.as_str(), place))
            .collect();
        let payslips = self.app.payslips_of(&run.is).await;
        let slips: BTreeMap<usize, Pay> = payslips
            .into_iter()
            .map(|payslip| (who[payslip.employee_id.as_str()], shown(payslip.pay.unwrap())))
            .collect();
        assert_eq!(slips, run.slips, "seed {}: {:?}", self.seed, run.is);
        let sum: Pay = std::array::from_fn(|place| slips.values().map(|slip| slip[place]).sum());
        assert_eq!(shown(run.is.totals.unwrap()), sum, "seed {}", self.seed);
    }

    /// The service's runs are the model's, and its events make the books that these have.
    async fn check(&self) {
        for (place, run) in self.runs.iter().enumerate() {
            assert_eq!(self.app.get_run(&run.is.payroll_run_id).await.unwrap(), run.is);
            self.check_run(place).await;
        }
        let owed: i64 = self
            .runs
            .iter()
            .filter(|run| run.status == PayrollRunStatus::Approved)
            .flat_map(|run| run.slips.values().map(net))
            .sum();
        let kept: i64 = sqlx::query_scalar(
            "select coalesce(sum(net_pence), 0)::bigint from hr.payroll_runs where status = 'approved'",
        )
        .fetch_one(&self.app.db)
        .await
        .unwrap();
        assert_eq!(kept, owed, "seed {}: account 2220", self.seed);
        self.app.check_books().await;
    }

    /// Brings every month to its end. Where a month has paid too much, all of it is taken back and run again.
    async fn end(&mut self) {
        for who in 1..self.people.len() {
            self.set_inputs(who, [0; 5]).await;
        }
        for month in 1..=12 {
            for place in 0..self.runs.len() {
                let run = &self.runs[place];
                if run.month != month {
                    continue;
                }
                if run.status == PayrollRunStatus::Draft {
                    let is = self.app.discard(&run.is).await.unwrap();
                    self.moved(place, is, PayrollRunStatus::Discarded);
                } else if is_live(run)
                    && self
                        .calculate(month, &BTreeSet::new())
                        .is_err_and(|why| why.0 != "NOTHING_TO_PAY")
                {
                    self.reverse_one(place).await;
                }
            }
            for more in [false, true] {
                if let Some(place) = self.draft_of(month, more, BTreeSet::new()).await
                    && self.runs[place].status == PayrollRunStatus::Draft
                {
                    let is = self.app.approve(&self.runs[place].is).await.unwrap();
                    self.moved(place, is, PayrollRunStatus::Approved);
                }
            }
        }
        self.check().await;
        let mut all_year = 0;
        for month in 1..=12 {
            for (who, person) in self.people.iter().enumerate() {
                let paid = self.earlier(month, who).unwrap_or_default();
                let due = if person.works_in(month) { person.gross(month) } else { 0 };
                assert_eq!(paid, [due, 0, 0, 0, 0, 0], "seed {}: {month}, {who}", self.seed);
                all_year += if who == 0 { paid[0] } else { 0 };
            }
        }
        assert_eq!(all_year, 2_345_679, "seed {}", self.seed);
    }
}
