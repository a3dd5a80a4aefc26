//! A webhook that takes only what is signed in the way of Standard Webhooks.
//!
//! Owns the check, as its specification describes it for those who listen: id, time not further off than five minutes, and
//! one signature of several that fits. Keeps what it took by id, so that what comes twice is seen.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::receiver::{Receiver, Request, Service};

/// How far the time of a request may be off, in seconds.
const TOLERANCE_SECS: u64 = 300;

/// A webhook with one secret.
#[derive(Debug)]
pub struct Signed {
    /// The receiver itself.
    pub receiver: Receiver,
    /// How often each id was taken.
    pub taken: Arc<Mutex<BTreeMap<String, usize>>>,
}

#[derive(Debug)]
struct Checking {
    key: Vec<u8>,
    taken: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Signed {
    /// Listens; `secret` is base64, without `whsec_`.
    pub async fn start(secret: &str) -> std::io::Result<Self> {
        let key = STANDARD.decode(secret).map_err(std::io::Error::other)?;
        let taken = Arc::new(Mutex::new(BTreeMap::new()));
        let service = Checking { key, taken: taken.clone() };
        let receiver = Receiver::start_with(Box::new(service)).await?;
        Ok(Self { receiver, taken })
    }
}

impl Service for Checking {
    fn answer(&mut self, request: &Request) -> (u16, String) {
        match check(&self.key, request) {
            Err(why) => (401, why.to_owned()),
            Ok(()) => {
                let id = request.header("webhook-id").to_owned();
                let mut taken = self.taken.lock().unwrap_or_else(|e| e.into_inner());
                *taken.entry(id).or_default() += 1;
                (204, String::new())
            }
        }
    }
}

fn check(key: &[u8], request: &Request) -> Result<(), &'static str> {
    let (id, at) = (request.header("webhook-id"), request.header("webhook-timestamp"));
    if id.is_empty() || id.contains('.') {
        return Err("no id");
    }
    let secs: u64 = at.parse().map_err(|_| "no timestamp")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if now.abs_diff(secs) > TOLERANCE_SECS {
        return Err("too old or too new");
    }
    let mut signed = format!("{id}.{at}.").into_bytes();
    signed.extend_from_slice(&request.body);
    let fits = request.header("webhook-signature").split(' ').any(|signature| {
        let Some(("v1", encoded)) = signature.split_once(',') else { return false };
        let Ok(sent) = STANDARD.decode(encoded) else { return false };
        let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key) else { return false };
        mac.update(&signed);
        mac.verify_slice(&sent).is_ok()
    });
    if fits { Ok(()) } else { Err("no signature fits") }
}
