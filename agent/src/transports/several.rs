//! Several roads as one: the first that works, and back to it when it works again.
//!
//! Owns the order and the looking. A batch may go out on one road and again on another: the collector counts it once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use watchkeeper_daemon::machine::share;
use watchkeeper_proto::v1;

use super::parting::Parting;
use super::{Connection, OUTGOING, Transport, TransportError};

/// All of them together have to be tried within the time that connecting may take.
const DEADLINE_OF_ALL: Duration = Duration::from_secs(9);
/// On a lesser road it is looked so often, give or take a quarter, whether a better one works.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Roads in their order, the best first.
pub struct Several {
    roads: Vec<Arc<dyn Transport>>,
}

impl Several {
    /// The best first; a single one is used as it is.
    pub fn of(mut roads: Vec<Arc<dyn Transport>>) -> Arc<dyn Transport> {
        match (roads.len(), roads.pop()) {
            (1, Some(only)) => only,
            (_, last) => {
                roads.extend(last);
                Arc::new(Self { roads })
            }
        }
    }

    async fn open(&self) -> Result<Connection, TransportError> {
        let share_of_each = DEADLINE_OF_ALL / u32::try_from(self.roads.len().max(1)).unwrap_or(1);
        let mut failed: Vec<TransportError> = Vec::new();
        for (n, road) in self.roads.iter().enumerate() {
            match tokio::time::timeout(share_of_each, road.connect()).await {
                Ok(Ok(connection)) => {
                    return Ok(match n {
                        0 => connection,
                        _ => watched(connection, self.roads[..n].to_vec()),
                    });
                }
                Ok(Err(error)) => failed.push(error),
                Err(_) => failed.push(TransportError {
                    road: road.describe(),
                    message: "no answer in time".to_owned(),
                    is_permanent: false,
                }),
            }
        }
        Err(TransportError {
            road: "no road to the collector works".to_owned(),
            is_permanent: failed.iter().all(|e| e.is_permanent),
            message: failed.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        })
    }
}

impl Transport for Several {
    fn describe(&self) -> String {
        let all: Vec<String> = self.roads.iter().map(|r| r.describe()).collect();
        all.join(", else ")
    }

    fn connect(
        &self,
    ) -> Pin<Box<dyn Future<Output = Result<Connection, TransportError>> + Send + '_>> {
        Box::pin(self.open())
    }
}

/// A lesser road: it ends in good order once a better one works.
fn watched(connection: Connection, better: Vec<Arc<dyn Transport>>) -> Connection {
    let Connection { outgoing, mut incoming, road, kind } = connection;
    let (to_agent, watched) = mpsc::channel(OUTGOING);
    tokio::spawn(async move {
        let mut parting = Parting::default();
        let mut looking = Box::pin(one_works(better));
        loop {
            tokio::select! {
                message = incoming.recv() => {
                    let Some(message) = message else { return };
                    if let Ok(answer) = &message {
                        parting.take(answer);
                    }
                    // The agent has hung up if nobody listens.
                    if to_agent.send(message).await.is_err() {
                        return;
                    }
                }
                () = &mut looking, if !parting.has_begun() => {
                    parting.begin();
                    if to_agent.send(Ok(back_to_the_better_one())).await.is_err() {
                        return;
                    }
                }
                () = parting.over() => return,
                () = to_agent.closed() => return,
            }
        }
    });
    Connection { outgoing, incoming: watched, road, kind }
}

/// Ends once a better road can be opened.
async fn one_works(better: Vec<Arc<dyn Transport>>) {
    loop {
        tokio::time::sleep(LOOK_EVERY.mul_f64(0.75 + 0.5 * share())).await;
        for road in &better {
            let opened = tokio::time::timeout(DEADLINE_OF_ALL, road.connect()).await;
            if matches!(opened, Ok(Ok(_))) {
                return;
            }
        }
    }
}

fn back_to_the_better_one() -> v1::ToAgent {
    let reason = "a better road works again".to_owned();
    let notice = v1::notice::Notice::Reconnect(v1::Reconnect { reason });
    let notice = v1::Notice { notice: Some(notice) };
    v1::ToAgent { message: Some(v1::to_agent::Message::Notice(notice)) }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::*;
    use crate::transports::RoadKind;

    type ToAgent = mpsc::Sender<Result<v1::ToAgent, TransportError>>;

    /// A road that works or doesn't.
    #[derive(Default)]
    struct Fake {
        name: &'static str,
        works: AtomicBool,
        n_opened: AtomicU64,
        /// The collector's end of the last connection.
        open: Mutex<Option<(mpsc::Receiver<v1::ToCollector>, ToAgent)>>,
    }

    impl Fake {
        fn new(name: &'static str, works: bool) -> Arc<Self> {
            Arc::new(Self { name, works: AtomicBool::new(works), ..Self::default() })
        }
    }

    impl Transport for Fake {
        fn describe(&self) -> String {
            self.name.to_owned()
        }

        fn connect(
            &self,
        ) -> Pin<Box<dyn Future<Output = Result<Connection, TransportError>> + Send + '_>> {
            Box::pin(async move {
                let road = self.describe();
                if !self.works.load(Ordering::Relaxed) {
                    let message = "does not work".to_owned();
                    return Err(TransportError { road, message, is_permanent: false });
                }
                self.n_opened.fetch_add(1, Ordering::Relaxed);
                let (outgoing, from_agent) = mpsc::channel(OUTGOING);
                let (to_agent, incoming) = mpsc::channel(OUTGOING);
                *self.open.lock().unwrap() = Some((from_agent, to_agent));
                Ok(Connection { outgoing, incoming, road, kind: RoadKind::Grpc })
            })
        }
    }

    fn reason(message: Option<Result<v1::ToAgent, TransportError>>) -> String {
        match message.unwrap().unwrap().message {
            Some(v1::to_agent::Message::Notice(v1::Notice {
                notice: Some(v1::notice::Notice::Reconnect(reconnect)),
            })) => reconnect.reason,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_road_that_works_is_used() {
        let (first, second) = (Fake::new("first", true), Fake::new("second", true));
        let both = Several::of(vec![first.clone(), second.clone()]);
        assert_eq!(both.connect().await.unwrap().road, "first");
        first.works.store(false, Ordering::Relaxed);
        assert_eq!(both.connect().await.unwrap().road, "second");
        second.works.store(false, Ordering::Relaxed);
        let error = both.connect().await.unwrap_err().to_string();
        assert!(error.contains("first: does not work; second: does not work"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lesser_road_ends_in_good_order_once_a_better_one_works() {
        let (first, second) = (Fake::new("first", false), Fake::new("second", true));
        let both = Several::of(vec![first.clone(), second.clone()]);
        let mut connection = both.connect().await.unwrap();
        // Nothing happens as long as the better road does not work.
        let quiet = tokio::time::timeout(Duration::from_secs(600), connection.incoming.recv());
        assert!(quiet.await.is_err());
        first.works.store(true, Ordering::Relaxed);
        assert_eq!(reason(connection.incoming.recv().await), "a better road works again");
        // A receipt that is owed still comes, then the road ends.
        let (_, to_agent) = second.open.lock().unwrap().take().unwrap();
        to_agent.send(Ok(v1::ToAgent::default())).await.unwrap();
        assert!(connection.incoming.recv().await.unwrap().is_ok());
        assert!(connection.incoming.recv().await.is_none());
        assert_eq!(both.connect().await.unwrap().road, "first");
    }

    #[tokio::test(start_paused = true)]
    async fn the_best_road_is_not_watched() {
        let (first, second) = (Fake::new("first", true), Fake::new("second", true));
        let both = Several::of(vec![first.clone(), second.clone()]);
        let mut connection = both.connect().await.unwrap();
        let quiet = tokio::time::timeout(Duration::from_secs(600), connection.incoming.recv());
        assert!(quiet.await.is_err());
        assert_eq!(second.n_opened.load(Ordering::Relaxed), 0);
    }
}
