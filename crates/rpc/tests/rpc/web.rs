//! Pages for people, behind the same doors.

use proto::log::v1::{ListEventsRequest, event_log_client::EventLogClient};
use rpc::{ClientConfig, Doorkeeper, ServerConfig, Shutdown};
use testkit::Keys;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tonic::{Code, service::Routes};

use crate::fake::{fake, open_doors};

fn closed_doors(keys: &Keys) -> ServerConfig {
    ServerConfig { auth_public_key: Some(keys.public()), ..open_doors() }
}

#[test]
fn whoever_gets_in_is_who_would_get_in_over_grpc() {
    let keys = Keys::new(1);
    let closed = Doorkeeper::new(&closed_doors(&keys)).unwrap();
    let code = |token: Option<&str>| closed.admit(token, "analytics.read").unwrap_err().code();
    assert!(!closed.is_open());
    assert_eq!(code(None), Code::Unauthenticated);
    assert_eq!(code(Some("nonsense")), Code::Unauthenticated);
    assert_eq!(code(Some(&Keys::new(2).token(&["*"], 600))), Code::Unauthenticated);
    assert_eq!(code(Some(&keys.token(&["*"], -600))), Code::Unauthenticated);
    assert_eq!(code(Some(&keys.token(&["orders.read"], 600))), Code::PermissionDenied);
    for permission in ["analytics.read", "*"] {
        let token = keys.token(&[permission], 600);
        let visitor = closed.admit(Some(&token), "analytics.read").unwrap();
        assert!(&*visitor.actor == "ann" && visitor.until.is_some(), "{visitor:?}");
    }

    for config in [open_doors(), ServerConfig { open: true, ..closed_doors(&keys) }] {
        let open = Doorkeeper::new(&config).unwrap();
        let visitor = open.admit(None, "analytics.read").unwrap();
        assert!(open.is_open() && &*visitor.actor == "anonymous" && visitor.until.is_none());
        assert_eq!(
            open.admit(None, rpc::RESTRICTED[0]).unwrap_err().code(),
            Code::PermissionDenied
        );
    }
}

async fn serve(config: ServerConfig, shutdown: &Shutdown) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (pages, shutdown) = (Routes::new(fake(async || Ok(()))), shutdown.clone());
    tokio::spawn(async move { rpc::serve_web(&config, listener, pages, shutdown).await.unwrap() });
    port
}

#[tokio::test]
async fn pages_are_served_to_browsers_of_either_http_with_the_certificate_of_the_service() {
    let shutdown = Shutdown::new();
    let plain = serve(open_doors(), &shutdown).await;
    let mut socket = TcpStream::connect(("127.0.0.1", plain)).await.unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = ServerConfig { tls_cert: Some(cert.clone()), tls_key: Some(key), ..open_doors() };
    let secret = serve(tls, &shutdown).await;
    let knows = ClientConfig { tls_ca: Some(cert), ..ClientConfig::default() };
    let url = format!("https://localhost:{secret}");
    let mut client = EventLogClient::new(knows.client(&url).unwrap());
    client.list_events(ListEventsRequest::default()).await.unwrap();
    shutdown.cancel();
}
