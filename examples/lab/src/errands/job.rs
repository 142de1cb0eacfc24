use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use aplomb_tokio::prelude::*;
use axum::Router;
use axum::extract::State;
use axum::routing::get;

use crate::http::fetch;

/// How long the service works on the job, from the first request for it on.
pub(super) const TAKES: Duration = ms(650);
/// How often it is asked.
pub(super) const EVERY: Duration = ms(100);

/// Where the job can be asked for, which begins then.
pub(super) fn routes() -> Router {
    Router::new().route("/job", get(state)).with_state(Arc::default())
}

async fn state(State(begun): State<Arc<OnceLock<Instant>>>) -> &'static str {
    if begun.get_or_init(Instant::now).elapsed() >= TAKES { "done" } else { "at work" }
}

/// Polls the job until it is done. How many attempts that took.
pub(super) async fn until_done(address: SocketAddr) -> Result<u32, String> {
    let mut attempts = 0;
    let status = || {
        attempts += 1;
        fetch(address, "/job")
    };
    let done = poll_until(status, |state| state == "done").every(EVERY).max_attempts(50).deadline(secs(10)).await;
    done.map_err(|error| format!("the job: {error}"))?;
    Ok(attempts)
}
