use std::collections::HashSet;

use futures::future::join_all;
use proto::hr::v1::CreateEmployeeRequest;
use tonic::Code;

use testkit::refusal;

use crate::app::{App, ann, change, new_id};

fn with_id() -> CreateEmployeeRequest {
    CreateEmployeeRequest { request_id: new_id(), ..ann() }
}

#[tokio::test]
async fn the_same_request_again_answers_with_the_same_employee() {
    let app = App::start().await;
    let request = with_id();
    let first = app.create(request.clone()).await.unwrap();
    assert_eq!(app.create(request.clone()).await.unwrap(), first);
    let mut renamed = first.clone();
    renamed.name = "Anna".to_owned();
    let renamed = app.update(change(&renamed, &["name"])).await.unwrap();
    assert_eq!(app.create(request).await.unwrap(), renamed, "as she is now");
    assert_eq!(app.counts().await, (1, 1, 2));
}

#[tokio::test]
async fn a_hundred_equal_requests_at_once_are_one() {
    let app = App::start().await;
    let request = with_id();
    let answers = join_all((0..100).map(|_| app.create(request.clone()))).await;
    let ids: HashSet<String> =
        answers.into_iter().map(|answer| answer.unwrap().employee_id).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(app.counts().await, (1, 1, 1));
}

#[tokio::test]
async fn a_request_id_is_for_one_request() {
    let app = App::start().await;
    let request = with_id();
    let created = app.create(request.clone()).await.unwrap();
    let mut update = change(&created, &["name"]);
    update.request_id.clone_from(&request.request_id);
    let others = [
        CreateEmployeeRequest { salary_pence: 3_000_001, ..request.clone() },
        CreateEmployeeRequest { email: ann().email, ..request.clone() },
        CreateEmployeeRequest { payroll_meta: None, ..request.clone() },
    ];
    for other in others {
        let refused = refusal(app.create(other).await);
        refused.is(Code::AlreadyExists, "REQUEST_ID_USED");
        assert_eq!(refused.facts, [format!("request_id: {}", request.request_id)]);
    }
    refusal(app.update(update).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
    assert_eq!(app.counts().await, (1, 1, 1));
}

#[tokio::test]
async fn a_refused_request_leaves_nothing_behind() {
    let app = App::start().await;
    let first = app.create(ann()).await.unwrap();
    let mut request = CreateEmployeeRequest { email: first.email, ..with_id() };
    refusal(app.create(request.clone()).await).is(Code::AlreadyExists, "EMAIL_TAKEN");
    request.email = "ann".to_owned();
    refusal(app.create(request.clone()).await).names(&["email"]);
    request.email = ann().email;
    app.create(request).await.unwrap();
    assert_eq!(app.counts().await, (2, 2, 2));
}
