//! What is told of employees, and what of them is told to nobody.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use proto::{
    hr::v1::{CreateEmployeeRequest, Employee},
    log::v1::ListEventsRequest,
};
use serde_json::{Value, json};

use testkit::{Keys, refusal};
use tonic::Code;

use crate::app::{App, ann, change, object, text};

#[tokio::test]
async fn it_is_told_who_changed_and_in_which_fields() {
    let keys = Keys::new(1);
    let file = keys.public();
    let app = App::start_with(&["--auth-public-key", file.to_str().unwrap()]).await;
    let mut caller = app.with_token(keys.token(&["*"], 600));
    let created = caller.create_employee(ann()).await.unwrap().into_inner().employee.unwrap();
    let to = Employee {
        name: "Anna".to_owned(),
        salary_pence: Some(1),
        payroll_meta: None,
        ..created.clone()
    };
    // The role stays what it was.
    let request = change(&to, &["payroll_meta", "salary_pence", "role", "name"]);
    caller.update_employee(request).await.unwrap();

    let id = created.employee_id;
    let changed = json!(["name", "salary_pence", "payroll_meta"]);
    let expected = [
        ("employee.created".to_owned(), 1, json!({"employeeId": id})),
        ("employee.updated".to_owned(), 2, json!({"employeeId": id, "changedFields": changed})),
    ];
    assert_eq!(app.log.events_of(&id).await, expected);

    let published = app.published(2).await;
    let mut previous = 0;
    for (message, (event_type, version, data)) in published.iter().zip(expected) {
        assert_eq!(message.subject.as_str(), format!("bramble.hr.{event_type}.v1"));
        let event: Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!((&event["subject"], &event["version"]), (&json!(id), &json!(version)));
        assert_eq!((&event["data"], &event["actor"]), (&data, &json!("ann")));
        assert_eq!(event["previous"], previous.to_string());
        previous = event["sequence"].as_str().unwrap().parse::<i64>().unwrap();
    }
}

/// Words that nothing but these employees' data has.
const SECRETS: [&str; 10] = [
    "Zebedee",
    "Quillfeather",
    "zqmail",
    "movedmail",
    "glassblower",
    "lampmaker",
    "7654321",
    "8765432",
    "GB29NWBK",
    "KX1257",
];

const FIELDS: [&str; 5] = ["name", "email", "role", "salary_pence", "payroll_meta"];

fn secret() -> CreateEmployeeRequest {
    CreateEmployeeRequest {
        name: "Zebedee".to_owned(),
        email: "zqmail@example.org".to_owned(),
        role: "glassblower".to_owned(),
        salary_pence: 7_654_321,
        payroll_meta: Some(object(&[("iban", text("GB29NWBK"))])),
        ..Default::default()
    }
}

/// Changed in every field.
fn another_secret(of: Employee) -> Employee {
    Employee {
        name: "Quillfeather".to_owned(),
        email: "movedmail@example.org".to_owned(),
        role: "lampmaker".to_owned(),
        salary_pence: Some(8_765_432),
        payroll_meta: Some(object(&[("code", text("KX1257"))])),
        ..of
    }
}

#[track_caller]
fn tells_no_secret(told: &str) {
    // By whole words: a time or a UUID may well hold the digits of a salary.
    for word in told.split(|c: char| !c.is_alphanumeric()) {
        assert!(!SECRETS.contains(&word), "{word} in {told}");
    }
}

#[tokio::test]
async fn neither_pay_nor_personal_data_leave_the_service() {
    let app = App::start().await;
    let second = another_secret(app.create(secret()).await.unwrap());
    app.update(change(&second, &FIELDS)).await.unwrap();
    // Refusals are told to nobody.
    let taken = CreateEmployeeRequest { email: second.email.clone(), ..secret() };
    app.create(taken).await.unwrap_err();
    app.update(change(&second, &["age"])).await.unwrap_err();

    let logged: Vec<String> = sqlx::query_scalar("select l::text from hr.events_log l order by id")
        .fetch_all(&app.db)
        .await
        .unwrap();
    assert_eq!(logged.len(), 2);
    let published = app.published(2).await;
    let published = published.iter().map(|message| {
        let payload = String::from_utf8(message.payload.to_vec()).unwrap();
        format!("{} {:?} {payload}", message.subject, message.headers)
    });
    let listed = app.event_log.clone().list_events(ListEventsRequest::default()).await.unwrap();
    let listed = listed.into_inner().events.into_iter().map(|event| event.cloud_event);
    for told in logged.into_iter().chain(published).chain(listed) {
        assert!(told.contains("employee."), "{told}");
        tells_no_secret(&told);
    }
    let kept: String = sqlx::query_scalar("select string_agg(e::text, ' ') from hr.employees e")
        .fetch_one(&app.db)
        .await
        .unwrap();
    assert!(kept.contains("8765432") && kept.contains("KX1257"), "it is found where it is: {kept}");
}

/// Keeps the lines that the whole process writes.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn so_far(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_line_has_pay_or_personal_data_though_postgres_complains_of_them() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG);
    subscriber.with_writer(move || writer.clone()).init();
    let app = App::start().await;
    let first = app.create(secret()).await.unwrap();
    let second = another_secret(first.clone());
    let taken = CreateEmployeeRequest { email: first.email, ..secret() };
    app.create(taken).await.unwrap_err();
    app.update(change(&second, &FIELDS)).await.unwrap();
    // Its message names the constraint; its detail shows the whole row.
    let complaint =
        "alter table hr.employees add constraint test_check check (role <> 'glassblower')";
    sqlx::query(complaint).execute(&app.db).await.unwrap();
    let refused = refusal(app.create(secret()).await);
    refused.is(Code::Internal, "INTERNAL");
    assert_eq!(refused.message, "internal error");

    let lines = lines.so_far();
    for told in ["request failed", "test_check", "hr.create_employee", "hr.update_employee"] {
        assert!(lines.contains(told), "{told} is not in {lines}");
    }
    let of_this_test = lines.lines().filter(|line| !line.contains("alter table"));
    of_this_test.for_each(tells_no_secret);
}
