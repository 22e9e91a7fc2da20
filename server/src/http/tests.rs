//! Tests of the second port.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

use super::*;
use crate::config::{Http, Size, Span};
use crate::errors;
use crate::run;
use crate::view::tests as fake;

struct Node {
    is_led: bool,
}

impl Source for Node {
    fn checks(&self) -> Vec<Check> {
        vec![Check::new("joined", true, ""), Check::new("disk", self.is_led, "it is full")]
    }

    fn status(&self) -> Answer<Status> {
        let is_led = self.is_led;
        Box::pin(async move {
            if is_led {
                Ok(Status::from(fake::status()))
            } else {
                Err(Failure::new(&errors::NO_PLACEMENT, "placement has no leader"))
            }
        })
    }

    fn stores(&self) -> Answer<Vec<Store>> {
        Box::pin(async { Ok(fake::status().stores.into_iter().map(Store::from).collect()) })
    }

    fn regions(&self, start: Vec<u8>, limit: u32) -> Answer<Regions> {
        Box::pin(async move {
            assert!(limit <= 100_000 && start.len() < 9);
            Ok(Regions { api_version: "v2".to_owned(), regions: vec![fake::region()] })
        })
    }

    fn operators(&self) -> Answer<Vec<Operator>> {
        // Longer than anybody waits.
        Box::pin(std::future::pending())
    }
}

fn limits() -> Http {
    Http { request_timeout: Span::millis(200), body_size_max: Size::bytes(8), ..Http::default() }
}

/// The port of a node, on a socket.
struct Port {
    address: SocketAddr,
    stopper: run::Stopper,
    served: JoinHandle<()>,
}

impl Port {
    async fn open(limits: Http) -> Port {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let node = Arc::new(Node { is_led: true });
        let router = router(node, Arc::new(metrics::registry()), &limits);
        let (stopper, shutdown) = run::shutdown();
        let served = tokio::spawn(serve(listener, router, limits, None, shutdown));
        Port { address, stopper, served }
    }

    /// Stops it, and waits until it has.
    async fn close(self) {
        self.stopper.stop();
        let served = tokio::time::timeout(Duration::from_secs(10), self.served);
        served.await.expect("it ends").unwrap();
    }
}

async fn ask(router: axum::Router, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

async fn get(path: &str, is_led: bool) -> (StatusCode, String) {
    ask(router(Arc::new(Node { is_led }), Arc::new(metrics::registry()), &limits()), path).await
}

#[tokio::test]
async fn health_is_told_in_short_and_at_length() {
    assert_eq!(get("/livez", false).await, (StatusCode::OK, "ok\n".to_owned()));
    assert_eq!(get("/readyz", true).await, (StatusCode::OK, "ok\n".to_owned()));
    let verbose = "[+]joined ok\n[+]disk ok\nreadyz check passed\n";
    assert_eq!(get("/readyz?verbose", true).await, (StatusCode::OK, verbose.to_owned()));
    let failed = "[+]joined ok\n[-]disk failed: it is full\nreadyz check failed\n";
    let expected = (StatusCode::SERVICE_UNAVAILABLE, failed.to_owned());
    assert_eq!(get("/readyz", false).await, expected);
    assert_eq!(get("/readyz?exclude=disk", false).await.0, StatusCode::OK);
}

#[tokio::test]
async fn cluster_is_told_in_json_and_failures_have_their_codes() {
    let (status, text) = get("/v1/status", true).await;
    let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &parsed["healthy"]), (StatusCode::OK, &serde_json::json!(true)));
    let (status, text) = get("/v1/status", false).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains("\"code\":\"CRIB-E1003\""), "{text}");
    let (_, text) = get("/v1/stores", true).await;
    assert!(text.starts_with("[{\"id\":1,\"address\":\"127.0.0.1:6711\""), "{text}");
    let (_, text) = get("/v1/regions?limit=5&start_hex=00ff", true).await;
    assert!(text.contains("\"start_key\":\"r\\\\x00\\\\x00\\\\x00user/0417\""), "{text}");
    assert_eq!(get("/v1/regions?start_hex=0", true).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(get("/v1/regions?limit=x", true).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(get("/v2", true).await.0, StatusCode::NOT_FOUND);
    let (_, text) = get("/version", true).await;
    assert!(text.contains(env!("CARGO_PKG_VERSION")), "{text}");
}

#[tokio::test]
async fn what_takes_too_long_or_is_too_large_is_refused() {
    assert_eq!(get("/v1/operators", true).await.0, StatusCode::GATEWAY_TIMEOUT);
    let router = router(Arc::new(Node { is_led: true }), Arc::new(metrics::registry()), &limits());
    for length in ["9", "-1", "x"] {
        let request = Request::get("/livez").header("content-length", length);
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE, "{length}");
    }
}

#[tokio::test]
async fn figures_are_in_the_text_format() {
    let (status, text) = get("/metrics", true).await;
    assert_eq!(status, StatusCode::OK);
    for name in ["crib_build_info{version=", "process_start_time_seconds ", "# EOF"] {
        assert!(text.contains(name), "{name} in {text}");
    }
    if cfg!(target_os = "linux") {
        for name in ["process_resident_memory_bytes ", "process_cpu_seconds_total "] {
            assert!(text.contains(name), "{name} in {text}");
        }
    }
}

#[tokio::test]
async fn clients_of_the_other_protocol_find_a_count_that_is_a_number() {
    let (status, text) =
        ask(pd_router(Arc::new(Node { is_led: true })), "/pd/api/v1/regions").await;
    let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, parsed["count"].as_u64()), (StatusCode::OK, Some(1)));
    assert_eq!(parsed["regions"][0]["end_key"], "7300000000000000F8");
    assert_eq!(parsed["regions"][0]["leader"]["store_id"], 2);
}

#[tokio::test]
async fn slow_and_large_heads_are_cut_off_and_shutdown_ends_idle_connections() {
    let port = Port::open(limits()).await;
    let address = port.address;

    // A head that never ends.
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n").await.unwrap();
    let mut answer = Vec::new();
    let cut = tokio::time::timeout(Duration::from_secs(10), slow.read_to_end(&mut answer)).await;
    assert!(cut.is_ok(), "a slow head is read for ever");

    let mut large = TcpStream::connect(address).await.unwrap();
    let head = format!("GET /livez HTTP/1.1\r\nhost: {}\r\n\r\n", "a".repeat(40_000));
    // It may be cut off before all was written.
    let _ = large.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), large.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "a large head was answered");

    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    port.close().await;
}

#[tokio::test]
async fn whoever_does_not_read_its_answers_loses_its_connection() {
    let port = Port::open(Http { connections_max: 1, ..limits() }).await;
    let address = port.address;
    let question = b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n";

    // It asks until nothing more is taken, for no answer fits between the two any more.
    let mut deaf = TcpStream::connect(address).await.unwrap();
    let ask = async { while deaf.write_all(question).await.is_ok() {} };
    let cut = tokio::time::timeout(Duration::from_secs(60), ask).await;
    assert!(cut.is_ok(), "nobody ends a connection that is not read");

    let mut other = TcpStream::connect(address).await.unwrap();
    other.write_all(question).await.unwrap();
    let mut first = [0; 12];
    let heard = tokio::time::timeout(Duration::from_secs(60), other.read_exact(&mut first)).await;
    heard.expect("the place is free again").unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    port.close().await;
}

#[tokio::test]
async fn node_that_starts_lives_and_says_what_it_waits_for() {
    let starting = Starting::new("a cluster has to take this node in");
    let mut registry = metrics::registry();
    registry.register_collector(Box::new(starting.clone()));
    let router = router(Arc::new(starting.clone()), Arc::new(registry), &limits());
    assert_eq!(ask(router.clone(), "/livez").await.0, StatusCode::OK);
    let (status, text) = ask(router.clone(), "/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains("started failed: a cluster has to take this node in"), "{text}");
    starting.waits_for("the data on the disk is opened");
    let (status, text) = ask(router.clone(), "/v1/status").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains("the data on the disk is opened"), "{text}");
    assert_eq!(ask(router.clone(), "/metrics").await.0, StatusCode::OK);

    let figures = Box::new(Starting::new("nothing"));
    starting.is_over(Arc::new(Node { is_led: true }), figures);
    assert_eq!(ask(router, "/readyz").await, (StatusCode::OK, "ok\n".to_owned()));
}
