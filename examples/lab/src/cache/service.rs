use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aplomb_tokio::prelude::*;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::time::sleep;

use crate::server::Server;

/// What a service is able to do.
pub(super) struct Ability {
    /// How long it works on an answer.
    pub(super) takes: Duration,
    /// On how many at once.
    pub(super) at_once: u32,
    /// How many more requests wait their turn. The next one is refused with a 503.
    pub(super) waiting: u32,
    /// When it is down, since it was started.
    pub(super) outage: Range<Duration>,
    /// After how long it answers with a 503 then.
    pub(super) gives_up_after: Duration,
}

/// A service that has its abilities for each of its customers, so that none keeps another waiting.
pub(super) struct Service {
    server: Server,
    desks: Arc<[Desk]>,
}

/// What it has for a customer.
struct Desk {
    ability: Arc<Ability>,
    opened: Instant,
    places: Bulkhead,
    arrivals: Mutex<Vec<Duration>>,
}

impl Service {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// As of [`Server::start`].
    pub(super) fn start(ability: Ability, customers: usize) -> io::Result<Self> {
        let (ability, opened) = (Arc::new(ability), Instant::now());
        let desks: Arc<[Desk]> = (0..customers).map(|_| Desk::open(Arc::clone(&ability), opened)).collect();
        let routes = Router::new().route("/{customer}/{page}", get(answer)).with_state(Arc::clone(&desks));
        Ok(Self { server: Server::start(routes)?, desks })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// When requests of a customer have come, answered or not, since it was started.
    pub(super) fn arrivals(&self, customer: usize) -> Vec<Duration> {
        self.desks
            .get(customer)
            .map_or_else(Vec::new, |desk| desk.arrivals.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Desk {
    fn open(ability: Arc<Ability>, opened: Instant) -> Self {
        let places = Bulkhead::new(ability.at_once).max_waiting(ability.waiting);
        Self { ability, opened, places, arrivals: Mutex::default() }
    }

    /// Takes note of a request, and of the time.
    fn arrive(&self) -> Duration {
        let at = self.opened.elapsed();
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(at);
        at
    }
}

/// Where a customer asks for a page.
pub(super) fn path(customer: usize, page: u32) -> String {
    format!("/{customer}/{page}")
}

/// What is on it.
pub(super) fn text(page: u32) -> String {
    format!("This is page {page}.")
}

async fn answer(State(desks): State<Arc<[Desk]>>, Path((customer, page)): Path<(usize, u32)>) -> Response {
    let Some(desk) = desks.get(customer) else { return StatusCode::NOT_FOUND.into_response() };
    let Ability { takes, outage, gives_up_after, .. } = &*desk.ability;
    if outage.contains(&desk.arrive()) {
        sleep(*gives_up_after).await;
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let work = desk.places.run(|| infallible(sleep(*takes))).await;
    work.map_or_else(|_| StatusCode::SERVICE_UNAVAILABLE.into_response(), |()| text(page).into_response())
}
