use std::time::Duration;

use log::NatsConfig;
use testkit::TestNats;

use crate::world::nats_config;

/// With what a URL would have to escape.
const PASSWORD: &str = "p@ss/w:rd?#%41";

const USERS: &str = r#"authorization { users: [
  { user: orders, password: "p@ss/w:rd?#%41", permissions: { publish: "$JS.API.INFO", subscribe: "_INBOX.orders-svc.>" } }
] }"#;

fn as_orders(url: &str) -> NatsConfig {
    NatsConfig {
        nats_user: Some("orders".to_owned()),
        nats_password: Some(PASSWORD.to_owned()),
        ..nats_config(url)
    }
}

#[tokio::test]
async fn a_service_shows_its_password_and_needs_no_inbox_but_its_own() {
    let nats = TestNats::with_config(USERS).await;
    let ask = async |name, patience_s| {
        let client = log::connect(&as_orders(&nats.url()), name).await.unwrap();
        let request = async_nats::Request::new().timeout(Some(Duration::from_secs(patience_s)));
        client.send_request("$JS.API.INFO", request).await
    };
    let answer = ask("orders-svc", 30).await.unwrap();
    assert!(answer.payload.starts_with(b"{\"type\":\"io.nats.jetstream.api.v1.account_info"));
    assert!(ask("billing-svc", 1).await.is_err(), "another's inbox is closed to it");
}

#[tokio::test]
async fn a_url_with_a_password_in_it_is_refused() {
    let url = "nats://orders:secret@127.0.0.1:1";
    let refusal = log::connect(&nats_config(url), "test").await.unwrap_err().to_string();
    assert!(refusal.contains("BRAMBLE_NATS_PASSWORD"), "{refusal}");
    assert!(!refusal.contains("secret"), "{refusal}");
}
