//! gRPC servers with tonic's health service, and without any.
//!
//! Owns their states: `shop.Orders` serves, `shop.Stopping` does not, others are not known.

use std::net::SocketAddr;

use hyper::Request;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tonic_health::ServingStatus;
use tonic_health::server::health_reporter;

use super::loopback::serve;

/// Starts one, with the health service or with no service at all.
///
/// # Errors
/// If nothing can listen.
pub async fn grpc(with_health: bool) -> anyhow::Result<SocketAddr> {
    let (reporter, service) = health_reporter();
    reporter.set_service_status("shop.Orders", ServingStatus::Serving).await;
    reporter.set_service_status("shop.Stopping", ServingStatus::NotServing).await;
    let service = TowerToHyperService::new(service);
    serve(move |stream| {
        let (service, reporter) = (service.clone(), reporter.clone());
        async move {
            // The states go with who reports them.
            let _reporter = reporter;
            let answering = service_fn(move |mut request: Request<_>| {
                if !with_health {
                    // What tonic does not know is UNIMPLEMENTED, as of a server that lacks it.
                    *request.uri_mut() = "/shop.Gone/Gone".parse().expect("this is a path");
                }
                service.call(request)
            });
            let builder = Builder::new(TokioExecutor::new()).http2_only();
            let _ = builder.serve_connection(TokioIo::new(stream), answering).await;
        }
    })
    .await
}
