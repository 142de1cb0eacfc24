use core::fmt;
use core::future::Future;
use core::hash::Hash;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use aplomb::key::KeyHash;
use aplomb::observe::SharedObserver;
use aplomb::rate_limiter::{Acquire, Algorithm, Event, Lines, Own, Permit};
use aplomb::{KeyedRateLimiter, Platform, RateLimitError, Storage};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::future::Guarded;
use crate::key::KeyOf;
use crate::mode::Mode;

/// What is to be called when its turn has come.
pub(crate) struct Call<S, Q, L, X, M> {
    pub(crate) service: S,
    pub(crate) request: Q,
    pub(crate) limiter: L,
    pub(crate) key_of: X,
    pub(crate) mode: M,
}

impl<S, Q, L, X: KeyOf<Q>, M> Call<S, Q, L, X, M> {
    fn key(&self) -> X::Key {
        self.key_of.key(&self.request)
    }
}

/// What is to be called, and its permit.
type LetThrough<S, Q, L, X, M> = (Call<S, Q, L, X, M>, Permit<L>);

/// A call that has its permit, and waits for the service. If it is not made, the permit goes back.
struct Held<S, Q, L, X, M>
where
    L: Deref<Target: Lines>,
    X: KeyOf<Q>,
{
    call: Option<Call<S, Q, L, X, M>>,
    permit: Option<Permit<L>>,
    give_back: fn(Permit<L>, &X::Key),
}

impl<S, Q, L, X, M> Held<S, Q, L, X, M>
where
    L: Deref<Target: Lines>,
    X: KeyOf<Q>,
{
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>>
    where
        S: Service<Q>,
    {
        let Some(call) = &mut self.call else { return Poll::Pending };
        call.service.poll_ready(cx)
    }

    fn spend(&mut self) -> Option<LetThrough<S, Q, L, X, M>> {
        self.call.take().zip(self.permit.take())
    }

    fn give_back(&mut self) -> Option<Call<S, Q, L, X, M>> {
        let (call, permit) = self.spend()?;
        (self.give_back)(permit, &call.key());
        Some(call)
    }
}

impl<S, Q, L, X, M> Drop for Held<S, Q, L, X, M>
where
    L: Deref<Target: Lines>,
    X: KeyOf<Q>,
{
    fn drop(&mut self) {
        self.give_back();
    }
}

pin_project! {
    /// A call that needs a permit of its key, and then that the service is ready; made by [`KeyedRateLimit`](crate::services::KeyedRateLimit).
    ///
    /// # Cancel safety
    ///
    /// Dropping it before it has been let through gives up the place in the queue, and nothing is spent; before the service is ready, its permit is given back. Later it drops the call, and its place among those that run is free; so does a panic in the call, at once.
    /// Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct InTurn<S, Q, L, X, M>
    where
        S: Service<Q>,
        L: Deref,
        L::Target: Lines,
        X: KeyOf<Q>,
    {
        #[pin]
        stage: Stage<Call<S, Q, L, X, M>, Acquire<L, Own<X::Key>>, Held<S, Q, L, X, M>, Guarded<S::Future, Permit<L>, RateLimitError<S::Error>, M>>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<C, A, H, G> {
        Comes { call: Option<C> },
        Waiting { #[pin] acquire: A, call: Option<C> },
        Held { held: H },
        Guarded { #[pin] call: G },
    }
}

impl<S, Q, L, X, M> InTurn<S, Q, L, X, M>
where
    S: Service<Q>,
    L: Deref<Target: Lines>,
    X: KeyOf<Q>,
{
    /// Takes its permit when it is first polled, or is rejected.
    pub(crate) const fn at_once(call: Call<S, Q, L, X, M>) -> Self {
        Self { stage: Stage::Comes { call: Some(call) } }
    }

    /// Waits for its permit.
    pub(crate) const fn waiting(acquire: Acquire<L, Own<X::Key>>, call: Call<S, Q, L, X, M>) -> Self {
        Self { stage: Stage::Waiting { acquire, call: Some(call) } }
    }
}

impl<S, Q, L, X, M, P, K, A, W, H, O, const SHARDS: usize> Future for InTurn<S, Q, L, X, M>
where
    S: Service<Q>,
    L: Deref<Target = KeyedRateLimiter<P, K, A, W, H, SHARDS, O>> + Clone,
    X: KeyOf<Q, Key = K>,
    P: Platform,
    K: Hash + Eq + Clone,
    A: Algorithm + Copy,
    W: Storage,
    H: KeyHash,
    O: SharedObserver<Event>,
    M: Mode<S::Response, RateLimitError<S::Error>>,
{
    type Output = Result<S::Response, M::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut stage = self.project().stage;
        loop {
            let (call, permit) = match stage.as_mut().project() {
                StageProjection::Guarded { call } => return call.poll(cx),
                StageProjection::Comes { call } => {
                    let Some(call) = call.take() else { return Poll::Pending };
                    let permit = KeyedRateLimiter::try_acquire_owned(call.limiter.clone(), &call.key(), 1);
                    (call, permit)
                }
                StageProjection::Waiting { acquire, call } => {
                    let permit = ready!(acquire.poll(cx));
                    let Some(call) = call.take() else { return Poll::Pending };
                    (call, permit)
                }
                StageProjection::Held { held } => {
                    let ready = ready!(held.poll_ready(cx));
                    let call = match ready {
                        Ok(()) => held.spend().map(|(mut call, permit)| {
                            let (limiter, key_of, request) = (&call.limiter, &call.key_of, &call.request);
                            call.mode.admitted(|| limiter.snapshot(&key_of.key(request)).available);
                            Guarded::running(call.service.call(call.request), permit, call.mode)
                        }),
                        Err(error) => held.give_back().map(|call| Guarded::refused(RateLimitError::Failed(error), call.mode)),
                    };
                    let Some(call) = call else { return Poll::Pending };
                    stage.set(Stage::Guarded { call });
                    continue;
                }
            };
            stage.set(match permit {
                Ok(permit) => {
                    let give_back = KeyedRateLimiter::give_back;
                    Stage::Held { held: Held { call: Some(call), permit: Some(permit), give_back } }
                }
                Err(error) => Stage::Guarded { call: Guarded::refused(error.of_operation(), call.mode) },
            });
        }
    }
}

impl<S, Q, L, X, M> fmt::Debug for InTurn<S, Q, L, X, M>
where
    S: Service<Q>,
    L: Deref<Target: Lines>,
    X: KeyOf<Q>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Comes { .. } => "not yet polled",
            Stage::Waiting { .. } => "waiting",
            Stage::Held { .. } => "let through",
            Stage::Guarded { .. } => "called, or refused",
        };
        f.debug_struct("InTurn").field("stage", &stage).finish_non_exhaustive()
    }
}
