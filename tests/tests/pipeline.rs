//! The pipeline as callers write it: in a static, under `spawn`, by key, with a layer of their own, and what it holds when things go wrong.

use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use aplomb::backoff::Constant;
use aplomb::circuit_breaker::State;
use aplomb::layers;
use aplomb::pipeline::{Cause, Layer, LayerId, TimeoutLayer};
use aplomb::retry::{Event, StopReason};
use aplomb::{Operation, PipelineError};
use aplomb_sim::Sim;
use aplomb_sim::prelude::*;

static BREAKER: CircuitBreaker = checked!(CircuitBreaker::consecutive(3).open_for(secs(60)));
static LIMITER: RateLimiter = checked!(RateLimiter::new(Rate::per_second(1_000)));
type Layers =
    layers![TimeoutLayer<Sim>, Retry, &'static CircuitBreaker, &'static RateLimiter, &'static Bulkhead, TimeoutLayer<Sim>];

static GUARDED: Pipeline<Layers> = Pipeline::new()
    .timeout(secs(10))
    .retry(Retry::new())
    .circuit_breaker(&BREAKER)
    .rate_limiter(&LIMITER)
    .bulkhead(&BULKHEAD)
    .timeout(secs(2));
static BULKHEAD: Bulkhead = checked!(Bulkhead::new(4));

fn fetch(path: &str) -> impl Future<Output = Result<usize, &'static str>> {
    ready(Ok(path.len()))
}

#[test]
fn one_static_serves_operations_of_many_types() {
    aplomb_sim::block_on(async {
        let path = String::from("/users");
        assert_eq!(GUARDED.run(|| fetch(&path)).await, Ok(6));
        assert_eq!(GUARDED.run(|| async { Ok::<_, ()>("text") }).await, Ok("text"));
    });
}

#[test]
fn a_call_is_spawned_with_what_it_borrows() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let length = runtime.block_on(async {
        use aplomb_tokio::prelude::*;

        static BUDGET: RetryBudget = RetryBudget::new(500);
        static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(5);
        static BULKHEAD: Bulkhead = Bulkhead::new(4);
        static LIMITER: RateLimiter = RateLimiter::new(Rate::per_second(1_000));
        const RETRY: Retry = Retry::standard(&BUDGET);

        let guarded = Pipeline::new()
            .timeout(secs(10))
            .retry(RETRY)
            .circuit_breaker(&BREAKER)
            .rate_limiter(&LIMITER)
            .bulkhead(&BULKHEAD)
            .timeout(secs(2));
        let path = String::from("/users");
        tokio::spawn(async move { guarded.run(|| fetch(&path)).await }).await
    });
    assert_eq!(length.unwrap(), Ok(6));
}

#[test]
fn by_key_one_host_that_is_down_harms_no_other() {
    static HOSTS: KeyedCircuitBreaker<String> = KeyedCircuitBreaker::new(CircuitBreaker::consecutive(1));
    static QUOTAS: KeyedRateLimiter<String> = KeyedRateLimiter::new(Rate::per_second(1)).capacity(8);
    aplomb_sim::block_on(async {
        let to = |host: &'static str| Pipeline::new().keyed_circuit_breaker(&HOSTS, host).keyed_rate_limiter(&QUOTAS, host);
        let (down, well) = (to("down.example"), to("well.example"));
        assert_eq!(down.run(|| async { Err::<(), _>("refused") }).await.unwrap_err().inner(), Some(&"refused"));
        let rejected = down.run(|| async { Ok::<_, &str>(()) }).await.unwrap_err();
        assert!(matches!(rejected.cause(), Cause::CircuitBreaker(BreakerError::Open { .. })), "{rejected:?}");
        assert_eq!(well.run(|| async { Ok::<_, &str>(()) }).await, Ok(()));
        let began = aplomb_sim::now();
        assert_eq!(well.run(|| async { Ok::<_, &str>(()) }).await, Ok(()));
        assert_eq!(aplomb_sim::now().saturating_duration_since(began), secs(1), "one a second for each host");
    });
}

/// A layer that has seen enough.
#[derive(Clone, Copy)]
struct Closed;

struct Refusing(usize);

impl<O: Operation<Output = Result<u8, PipelineError<&'static str>>>> Layer<'_, O> for Closed {
    type Operation = Refusing;

    fn wrap(&self, index: usize, _operation: O) -> Refusing {
        Refusing(index)
    }
}

impl Operation for Refusing {
    type Output = Result<u8, PipelineError<&'static str>>;
    type Run = ();

    fn start(&mut self) {}

    fn poll_run(&mut self, _run: Pin<&mut ()>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        let layer = LayerId { index: self.0, name: "closed" };
        Poll::Ready(Err(PipelineError::rejected(layer, "we are closed", Some(secs(5)))))
    }

    fn may_repeat(&self) -> bool {
        true
    }
}

#[test]
fn a_layer_of_ones_own_rejects_as_the_others_do() {
    let breaker: CircuitBreaker = CircuitBreaker::consecutive(1);
    aplomb_sim::block_on(async {
        let guarded = Pipeline::new().retry(Retry::new()).circuit_breaker(&breaker).layer(Closed);
        let error = guarded.run(|| async { Ok::<u8, &str>(1) }).await.unwrap_err();
        assert_eq!(error.to_string(), "layer 2 (closed): rejected: we are closed, try again in 5s");
        assert!(error.is_rejected() && !error.is_timeout());
        assert_eq!((error.retry_after(), error.layer().map(|layer| layer.index)), (Some(secs(5)), Some(2)));
        assert_eq!(breaker.state(), State::Closed, "a rejection counts as nothing");
    });
}

/// Notes which retries were told.
#[derive(Clone, Copy)]
struct Told<'t>(&'t std::cell::RefCell<Vec<String>>);

impl aplomb::retry::Rules<(), &'static str> for Told<'_> {
    fn retries(&mut self, outcome: Result<&(), &&'static str>) -> bool {
        outcome.is_err()
    }

    fn observe(&mut self, event: &Event<'_, &'static str>) {
        if let Event::Retrying { cause, .. } = event {
            self.0.borrow_mut().push(cause.to_string());
        }
    }
}

#[test]
fn a_retrys_observer_is_told_of_the_operations_own_errors() {
    let told = std::cell::RefCell::default();
    let mut outcomes = [Err("refused"), Ok(true), Ok(false)].into_iter();
    let guarded = Pipeline::new().retry(Retry::new().rules(Told(&told))).timeout(ms(50));
    let answer = aplomb_sim::block_on(guarded.run(|| {
        let outcome = outcomes.next().unwrap();
        async move { if outcome? { pending().await } else { Ok(()) } }
    }));
    assert_eq!(answer, Ok(()));
    assert_eq!(*told.borrow(), ["refused", "the attempt timed out"]);
}

#[test]
fn an_adaptive_limit_takes_a_timeout_within_for_overload_and_a_rejection_for_nothing() {
    let limit: AdaptiveLimit = AdaptiveLimit::new().initial_limit(20).window(ms(10)).min_calls(1);
    let full: Bulkhead = Bulkhead::new(1).max_waiting(0);
    aplomb_sim::block_on(async {
        let _taken = full.acquire().await;
        let rejecting = Pipeline::new().adaptive_limit(&limit).bulkhead(&full);
        let hanging = Pipeline::new().adaptive_limit(&limit).timeout(ms(20));
        for _ in 0..20 {
            let error = rejecting.run(|| async { Ok::<(), &str>(()) }).await.unwrap_err();
            assert!(matches!(error.cause(), Cause::Bulkhead(_)), "{error:?}");
            aplomb_sim::sleep(ms(20)).await;
        }
        assert_eq!(limit.limit(), 20);
        for _ in 0..3 {
            assert!(hanging.run(pending::<Result<(), &str>>).await.unwrap_err().is_timeout());
        }
        assert!(limit.limit() < 20, "{}", limit.limit());
        limit.close();
        let error = hanging.run(pending::<Result<(), &str>>).await.unwrap_err();
        assert_eq!(error.to_string(), "layer 0 (adaptive limit): closed");
        assert!(error.is_rejected());
    });
}

#[test]
fn a_hedge_tells_what_came_of_the_operation_and_not_that_another_start_was_rejected() {
    let (outer, inner): (CircuitBreaker, CircuitBreaker) = (CircuitBreaker::consecutive(9), CircuitBreaker::consecutive(1));
    let hedge: Hedge = Hedge::after(ms(50));
    let guarded = Pipeline::new().circuit_breaker(&outer).hedge(&hedge).circuit_breaker(&inner);
    let error = aplomb_sim::block_on(guarded.run(|| async { Err::<(), _>("refused") })).unwrap_err();
    assert_eq!(error.inner(), Some(&"refused"), "{error:?}");
    assert_eq!(outer.snapshot().tally.failures, 1, "it counts");
}

/// What it cost goes back, however it ends; and is spent on one that has come to the operation.
#[test]
fn a_hedge_that_only_waits_within_costs_nothing() {
    async fn takes(time: core::time::Duration) -> Result<(), &'static str> {
        aplomb_sim::sleep(time).await;
        Ok(())
    }
    let all_back = |hedge: &Hedge, starts: u32| {
        let now = hedge.snapshot();
        assert_eq!((now.budget, now.hedges), (10, starts.into()), "{now:?}");
    };
    aplomb_sim::block_on(async {
        let (hedge, one): (Hedge, Bulkhead) = (Hedge::after(ms(50)), Bulkhead::new(1));
        let guarded = Pipeline::new().hedge(&hedge).bulkhead(&one);
        for _ in 0..20 {
            assert_eq!(guarded.run(|| takes(ms(100))).await, Ok(()));
        }
        all_back(&hedge, 20);

        let hedge: Hedge = Hedge::after(ms(50));
        let guarded = Pipeline::new().timeout(ms(80)).hedge(&hedge).retry(Retry::new()).circuit_breaker(&BREAKER).bulkhead(&one);
        assert!(guarded.run(|| takes(ms(100))).await.unwrap_err().is_timeout());
        all_back(&hedge, 1);

        let hedge: Hedge = Hedge::after(ms(50));
        let guarded = Pipeline::new().hedge(&hedge).timeout(ms(80)).bulkhead(&one);
        assert!(guarded.run(|| takes(secs(9))).await.unwrap_err().is_timeout(), "the second, which came when the first had left");
        assert_eq!(hedge.snapshot().budget, 9);

        let (hedge, slow): (Hedge, RateLimiter) = (Hedge::after(ms(50)), RateLimiter::with_burst(Rate::per_second(10), 1));
        let guarded = Pipeline::new().hedge(&hedge).rate_limiter(&slow);
        let (mut starts, began) = (0, aplomb_sim::now());
        let first_hangs = guarded.run(|| {
            starts += 1;
            takes(if starts == 1 { secs(9) } else { ms(10) })
        });
        assert_eq!(first_hangs.await, Ok(()));
        assert_eq!(aplomb_sim::now() - began, ms(110), "it had its turn");
        assert_eq!((hedge.snapshot().budget, hedge.snapshot().won), (9, 1));
    });
}

#[test]
fn what_makes_no_sense_has_no_alternative() {
    let senseless: CircuitBreaker = CircuitBreaker::consecutive(0);
    let guarded = Pipeline::new().fallback_value(0).circuit_breaker(&senseless);
    let error = aplomb_sim::block_on(guarded.run(|| async { Ok::<_, &str>(1) })).unwrap_err();
    assert!(matches!(error.cause(), Cause::Config(_)), "{error:?}");
}

#[test]
fn a_panic_frees_all_that_is_held_also_where_the_call_is_kept() {
    let bulkhead: Bulkhead = Bulkhead::new(1);
    let guarded = Pipeline::new().timeout(secs(1)).bulkhead(&bulkhead).timeout(secs(1));
    let mut cx = Context::from_waker(Waker::noop());
    let mut call = pin!(guarded.run(|| async { if true { panic!("the operation") } else { Ok::<(), ()>(()) } }));
    assert!(catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(&mut cx))).is_err());
    assert_eq!(bulkhead.snapshot().running, 0);
    assert!(call.as_mut().poll(&mut cx).is_pending(), "it has ended");
}

#[test]
fn a_call_is_send_where_its_parts_are_and_no_larger_than_they_are() {
    fn assert_send<T: Send>(value: &T) -> usize {
        size_of_val(value)
    }
    let operation = || async { Ok::<u32, &'static str>(1) };
    let whole = assert_send(&GUARDED.run(operation));
    let parts = size_of_val(&timeout(secs(1), operation()))
        + size_of_val(&Retry::new().run(operation))
        + size_of_val(&BREAKER.run(operation))
        + size_of_val(&LIMITER.run(operation))
        + size_of_val(&BULKHEAD.run(operation))
        + size_of_val(&timeout(secs(1), operation()));
    assert!(whole <= parts + 64, "{whole} bytes, and the parts alone {parts}");
}

/// Its wait is the callers' own doing, and says nothing of a service that nobody has asked.
#[test]
fn what_timed_out_before_it_came_to_the_operation_says_nothing_of_the_service() {
    let limiter: RateLimiter = RateLimiter::new(Rate::per_minute(1));
    let works = || async { Ok::<_, &str>(()) };
    aplomb_sim::block_on(async {
        let breaker: CircuitBreaker = CircuitBreaker::consecutive(1);
        let guarded = Pipeline::new().circuit_breaker(&breaker).timeout(secs(2)).rate_limiter(&limiter);
        assert_eq!(guarded.run(works).await, Ok(()));
        for _ in 0..5 {
            assert!(guarded.run(works).await.unwrap_err().is_timeout());
        }
        assert_eq!(breaker.state(), State::Closed);

        let limit: AdaptiveLimit = AdaptiveLimit::new().initial_limit(20).window(ms(10)).min_calls(1);
        let guarded = Pipeline::new().adaptive_limit(&limit).timeout(secs(2)).rate_limiter(&limiter);
        for _ in 0..5 {
            assert!(guarded.run(works).await.unwrap_err().is_timeout());
        }
        assert_eq!(limit.limit(), 20);
    });
}

#[test]
fn of_two_starts_that_timed_out_the_one_that_came_to_the_operation_is_a_failure() {
    let (breaker, limiter): (CircuitBreaker, RateLimiter) =
        (CircuitBreaker::consecutive(5), RateLimiter::new(Rate::per_minute(1)));
    let hedge: Hedge = Hedge::after(ms(10));
    let guarded = Pipeline::new().hedge(&hedge).circuit_breaker(&breaker).timeout(ms(50)).rate_limiter(&limiter);
    aplomb_sim::block_on(async {
        limiter.try_acquire(1).unwrap();
        aplomb_sim::sleep(ms(59_980)).await;
        assert!(guarded.run(pending::<Result<(), &str>>).await.unwrap_err().is_timeout());
        assert_eq!((breaker.snapshot().tally.failures, hedge.snapshot().budget), (1, 10));
    });
}

/// Whose probe may end at any moment, though it may take a minute.
#[test]
fn a_half_open_breaker_is_tried_again_as_the_backoff_says() {
    let breaker: CircuitBreaker = CircuitBreaker::consecutive(1).open_for(secs(60));
    let guarded = Pipeline::new().retry_rejected(Retry::new().backoff(Constant::every(ms(100)))).circuit_breaker(&breaker);
    aplomb_sim::block_on(async {
        breaker.permit().unwrap().failure();
        aplomb_sim::sleep(secs(60)).await;
        let probe = breaker.permit().unwrap();
        assert_eq!(breaker.permit().unwrap_err().retry_after(), Some(secs(60)));
        let mut call = pin!(guarded.run(|| async { Ok::<_, &str>(()) }));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut cx).is_pending());
        probe.success();
        let began = aplomb_sim::now();
        assert_eq!(call.await, Ok(()));
        assert_eq!(aplomb_sim::now() - began, ms(100));
    });
}

/// Retries that error.
#[derive(Clone, Copy)]
struct Only(&'static str);

impl aplomb::retry::Rules<(), &'static str> for Only {
    fn retries(&mut self, outcome: Result<&(), &&'static str>) -> bool {
        outcome.is_err_and(|error| *error == self.0)
    }
}

#[test]
fn what_is_not_tried_again_tells_the_attempts_before_it() {
    let retry = Retry::new().rules(Only("busy"));
    let calls = |outcomes: &'static [&'static str]| {
        let mut outcomes = outcomes.iter();
        move || ready(outcomes.next().map_or(Ok(()), |error| Err(*error)))
    };
    aplomb_sim::block_on(async {
        let guarded = Pipeline::new().timeout(secs(10)).retry(retry);
        let refused = guarded.run(calls(&["busy", "busy", "gone"])).await.unwrap_err();
        assert_eq!(refused.to_string(), "gone; layer 1 (retry) stopped after 3 attempts");
        assert_eq!((refused.attempts(), refused.stop_reason()), (3, Some(StopReason::Refused)));
        assert_eq!((refused.layer().unwrap().name, refused.raised_by()), ("retry", None));

        let at_once = guarded.run(calls(&["gone"])).await.unwrap_err();
        assert_eq!(at_once.to_string(), "gone", "it went through");
        assert_eq!((at_once.attempts(), at_once.stop_reason(), at_once.layer()), (1, None, None));

        // What a layer within says ends the call, and it is the layer that has to be looked at.
        let breaker: CircuitBreaker = CircuitBreaker::consecutive(2);
        let guarded = Pipeline::new().retry(Retry::new()).circuit_breaker(&breaker);
        let opened = guarded.run(calls(&["busy", "busy", "busy"])).await.unwrap_err();
        let told = opened.to_string();
        assert!(told.starts_with("layer 1 (circuit breaker): rejected: circuit open, next probe in 59."), "{told}");
        assert!(told.ends_with("; layer 0 (retry) stopped after 3 attempts"), "{told}");
        assert_eq!((opened.attempts(), opened.stop_reason()), (3, Some(StopReason::Refused)));
        assert_eq!((opened.layer(), opened.is_rejected()), (opened.raised_by(), true));

        // An outer one that stops at its first attempt has nothing to add.
        let twice = Retry::new().max_attempts(2).rules(Only("busy"));
        let never = Retry::new().rules(Only("never"));
        let nested = Pipeline::new().retry(never).retry(twice);
        let exhausted = nested.run(calls(&["busy", "busy"])).await.unwrap_err();
        assert_eq!(exhausted.to_string(), "busy; layer 1 (retry) gave up after 2 attempts");
    });
}

#[test]
fn a_hedge_whose_start_ended_fatally_tells_how_many_there_were() {
    let hedge = Hedge::after(ms(10)).fatal_if(|error: &&str| *error == "gone");
    let breaker: CircuitBreaker = CircuitBreaker::consecutive(1);
    aplomb_sim::block_on(async {
        let guarded = Pipeline::new().hedge(&hedge);
        let fatal = guarded
            .run(|| async {
                aplomb_sim::sleep(ms(15)).await;
                Err::<(), _>("gone")
            })
            .await
            .unwrap_err();
        assert_eq!(fatal.to_string(), "gone; layer 0 (hedge) stopped after 2 attempts");
        assert_eq!((fatal.attempts(), fatal.stop_reason()), (2, Some(StopReason::Refused)));
        assert_eq!(guarded.run(|| ready(Err::<(), _>("gone"))).await.unwrap_err().to_string(), "gone", "it went through");

        breaker.force_open();
        let guarded = Pipeline::new().hedge(&hedge).circuit_breaker(&breaker);
        let rejected = guarded.run(|| ready(Ok::<_, &str>(()))).await.unwrap_err();
        assert_eq!(rejected.to_string(), "layer 1 (circuit breaker): rejected: circuit open");
    });
}
