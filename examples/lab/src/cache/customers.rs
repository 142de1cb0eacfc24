use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aplomb_tokio::cache::Snapshot;
use aplomb_tokio::prelude::*;
use fastrand::Rng;
use hyper::body::Bytes;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::plan::{DEMAND, PAGES, Phase, TAKES};
use super::service::{Service, path, text};
use super::zipf::Zipf;
use crate::http::{HttpError, fetch};

/// How many pages a cache has room for.
pub(super) const ROOM: usize = 250;
/// How long a page is good.
pub(super) const TTL: Duration = secs(1);
/// How much longer it may be served.
pub(super) const GRACE: Duration = secs(60);
/// How many pages are refreshed at once.
pub(super) const REFRESHERS: usize = 2;

/// A page, and when it came.
#[derive(Debug, Clone)]
struct Page {
    text: Bytes,
    came: Instant,
}

type Pages = Cache<u32, Page, Arc<HttpError>>;

static FRESH: Pages = checked!(Cache::new().capacity(ROOM).ttl(TTL));
static RESERVED: Pages = checked!(Cache::new().capacity(ROOM).ttl(TTL).stale_if_error(GRACE));
static REFRESHED: Pages = checked!(Cache::new().capacity(ROOM).ttl(TTL).stale_if_error(GRACE).stale_while_revalidate(GRACE));

/// How a customer's callers ask for pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Each sends a request.
    Bare,
    /// They share a cache.
    Cached,
    /// It answers from what is out of date where the service does not answer.
    IfError,
    /// It answers from what is out of date at once, and tasks beside it refresh that.
    Revalidated,
}

impl Manner {
    pub(super) const ALL: [Self; 4] = [Self::Bare, Self::Cached, Self::IfError, Self::Revalidated];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Cached => "cache",
            Self::IfError => "if error",
            Self::Revalidated => "revalidate",
        }
    }

    fn cache(self) -> Option<&'static Pages> {
        match self {
            Self::Bare => None,
            Self::Cached => Some(&FRESH),
            Self::IfError => Some(&RESERVED),
            Self::Revalidated => Some(&REFRESHED),
        }
    }

    async fn fetch(self, address: SocketAddr, page: u32) -> Result<Page, Arc<HttpError>> {
        let text = fetch(address, &path(self as usize, page)).await?;
        Ok(Page { text, came: Instant::now() })
    }

    async fn ask(self, address: SocketAddr, page: u32) -> Result<Page, FlightError<Arc<HttpError>>> {
        match self.cache() {
            Some(cache) => cache.get(&page, || self.fetch(address, page)).await,
            None => self.fetch(address, page).await.map_err(FlightError::Failed),
        }
    }
}

/// What came of a caller.
pub(super) struct Call {
    /// When it came, since the start.
    pub(super) at: Duration,
    pub(super) answer: Option<Answer>,
}

pub(super) struct Answer {
    pub(super) latency: Duration,
    /// How long ago it had come from the service.
    pub(super) age: Duration,
}

/// What came of a customer.
pub(super) struct Measured {
    pub(super) manner: Manner,
    pub(super) calls: Vec<Call>,
    /// When the service had requests from it, since the start.
    pub(super) arrivals: Vec<Duration>,
    /// How its cache stood at the beginning of each phase, and at the end.
    pub(super) snapshots: Vec<Snapshot>,
}

/// Has callers come one after another, whether or not earlier ones have gone. All customers have callers for the same pages.
pub(super) async fn all(manner: Manner, service: &Service, began: Instant, seed: u64) -> Measured {
    let address = service.address();
    let mut refreshers = JoinSet::new();
    if let (Manner::Revalidated, Some(cache)) = (manner, manner.cache()) {
        for _ in 0..REFRESHERS {
            refreshers.spawn(cache.run(move |page| manner.fetch(address, page)));
        }
    }

    let (zipf, mut random) = (Zipf::new(PAGES), Rng::with_seed(seed));
    let (mut calls, mut snapshots) = (JoinSet::new(), Vec::new());
    let mut look = || snapshots.push(manner.cache().map(Cache::snapshot).unwrap_or_default());
    let mut phases = Phase::ALL.iter().map(|(_, times)| times.start).peekable();
    for number in 0.. {
        let at = Duration::from_secs(1) * number / DEMAND;
        if at >= TAKES {
            break;
        }
        sleep_until((began + at).into()).await;
        if phases.next_if(|phase| *phase <= at).is_some() {
            look();
        }
        calls.spawn(call(manner, address, zipf.draw(&mut random), began, at));
    }
    let calls = calls.join_all().await;
    look();
    Measured { manner, calls, arrivals: service.arrivals(manner as usize), snapshots }
}

/// The latency counts from when the caller was to come.
async fn call(manner: Manner, address: SocketAddr, page: u32, began: Instant, at: Duration) -> Call {
    let answer = manner.ask(address, page).await.ok();
    let answer = answer.filter(|answer| answer.text == text(page));
    let now = Instant::now();
    Call { at, answer: answer.map(|answer| Answer { latency: now - (began + at), age: now - answer.came }) }
}
