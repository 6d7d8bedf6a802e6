use proto::hr::v1::{CreateEmployeeRequest, Employee, ListEmployeesRequest};
use tonic::Status;

use testkit::refusal;

use crate::app::{App, ann, object, text};

async fn list(app: &App, request: ListEmployeesRequest) -> Result<(Vec<Employee>, String), Status> {
    let page = app.client.clone().list_employees(request).await?.into_inner();
    Ok((page.employees, page.next_page_token))
}

#[tokio::test]
async fn the_oldest_come_first_page_by_page_while_others_are_added() {
    let app = App::start().await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(app.create(ann()).await.unwrap());
    }
    let mut request = ListEmployeesRequest { page_size: 2, ..Default::default() };
    let mut pages = Vec::new();
    for more in [1, 1, 0, 0] {
        let (page, token) = list(&app, request.clone()).await.unwrap();
        pages.push(page);
        request.page_token = token;
        // Those who come meanwhile move nobody, and are at the end.
        for _ in 0..more {
            all.push(app.create(ann()).await.unwrap());
        }
    }
    assert_eq!(pages, [&all[..2], &all[2..4], &all[4..6], &all[6..]]);
    assert_eq!(request.page_token, "");
    assert_eq!(list(&app, ListEmployeesRequest::default()).await.unwrap(), (all, String::new()));
}

#[tokio::test]
async fn nobody_is_an_empty_page() {
    let app = App::start().await;
    let nobody = (Vec::new(), String::new());
    assert_eq!(list(&app, ListEmployeesRequest::default()).await.unwrap(), nobody);
}

#[tokio::test]
async fn a_page_of_much_payroll_data_ends_where_a_message_is_full() {
    let app = App::start().await;
    let meta = Some(object(&[("a", text(&"x".repeat(16_000)))]));
    let requests = (0..300).map(|_| CreateEmployeeRequest { payroll_meta: meta.clone(), ..ann() });
    for created in futures::future::join_all(requests.map(|request| app.create(request))).await {
        created.unwrap();
    }
    let mut request = ListEmployeesRequest { page_size: 1000, ..Default::default() };
    let mut found = Vec::new();
    loop {
        let (page, token) = list(&app, request.clone()).await.unwrap();
        assert!(!page.is_empty());
        found.extend(page.into_iter().map(|one| one.employee_id));
        if token.is_empty() {
            break;
        }
        request.page_token = token;
    }
    let all: Vec<String> = sqlx::query_scalar("select id::text from hr.employees order by id")
        .fetch_all(&app.db)
        .await
        .unwrap();
    assert_eq!(found, all);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    for page_size in [-1, 1001] {
        let bad = ListEmployeesRequest {
            page_size,
            page_token: "x".to_owned(),
            payroll_group: "A".to_owned(),
            role: "r".repeat(65),
            employed_on: "today".to_owned(),
        };
        let all = ["role", "payroll_group", "employed_on", "page_size", "page_token"];
        refusal(list(&app, bad).await).names(&all);
    }
    app.create(ann()).await.unwrap();
    app.create(ann()).await.unwrap();
    let first = ListEmployeesRequest { page_size: 1, ..Default::default() };
    let (_, token) = list(&app, first.clone()).await.unwrap();
    for page_token in [format!("{token}0"), format!("0{token}"), token.replace('.', "")] {
        let bad = ListEmployeesRequest { page_token, ..first.clone() };
        refusal(list(&app, bad).await).names(&["page_token"]);
    }
}
