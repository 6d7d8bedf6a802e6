//! What `grpcurl list` sees, with old and new clients.

use std::collections::BTreeSet;

use tokio_stream::StreamExt;
use tonic::transport::Channel;

use crate::fake::{open_doors, serve};

/// The services that one version of reflection lists.
macro_rules! list {
    ($url:expr, $version:ident) => {{
        use tonic_reflection::pb::$version::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let channel = Channel::from_shared($url.clone()).unwrap().connect().await.unwrap();
        let mut client = ServerReflectionClient::new(channel);
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let answers = client.server_reflection_info(tokio_stream::iter([request])).await.unwrap();
        let answer = answers.into_inner().next().await.unwrap().unwrap();
        let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
            panic!("{answer:?}")
        };
        list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
    }};
}

#[tokio::test]
async fn both_versions_of_reflection_list_what_is_served_here() {
    let running = serve(open_doors(), || async { Ok(()) }).await;
    for listed in [list!(running.url, v1), list!(running.url, v1alpha)] {
        let served = [
            "bramble.log.v1.EventLog",
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
        ];
        assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), served.map(str::to_owned).into());
    }
}
