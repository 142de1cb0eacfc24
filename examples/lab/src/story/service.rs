use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::time::{Instant as TokioInstant, sleep_until};

use super::plan::{Plan, RATE};
use crate::backend::{Answer, Backend};
use crate::server::Server;
use crate::tally::Tally;

/// A service that has all its abilities for each of its customers, so that none keeps another waiting.
pub(super) struct Service {
    server: Server,
    desks: Arc<[Desk]>,
    opened: Instant,
}

/// What it has for a customer.
struct Desk {
    opened: Instant,
    state: Mutex<(Backend, Tally)>,
}

impl Service {
    /// Starts it, and its time.
    ///
    /// # Errors
    ///
    /// As of [`Server::start`].
    pub(super) fn start(plan: &Plan, customers: usize) -> io::Result<Self> {
        let opened = Instant::now();
        let desk = |_| {
            let state = (Backend::new(plan.ability(), plan.seed), Tally::new(plan.time, RATE));
            Desk { opened, state: Mutex::new(state) }
        };
        let desks: Arc<[Desk]> = (0..customers).map(desk).collect();
        let routes = Router::new().route("/{customer}", get(answer)).with_state(Arc::clone(&desks));
        Ok(Self { server: Server::start(routes)?, desks, opened })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The time since it was started.
    pub(super) fn elapsed(&self) -> Duration {
        self.opened.elapsed()
    }

    /// What was counted of a customer so far.
    pub(super) fn tally(&self, customer: usize) -> Tally {
        self.desks.get(customer).map_or_else(|| Tally::new(Duration::ZERO, RATE), |desk| desk.state().1.clone())
    }

    /// A customer says how a call has ended that began at that time.
    pub(super) fn note(&self, customer: usize, began: Duration, succeeded: bool) {
        if let Some(desk) = self.desks.get(customer) {
            desk.state().1.call(began, self.elapsed(), succeeded);
        }
    }
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, (Backend, Tally)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request, and looks up what to do with it.
    fn take(&self) -> Answer {
        let (backend, tally) = &mut *self.state();
        let now = self.opened.elapsed();
        tally.request(now);
        backend.arrive(now)
    }
}

/// Where a customer calls.
pub(super) fn path(customer: usize) -> String {
    format!("/{customer}")
}

async fn answer(State(desks): State<Arc<[Desk]>>, Path(customer): Path<usize>) -> Response {
    let Some(desk) = desks.get(customer) else { return StatusCode::NOT_FOUND.into_response() };
    match desk.take() {
        Answer::Value { at } => {
            sleep_until(TokioInstant::from_std(desk.opened + at)).await;
            "done".into_response()
        }
        Answer::Error { at } => {
            sleep_until(TokioInstant::from_std(desk.opened + at)).await;
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}
