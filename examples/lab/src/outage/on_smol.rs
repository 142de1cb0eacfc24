use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;

use aplomb_smol::prelude::*;
use async_executor::Executor;
use async_io::Async;
use futures_lite::FutureExt;
use hyper::body::Bytes;
use smol_hyper::rt::FuturesIo;

use super::guard::{ATTEMPT_TIMEOUT, BACKOFF, BUDGET, MAX_ATTEMPTS, Mode, Outcome, RETRY_COST, is_transient, retry_after};
use super::round::{Call, Client};
use super::service::ANSWER;
use crate::http::{self, HttpError};

static SHARED: RetryBudget = RetryBudget::new(BUDGET * RETRY_COST).retry_cost(RETRY_COST);

async fn fetch(address: SocketAddr) -> Result<Bytes, HttpError> {
    http::request(Async::<TcpStream>::connect(address).await.map(FuturesIo::new), address, ANSWER).await
}

async fn bare(address: SocketAddr) -> Outcome {
    Outcome::bare(&fetch(address).await)
}

async fn guarded(address: SocketAddr) -> Outcome {
    let mut attempts = 0;
    let attempt = || {
        attempts += 1;
        timeout(ATTEMPT_TIMEOUT, fetch(address))
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

/// Calls from an executor of smol's, on a thread that lives as long as the process. There is no tokio runtime in their way.
pub(super) struct OnSmol {
    executor: Arc<Executor<'static>>,
}

impl OnSmol {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// What the system says, if it gives none.
    pub(super) fn start() -> io::Result<Self> {
        let executor = Arc::new(Executor::new());
        let running = Arc::clone(&executor);
        thread::Builder::new().name("smol".into()).spawn(move || async_io::block_on(running.run(pending::<()>())))?;
        Ok(Self { executor })
    }
}

impl Client for OnSmol {
    fn name(&self) -> &'static str {
        "smol"
    }

    fn start_call(&self, mode: Mode, call: Call) {
        let calling = async move {
            let outcome = match mode {
                Mode::Bare => bare(call.address).await,
                Mode::Guarded => guarded(call.address).await,
            };
            call.end(outcome);
        };
        self.executor.spawn(calling).detach();
    }
}
