use proptest::prelude::*;
use serde_json::json;

use super::{gross::earnings, *};

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn month(text: &str) -> Period {
    Period::of(day(&format!("{text}-01")))
}

fn from(effective_date: &str, salary_pence: i32) -> SalaryFrom {
    SalaryFrom { effective_date: day(effective_date), salary_pence }
}

fn worked(first_day: &str, last_day: Option<&str>) -> Employment {
    Employment { first_day: day(first_day), last_day: last_day.map(day) }
}

fn gross(period: Period, employments: &[Employment], salaries: &[SalaryFrom]) -> i64 {
    earnings(period, employments, salaries).iter().map(|earning| earning.gross_pence).sum()
}

#[test]
fn twelve_months_in_a_row_come_to_the_year_whichever_is_the_first() {
    let always = [worked("2000-01-01", None)];
    for salary_pence in [0, 1, 7, 11, 12, 13, 1_000_001, 2_345_679, 2_000_000_000] {
        let mut period = month("2026-01");
        for _ in 0..12 {
            let (mut year, mut next) = (0, period);
            for _ in 0..12 {
                year += gross(next, &always, &[from("2000-01-01", salary_pence)]);
                next = next.next();
            }
            assert_eq!(year, i64::from(salary_pence), "from {period}");
            period = period.next();
        }
    }
}

#[test]
fn a_month_is_cut_by_its_calendar_days() {
    let salary = [from("2020-01-01", 120_000)];
    let of = |period: &str, first: &str, last: Option<&str>| {
        gross(month(period), &[worked(first, last)], &salary)
    };
    // 10000 a month.
    assert_eq!(of("2026-02", "2026-02-15", None), 5000);
    assert_eq!(of("2024-02", "2024-02-29", None), 10_000 - 10_000 * 28 / 29);
    assert_eq!(of("2024-02", "2020-01-01", Some("2024-02-28")), 10_000 * 28 / 29);
    assert_eq!(of("2024-02", "2020-01-01", None), 10_000);
    assert_eq!(of("2026-11", "2026-11-30", Some("2026-11-30")), 10_000 - 10_000 * 29 / 30);
    assert_eq!(of("2026-11", "2026-11-30", Some("2026-11-29")), 0, "she never came");
    assert_eq!(of("2026-11", "2026-12-01", None), 0);
    assert_eq!(of("2026-11", "2020-01-01", Some("2026-10-31")), 0);
}

#[test]
fn a_rise_in_the_middle_is_paid_from_its_day_on() {
    let salaries = [from("2020-01-01", 1200), from("2026-11-11", 2400), from("2026-12-01", 9)];
    let earned = earnings(month("2026-11"), &[worked("2026-11-05", None)], &salaries);
    let parts: Vec<(String, i32, i64)> = earned
        .iter()
        .map(|part| (part.first_day.to_string(), part.salary_pence, part.gross_pence))
        .collect();
    // floor(100·10/30) − floor(100·4/30), and 200 − floor(200·10/30).
    let expected = [("2026-11-05".to_owned(), 1200, 20), ("2026-11-11".to_owned(), 2400, 134)];
    assert_eq!(parts, expected);
    assert_eq!(earned.last().unwrap().last_day, day("2026-11-30"));
}

#[test]
fn days_before_the_first_salary_earn_nothing() {
    let salaries = [from("2026-11-16", 1200)];
    assert_eq!(gross(month("2026-11"), &[worked("2026-11-01", None)], &salaries), 50);
    assert_eq!(gross(month("2026-10"), &[worked("2026-10-01", None)], &salaries), 0);
}

#[test]
fn a_year_has_its_last_month() {
    assert_eq!(month("2026-12").last_day(), day("2026-12-31"));
    assert_eq!(month("2026-12").next(), month("2027-01"));
    assert_eq!(month("2024-02").last_day(), day("2024-02-29"));
    assert_eq!(month("1900-02").last_day(), day("1900-02-28"));
    assert_eq!(month("2026-02").to_string(), "2026-02");
}

proptest! {
    #[test]
    fn a_year_is_exact_however_its_days_are_cut(
        salary_pence in 0..=2_000_000_000i32,
        year in 1999..2033i32,
        mut cuts in proptest::collection::btree_set(1..365u64, 0..9),
    ) {
        // She leaves and comes back the next day, again and again; and her salary is said anew each time.
        let first = NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
        let last = NaiveDate::from_ymd_opt(year, 12, 31).unwrap();
        cuts.insert(0);
        let days: Vec<NaiveDate> = cuts.iter().map(|cut| first + chrono::Days::new(*cut)).collect();
        let ends = days.iter().skip(1).map(|day| day.pred_opt().unwrap()).chain([last]);
        let spans: Vec<Employment> = days
            .iter()
            .zip(ends)
            .map(|(first_day, last_day)| Employment { first_day: *first_day, last_day: Some(last_day) })
            .collect();
        let salaries: Vec<SalaryFrom> =
            days.iter().map(|effective_date| SalaryFrom { effective_date: *effective_date, salary_pence }).collect();
        let mut total = 0;
        let mut period = Period::of(first);
        for _ in 0..12 {
            total += gross(period, &spans, &salaries);
            period = period.next();
        }
        prop_assert_eq!(total, i64::from(salary_pence));
    }

    #[test]
    fn no_part_is_negative_and_more_pay_is_never_less(
        less in 0..=2_000_000_000i32, more in 0..=2_000_000_000i32, first in 1..=30u32, last in 1..=30u32,
    ) {
        let (less, more) = (less.min(more), less.max(more));
        let (first, last) = (first.min(last), first.max(last));
        let span = [worked(&format!("2026-11-{first:02}"), Some(&format!("2026-11-{last:02}")))];
        let of = |pence| gross(month("2026-11"), &span, &[from("2000-01-01", pence)]);
        prop_assert!(0 <= of(less));
        // By the day, a higher salary may round down where a lower one rounded up: by a penny.
        prop_assert!(of(less) <= of(more) + 1);
    }
}

fn employee(employments: &[Employment]) -> Employee {
    Employee {
        id: EmployeeId::generate(),
        name: "Ann".to_owned(),
        email: "ann@example.org".to_owned(),
        role: "baker".to_owned(),
        salary_pence: 1200,
        payroll_meta: None,
        payroll_group: "main".to_owned(),
        employments: Json(employments.to_vec()),
        created_at: DateTime::UNIX_EPOCH,
        version: 1,
    }
}

#[test]
fn a_hundred_employments_are_enough() {
    let mut ann = employee(&[worked("2000-01-01", None)]);
    for year in 2001..2100 {
        let left = ann.terminated(day(&format!("{}-06-30", year - 1))).unwrap().unwrap();
        ann = left.rehired(day(&format!("{year}-01-01"))).unwrap().unwrap();
    }
    assert_eq!((ann.employments.len(), ann.version), (100, 199));
    let left = ann.terminated(day("2099-06-30")).unwrap().unwrap();
    assert_eq!(left.rehired(day("2100-01-01")), Err(NotEmployable::TooManyEmployments));
}

fn worker(meta: serde_json::Value, earlier: Option<Pay>) -> Worker {
    Worker {
        id: EmployeeId::generate(),
        payroll_meta: Some(meta),
        employments: vec![worked("2026-01-01", None)],
        salaries: vec![from("2026-01-01", 120_000)],
        earlier,
    }
}

fn calculated(workers: &[Worker]) -> Result<Vec<Pay>, NotPayable> {
    let payslips = calculate(ids::PayrollRunId::generate(), month("2026-11"), workers)?;
    Ok(payslips.iter().map(|payslip| *payslip.pay).collect())
}

#[test]
fn a_run_pays_what_the_month_comes_to_less_what_was_paid() {
    let meta = json!({"paye_pence": 1000, "employer_ni_pence": 500, "tax_code": "1257L"});
    let whole =
        Pay { gross_pence: 10_000, paye_pence: 1000, employer_ni_pence: 500, ..Pay::default() };
    assert_eq!(calculated(&[worker(meta.clone(), None)]), Ok(vec![whole]));
    assert_eq!(whole.net_pence(), 9000);
    let part = Pay { gross_pence: 4000, paye_pence: 1000, ..Pay::default() };
    let rest = Pay { gross_pence: 6000, employer_ni_pence: 500, ..Pay::default() };
    assert_eq!(calculated(&[worker(meta.clone(), Some(part))]), Ok(vec![rest]));
    assert_eq!(calculated(&[worker(meta, Some(whole))]), Err(NotPayable::NothingToPay));
    assert_eq!(calculated(&[]), Err(NotPayable::NothingToPay));
}

#[test]
fn one_who_works_for_nothing_gets_a_payslip_once() {
    let volunteer = Worker { salaries: Vec::new(), ..worker(json!({}), None) };
    assert_eq!(calculated(std::slice::from_ref(&volunteer)), Ok(vec![Pay::default()]));
    let again = Worker { earlier: Some(Pay::default()), ..volunteer };
    assert_eq!(calculated(&[again]), Err(NotPayable::NothingToPay));
}

#[test]
fn those_to_blame_are_named_and_what_is_worst_comes_first() {
    let fine = worker(json!({}), None);
    let odd = worker(json!({"paye_pence": "a lot"}), None);
    let poor = worker(json!({"paye_pence": 10_001}), None);
    let paid = Pay { paye_pence: 1, ..Pay::default() };
    let back = worker(json!({}), Some(paid));
    let left = Worker {
        employments: Vec::new(),
        ..worker(json!({"paye_pence": "a lot"}), Some(Pay { gross_pence: 1, ..Pay::default() }))
    };
    let all = [&fine, &odd, &poor, &back, &left].map(Clone::clone);
    assert_eq!(calculated(&all), Err(NotPayable::MetaInvalid(vec![odd.id])));
    let all = [&fine, &poor, &back, &left].map(Clone::clone);
    assert_eq!(calculated(&all), Err(NotPayable::NetNegative(vec![poor.id, left.id])));
    let all = [&fine, &back].map(Clone::clone);
    assert_eq!(calculated(&all), Err(NotPayable::CorrectionNegative(vec![back.id])));
}

#[test]
fn inputs_are_whole_pence() {
    for bad in [json!(-1), json!(0.5), json!("1"), json!(null), json!([]), json!(2_000_000_001)] {
        let meta =
            json!({"employee_ni_pence": bad, "employer_pension_pence": bad, "paye_pence": 1});
        let keys = vec!["employee_ni_pence", "employer_pension_pence"];
        assert_eq!(Pay::of_inputs(Some(&meta)), Err(keys), "{bad}");
    }
    let sound = json!({"employee_pension_pence": 2_000_000_000, "employee_ni_pence": 0});
    let expected = Pay { employee_pension_pence: INPUT_MAX_PENCE, ..Pay::default() };
    assert_eq!(Pay::of_inputs(Some(&sound)), Ok(expected));
    assert_eq!(Pay::of_inputs(None), Ok(Pay::default()));
    assert_eq!(Pay::of_inputs(Some(&json!(["paye_pence"]))), Ok(Pay::default()));
}
