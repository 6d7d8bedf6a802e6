//! One trace holds all that a call causes, in all services, over gRPC and over events.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
    resource::v1::Resource,
};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status, transport::server::TcpIncoming};

use crate::world::{World, eventually, order, placed};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Which services have sent spans of our trace.
#[derive(Debug, Clone, Default)]
struct Collector(Arc<Mutex<BTreeSet<String>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for spans in request.into_inner().resource_spans {
            let service = service_name(spans.resource.unwrap_or_default());
            let ours = spans.scope_spans.iter().flat_map(|scope| &scope.spans);
            let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            if ours.into_iter().any(|span| hex(&span.trace_id) == TRACE) {
                self.0.lock().unwrap().insert(service);
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn service_name(resource: Resource) -> String {
    let name = resource.attributes.into_iter().find(|attribute| attribute.key == "service.name");
    match name.and_then(|name| name.value).and_then(|value| value.value) {
        Some(Value::StringValue(name)) => name,
        _ => String::new(),
    }
}

#[tokio::test]
async fn one_trace_holds_all_that_a_call_causes() {
    let collector = Collector::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tonic::transport::Server::builder()
        .add_service(TraceServiceServer::new(collector.clone()))
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(server);

    let world = World::start_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).await;
    world.product("TEA", "2.50", 10).await;
    let customer = world.customer().await;
    let mut request = Request::new(order(&customer, &[("TEA", 4)]));
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    request.metadata_mut().insert("traceparent", traceparent.parse().unwrap());
    let sold = placed(world.orders().create_order(request).await.unwrap());
    world.invoice(&sold.order_id).await;

    eventually("whole trace", async || {
        let seen = collector.0.lock().unwrap().clone();
        let wanted = ["orders-svc", "inventory-svc", "billing-svc", "ledger-svc"];
        wanted.iter().all(|service| seen.contains(*service)).then_some(())
    })
    .await;
    let journal = "select payload->>'traceparent' from ledger.events_log order by id limit 1";
    let begins = format!("00-{TRACE}-");
    eventually("journal of the trace", async || {
        world.sql(journal).await.starts_with(&begins).then_some(())
    })
    .await;
}
