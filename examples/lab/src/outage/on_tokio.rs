use std::io;
use std::net::SocketAddr;

use aplomb_tokio::prelude::*;
use futures_lite::FutureExt;
use tokio::runtime::{Builder, Runtime};

use super::guard::{ATTEMPT_TIMEOUT, BACKOFF, BUDGET, MAX_ATTEMPTS, Mode, Outcome, RETRY_COST, is_transient, retry_after};
use super::round::{Call, Client};
use super::service::ANSWER;
use crate::http::fetch;

static SHARED: RetryBudget = RetryBudget::new(BUDGET * RETRY_COST).retry_cost(RETRY_COST);

async fn bare(address: SocketAddr) -> Outcome {
    Outcome::bare(&fetch(address, ANSWER).await)
}

async fn guarded(address: SocketAddr) -> Outcome {
    let mut attempts = 0;
    let attempt = || {
        attempts += 1;
        timeout(ATTEMPT_TIMEOUT, fetch(address, ANSWER))
    };
    let result = retry(attempt)
        .max_attempts(MAX_ATTEMPTS)
        .backoff(BACKOFF)
        .budget(&SHARED)
        .retry_if(is_transient)
        .retry_after(retry_after)
        .into_future()
        .boxed()
        .await;
    Outcome::guarded(attempts, &result)
}

/// Calls from tokio's multi-threaded runtime.
pub(super) struct OnTokio {
    runtime: Runtime,
}

impl OnTokio {
    /// Starts the runtime.
    ///
    /// # Errors
    ///
    /// What the system says, if it gives no threads.
    pub(super) fn start() -> io::Result<Self> {
        Ok(Self { runtime: Builder::new_multi_thread().worker_threads(2).enable_all().build()? })
    }
}

impl Client for OnTokio {
    fn name(&self) -> &'static str {
        "tokio"
    }

    fn start_call(&self, mode: Mode, call: Call) {
        self.runtime.spawn(async move {
            let outcome = match mode {
                Mode::Bare => bare(call.address).await,
                Mode::Guarded => guarded(call.address).await,
            };
            call.end(outcome);
        });
    }
}
