//! Probing by gRPC: the health service of tonic, in clear and by TLS.

use std::net::SocketAddr;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tonic_health::ServingStatus;
use tonic_health::server::health_reporter;
use watchkeeper_agent_core::probe::Reason;

use super::scene::{acceptor, attempt, saying, settings, testdata, told};

async fn server(with_tls: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (reporter, service) = health_reporter();
    reporter.set_service_status("shop.Orders", ServingStatus::Serving).await;
    reporter.set_service_status("shop.Stopping", ServingStatus::NotServing).await;
    let acceptor = acceptor("server", &["h2"]);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, reporter) = (acceptor.clone(), reporter.clone());
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let _reporter = reporter;
                let builder = Builder::new(TokioExecutor::new()).http2_only();
                if !with_tls {
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                } else if let Ok(stream) = acceptor.accept(stream).await {
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_service_says_how_it_is() {
    let at = server(false).await;
    for (sentence, keys, reason, why) in [
        ("the whole server", "", Reason::Ok, ""),
        ("one service", ", service: shop.Orders", Reason::Ok, ""),
        ("one that stops", ", service: shop.Stopping", Reason::Status, "status = \"NOT_SERVING\""),
        ("one it does not know", ", service: shop.Gone", Reason::Status, "status = \"NOT_FOUND\""),
    ] {
        let found = told(&format!("grpc: {{host: '{at}'{keys}}}")).await;
        assert_eq!(found.0, reason, "{sentence}: {}", found.1);
        assert!(found.1.contains(why), "{sentence}: {}", found.1);
    }
    let keys = format!("grpc: {{host: '{at}', service: shop.Gone}}, expect: ['code == 5']");
    assert_eq!(told(&keys).await.0, Reason::Status, "a code says nothing of the status");
    let both = "expect: ['code == 5', 'status == \"NOT_FOUND\"', 'message != \"\"']";
    let keys = format!("grpc: {{host: '{at}', service: shop.Gone}}, {both}");
    let (reason, why) = told(&keys).await;
    assert_eq!(reason, Reason::Ok, "{why}");
}

#[tokio::test]
async fn by_tls_the_certificate_is_seen_too() {
    let at = server(true).await;
    let ca = testdata("ca.pem");
    let keys = format!(
        "grpc: {{host: '{at}', tls: {{ca: {}}}}}, expect: ['certificate.days > 14.0']",
        ca.display()
    );
    let found = attempt(&keys).await;
    assert_eq!(found.judged.reason, Reason::Ok, "{}", found.judged.why);
    let phases: Vec<_> = found.phases.iter().map(|(phase, _)| *phase).collect();
    assert_eq!(phases, ["connect", "tls", "first_byte"]);
    assert!(found.expires_in.is_some());
    let (reason, why) = told(&format!("grpc: {{host: '{at}', tls: {{}}}}")).await;
    assert_eq!(reason, Reason::Certificate, "{why}");
}

#[tokio::test]
async fn who_speaks_no_grpc_is_told() {
    let old = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let (reason, why) = told(&format!("grpc: {{host: '{old}'}}, timeout: 1s")).await;
    assert!(matches!(reason, Reason::Protocol | Reason::Reset), "{reason}: {why}");
    for (keys, said) in [
        ("grpc: {host: a}", "this is no HOST:PORT"),
        ("grpc: {host: 'a:1', metadata: {'a b': c}}", "no metadata"),
    ] {
        let problems = settings(&format!("probe: {{service: shop, {keys}}}")).unwrap_err();
        assert!(problems.contains(said), "{keys}: {problems}");
    }
}
