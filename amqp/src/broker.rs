//! Opening a connection to the first broker that answers.
//!
//! Owns deadlines and the order in which brokers are tried. Never tries again by itself, and lapin's own recovery stays
//! off: whoever uses a connection builds it, its channels and its topology anew when it breaks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_rs::{Runtime, Tokio};
use lapin::{Connection, ConnectionProperties};

use crate::socket::Dialer;
use crate::words::{BrokerError, Cause, Doing};
use crate::{Address, BrokerSettings, Names};

/// How long one broker may take, from the first packet to an open connection.
const DEADLINE: Duration = Duration::from_secs(4);
/// How long all of them together may take; whoever comes later is tried first next time.
const DEADLINE_OF_ALL: Duration = Duration::from_secs(9);

/// The brokers of one cluster.
pub struct Broker {
    addresses: Vec<Address>,
    names: Names,
    dialer: Dialer,
    /// The one to try first.
    next: AtomicUsize,
}

/// An open connection.
pub struct Opened {
    /// It ends when this is dropped.
    pub connection: Connection,
    /// Where it leads, without user and password.
    pub address: String,
}

impl Broker {
    /// Reads certificates and prepares connecting.
    ///
    /// # Errors
    /// In words, if a certificate or key is unusable.
    pub fn build(settings: &BrokerSettings) -> Result<Self, String> {
        let is_tls = settings.addresses.iter().any(Address::is_tls);
        Ok(Self {
            addresses: settings.addresses.clone(),
            names: settings.names.clone(),
            dialer: Dialer::build(&settings.tls, is_tls)?,
            next: AtomicUsize::new(0),
        })
    }

    /// What everything of ours is called there.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Where it is, for people: the address last tried, and how many there are.
    pub fn shown(&self) -> String {
        let at = self.next.load(Ordering::Relaxed) % self.addresses.len();
        self.addresses[at].shown()
    }

    /// The user at the address last tried.
    pub fn user(&self) -> &str {
        self.addresses[self.next.load(Ordering::Relaxed) % self.addresses.len()].user()
    }

    /// Connects to the first broker that answers, beginning with the one that answered last. `name` is what the broker
    /// shows of this connection.
    ///
    /// # Errors
    /// If none answers; it says what each of them said.
    pub async fn connect(&self, name: &str) -> Result<Opened, BrokerError> {
        let n = self.addresses.len();
        let first = self.next.load(Ordering::Relaxed) % n;
        let mut failures: Vec<BrokerError> = Vec::new();
        let began = tokio::time::Instant::now();
        for at in (0..n).map(|i| (first + i) % n) {
            let address = &self.addresses[at];
            let left = DEADLINE_OF_ALL.saturating_sub(began.elapsed());
            match tokio::time::timeout(DEADLINE.min(left), self.open(address, name)).await {
                Ok(Ok(connection)) => {
                    self.next.store(at, Ordering::Relaxed);
                    return Ok(Opened { connection, address: address.shown() });
                }
                Ok(Err(error)) => failures.push(error),
                Err(_) => {
                    let late = format!("{}: the broker did not answer in time", address.shown());
                    failures.push(BrokerError::passing(late).by(Cause::Late));
                }
            }
            self.next.store((at + 1) % n, Ordering::Relaxed);
        }
        let is_permanent = failures.iter().all(|e| e.is_permanent);
        let cause = failures.last().map_or(Cause::Other, |e| e.cause);
        let message = failures.into_iter().map(|e| e.message).collect::<Vec<_>>().join("; ");
        Err(BrokerError { message, is_permanent, cause })
    }

    async fn open(&self, address: &Address, name: &str) -> Result<Connection, BrokerError> {
        let runtime = Runtime::new(Tokio::current());
        // Opened here and handed over: so what goes wrong with a socket is said as it is.
        let (socket, pending) = self.dialer.dial(address, &runtime).await.map_err(|error| {
            let message = format!("{}: {}", address.shown(), crate::words::of_io(&error));
            BrokerError::passing(message).by(Cause::Socket(error.kind()))
        })?;
        let socket = std::sync::Mutex::new(Some(socket));
        let connect = async move |_, _| {
            let socket = socket.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            // Asked once: only recovery, which is off, would ask again.
            Ok(socket.ok_or_else(|| std::io::Error::other("the connection has ended"))?)
        };
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connection = Connection::connector(address.uri().clone(), runtime, connect, properties)
            .await
            .map_err(|error| Doing::Connecting(address).explain(&error))?;
        pending.opened();
        Ok(connection)
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use watchkeeper_config::{ProcessEnv, Reader, load_str};

    use super::*;

    /// Threads of lapin in this process.
    fn n_threads() -> usize {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).ok();
        tasks.filter_map(name).filter(|name| name.starts_with("lapin")).count()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_broker_that_says_nothing_costs_no_thread_once_it_is_given_up() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let text = format!("uri: 'amqp://{}'", silent.local_addr().unwrap());
        let mut reader = Reader::new(&ProcessEnv);
        let document = load_str("amqp.yaml", &text, &mut reader);
        let settings = document.and_then(|d| crate::read(d.root(), &mut reader, false));
        let (settings, _) = reader.finish(settings).unwrap();
        let broker = Broker::build(&settings).unwrap();
        for _ in 0..3 {
            let patience = Duration::from_millis(200);
            let gave_up = tokio::time::timeout(patience, broker.connect("test")).await;
            assert!(gave_up.is_err(), "nobody answers");
        }
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while n_threads() > 0 {
            assert!(std::time::Instant::now() < deadline, "{} threads are left", n_threads());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
