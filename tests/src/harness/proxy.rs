//! A TCP proxy between an agent and its collector, or either and their broker, that can cut, delay, half-open and flip bits.
//!
//! Owns only bytes: it knows nothing of what passes through. Upward is from who connected to whom it wanted.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What happens to bytes of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The connection is cut after this many more bytes.
    CutAfter(u64),
    /// One bit is flipped after this many more bytes.
    FlipAfter(u64),
}

/// Where bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To whom the connection was made.
    Up,
    /// Back to who made it.
    Down,
}

#[derive(Debug)]
struct Shared {
    up: Mutex<Fault>,
    down: Mutex<Fault>,
    n_faults: AtomicU64,
    cut: Notify,
    delay_ms: AtomicU64,
    is_half_open: AtomicBool,
    half_open: Notify,
}

/// The proxy; it ends with the value.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy to a port of loopback.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn start(to_port: u16) -> std::io::Result<Self> {
        Self::start_at(0, to_port).await
    }

    /// Starts a proxy that listens on this port, to a port of loopback.
    ///
    /// # Errors
    /// If the port is taken.
    pub async fn start_at(port: u16, to_port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            up: Mutex::new(Fault::None),
            down: Mutex::new(Fault::None),
            n_faults: AtomicU64::new(0),
            cut: Notify::new(),
            delay_ms: AtomicU64::new(0),
            is_half_open: AtomicBool::new(false),
            half_open: Notify::new(),
        });
        let all = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((agent, _)) = listener.accept().await {
                let shared = all.clone();
                tokio::spawn(async move {
                    if shared.is_half_open.load(Ordering::Relaxed) {
                        swallow(agent, &shared).await;
                    } else if let Ok(collector) = TcpStream::connect(("127.0.0.1", to_port)).await {
                        carry(agent, collector, &shared).await;
                    }
                });
            }
        });
        Ok(Self { address, shared, task })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Sets what happens next to what goes up.
    pub fn set(&self, fault: Fault) {
        self.set_for(Direction::Up, fault);
    }

    /// Sets what happens next to what goes in a direction.
    pub fn set_for(&self, direction: Direction, fault: Fault) {
        *self.shared.fault(direction).lock().expect("no holder panics") = fault;
    }

    /// Cuts every connection now.
    pub fn cut(&self) {
        self.shared.cut.notify_waiters();
    }

    /// What passes, in either direction, takes so much longer from now on.
    pub fn delay(&self, by: Duration) {
        let by_ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.shared.delay_ms.store(by_ms, Ordering::Relaxed);
    }

    /// Connections stay open and carry nothing, as when a machine on the way is gone. Those of now never do again, even
    /// when it is over; those that come meanwhile are taken and lead nowhere.
    pub fn half_open(&self, is_on: bool) {
        self.shared.is_half_open.store(is_on, Ordering::Relaxed);
        if is_on {
            self.shared.half_open.notify_waiters();
        }
    }

    /// How many faults have happened.
    pub fn n_faults(&self) -> u64 {
        self.shared.n_faults.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(mut agent: TcpStream, mut collector: TcpStream, shared: &Shared) {
    let is_silent = {
        let (mut from_agent, mut to_agent) = agent.split();
        let (mut from_collector, mut to_collector) = collector.split();
        let upward = async {
            let mut buffer = vec![0; 16 * 1024];
            loop {
                let n = from_agent.read(&mut buffer).await.unwrap_or(0);
                shared.linger().await;
                let bytes = &mut buffer[..n];
                if n == 0 || !shared.pass(Direction::Up, bytes, &mut to_collector).await {
                    return;
                }
            }
        };
        let downward = async {
            let mut buffer = vec![0; 16 * 1024];
            loop {
                let n = from_collector.read(&mut buffer).await.unwrap_or(0);
                shared.linger().await;
                let bytes = &mut buffer[..n];
                if n == 0 || !shared.pass(Direction::Down, bytes, &mut to_agent).await {
                    return;
                }
            }
        };
        tokio::select! {
            () = upward => false,
            () = downward => false,
            () = shared.cut.notified() => false,
            () = shared.half_open.notified() => true,
        }
    };
    if is_silent {
        swallow(agent, shared).await;
    }
}

/// Takes what comes, and answers nothing, until the other side gives up. The collector's side stays open meanwhile.
async fn swallow(mut agent: TcpStream, shared: &Shared) {
    let mut buffer = vec![0; 16 * 1024];
    let taking = async { while agent.read(&mut buffer).await.is_ok_and(|n| n > 0) {} };
    tokio::select! {
        () = taking => {}
        () = shared.cut.notified() => {}
    }
}

impl Shared {
    async fn linger(&self) {
        let delay = self.delay_ms.load(Ordering::Relaxed);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
    }

    fn fault(&self, direction: Direction) -> &Mutex<Fault> {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }

    /// Passes bytes on as the fault allows; whether the connection lives on.
    async fn pass(
        &self,
        direction: Direction,
        bytes: &mut [u8],
        to: &mut (impl AsyncWriteExt + Unpin),
    ) -> bool {
        let n = bytes.len() as u64;
        let keep = {
            let mut fault = self.fault(direction).lock().expect("no holder panics");
            match *fault {
                Fault::None => None,
                Fault::CutAfter(left) if left < n => {
                    *fault = Fault::None;
                    self.n_faults.fetch_add(1, Ordering::Relaxed);
                    Some(left as usize)
                }
                Fault::CutAfter(left) => {
                    *fault = Fault::CutAfter(left - n);
                    None
                }
                Fault::FlipAfter(left) if left < n => {
                    *fault = Fault::None;
                    self.n_faults.fetch_add(1, Ordering::Relaxed);
                    // Not always the same one.
                    bytes[left as usize] ^= 1 << (left % 8);
                    None
                }
                Fault::FlipAfter(left) => {
                    *fault = Fault::FlipAfter(left - n);
                    None
                }
            }
        };
        match keep {
            None => to.write_all(bytes).await.is_ok(),
            Some(keep) => {
                let _ = to.write_all(&bytes[..keep]).await;
                false
            }
        }
    }
}
