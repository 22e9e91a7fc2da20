//! What tools ask of any gRPC server: whether it is well, and what it serves.

use foreign::{Api, Cluster};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

/// Services of the TiKV client protocol.
const SERVICES: [&str; 3] = ["tikvpb.Tikv", "pdpb.PD", "keyspacepb.Keyspace"];

async fn reflected(channel: Channel, ask: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(ask) };
    let mut client = ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().expect("an answer");
    answer.message_response.expect("an answer of some kind")
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_answer_on_every_node() {
    let cluster = Cluster::start(Api::V2, &[]);
    for endpoint in cluster.endpoints() {
        let channel = Endpoint::from_shared(format!("http://{endpoint}")).unwrap();
        let channel = channel.connect().await.unwrap();
        // As clients in Go do when a request has failed: of the server as a whole.
        let mut health = HealthClient::new(channel.clone());
        let request = HealthCheckRequest { service: String::new() };
        let status = health.check(request).await.unwrap().into_inner().status();
        assert_eq!(status, ServingStatus::Serving, "{endpoint}");

        let list = MessageRequest::ListServices(String::new());
        let MessageResponse::ListServicesResponse(list) = reflected(channel.clone(), list).await
        else {
            panic!("{endpoint} does not list its services");
        };
        let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
        for service in SERVICES {
            assert!(names.iter().any(|name| name == service), "{service} is not in {names:?}");
            let ask = MessageRequest::FileContainingSymbol(service.to_owned());
            let MessageResponse::FileDescriptorResponse(found) =
                reflected(channel.clone(), ask).await
            else {
                panic!("{endpoint} does not describe {service}");
            };
            assert!(!found.file_descriptor_proto.is_empty(), "{service}");
        }
    }
}
