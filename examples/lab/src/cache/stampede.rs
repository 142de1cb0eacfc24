use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aplomb_tokio::prelude::*;
use hyper::body::Bytes;
use tokio::task::JoinSet;

use super::service::{Ability, Service, path};
use crate::figures::percentile;
use crate::http::{HttpError, fetch};

/// How many callers ask at the same time.
pub(super) const CALLERS: usize = 1_000;
/// For what.
const REPORT: u32 = 2_025;

/// What the service is able to do.
pub(super) const ABILITY: Ability = Ability {
    takes: ms(100),
    at_once: 100,
    waiting: u32::MAX,
    outage: Duration::ZERO..Duration::ZERO,
    gives_up_after: Duration::ZERO,
};

/// Who asks has no more connections than the service has places.
static CONNECTIONS: Bulkhead = checked!(Bulkhead::new(ABILITY.at_once));

type Error = BulkheadError<HttpError>;

static FLIGHTS: SingleFlight<u32, Bytes, Arc<Error>> = SingleFlight::new();
static REPORTS: Cache<u32, Bytes, Arc<Error>> = checked!(Cache::new().capacity(100).ttl(secs(60)));

/// How the callers ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Bare,
    SingleFlight,
    Cache,
    Memoize,
}

impl Way {
    pub(super) const ALL: [Self; 4] = [Self::Bare, Self::SingleFlight, Self::Cache, Self::Memoize];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::SingleFlight => "single flight",
            Self::Cache => "cache",
            Self::Memoize => "memoize",
        }
    }

    async fn fetch(self, address: SocketAddr, report: u32) -> Result<Bytes, Error> {
        CONNECTIONS.run(|| async move { fetch(address, &path(self as usize, report)).await }).await
    }
}

/// What came of the callers who asked at the same time.
pub(super) struct Wave {
    /// The requests that the service got.
    pub(super) requests: usize,
    /// Of those who got an answer, the shortest first.
    latencies: Vec<Duration>,
}

impl Wave {
    pub(super) fn answered(&self) -> usize {
        self.latencies.len()
    }

    pub(super) fn percentile(&self, percent: usize) -> Duration {
        percentile(&self.latencies, percent)
    }
}

/// What came of those who asked when nobody had, and of those who asked after them.
pub(super) struct Measured {
    pub(super) way: Way,
    pub(super) first: Wave,
    pub(super) second: Wave,
}

/// Lets the callers of each way ask, one way after another.
pub(super) async fn all(service: &Service) -> [Measured; Way::ALL.len()] {
    let address = service.address();
    let ask = |way: Way| move || async move { way.fetch(address, REPORT).await };
    let memoized = Arc::new(memoize(move |report| async move { Way::Memoize.fetch(address, report).await.map_err(Arc::new) }));
    [
        waves(service, Way::Bare, ask(Way::Bare)).await,
        waves(service, Way::SingleFlight, || FLIGHTS.run_into(&REPORT, ask(Way::SingleFlight))).await,
        waves(service, Way::Cache, || REPORTS.get_into(&REPORT, ask(Way::Cache))).await,
        waves(service, Way::Memoize, || {
            let memoized = Arc::clone(&memoized);
            async move { memoized.call(&REPORT).await }
        })
        .await,
    ]
}

async fn waves<F, Fut, E>(service: &Service, way: Way, ask: F) -> Measured
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<Bytes, E>> + Send + 'static,
    E: Send + 'static,
{
    let first = wave(service, way, &ask).await;
    let second = wave(service, way, &ask).await;
    Measured { way, first, second }
}

/// Each caller is a task of its own.
async fn wave<F, Fut, E>(service: &Service, way: Way, ask: &F) -> Wave
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<Bytes, E>> + Send + 'static,
    E: Send + 'static,
{
    let (before, began) = (service.arrivals(way as usize).len(), Instant::now());
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let asking = ask();
        callers.spawn(async move { asking.await.is_ok().then(|| began.elapsed()) });
    }
    let ended = callers.join_all().await;
    let mut latencies: Vec<Duration> = ended.into_iter().flatten().collect();
    latencies.sort_unstable();
    Wave { requests: service.arrivals(way as usize).len() - before, latencies }
}
