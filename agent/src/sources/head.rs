//! What every source says that looks again and again.
//!
//! Owns the keys `name`, `service` and `every`. Never says what is looked at.

use std::ops::RangeInclusive;
use std::time::Duration;

use watchkeeper_config::{Fields, Located, read};
use watchkeeper_model::Service;

/// How often may be looked.
const PERIODS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// Who looks, for whom, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The source's name; empty until it has one.
    pub name: String,
    /// Whose observations it makes.
    pub service: Service,
    /// The time between two looks.
    pub every: Duration,
}

impl Head {
    /// The keys it reads.
    pub const KEYS: [&'static str; 3] = ["name", "service", "every"];

    /// Reads its keys; the name the user gave, if any, with its place.
    pub fn read(
        f: &mut Fields<'_, '_, '_>,
        every: Duration,
    ) -> (Option<Located<String>>, Option<Self>) {
        let given_name = f.optional("name", read::located(read::string));
        let name = given_name.as_ref().map_or(String::new(), |name| name.value.clone());
        let service = f.required("service", read::service);
        let every = f.or("every", every, read::duration_in(PERIODS));
        (given_name, service.map(|service| Self { name, service, every }))
    }
}
