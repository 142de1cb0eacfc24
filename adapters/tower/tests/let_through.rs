//! What is told apart of the errors of the layer below: what it has rejected says nothing of the service.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};

use aplomb_tokio::Judge;
use aplomb_tokio::adaptive_limit::{self, OnTimeout};
use aplomb_tokio::circuit_breaker::{AnyError, State, Verdict};
use aplomb_tokio::hedge::{self, After, NoneFatal};
use aplomb_tokio::prelude::*;
use aplomb_tower::web::{EveryError, Idempotent, RetryErrors, ServerErrors, Transient};
use aplomb_tower::{BulkheadLayer, CircuitBreakerLayer, HedgeLayer, LetThrough, RateLimitLayer, RetryLayer};
use http::{Request, Response};
use tower::{ServiceBuilder, ServiceExt, service_fn};

/// The client of the README, whose limiter turns away what has to wait.
#[tokio::test(start_paused = true)]
async fn a_limit_of_ones_own_opens_no_circuit() {
    type Rules = Transient<LetThrough<EveryError>>;
    static BUDGET: RetryBudget = RetryBudget::new(500);
    static RETRY: Retry<Exponential, Rules> = Retry::standard(&BUDGET).rules(Transient::new().errors(LetThrough(EveryError)));
    static BREAKER: CircuitBreaker<Consecutive, Constant, LetThrough<ServerErrors>> =
        CircuitBreaker::consecutive(5).judged_by(LetThrough(ServerErrors));
    static GITHUB: RateLimiter = checked!(RateLimiter::with_burst(Rate::per_second(1), 1));
    static STATUS: AtomicU32 = AtomicU32::new(200);
    let respond = async |_: Request<()>| {
        let status = u16::try_from(STATUS.load(Ordering::Relaxed)).unwrap();
        Ok::<_, Infallible>(Response::builder().status(status).body(()).unwrap())
    };
    let client = ServiceBuilder::new()
        .layer(RetryLayer::new(RETRY).replay(Idempotent))
        .layer(CircuitBreakerLayer::new(&BREAKER))
        .layer(RateLimitLayer::new(&GITHUB).without_waiting())
        .service(service_fn(respond));
    let send = || tokio::spawn(client.clone().oneshot(Request::new(())));
    let mut served = 0;
    for call in [0; 20].map(|_| send()) {
        served += u32::from(call.await.unwrap().is_ok());
    }
    assert!((1..20).contains(&served), "{served}");
    assert_eq!((BREAKER.state(), BREAKER.snapshot().tally.failures), (State::Closed, 0));
    STATUS.store(500, Ordering::Relaxed);
    for _ in 0..5 {
        tokio::time::advance(secs(1)).await;
        assert_eq!(send().await.unwrap().unwrap().status(), 500);
    }
    assert_eq!(BREAKER.state(), State::Open, "these were the service's");
}

/// A hedge of what was rejected would be rejected too.
#[tokio::test(start_paused = true)]
async fn a_hedge_ends_with_what_is_rejected_below() {
    static HEDGE: Hedge<After, Inline<1>, LetThrough<NoneFatal>> =
        checked!(Hedge::after(ms(50)).judged_by(LetThrough(NoneFatal)));
    static PLACES: Bulkhead = Bulkhead::new(1).max_waiting(0);
    let _held = PLACES.try_acquire().unwrap();
    let service = ServiceBuilder::new()
        .layer(HedgeLayer::new(&HEDGE))
        .layer(BulkheadLayer::new(&PLACES))
        .service(service_fn(async |()| Ok::<_, Infallible>(())));
    assert!(matches!(service.oneshot(()).await, Err(HedgeError::Fatal { attempts: 1, .. })));
    assert_eq!(HEDGE.snapshot().hedges, 0);
}

#[test]
fn in_the_terms_of_each_pattern() {
    type Below = RateLimitError<TimeoutError<&'static str>>;
    let rejected: Below = RateLimitError::Limited { retry_after: None };
    let late: Below = RateLimitError::Failed(TimeoutError::TimedOut { after: Some(secs(1)) });
    let failed: Below = RateLimitError::Failed(TimeoutError::Failed("reset"));

    let breaker = LetThrough(LetThrough(AnyError));
    let judged = |outcome: Result<&(), &Below>| -> Verdict { breaker.judge(outcome) };
    assert_eq!(judged(Ok(&())), Verdict::Success);
    assert_eq!(
        [&rejected, &late, &failed].map(|error| judged(Err(error))),
        [Verdict::Ignored, Verdict::Failure, Verdict::Failure]
    );

    let limit = LetThrough(OnTimeout);
    let judged = |outcome: Result<&(), &Below>| -> adaptive_limit::Verdict { limit.judge(outcome) };
    let verdicts = [adaptive_limit::Verdict::Ignored, adaptive_limit::Verdict::Overload, adaptive_limit::Verdict::Ignored];
    assert_eq!([&rejected, &late, &failed].map(|error| judged(Err(error))), verdicts);

    let hedge = LetThrough(LetThrough(NoneFatal));
    let judged = |outcome: Result<&(), &Below>| -> hedge::Verdict { hedge.judge(outcome) };
    let verdicts = [hedge::Verdict::Fatal, hedge::Verdict::Failure, hedge::Verdict::Failure];
    assert_eq!([&rejected, &late, &failed].map(|error| judged(Err(error))), verdicts);

    let retry = LetThrough(LetThrough(EveryError));
    assert_eq!([&rejected, &late, &failed].map(|error| retry.retries(error)), [false, true, true]);
    let senseless: Below = RateLimitError::Config(RateLimiter::new(Rate::per_second(0)).check().unwrap_err());
    assert!(!retry.retries(&senseless), "nor what makes no sense");
}

/// That a retry had no budget left for another attempt does not make the last one any better.
#[tokio::test(start_paused = true)]
async fn what_has_failed_has_failed_though_a_retry_was_rejected() {
    static BUDGET: RetryBudget = RetryBudget::new(10);
    let retry = Retry::standard(&BUDGET);
    let fails = async || retry.run(async || Err::<(), _>("down")).await.unwrap_err();
    let mut gave_up = fails().await;
    while !gave_up.is_rejected() {
        gave_up = fails().await;
    }
    let hangs = std::future::pending::<Result<(), &str>>;
    let late = retry.attempt_timeout(secs(1)).run(hangs).await.unwrap_err();
    assert!(late.is_rejected() && late.is_timeout());
    for gave_up in [gave_up, late] {
        let verdict: Verdict = LetThrough(AnyError).judge(Err::<&(), _>(&gave_up));
        assert_eq!(verdict, Verdict::Failure);
    }
}
