//! What a month comes to, run by run.

use proto::hr::v1 as pb;

use crate::{
    app::App,
    payroll::{gross, regular, supplementary},
};

const MONTHS: [&str; 12] = ["01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12"];

/// First and last days of a payslip's parts, with what they come to.
fn parts(payslip: &pb::Payslip) -> Vec<(String, String, i64)> {
    let part =
        |part: &pb::Earning| (part.first_day.clone(), part.last_day.clone(), part.gross_pence);
    payslip.earnings.iter().map(part).collect()
}

fn part(first_day: &str, last_day: &str, gross_pence: i64) -> (String, String, i64) {
    (first_day.to_owned(), last_day.to_owned(), gross_pence)
}

#[tokio::test]
async fn twelve_runs_of_a_calendar_or_a_tax_year_come_to_the_salaries_to_the_penny() {
    let app = App::start().await;
    let salaries = [0, 1, 7, 11, 13, 999_999, 1_000_001, 2_345_679, 2_000_000_000];
    let mut people = Vec::new();
    for salary_pence in salaries {
        people.push(app.hire(salary_pence, "2024-01-01").await.employee_id);
    }
    let mut months = Vec::new();
    // 2024 is a leap year.
    for month in MONTHS
        .map(|month| format!("2024-{month}"))
        .into_iter()
        .chain(MONTHS[..3].iter().map(|month| format!("2025-{month}")))
    {
        let run = app.run(regular(&month)).await;
        let paid = app.gross_of(&run).await;
        assert_eq!(
            paid.iter().map(|(id, _)| id).collect::<Vec<_>>(),
            people.iter().collect::<Vec<_>>()
        );
        assert_eq!(gross(&run), paid.iter().map(|(_, pence)| pence).sum::<i64>());
        months.push(paid.into_iter().map(|(_, pence)| pence).collect::<Vec<_>>());
    }
    for (place, salary) in salaries.into_iter().enumerate() {
        let year =
            |from: usize| months[from..from + 12].iter().map(|month| month[place]).sum::<i64>();
        assert_eq!((year(0), year(3)), (salary, salary));
    }
    app.check_books().await;
}

#[tokio::test]
async fn joiners_and_leavers_are_paid_by_the_calendar_day() {
    let app = App::start().await;
    // 3100 a month, and so 100 a day in January.
    let joins = app.hire(37_200, "2024-01-20").await;
    let leaves = app.hire(37_200, "2023-06-01").await;
    app.terminate(&leaves, "2024-01-10").await.unwrap();
    let returns = app.hire(37_200, "2023-06-01").await;
    app.terminate(&returns, "2024-01-04").await.unwrap();
    app.rehire(&returns, "2024-01-30").await.unwrap();
    let passes = app.hire(37_200, "2024-01-15").await;
    app.terminate(&passes, "2024-01-15").await.unwrap();
    let never_came = app.hire(37_200, "2024-01-15").await;
    app.terminate(&never_came, "2024-01-14").await.unwrap();
    app.hire(37_200, "2024-02-01").await;
    let left = app.hire(37_200, "2023-06-01").await;
    app.terminate(&left, "2023-12-31").await.unwrap();

    let run = app.run(regular("2024-01")).await;
    let expected = [(joins, 1200), (leaves, 1000), (returns, 600), (passes, 100)];
    let expected = expected.map(|(one, pence)| (one.employee_id, pence));
    assert_eq!(app.gross_of(&run).await, expected);
    let payslips = app.payslips_of(&run).await;
    let returned = [part("2024-01-01", "2024-01-04", 400), part("2024-01-30", "2024-01-31", 200)];
    assert_eq!(parts(&payslips[2]), returned);
}

#[tokio::test]
async fn february_has_29_days_in_a_leap_year() {
    let app = App::start().await;
    // 2900 a month: 100 a day of 29, and 103 or 104 of 28.
    let ann = app.hire(34_800, "2023-01-01").await;
    let leaves = app.hire(34_800, "2023-01-01").await;
    app.terminate(&leaves, "2024-02-28").await.unwrap();
    app.hire(34_800, "2024-02-29").await;
    let leap = app.run(regular("2024-02")).await;
    let paid: Vec<i64> = app.gross_of(&leap).await.into_iter().map(|(_, pence)| pence).collect();
    assert_eq!(paid, [2900, 2800, 100], "leaver and joiner come to one month");
    app.set_salary(&ann, 69_600, "2024-02-29").await.unwrap();
    let more = app.run(supplementary("2024-02")).await;
    assert_eq!(app.gross_of(&more).await, [(ann.employee_id.clone(), 100)]);
    let february = app.run(regular("2023-02")).await;
    assert_eq!(app.gross_of(&february).await[0], (ann.employee_id, 2900));
}

#[tokio::test]
async fn a_rise_in_the_middle_of_a_month_is_paid_from_its_day_on() {
    let app = App::start().await;
    let ann = app.hire(37_200, "2023-01-01").await;
    app.set_salary(&ann, 74_400, "2024-01-11").await.unwrap();
    app.set_salary(&ann, 37_200, "2024-01-31").await.unwrap();
    app.set_salary(&ann, 1, "2024-02-01").await.unwrap();
    let run = app.run(regular("2024-01")).await;
    let payslip = app.payslips_of(&run).await.pop().unwrap();
    let expected = [
        part("2024-01-01", "2024-01-10", 1000),
        part("2024-01-11", "2024-01-30", 4000),
        part("2024-01-31", "2024-01-31", 100),
    ];
    assert_eq!((parts(&payslip), gross(&run)), (expected.to_vec(), 5100));
    assert_eq!(payslip.earnings[1].salary_pence, 74_400);
}

#[tokio::test]
async fn no_penny_is_lost_where_a_month_is_cut_in_odd_places() {
    let app = App::start().await;
    let ann = app.hire(1_000_001, "2023-01-01").await;
    for (left, back) in [("2024-01-07", "2024-01-08"), ("2024-01-19", "2024-01-20")] {
        app.terminate(&ann, left).await.unwrap();
        app.rehire(&ann, back).await.unwrap();
    }
    app.set_salary(&ann, 1_000_001, "2024-01-13").await.unwrap();
    let run = app.run(regular("2024-01")).await;
    // floor(1000001 / 12)
    assert_eq!(gross(&run), 83_333);
    assert_eq!(app.payslips_of(&run).await[0].earnings.len(), 4);
}
