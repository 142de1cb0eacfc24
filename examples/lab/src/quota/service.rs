use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::clients::Manner;
use super::ledger::Ledger;
use crate::server::Server;

/// A service with a quota for each customer. It knows nothing of the limiter of one of them.
pub(super) struct Service {
    server: Server,
    ledgers: [Arc<Mutex<Ledger>>; Manner::ALL.len()],
}

impl Service {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// As of [`Server::start`].
    pub(super) fn start() -> io::Result<Self> {
        let ledgers = Manner::ALL.map(|_| Arc::new(Mutex::new(Ledger::new(Instant::now()))));
        let routes = Manner::ALL.iter().zip(&ledgers).fold(Router::new(), |routes, (customer, ledger)| {
            routes.route(customer.path(), get(answer).with_state(Arc::clone(ledger)))
        });
        Ok(Self { server: Server::start(routes)?, ledgers })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What it knows of each customer.
    pub(super) fn ledgers(&self) -> impl Iterator<Item = (Manner, MutexGuard<'_, Ledger>)> {
        Manner::ALL.into_iter().zip(self.ledgers.iter().map(open))
    }
}

fn open(ledger: &Arc<Mutex<Ledger>>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts the request as it arrives. The pause is in whole seconds, as RFC 9110 has it.
async fn answer(State(ledger): State<Arc<Mutex<Ledger>>>) -> Response {
    let arrived = {
        let mut ledger = open(&ledger);
        ledger.arrive(Instant::now())
    };
    match arrived {
        Ok(()) => "done".into_response(),
        Err(wait) => {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, seconds.to_string())]).into_response()
        }
    }
}
