//! What goes wrong: what errors say, what is refused before anything starts, and panics in a caller's code.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::error::Error;
use std::future::{Future, IntoFuture, Pending, Ready, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use aplomb::edge::{DriveError, EdgeError, Share};
use aplomb::polling::PollEvent;
use aplomb::rate_limiter::RateLimitError;
use aplomb::ratio::percent;
use aplomb::retry::StopReason;
use aplomb::sync::{AcquireError, Semaphore};
use aplomb::time::{ms, secs};
use aplomb::{
    AdaptiveLimit, Bulkhead, BulkheadError, ConfigError, Inline, LimitError, PollError, Polling, Pool, PoolError, Retry,
    RetryBudget, RetryError, Throttle, TimeoutError, WaterfallError,
};
use aplomb_sim::{Sim, SimClock};

/// An error with a cause of its own.
#[derive(Debug)]
struct Caused(std::io::Error);
impl std::fmt::Display for Caused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("unreachable")
    }
}
impl Error for Caused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn errors_say_what_happened_and_lead_to_their_source() {
    let io = || std::io::Error::other("refused");
    let timed_out = TimeoutError::<std::io::Error>::TimedOut { after: Some(secs(5)) };
    assert_eq!(timed_out.to_string(), "timed out after 5s");
    assert_eq!(TimeoutError::<std::io::Error>::TimedOut { after: None }.to_string(), "deadline passed");
    assert!(timed_out.is_timeout() && timed_out.source().is_none() && timed_out.into_inner().is_none());
    let exhausted = RetryError::Exhausted { attempts: 3, last: TimeoutError::Failed(io()) };
    assert_eq!(exhausted.to_string(), "gave up after 3 attempts: refused");
    assert!(exhausted.source().is_none(), "what is told already is not told twice");
    assert_eq!((exhausted.attempts(), exhausted.reason()), (3, StopReason::Exhausted));
    let caused = RetryError::Exhausted { attempts: 3, last: TimeoutError::Failed(Caused(io())) };
    assert_eq!(caused.to_string(), "gave up after 3 attempts: unreachable");
    assert_eq!(caused.source().map(ToString::to_string).as_deref(), Some("refused"));
    let budget = RetryError::Budget { attempts: 1, last: TimeoutError::Failed(io()) };
    assert_eq!(budget.to_string(), "retry budget empty after 1 attempts: refused");
    assert!(budget.is_rejected() && !budget.is_timeout());
    let deadline = RetryError::<std::io::Error>::Deadline { attempts: 1, last: None };
    assert_eq!(deadline.to_string(), "deadline passed during the first attempt");
    assert!(deadline.is_timeout() && deadline.inner().is_none());
    let refused = RetryError::Refused { attempts: 1, error: io() };
    assert_eq!(refused.to_string(), "refused");
    assert_eq!(refused.into_inner().map(|error| error.to_string()).as_deref(), Some("refused"));
    let config = RetryError::<std::io::Error>::Config(ConfigError::Factor { value: percent(50) });
    assert_eq!(config.to_string(), "factor is 50/100, must be at least 1");
    assert_eq!(ConfigError::Jitter { value: percent(101) }.to_string(), "jitter is 101/100, must be at most 1");
}

#[test]
fn a_wrong_policy_starts_nothing() {
    use aplomb_sim::prelude::*;
    fn refused<B: Backoff + Copy>(policy: Retry<B>) -> Option<ConfigError> {
        let call = policy.run(|| -> Ready<Result<(), ()>> { panic!("started") });
        match aplomb_sim::block_on(call) {
            Err(RetryError::Config(error)) => Some(error),
            _ => None,
        }
    }
    let (shrinking, overshooting) = (percent(99), percent(101));
    let factor = Exponential::from(ms(1)).factor(shrinking);
    let jitter = Constant::every(ms(1)).jitter(Jitter::Proportional(overshooting));
    assert_eq!(refused(Retry::new().max_attempts(0)), Some(ConfigError::MaxAttempts { value: 0 }));
    assert_eq!(refused(Retry::new().backoff(factor)), Some(ConfigError::Factor { value: shrinking }));
    assert_eq!(refused(Retry::new().backoff(jitter)), Some(ConfigError::Jitter { value: overshooting }));
    assert_eq!(Retry::new().backoff(factor).check().err(), Some(ConfigError::Factor { value: shrinking }));
    assert_eq!(Retry::new().backoff(jitter).check().err(), Some(ConfigError::Jitter { value: overshooting }));
}

#[test]
fn the_last_attempt_decides_whether_it_was_the_time() {
    let timed_out = TimeoutError::<&str>::TimedOut { after: Some(ms(5)) };
    let failed = TimeoutError::Failed("refused");
    for (error, is_timeout, is_rejected, inner) in [
        (RetryError::Exhausted { attempts: 2, last: timed_out }, true, false, None),
        (RetryError::Exhausted { attempts: 2, last: failed }, false, false, Some("refused")),
        (RetryError::Budget { attempts: 2, last: timed_out }, true, true, None),
        (RetryError::Budget { attempts: 2, last: failed }, false, true, Some("refused")),
        (RetryError::Deadline { attempts: 2, last: Some(failed) }, true, false, Some("refused")),
        (RetryError::Deadline { attempts: 1, last: None }, true, false, None),
        (RetryError::Refused { attempts: 2, error: "refused" }, false, false, Some("refused")),
        (RetryError::Config(ConfigError::MaxAttempts { value: 0 }), false, false, None),
    ] {
        assert_eq!((error.is_timeout(), error.is_rejected()), (is_timeout, is_rejected), "{error:?}");
        assert_eq!((error.inner().copied(), error.into_inner()), (inner, inner), "{error:?}");
    }
    assert_eq!(
        RetryError::Exhausted { attempts: 2, last: timed_out }.to_string(),
        "gave up after 2 attempts: timed out after 5ms"
    );
}

#[test]
fn a_failed_operation_shows_through_its_timeout() {
    let failed = TimeoutError::Failed(Caused(std::io::Error::other("refused")));
    assert_eq!(failed.to_string(), "unreachable");
    assert_eq!(failed.source().map(ToString::to_string).as_deref(), Some("refused"));
    assert!(!failed.is_timeout() && failed.inner().is_some());
}

/// Who has an error asks it what it is, whatever pattern it comes from.
#[test]
fn all_errors_answer_the_same_questions() {
    macro_rules! answers {
        ($($error:expr => $rejected:literal, $timeout:literal, $retry_after:expr;)*) => {
            $({
                let error = $error;
                let answers = (error.is_rejected(), error.is_timeout(), error.retry_after());
                assert_eq!(answers, ($rejected, $timeout, $retry_after), "{error:?}");
            })*
        };
    }
    answers! {
        TimeoutError::<()>::TimedOut { after: None } => false, true, None;
        TimeoutError::Failed(()) => false, false, None;
        RetryError::Budget { attempts: 1, last: TimeoutError::Failed(()) } => true, false, None;
        RetryError::<()>::Deadline { attempts: 1, last: None } => false, true, None;
        EdgeError::<()>::Superseded => true, false, None;
        EdgeError::<()>::Cancelled => true, false, None;
        EdgeError::<()>::Full { waiting: 1 } => true, false, None;
        EdgeError::Failed(()) => false, false, None;
        DriveError::Busy => true, false, None;
        DriveError::Config(ConfigError::Edges) => false, false, None;
        PollError::<(), ()>::Deadline { attempts: 1, last: None } => false, true, None;
        PollError::<(), ()>::Failed { attempts: 1, error: () } => false, false, None;
        RateLimitError::<()>::Limited { retry_after: Some(ms(5)) } => true, false, Some(ms(5));
        RateLimitError::<()>::Deadline { retry_after: Some(ms(7)) } => true, true, Some(ms(7));
        WaterfallError { step: 1, name: None, error: () } => false, false, None;
    }
}

/// In place, one whose turn has come has its place until its task has its turn.
#[test]
fn a_queue_that_is_full_is_not_empty() {
    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }
    fn never() -> Pending<Result<(), ()>> {
        std::future::pending()
    }
    let bulkhead: Bulkhead<Sim, Inline<1>> = Bulkhead::new(1).storage();
    let limit = AdaptiveLimit::<Sim>::new().initial_limit(1).storage::<Inline<1>>();
    let pool: Pool<Sim, Inline<1>> = Pool::new(1).storage();
    let shared: Throttle<Sim, Share<Result<(), ()>, Inline<1>>> = Throttle::shared(ms(10)).trailing(false);
    aplomb_sim::block_on(async {
        let (place, permit, runs) = (bulkhead.try_acquire(), limit.try_acquire(), &mut Box::pin(pool.run(never)));
        let (mut first, mut second, mut third) = (pin!(bulkhead.acquire()), pin!(limit.acquire()), pin!(pool.run(never)));
        assert!(poll(runs.as_mut()).is_pending() && poll(third.as_mut()).is_pending());
        assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
        drop((place, permit));
        *runs = Box::pin(pool.run(never));
        // They were woken, and nobody waits.
        assert_eq!((bulkhead.snapshot().waiting, limit.snapshot().waiting, pool.snapshot().waiting), (0, 0, 0));
        assert_eq!(bulkhead.acquire().await.err(), Some(BulkheadError::QueueFull { waiting: 1 }));
        assert_eq!(limit.acquire().await.err(), Some(LimitError::QueueFull { waiting: 1 }));
        assert_eq!(pool.run(never).await, Err(PoolError::QueueFull { waiting: 1 }));
        let mut leads = pin!(shared.call(never));
        assert!(poll(leads.as_mut()).is_pending());
        assert_eq!(shared.call(never).await, Err(EdgeError::Full { waiting: 1 }));
    });
}

/// Who has been let in has its entry still: where there is room for those too, it shortens no queue.
#[test]
fn a_queue_with_room_for_those_let_in_never_ends_early() {
    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }
    let bulkhead = Bulkhead::<Sim>::new(2).storage::<Inline<5>>().max_waiting(3);
    aplomb_sim::block_on(async {
        let places = [bulkhead.try_acquire(), bulkhead.try_acquire()];
        let mut let_in: Vec<_> = (0..2).map(|_| Box::pin(bulkhead.acquire())).collect();
        assert!(let_in.iter_mut().all(|waiter| poll(waiter.as_mut()).is_pending()));
        drop(places);
        let mut wait: Vec<_> = (0..3).map(|_| Box::pin(bulkhead.acquire())).collect();
        assert!(wait.iter_mut().all(|waiter| poll(waiter.as_mut()).is_pending()));
        assert_eq!(bulkhead.acquire().await.err(), Some(BulkheadError::QueueFull { waiting: 3 }));
        assert!(let_in.iter_mut().all(|waiter| poll(waiter.as_mut()).is_ready()));
    });
}

#[test]
fn a_semaphore_says_what_it_lacks() {
    let semaphore: Semaphore<Sim, Inline<0>> = Semaphore::with_storage(1);
    let _held = semaphore.try_acquire(1).unwrap();
    let full = aplomb_sim::block_on(semaphore.acquire(1)).unwrap_err();
    assert_eq!(full, AcquireError::QueueFull { waiting: 0 });
    assert_eq!(full.to_string(), "queue full: 0 are waiting");
    let boxed: Box<dyn Error + Send + Sync> = Box::new(semaphore.try_acquire(1).unwrap_err());
    assert_eq!(boxed.to_string(), "no permits: 1 requested, 0 free");
    let many = semaphore.try_acquire(2).unwrap_err();
    assert_eq!(many.to_string(), "too many permits: 2 requested, there are 1");
    semaphore.close();
    assert_eq!(semaphore.try_acquire(1).unwrap_err().to_string(), "closed");
}

#[test]
fn a_bulkhead_says_why_nothing_started() {
    for (error, is_timeout, is_rejected, text) in [
        (BulkheadError::QueueFull { waiting: 16 }, false, true, "queue full: 16 are waiting"),
        (BulkheadError::TimedOut { after: ms(50) }, true, true, "no place became free within 50ms"),
        (BulkheadError::Busy, false, true, "no place is free"),
        (BulkheadError::Closed, false, true, "closed"),
        (BulkheadError::Failed("refused"), false, false, "refused"),
        (BulkheadError::Config(ConfigError::MaxConcurrent { value: 0 }), false, false, "max_concurrent is 0, must be at least 1"),
    ] {
        assert_eq!((error.is_timeout(), error.is_rejected(), &*error.to_string()), (is_timeout, is_rejected, text));
        let inner = (text == "refused").then_some("refused");
        assert_eq!((error.inner().copied(), error.into_inner()), (inner, inner));
    }
    let failed = BulkheadError::Failed(Caused(std::io::Error::other("refused")));
    assert_eq!(failed.to_string(), "unreachable");
    assert_eq!(failed.source().map(ToString::to_string).as_deref(), Some("refused"), "what is told already is not told twice");
}

#[test]
fn no_form_of_a_call_starts_under_a_wrong_policy() {
    fn started() -> Pending<Result<(), ()>> {
        panic!("started")
    }
    let wrong = Retry::<Sim>::new().max_attempts(0);
    let refused = Err(RetryError::Config(ConfigError::MaxAttempts { value: 0 }));
    let mut context = ();
    assert_eq!(aplomb_sim::block_on(wrong.run(started)), refused);
    assert_eq!(aplomb_sim::block_on(wrong.run_mut(async || started().await)), refused);
    assert_eq!(aplomb_sim::block_on(wrong.run_with(&mut context, async |(): &mut ()| started().await)), refused);
    let between = async |(): &mut ()| panic!("between");
    let call = wrong.run_with_between(&mut context, async |(): &mut ()| started().await, between);
    assert_eq!(aplomb_sim::block_on(call), refused);
    assert_eq!(wrong.run_blocking(|| panic!("started"), |_| panic!("slept")), refused);
    assert_eq!(aplomb_sim::block_on(async { wrong.call(started).await }), refused);
    assert_eq!(aplomb_sim::block_on(async { wrong.call_numbered(|_| started()).await }), refused);
}

/// A panic in a caller's code leaves what is shared as it should be.
#[test]
fn a_panic_gives_back_what_was_taken() {
    let fails = || ready(Err::<(), _>(()));
    panics(10, async |policy| policy.run(|| -> Pending<Result<(), ()>> { panic!("operation") }).await);
    panics(10, async |policy| policy.call(fails).retry_if(|()| panic!("predicate")).await);
    panics(10, async |policy| policy.call(|| ready(Ok::<_, ()>(1))).retry_if_value(|_| panic!("predicate")).await.map(drop));
    panics(10, async |policy| policy.call(fails).retry_after(|_| panic!("delay")).await);
    panics(10, async |policy| policy.call(fails).notify(|_| panic!("observer")).await);
    panics(10, async |policy| policy.call(fails).between(|_| -> Ready<()> { panic!("hook") }).await);
    let fails = async |(): &mut ()| Err::<(), _>(());
    panics(10, async |policy| policy.run_with_between(&mut (), fails, async |(): &mut ()| panic!("hook")).await);
    panics(10, async |policy| policy.run_blocking(|| Err::<(), _>(()), |_| panic!("sleep")));
}

/// The textbook's polling is pending for ever then.
#[test]
fn a_predicate_that_panics_ends_polling_and_holds_nothing() {
    let held = Rc::new(());
    let attempt = || {
        let held = Rc::clone(&held);
        poll_fn(move |_| Poll::Ready(Ok::<_, ()>(if Rc::strong_count(&held) > 1 { "queued" } else { "done" })))
    };
    let mut observed = Vec::new();
    let polling = Polling::<Sim, _, _>::with_clock(SimClock, attempt, |_: &&str| panic!("predicate"));
    let polling = polling.notify(|event: &PollEvent<'_, &str, ()>| observed.push(format!("{event:?}")));
    let mut polling = Box::pin(polling.into_future());
    let mut poll = || polling.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
    assert!(catch_unwind(AssertUnwindSafe(&mut poll)).is_err(), "whoever awaits it learns of it");
    assert_eq!(Rc::strong_count(&held), 1, "the attempt has been dropped");
    assert!(poll(), "it has ended");
    drop(polling);
    assert!(observed.is_empty());
}

/// A retry that has started is paid for, however it ends.
#[test]
fn a_panic_in_a_retry_costs_what_a_retry_costs() {
    let mut first = true;
    let mut second_panics = move || if std::mem::take(&mut first) { Err::<(), _>(()) } else { panic!("operation") };
    panics(5, async |policy| policy.run(|| ready(second_panics())).await);
    let mut first = true;
    let second_panics = move || if std::mem::take(&mut first) { Err::<(), _>(()) } else { panic!("operation") };
    panics(5, async |policy| policy.run_blocking(second_panics, |_| {}));
}

/// Runs a call that panics, under a budget of ten tokens, and looks at what is left.
fn panics(left: u32, call: impl AsyncFnOnce(Retry<'static, Sim>) -> Result<(), RetryError<()>>) {
    // A budget of its own for each world; it outlives the policy that refers to it.
    let budget: &'static RetryBudget<Sim> = Box::leak(Box::new(RetryBudget::new(10)));
    let policy = Retry::standard(budget);
    let panicked = catch_unwind(AssertUnwindSafe(|| aplomb_sim::block_on(call(policy))));
    assert!(panicked.is_err());
    assert_eq!(budget.available(), left);
}

#[test]
fn an_operation_that_panics_gives_its_permit_to_the_next() {
    let semaphore: Semaphore<Sim> = Semaphore::new(1);
    let held = catch_unwind(AssertUnwindSafe(|| {
        aplomb_sim::block_on(async {
            let _permit = semaphore.acquire(1).await.unwrap();
            panic!("operation");
        });
    }));
    assert!(held.is_err());
    assert_eq!(semaphore.available(), 1);
}
