//! What a certificate says, under the names that conditions know.
//!
//! Owns `certificate.*`. Never judges: expired is what `expires_in` says, trusted is what `tls` found.

use rustls::pki_types::CertificateDer;
use serde_json::{Value as Json, json};
use watchkeeper_agent_core::probe::{Said, Seen};
use watchkeeper_model::Timestamp;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Says what the chain that was shown says, the server's own certificate first. `problem` is why it is not trusted.
pub(super) fn say(
    chain: &[CertificateDer<'_>],
    problem: Option<&str>,
    now: Timestamp,
    seen: &mut Seen,
) {
    let parsed: Vec<X509Certificate<'_>> =
        chain.iter().filter_map(|der| Some(X509Certificate::from_der(der).ok()?.1)).collect();
    let Some(own) = parsed.first() else { return };
    let left = |certificate: &X509Certificate<'_>| {
        let until = certificate.validity().not_after.timestamp();
        until.saturating_mul(1_000_000_000).saturating_sub(now.nanos())
    };
    let expires_in = left(own);
    let chain_expires_in = parsed.iter().map(left).min().unwrap_or(expires_in);
    let said = json!({
        "subject": own.subject().to_string(),
        "issuer": own.issuer().to_string(),
        "names": names(own),
        "serial": own.raw_serial_as_string(),
        "not_before": rfc3339(own.validity().not_before.timestamp()),
        "not_after": rfc3339(own.validity().not_after.timestamp()),
        "days": expires_in as f64 / 86_400e9,
        "n_shown": chain.len(),
        "is_trusted": problem.is_none(),
        "problem": problem,
    });
    seen.say("certificate", Said::Json(said));
    seen.say("certificate.expires_in", Said::Span(expires_in));
    seen.say("certificate.chain_expires_in", Said::Span(chain_expires_in));
}

fn names(certificate: &X509Certificate<'_>) -> Vec<Json> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(four) => Some(std::net::IpAddr::from(four).to_string()),
            Err(_) => Some(std::net::IpAddr::from(<[u8; 16]>::try_from(*bytes).ok()?).to_string()),
        },
        _ => None,
    };
    // All of them: a chain has at most 64 KiB, which the library that speaks TLS sees to.
    extension.value.general_names.iter().filter_map(text).map(Json::from).collect()
}

fn rfc3339(secs: i64) -> String {
    // Beyond what can be written it is as good as the end of time.
    Timestamp(secs.saturating_mul(1_000_000_000)).rfc3339()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OWN: &str = include_str!("../testdata/server.pem");

    fn der() -> Vec<u8> {
        use rustls::pki_types::pem::PemObject as _;
        CertificateDer::from_pem_slice(OWN.as_bytes()).unwrap().to_vec()
    }

    #[test]
    fn what_a_certificate_says_is_said() {
        let mut seen = Seen::default();
        say(&[der().into()], None, Timestamp::from_secs(1_800_000_000), &mut seen);
        let Some(Said::Json(said)) = seen.get("certificate") else { panic!("{seen:?}") };
        assert_eq!(said["subject"], "CN=localhost");
        assert_eq!(said["names"], json!(["localhost", "shop.test", "127.0.0.1"]));
        assert!(said["days"].as_f64() > Some(30_000.0), "{said}");
    }

    proptest! {
        #[test]
        fn a_certificate_that_is_none_says_nothing_or_less(
            flips in proptest::collection::vec((0..500_usize, any::<u8>()), 0..8),
            end in 0..600_usize,
        ) {
            let mut bytes = der();
            for (at, byte) in flips {
                let n = bytes.len();
                bytes[at % n] = byte;
            }
            bytes.truncate(end);
            say(&[bytes.into()], None, Timestamp(0), &mut Seen::default());
        }
    }
}
