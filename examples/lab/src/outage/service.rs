use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;

use super::http::{ANSWER, RETRY_AFTER_MS};
use super::plan::{Answer, Plan};
use crate::errands;

/// The service: it runs on a thread of its own, answers as the plan says, and counts the requests that it gets.
pub(crate) struct Service {
    address: SocketAddr,
    desk: Arc<Desk>,
    /// What it runs on, until it is dropped.
    _runtime: Runtime,
}

/// What the answers hang on.
struct Desk {
    plan: Plan,
    round: Mutex<Round>,
    /// When the job was first asked for.
    job: OnceLock<Instant>,
}

struct Round {
    began: Instant,
    requests: u64,
}

impl Service {
    /// Starts it on a free port of the loopback interface.
    ///
    /// # Errors
    ///
    /// What the system says, if it gives no thread or no port.
    pub(super) fn start(plan: Plan) -> io::Result<Self> {
        let desk = Arc::new(Desk { plan, round: Mutex::new(Round { began: Instant::now(), requests: 0 }), job: OnceLock::new() });
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("service").enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)))?;
        let address = listener.local_addr()?;
        let routes = Router::new()
            .route(ANSWER, get(answer))
            .route("/search/{text}", get(search))
            .route("/job", get(job))
            .with_state(Arc::clone(&desk));
        runtime.spawn(axum::serve(listener, routes).into_future());
        Ok(Self { address, desk, _runtime: runtime })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins a round: the plan and the count start anew.
    pub(crate) fn begin_round(&self) -> Instant {
        let began = Instant::now();
        *self.desk.round.lock().unwrap_or_else(PoisonError::into_inner) = Round { began, requests: 0 };
        began
    }

    /// The requests that came since the round began, answered or not.
    pub(crate) fn requests(&self) -> u64 {
        self.desk.round.lock().unwrap_or_else(PoisonError::into_inner).requests
    }
}

impl Desk {
    fn count(&self) {
        self.round.lock().unwrap_or_else(PoisonError::into_inner).requests += 1;
    }

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

async fn search(State(desk): State<Arc<Desk>>, Path(text): Path<String>) -> Response {
    desk.count();
    sleep(errands::search_takes(&text)).await;
    format!("all about {text}").into_response()
}

async fn job(State(desk): State<Arc<Desk>>) -> &'static str {
    let began = *desk.job.get_or_init(Instant::now);
    if began.elapsed() >= errands::JOB_TAKES { "done" } else { "at work" }
}
