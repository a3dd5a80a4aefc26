//! Probing by gRPC's health protocol, `grpc.health.v1.Health/Check`.
//!
//! Owns the keys of `grpc:`, the two messages of the protocol, and the words for its states. The framing is that of gRPC over
//! HTTP/2: a flag, a length, a message, and the outcome in the trailers.

use std::net::IpAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE};
use hyper::{HeaderMap, Request, StatusCode, Version};
use prost::Message;
use tokio::time::Instant;
use watchkeeper_agent_core::probe::{Expectations, Failure, Reason, Said, Seen};
use watchkeeper_config::{Node, Reader, Secret, read};
use watchkeeper_expr::Type;

use super::http::{Connection, of_http};
use super::kind::{Asking, ProbeKind, Prober};
use crate::sources::probe::net::{
    HostPort, Tls, TlsClient, reach, read_address, read_host_port, read_tls,
};

/// An answer has a few bytes.
const MAX_ANSWER: usize = 16 << 10;

/// The words of gRPC's status codes, by number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The words of `ServingStatus`, by number.
const STATES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/// `HealthCheckRequest`.
#[derive(Clone, PartialEq, Eq, Message)]
struct Question {
    #[prost(string, tag = "1")]
    service: String,
}

/// `HealthCheckResponse`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct Answer {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// A server, and which of its services is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GrpcProbe {
    host: HostPort,
    /// "" is the whole server.
    service: String,
    address: Option<IpAddr>,
    tls: Option<Tls>,
    metadata: Vec<(HeaderName, Secret)>,
}

impl ProbeKind for GrpcProbe {
    const TAG: &'static str = "grpc";

    const NAMES: &'static [(&'static str, Type)] = &[
        ("status", Type::String),
        ("code", Type::Int),
        ("message", Type::String),
        ("tls", Type::String),
        ("certificate", Type::Json),
        ("certificate.expires_in", Type::Duration),
        ("certificate.chain_expires_in", Type::Duration),
    ];

    const USUAL: &'static [(&'static str, &'static str)] = &[("status", "status == \"SERVING\"")];

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        node.fields(reader, &["host", "service", "address", "tls", "metadata"], |f| {
            let tls = f.optional("tls", read_tls);
            let usual_port = tls.as_ref().map(|_| 443);
            let host = f.required("host", read_host_port(usual_port));
            let service = f.or("service", String::new(), read::string);
            let address = f.optional("address", read_address);
            let given = f.optional("metadata", read::map_of(read::secret)).unwrap_or_default();
            let mut metadata = Vec::new();
            for (name, value) in given {
                let parsed = HeaderName::from_bytes(name.value.as_bytes());
                match parsed {
                    Ok(name) if HeaderValue::from_str(value.expose()).is_ok() => {
                        metadata.push((name, value));
                    }
                    _ => {
                        f.reader()
                            .error(&name.place, "this is no metadata that can be sent")
                            .help("names have letters, digits and `-`; values have no line ends");
                        return None;
                    }
                }
            }
            Some(Self { host: host?, service, address, tls, metadata })
        })
    }

    fn target(&self) -> String {
        let Self { host, service, .. } = self;
        if service.is_empty() { host.to_string() } else { format!("{service} at {host}") }
    }

    fn open(&self, _expectations: &Expectations) -> Box<dyn Prober> {
        Box::new(GrpcProber { probe: self.clone(), client: None })
    }
}

/// Asks for a service's health.
struct GrpcProber {
    probe: GrpcProbe,
    /// Made when it is needed first.
    client: Option<TlsClient>,
}

impl GrpcProber {
    async fn attempt(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let mut connection = self.connect(seen).await?;
        let host = &self.probe.host.host;
        seen.waits_for = "an answer";
        let begun = Instant::now();
        let request = self.probe.request()?;
        let answer = connection.send(request).await.map_err(|error| of_http(host, &error))?;
        seen.passed("first_byte", begun.elapsed());
        if answer.status() != StatusCode::OK {
            let what = format!("{host} speaks no gRPC there: HTTP status {}", answer.status());
            return Err(Failure::new(Reason::Protocol, what));
        }
        let head = answer.headers().clone();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
            Ok(error) => of_http(host, &error),
            Err(error) => Failure::new(Reason::Protocol, format!("{host} and gRPC: {error}")),
        })?;
        // Without a body the outcome stands in the head.
        let trailers = body.trailers().cloned().unwrap_or(head);
        say(&trailers, &body.to_bytes(), host, seen)
    }

    async fn connect(&mut self, seen: &mut Seen) -> Result<Connection, Failure> {
        let probe = &self.probe;
        let host = &probe.host.host;
        let stream = reach(&probe.host, probe.address, seen).await?;
        let Some(tls) = &probe.tls else { return Connection::begin(stream, true, host).await };
        let client = match &self.client {
            Some(client) => client,
            None => self.client.insert(TlsClient::new(tls, &["h2"])?),
        };
        let stream = client.agree(stream, host, seen).await?;
        Connection::begin(stream, true, host).await
    }
}

impl GrpcProbe {
    fn request(&self) -> Result<Request<Full<Bytes>>, Failure> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let uri = format!("{scheme}://{}/grpc.health.v1.Health/Check", self.host);
        let question = Question { service: self.service.clone() }.encode_to_vec();
        let length = u32::try_from(question.len()).unwrap_or(u32::MAX).to_be_bytes();
        let message = [&[0][..], &length, &question].concat();
        let request = Request::post(uri).version(Version::HTTP_2);
        let mut request = request.body(Full::new(Bytes::from(message))).map_err(|error| {
            Failure::new(Reason::Unable, format!("{} can't be asked: {error}", self.host))
        })?;
        let headers = request.headers_mut();
        for (name, value) in &self.metadata {
            let value = HeaderValue::from_str(value.expose());
            headers.append(name, value.expect("what can't be sent was refused when it was read"));
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        Ok(request)
    }
}

/// Says the outcome, and the state if there is one.
fn say(trailers: &HeaderMap, body: &[u8], host: &str, seen: &mut Seen) -> Result<(), Failure> {
    let text = |name: &str| trailers.get(name).and_then(|value| value.to_str().ok());
    let code: Option<usize> = text("grpc-status").and_then(|code| code.parse().ok());
    let Some(code) = code else {
        let what = format!("the answer of {host} is no gRPC: it has no grpc-status");
        return Err(Failure::new(Reason::Protocol, what));
    };
    seen.say("code", Said::Int(i64::try_from(code).unwrap_or(i64::MAX)));
    seen.say("message", Said::Text(text("grpc-message").unwrap_or_default().to_owned()));
    let state = if code == 0 { state(body) } else { CODES.get(code).copied() };
    let Some(state) = state else {
        let what = format!("the answer of {host} is no HealthCheckResponse");
        return Err(Failure::new(Reason::Protocol, what));
    };
    seen.say("status", Said::Text(state.to_owned()));
    Ok(())
}

/// The state in a framed message.
fn state(body: &[u8]) -> Option<&'static str> {
    let (head, message) = body.split_first_chunk::<5>()?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    let message = message.get(..usize::try_from(length).ok()?).filter(|_| head[0] == 0)?;
    let answer = Answer::decode(message).ok()?;
    STATES.get(usize::try_from(answer.status).ok()?).copied()
}

impl Prober for GrpcProber {
    fn ask<'a>(&'a mut self, seen: &'a mut Seen) -> Asking<'a> {
        Box::pin(self.attempt(seen))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_state_is_read_out_of_its_frame() {
        for (body, said) in [
            (&[0, 0, 0, 0, 2, 8, 1][..], Some("SERVING")),
            (&[0, 0, 0, 0, 2, 8, 2], Some("NOT_SERVING")),
            // What has its default is not sent.
            (&[0, 0, 0, 0, 0], Some("UNKNOWN")),
            (&[0, 0, 0, 0, 2, 8], None),
            (&[1, 0, 0, 0, 2, 8, 1], None),
            (&[0, 0, 0, 0, 2, 8, 9], None),
            (&[0, 0, 0], None),
            (&[0, 255, 255, 255, 255, 8, 1], None),
        ] {
            assert_eq!(state(body), said, "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = state(&body);
        }
    }
}
