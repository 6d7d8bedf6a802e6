//! Who may call what.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use proto::log::v1::{ListDeadLettersRequest, event_log_client::EventLogClient};
use rpc::{ClientConfig, ServerConfig};
use testkit::Keys;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::fake::{ask, open_doors, serve};

fn closed_doors(keys: &Keys) -> ServerConfig {
    ServerConfig { auth_public_key: Some(keys.public()), ..open_doors() }
}

fn with_token(url: &str, token: String) -> EventLogClient<rpc::Client> {
    let config = ClientConfig { token: Some(token), ..ClientConfig::default() };
    EventLogClient::new(config.client(url).unwrap())
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[tokio::test]
async fn a_call_needs_a_valid_token_with_the_permission_of_its_method() {
    let (keys, strange) = (Keys::new(1), Keys::new(2));
    let actors = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&actors);
    let running = serve(closed_doors(&keys), move || {
        heard.lock().unwrap().push(rpc::Call::current().unwrap().actor.to_string());
        async { Ok(()) }
    })
    .await;

    let refusal = running.client.clone().list_events(ask(None)).await.unwrap_err();
    assert_eq!((refusal.code(), reason(&refusal)), (Code::Unauthenticated, "TOKEN_MISSING".into()));
    let mut other_algorithm = keys.token(&["*"], 600);
    other_algorithm.replace_range(0..1, "x");
    let unsigned = keys.token(&["*"], 600).rsplit_once('.').unwrap().0.to_owned() + ".";
    let bad = [
        keys.token(&["*"], -3600),
        strange.token(&["*"], 600),
        "not.a.token".to_owned(),
        other_algorithm,
        unsigned,
    ];
    for token in bad {
        let refusal = with_token(&running.url, token).list_events(ask(None)).await.unwrap_err();
        assert_eq!(refusal.code(), Code::Unauthenticated);
        assert_eq!(reason(&refusal), "TOKEN_INVALID");
    }

    let mut reader = with_token(&running.url, keys.token(&["log.read"], 600));
    reader.list_events(ask(None)).await.unwrap();
    let refusal = reader.list_dead_letters(ListDeadLettersRequest::default()).await.unwrap_err();
    let info = refusal.get_details_error_info().unwrap();
    assert_eq!(refusal.code(), Code::PermissionDenied);
    assert_eq!((&*info.reason, &*info.domain), ("PERMISSION_MISSING", "bramble"));
    assert_eq!(info.metadata["permission"], "log.admin");
    let mut master = with_token(&running.url, keys.token(&["*"], 600));
    master.list_dead_letters(ListDeadLettersRequest::default()).await.unwrap();
    assert_eq!(*actors.lock().unwrap(), ["ann"], "whoever is refused reaches no handler");
}

#[tokio::test]
async fn open_doors_give_every_permission_that_is_not_restricted() {
    let keys = Keys::new(1);
    let with_key = ServerConfig { open: true, ..closed_doors(&keys) };
    for config in [open_doors(), with_key] {
        let running = serve(config, || async {
            rpc::require("orders.write")?;
            rpc::require(rpc::RESTRICTED[0])
        })
        .await;
        let refusal = running.client.clone().list_events(ask(None)).await.unwrap_err();
        assert_eq!(refusal.code(), Code::PermissionDenied);
        assert!(refusal.message().contains("orders.import"), "{refusal}");
    }
    let running = serve(ServerConfig { open: true, ..closed_doors(&keys) }, || async {
        rpc::require(rpc::RESTRICTED[0])
    })
    .await;
    let mut importer = with_token(&running.url, keys.token(&["log.read", "orders.import"], 600));
    importer.list_events(ask(None)).await.unwrap();
    let mut forger = with_token(&running.url, Keys::new(2).token(&["*"], 600));
    assert_eq!(forger.list_events(ask(None)).await.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_method_that_does_not_exist_is_unimplemented() {
    let keys = Keys::new(1);
    let running = serve(closed_doors(&keys), || async { Ok(()) }).await;
    let channel = ClientConfig::default().client(&running.url).unwrap();
    let mut orders = proto::hr::v1::hr_service_client::HrServiceClient::new(channel);
    let refusal =
        orders.get_employee(proto::hr::v1::GetEmployeeRequest::default()).await.unwrap_err();
    assert_eq!(refusal.code(), Code::Unauthenticated, "a method of ours that is not served here");

    let channel = tonic::transport::Channel::from_shared(running.url.clone()).unwrap();
    let mut client = tonic::client::Grpc::new(channel.connect().await.unwrap());
    for path in ["/bramble.log.v1.EventLog/Unknown", "/bramble.log.v1.EventLog/ListEvents/", "/x/y"]
    {
        client.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let path = http::uri::PathAndQuery::from_static(path);
        let answer = client.unary(tonic::Request::new(()), path, codec).await;
        assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
    }
}

#[tokio::test]
async fn an_address_that_strangers_reach_needs_keys_and_tls() {
    let keys = Keys::new(1);
    let strangers: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let away = |config: ServerConfig| ServerConfig { grpc_addr: Some(strangers), ..config };
    let refused = [
        (away(ServerConfig { plaintext: true, ..open_doors() }), "BRAMBLE_AUTH_PUBLIC_KEY"),
        (away(ServerConfig { plaintext: true, open: true, ..closed_doors(&keys) }), "BRAMBLE_OPEN"),
        (away(closed_doors(&keys)), "BRAMBLE_TLS_CERT"),
    ];
    for (config, what) in refused {
        let refusal = config.bind(0).await.unwrap_err().to_string();
        assert!(refusal.contains(what), "{refusal}");
    }
    away(ServerConfig { plaintext: true, ..closed_doors(&keys) }).bind(0).await.unwrap();
    open_doors().bind(0).await.unwrap();
}

#[tokio::test]
async fn a_door_with_tls_is_passed_by_those_who_know_its_certificate() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let config = ServerConfig { tls_cert: Some(cert.clone()), tls_key: Some(key), ..open_doors() };
    let running = serve(config, || async { Ok(()) }).await;
    let port = running.url.rsplit_once(':').unwrap().1;

    let knows = ClientConfig { tls_ca: Some(cert), ..ClientConfig::default() };
    let mut client =
        EventLogClient::new(knows.client(&format!("https://localhost:{port}")).unwrap());
    client.list_events(ask(None)).await.unwrap();
    let mut plain = running.client.clone();
    assert!(plain.list_events(ask(None)).await.is_err());
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other_ca = dir.path().join("other.pem");
    std::fs::write(&other_ca, other.cert.pem()).unwrap();
    let misled = ClientConfig { tls_ca: Some(other_ca), ..ClientConfig::default() };
    let mut client =
        EventLogClient::new(misled.client(&format!("https://localhost:{port}")).unwrap());
    assert_eq!(client.list_events(ask(None)).await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn a_key_that_cannot_be_read_opens_no_door() {
    let dir = tempfile::tempdir().unwrap();
    for contents in [None, Some("no key at all")] {
        let file = dir.path().join("public.pem");
        if let Some(contents) = contents {
            std::fs::write(&file, contents).unwrap();
        }
        let config = ServerConfig { auth_public_key: Some(file), ..open_doors() };
        let mut running = serve(config, || async { Ok(()) }).await;
        let refusal = (&mut running.ended).await.unwrap().unwrap_err();
        assert!(refusal.to_string().contains("BRAMBLE_AUTH_PUBLIC_KEY"), "{refusal}");
    }
}
