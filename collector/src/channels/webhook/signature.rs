//! Signatures of the Standard Webhooks specification, symmetric: HMAC-SHA256 over id, time and body.
//!
//! Owns the form of secrets and of the header. Never chooses an id or reads a clock. Source of the form:
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use std::fmt;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What every secret begins with.
const PREFIX: &str = "whsec_";

/// How long a key may be, in bytes: as the specification says.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Secrets are written with and without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One key that bodies are signed with.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct SigningKey(Vec<u8>);

/// Nothing of it belongs into a log.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl SigningKey {
    /// The key of a secret such as `whsec_…`, or what is wrong with it (without quoting it).
    pub(super) fn parse(secret: &str) -> Result<Self, String> {
        let secret = secret.trim();
        if secret.starts_with("whsk_") || secret.starts_with("whpk_") {
            return Err("a key for asymmetric signatures (v1a), which are not made".into());
        }
        let Some(encoded) = secret.strip_prefix(PREFIX) else {
            return Err(format!("the secret does not begin with {PREFIX}"));
        };
        let Ok(key) = LENIENT.decode(encoded) else {
            return Err(format!("what follows {PREFIX} is not base64"));
        };
        if !KEY_BYTES.contains(&key.len()) {
            let n = key.len();
            return Err(format!("the secret has {n} bytes, and 24 to 64 are needed"));
        }
        Ok(Self(key))
    }

    fn sign(&self, id: &str, at_secs: i64, body: &[u8]) -> String {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0)
            .expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{at_secs}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// The value of `webhook-signature`: one signature for each key, so that keys can be changed without a gap.
pub(super) fn signature(keys: &[SigningKey], id: &str, at_secs: i64, body: &[u8]) -> String {
    let signatures: Vec<String> = keys.iter().map(|key| key.sign(id, at_secs, body)).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that libraries of the specification are tested with; the second and third computed with Python's
    /// `hmac`.
    #[test]
    fn signatures_are_those_that_others_compute() {
        let example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let other = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";
        for (secrets, id, at_secs, body, want) in [
            (
                vec![example],
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                r#"{"test": 2432232314}"#,
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
            (
                vec![other, "whsec_U0lHTklOR1NFQ1JFVC1TSUdOSU5HU0VDUkVULTEy"],
                "k-open-1",
                1_793_491_200,
                "{}",
                "v1,8TPZ+JSGD/lPtjAH7W7M9qugvfijj2BMa4PGuJXMYnM= \
                 v1,G6c0bQLxnAPmqUPi4TXOT8GU2xGrg4BJSaRtEm212us=",
            ),
        ] {
            let keys: Vec<SigningKey> =
                secrets.iter().map(|secret| SigningKey::parse(secret).unwrap()).collect();
            assert_eq!(signature(&keys, id, at_secs, body.as_bytes()), want);
        }
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_quoted() {
        for (secret, want) in [
            ("", "does not begin with whsec_"),
            ("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3", "does not begin with whsec_"),
            ("whsec_MDEy?", "not base64"),
            ("whsec_MDEy", "3 bytes"),
            ("whsk_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3", "asymmetric"),
        ] {
            let problem = SigningKey::parse(secret).unwrap_err();
            assert!(problem.contains(want) && !problem.contains("MDEy"), "{secret}: {problem}");
        }
        let unpadded = SigningKey::parse("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3OA").unwrap();
        assert_eq!(format!("{unpadded:?}"), "[secret]");
        assert_eq!(unpadded.0, b"0123456789abcdef012345678");
    }
}
