use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::time::sleep;

use super::plan::{Answer, Plan};
use crate::http::RETRY_AFTER_MS;
use crate::server::Server;

/// Where it answers.
pub(super) const ANSWER: &str = "/answer";

/// The service that has the outage: it answers as the plan says, and counts the requests that it gets.
pub(super) struct Service {
    server: Server,
    desk: Arc<Desk>,
}

/// What the answers hang on.
struct Desk {
    plan: Plan,
    round: Mutex<Round>,
}

struct Round {
    began: Instant,
    requests: u64,
}

impl Service {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// As of [`Server::start`].
    pub(super) fn start(plan: Plan) -> io::Result<Self> {
        let desk = Arc::new(Desk { plan, round: Mutex::new(Round { began: Instant::now(), requests: 0 }) });
        let server = Server::start(Router::new().route(ANSWER, get(answer)).with_state(Arc::clone(&desk)))?;
        Ok(Self { server, desk })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Begins a round: the plan and the count start anew.
    pub(super) fn begin_round(&self) -> Instant {
        let began = Instant::now();
        *self.desk.round.lock().unwrap_or_else(PoisonError::into_inner) = Round { began, requests: 0 };
        began
    }

    /// The requests that came since the round began, answered or not.
    pub(super) fn requests(&self) -> u64 {
        self.desk.round.lock().unwrap_or_else(PoisonError::into_inner).requests
    }
}

impl Desk {
    /// Counts a request, and looks up what to do with it.
    fn take(&self) -> Answer {
        let mut round = self.round.lock().unwrap_or_else(PoisonError::into_inner);
        round.requests += 1;
        self.plan.answer(round.requests, round.began.elapsed())
    }
}

async fn answer(State(desk): State<Arc<Desk>>) -> Response {
    match desk.take() {
        Answer::Value { after } => {
            sleep(after).await;
            "done".into_response()
        }
        Answer::Unavailable { retry_after: None } => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Answer::Unavailable { retry_after: Some(pause) } => {
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER_MS, pause.as_millis().to_string())]).into_response()
        }
    }
}
