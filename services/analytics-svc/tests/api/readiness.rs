use std::fs;

use proto::analytics::v1::{GetArAgeingRequest, GetStockSnapshotRequest};
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_types::StatusExt;

use testkit::{eventually, refusal};

use crate::app::{App, WAIT_MAX};

async fn status(app: &App) -> ServingStatus {
    let channel = Channel::from_shared(app.url.clone()).unwrap().connect().await.unwrap();
    let service = "bramble.analytics.v1.AnalyticsService".to_owned();
    let answer = HealthClient::new(channel).check(HealthCheckRequest { service }).await;
    answer.unwrap().into_inner().status()
}

fn is_not_yet<T: std::fmt::Debug>(answer: Result<T, Status>) {
    let again = answer.as_ref().unwrap_err().get_details_retry_info();
    assert!(again.is_some_and(|info| info.retry_delay.is_some()), "it says when to ask again");
    let refused = refusal(answer);
    refused.is(Code::Unavailable, "NOT_MATERIALIZED_YET");
    assert_eq!(refused.message, "nothing has been materialized yet");
}

#[tokio::test]
async fn before_the_first_version_there_is_no_answer() {
    let app = App::start().await;
    is_not_yet(app.all_sales().await);
    is_not_yet(app.stock(GetStockSnapshotRequest::default()).await);
    is_not_yet(app.ageing(GetArAgeingRequest::default()).await);
    // Also when the folder goes, and when all is wiped later.
    fs::remove_dir(&app.olap.folder).unwrap();
    is_not_yet(app.all_sales().await);
    fs::create_dir(&app.olap.folder).unwrap();
    app.olap.publish(1, Vec::new());
    app.all_sales().await.unwrap();
    fs::remove_file(app.olap.folder.join(manifest::FILE_NAME)).unwrap();
    is_not_yet(app.all_sales().await);
}

#[tokio::test]
async fn it_is_ready_while_there_is_a_manifest_that_can_be_read() {
    let app = App::start().await;
    let is = async |wanted| status(&app).await == wanted;
    // The first look has been taken once a second is over; nothing is there.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(status(&app).await, ServingStatus::NotServing);
    app.olap.publish(1, Vec::new());
    eventually("it is ready", WAIT_MAX, async || is(ServingStatus::Serving).await).await;
    fs::write(app.olap.folder.join(manifest::FILE_NAME), "{").unwrap();
    eventually("it is not ready", WAIT_MAX, async || is(ServingStatus::NotServing).await).await;
    app.olap.publish(2, Vec::new());
    eventually("it is ready again", WAIT_MAX, async || is(ServingStatus::Serving).await).await;
}
