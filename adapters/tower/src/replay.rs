use core::future::Future;
use core::mem::replace;
use core::pin::Pin;
use core::task::{Context, Poll};

use aplomb::Operation;
use tower_service::Service;

use crate::when_ready::WhenReady;

/// How a request is sent again: what is kept of it, and how another is made of that. The default, [`Cloned`], keeps a clone; for HTTP, `web::Idempotent` keeps a clone of what may be sent twice.
///
/// # Examples
///
/// A body that can be read once is kept as the bytes that it is made of:
///
/// ```
/// use aplomb_tower::Replay;
/// use std::io::Cursor;
///
/// struct Upload { name: String, body: Cursor<Vec<u8>> }
///
/// #[derive(Clone)]
/// struct FromTheStart;
///
/// impl Replay<Upload> for FromTheStart {
///     type Kept = (String, Vec<u8>);
///
///     fn keep(&self, upload: &Upload) -> Option<Self::Kept> {
///         let bytes = upload.body.get_ref();
///         (bytes.len() < 65_536).then(|| (upload.name.clone(), bytes.clone()))
///     }
///
///     fn again(&self, (name, bytes): &Self::Kept, _attempt: u32) -> Upload {
///         Upload { name: name.clone(), body: Cursor::new(bytes.clone()) }
///     }
/// }
/// ```
pub trait Replay<Q> {
    /// What is kept.
    type Kept;

    /// What to keep of a request; nothing, if it is to be sent once only.
    fn keep(&self, request: &Q) -> Option<Self::Kept>;

    /// The request once more, for that attempt; the first was 1.
    fn again(&self, kept: &Self::Kept, attempt: u32) -> Q;
}

/// Every request is sent again, as its clone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cloned;

impl<Q: Clone> Replay<Q> for Cloned {
    type Kept = Q;

    fn keep(&self, request: &Q) -> Option<Q> {
        Some(request.clone())
    }

    fn again(&self, kept: &Q, _attempt: u32) -> Q {
        kept.clone()
    }
}

/// The attempts at a call, as an [`Operation`]: each waits until a clone of the service is ready for it. There is one only of a request that is not kept.
#[derive(Debug)]
pub struct Attempts<S, Q, Y: Replay<Q>> {
    /// For the attempt to come, if there may be one: each has its own, so that one that is dropped holds nothing of the service's any more.
    service: Option<S>,
    first: Option<Q>,
    kept: Option<Y::Kept>,
    replay: Y,
    number: u32,
    /// How often the service has been called.
    begun: u32,
}

impl<S: Clone, Q, Y: Replay<Q>> Attempts<S, Q, Y> {
    pub(crate) fn new(service: S, request: Q, replay: Y) -> Self {
        let kept = replay.keep(&request);
        Self { service: Some(service), first: Some(request), kept, replay, number: 0, begun: 0 }
    }

    /// The first by the clone that is ready, which is the one that is to be called: another takes its place.
    pub(crate) fn by_ready(ready: &mut S, request: Q, replay: Y) -> Self {
        let fresh = ready.clone();
        Self::new(replace(ready, fresh), request, replay)
    }
}

impl<S, Q, Y> Operation for Attempts<S, Q, Y>
where
    S: Service<Q> + Clone,
    Y: Replay<Q>,
{
    type Output = Result<S::Response, S::Error>;
    type Run = WhenReady<S, Q>;

    fn start(&mut self) -> Self::Run {
        self.number = self.number.saturating_add(1);
        let again = || self.kept.as_ref().map(|kept| self.replay.again(kept, self.number));
        let request = self.first.take().or_else(again);
        let next = if self.kept.is_some() { self.service.clone() } else { None };
        match (replace(&mut self.service, next), request) {
            (Some(service), Some(request)) => WhenReady::new(service, request),
            _ => WhenReady::never(),
        }
    }

    fn poll_run(&mut self, mut run: Pin<&mut Self::Run>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let was_called = run.is_called();
        let polled = run.as_mut().poll(cx);
        self.begun = self.begun.wrapping_add(u32::from(run.is_called() && !was_called));
        polled
    }

    fn may_repeat(&self) -> bool {
        self.kept.is_some()
    }

    fn begun(&self) -> Option<u32> {
        Some(self.begun)
    }
}
