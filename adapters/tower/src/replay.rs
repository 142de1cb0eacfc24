use core::future::Future;
use core::mem::replace;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use aplomb::Operation;
use pin_project_lite::pin_project;
use tower_service::Service;

/// How a request is sent again: what is kept of it, and how another is made of that. The default, [`Cloned`], keeps a clone; for HTTP, `http::Idempotent` keeps a clone of what may be sent twice.
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

/// The attempts at a call, as an [`Operation`]: each waits until the service is ready for it. There is one only of a request that is not kept.
#[derive(Debug)]
pub struct Attempts<S, Q, Y: Replay<Q>> {
    service: S,
    first: Option<Q>,
    kept: Option<Y::Kept>,
    replay: Y,
    number: u32,
}

pin_project! {
    /// An attempt: a request that the service is to be ready for, and then the call.
    #[derive(Debug)]
    pub struct Attempt<Q, F> {
        request: Option<Q>,
        #[pin]
        call: Option<F>,
    }
}

impl<S: Clone, Q, Y: Replay<Q>> Attempts<S, Q, Y> {
    /// By the clone that is ready, which is the one that is to be called: another takes its place.
    pub(crate) fn new(ready: &mut S, request: Q, replay: Y) -> Self {
        let fresh = ready.clone();
        let service = replace(ready, fresh);
        let kept = replay.keep(&request);
        Self { service, first: Some(request), kept, replay, number: 0 }
    }
}

impl<S, Q, Y> Operation for Attempts<S, Q, Y>
where
    S: Service<Q>,
    Y: Replay<Q>,
{
    type Output = Result<S::Response, S::Error>;
    type Run = Attempt<Q, S::Future>;

    fn start(&mut self) -> Self::Run {
        self.number = self.number.saturating_add(1);
        let again = || self.kept.as_ref().map(|kept| self.replay.again(kept, self.number));
        Attempt { request: self.first.take().or_else(again), call: None }
    }

    fn poll_run(&mut self, run: Pin<&mut Self::Run>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut run = run.project();
        if run.request.is_some() {
            ready!(self.service.poll_ready(cx))?;
            if let Some(request) = run.request.take() {
                run.call.set(Some(self.service.call(request)));
            }
        }
        run.call.as_pin_mut().map_or(Poll::Pending, |call| call.poll(cx))
    }

    fn may_repeat(&self) -> bool {
        self.kept.is_some()
    }
}
