use chrono::Days;
use prost_types::{ListValue, Value, value::Kind};
use proto::hr::v1::CreateEmployeeRequest;
use tonic::Code;

use testkit::refusal;

use crate::app::{App, ann, day, object, spans, text};

#[tokio::test]
async fn an_employee_is_as_was_asked_for() {
    let app = App::start().await;
    let request = ann();
    let created = app.create(request.clone()).await.unwrap();
    assert_eq!((&created.name, &created.role), (&request.name, &request.role));
    assert_eq!((&created.email, &created.payroll_meta), (&request.email, &request.payroll_meta));
    assert_eq!((created.salary_pence, created.etag.as_str()), (Some(3_000_000), "1"));
    let created_at: String = sqlx::query_scalar(
        "select to_char(created_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') from hr.employees",
    )
    .fetch_one(&app.db)
    .await
    .unwrap();
    assert_eq!(created.create_time, Some(created_at.parse().unwrap()));
    assert_eq!(app.get(&created.employee_id).await.unwrap(), created);
    assert_eq!(app.counts().await, (1, 1, 1));
}

#[tokio::test]
async fn an_email_address_is_taken_whatever_its_case() {
    let app = App::start().await;
    let request = CreateEmployeeRequest { email: "Ann@Example.org".to_owned(), ..ann() };
    let created = app.create(request).await.unwrap();
    assert_eq!(created.email, "Ann@Example.org", "it is kept as it was given");
    for email in ["Ann@Example.org", "ann@example.org", "ANN@EXAMPLE.ORG"] {
        let request = CreateEmployeeRequest { email: email.to_owned(), ..ann() };
        let refused = refusal(app.create(request).await);
        refused.is(Code::AlreadyExists, "EMAIL_TAKEN");
        assert_eq!(refused.facts, [format!("employee_id: {}", created.employee_id)]);
    }
    assert_eq!(app.counts().await, (1, 1, 1));
}

#[tokio::test]
async fn a_hundred_at_once_with_one_email_address_are_one() {
    let app = App::start().await;
    let requests = (0..100).map(|n| {
        let email = if n % 2 == 0 { "ann@example.org" } else { "ANN@example.org" };
        CreateEmployeeRequest { email: email.to_owned(), ..ann() }
    });
    let answers = futures::future::join_all(requests.map(|request| app.create(request))).await;
    let (created, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((created.len(), refused.len()), (1, 99));
    let id = created.into_iter().next().unwrap().unwrap().employee_id;
    for refused in refused.into_iter().map(refusal) {
        refused.is(Code::AlreadyExists, "EMAIL_TAKEN");
        assert_eq!(refused.facts, [format!("employee_id: {id}")]);
    }
    assert_eq!(app.counts().await, (1, 1, 1));
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let bad = CreateEmployeeRequest {
        request_id: "x".to_owned(),
        name: " ".to_owned(),
        email: "ann".to_owned(),
        role: "r".repeat(65),
        salary_pence: -1,
        payroll_meta: Some(object(&[("a", text(&"x".repeat(16 << 10)))])),
        payroll_group: "Main".to_owned(),
        hire_date: "2026-02-29".to_owned(),
    };
    let all = [
        "request_id",
        "name",
        "email",
        "role",
        "salary_pence",
        "payroll_meta",
        "payroll_group",
        "hire_date",
    ];
    refusal(app.create(bad).await).names(&all);
    let empty = CreateEmployeeRequest::default();
    refusal(app.create(empty).await).names(&["name", "email", "role"]);
    for email in ["@b", "a@", "a@b@c", "a b@c", "a@b\n", "a@b\0", &format!("a@{}", "b".repeat(254))]
    {
        let request = CreateEmployeeRequest { email: email.to_owned(), ..ann() };
        refusal(app.create(request).await).names(&["email"]);
    }
    for name in ["", "\t", "a\0", &"n".repeat(256)] {
        let request = CreateEmployeeRequest { name: name.to_owned(), ..ann() };
        refusal(app.create(request).await).names(&["name"]);
    }
    for salary_pence in [-1, 2_000_000_001, i64::MAX, i64::MIN] {
        let request = CreateEmployeeRequest { salary_pence, ..ann() };
        refusal(app.create(request).await).names(&["salary_pence"]);
    }
    for payroll_group in ["a b", "ä", "a.b", &"g".repeat(33)] {
        let request = CreateEmployeeRequest { payroll_group: payroll_group.to_owned(), ..ann() };
        refusal(app.create(request).await).names(&["payroll_group"]);
    }
    for hire_date in ["1899-12-31", "3000-01-01", "24.11.2026", "2026-11"] {
        let request = CreateEmployeeRequest { hire_date: hire_date.to_owned(), ..ann() };
        refusal(app.create(request).await).names(&["hire_date"]);
    }
    assert_eq!(app.counts().await, (0, 0, 0));
}

#[tokio::test]
async fn what_is_just_possible_is_kept_as_it_is() {
    let app = App::start().await;
    for salary_pence in [0, 2_000_000_000] {
        let request = CreateEmployeeRequest {
            // Characters, not bytes.
            name: "ß".repeat(255),
            email: format!("{}@{}", salary_pence, "é".repeat(250)).chars().take(255).collect(),
            role: "\u{1F950}".repeat(64),
            salary_pence,
            payroll_meta: None,
            ..ann()
        };
        let created = app.create(request.clone()).await.unwrap();
        assert_eq!((created.name, created.email), (request.name, request.email));
        assert_eq!((created.role, created.salary_pence), (request.role, Some(salary_pence)));
        assert_eq!(created.payroll_meta, None);
    }
}

#[tokio::test]
async fn payroll_data_come_back_as_they_were_given() {
    let app = App::start().await;
    let list = vec![Value { kind: Some(Kind::BoolValue(true)) }, Value { kind: Some(text("")) }];
    let meta = object(&[
        ("tax_code", text("1257L \"é\" \\ \u{1F950}")),
        ("whole", Kind::NumberValue(9_007_199_254_740_992.0)),
        ("part", Kind::NumberValue(-0.1)),
        ("tiny", Kind::NumberValue(f64::MIN_POSITIVE)),
        ("huge", Kind::NumberValue(f64::MAX)),
        ("none", Kind::NullValue(0)),
        (
            "inside",
            Kind::StructValue(object(&[("list", Kind::ListValue(ListValue { values: list }))])),
        ),
    ]);
    for meta in [meta, object(&[])] {
        let request = CreateEmployeeRequest { payroll_meta: Some(meta.clone()), ..ann() };
        let created = app.create(request).await.unwrap();
        assert_eq!(created.payroll_meta, Some(meta));
        assert_eq!(app.get(&created.employee_id).await.unwrap(), created);
    }

    // 16 KiB as JSON, and one byte more.
    let of = |bytes: usize| Some(object(&[("a", text(&"x".repeat(bytes - r#"{"a":""}"#.len())))]));
    let most = CreateEmployeeRequest { payroll_meta: of(16 << 10), ..ann() };
    app.create(most).await.unwrap();
    let bad = [
        of((16 << 10) + 1).unwrap(),
        object(&[("a", text("\0"))]),
        object(&[("\0", text("a"))]),
        object(&[("a", Kind::NumberValue(f64::NAN))]),
        object(&[("a", Kind::NumberValue(f64::INFINITY))]),
    ];
    for bad in bad {
        let request = CreateEmployeeRequest { payroll_meta: Some(bad), ..ann() };
        refusal(app.create(request).await).names(&["payroll_meta"]);
    }
}

#[tokio::test]
async fn each_input_of_the_payroll_is_whole_pence_or_is_named() {
    let app = App::start().await;
    let bad = object(&[
        ("paye_pence", Kind::NumberValue(-1.0)),
        ("employee_ni_pence", Kind::NumberValue(0.5)),
        ("employee_pension_pence", text("100")),
        ("employer_ni_pence", Kind::NumberValue(2_000_000_001.0)),
        ("employer_pension_pence", Kind::NullValue(0)),
        ("paye", text("is nobody's business")),
    ]);
    let request = CreateEmployeeRequest { payroll_meta: Some(bad), ..ann() };
    refusal(app.create(request).await).names(&[
        "payroll_meta.paye_pence",
        "payroll_meta.employee_ni_pence",
        "payroll_meta.employee_pension_pence",
        "payroll_meta.employer_ni_pence",
        "payroll_meta.employer_pension_pence",
    ]);
    let most = object(&[("paye_pence", Kind::NumberValue(2_000_000_000.0))]);
    let request = CreateEmployeeRequest { payroll_meta: Some(most.clone()), ..ann() };
    assert_eq!(app.create(request).await.unwrap().payroll_meta, Some(most));
}

#[tokio::test]
async fn an_employee_is_hired_today_or_on_the_day_that_is_said() {
    let app = App::start().await;
    let today = app.today().await;
    let hired = app.create(ann()).await.unwrap();
    assert_eq!(
        (hired.payroll_group.as_str(), spans(&hired)),
        ("main", vec![(day(today), String::new())])
    );
    let days = [today - Days::new(400), today + Days::new(400)];
    for hire_date in days.map(day) {
        let request = CreateEmployeeRequest {
            hire_date: hire_date.clone(),
            payroll_group: "shop-2".to_owned(),
            ..ann()
        };
        let hired = app.create(request).await.unwrap();
        assert_eq!(spans(&hired), [(hire_date.clone(), String::new())]);
        assert_eq!((hired.payroll_group.as_str(), hired.salary_pence), ("shop-2", Some(3_000_000)));
        assert_eq!(app.salary_history(&hired.employee_id).await, [(hire_date, 3_000_000)]);
    }
}
