//! What tower asks of a service, and what these promise beyond it: readiness, permits that no other clone spends, what is given back, errors with a type.

mod permits;
mod random;
mod readiness;
mod rejections;
mod types;

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use tower::Service;

/// A service that panics when it is called without having been ready, and counts both.
#[derive(Debug)]
struct Strict<Q> {
    shared: Arc<Counts>,
    is_ready: bool,
    requests: PhantomData<fn(Q)>,
}

#[derive(Debug, Default)]
struct Counts {
    readied: AtomicU32,
    called: AtomicU32,
    /// It is not ready while this is set.
    is_busy: AtomicBool,
    /// So many calls fail.
    failures: AtomicU32,
}

impl Counts {
    fn counts(&self) -> (u32, u32) {
        (self.readied.load(Ordering::SeqCst), self.called.load(Ordering::SeqCst))
    }
}

impl<Q> Strict<Q> {
    fn new() -> (Self, Arc<Counts>) {
        let shared = Arc::new(Counts::default());
        (Self { shared: Arc::clone(&shared), is_ready: false, requests: PhantomData }, shared)
    }
}

impl<Q> Clone for Strict<Q> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), is_ready: false, requests: PhantomData }
    }
}

impl<Q> Service<Q> for Strict<Q> {
    type Response = &'static str;
    type Error = std::io::Error;
    type Future = std::future::Ready<Result<&'static str, std::io::Error>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        if self.shared.is_busy.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        if !self.is_ready {
            self.shared.readied.fetch_add(1, Ordering::SeqCst);
        }
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: Q) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "it was not ready");
        self.shared.called.fetch_add(1, Ordering::SeqCst);
        let fails = self.shared.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        std::future::ready(if fails { Err(std::io::Error::other("busy")) } else { Ok("done") })
    }
}

pub(crate) fn is_ready<S: Service<()>>(service: &mut S) -> bool {
    service.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready()
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
