//! What the types promise: who may send them, how large they are, what their errors say, and what does not compile.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::error::Error;
use std::future::{Future, Pending, Ready, pending, ready};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use aplomb::alarm::Alarm;
use aplomb::backoff::Exponential;
use aplomb::ratio::percent;
use aplomb::retry::StopReason;
use aplomb::sync::{Acquire, Permit, Semaphore};
use aplomb::time::{ms, secs};
use aplomb::{Clock, ConfigError, Deadline, Instant, Retry, RetryBudget, RetryError, Timeout, TimeoutError};
use aplomb_embassy::{Embassy, EmbassyClock};
use aplomb_sim::{Sim, SimClock};
use aplomb_smol::{Smol, SmolClock};
use aplomb_tokio::{Tokio, TokioClock};

fn send<T: Send>() {}
fn send_sync<T: Send + Sync>() {}
fn copy<T: Copy>() {}
fn is_send<T: Send>(_: &T) -> bool {
    true
}

static RETRY: aplomb_tokio::Retry = aplomb_tokio::Retry::new();

type Op = Ready<Result<u32, u32>>;

#[test]
fn what_servers_share_may_be_shared_and_sent() {
    send_sync::<Retry<'static, Tokio>>();
    send_sync::<Retry<'static, Smol>>();
    send_sync::<Retry<'static, Embassy>>();
    send_sync::<RetryBudget<Tokio>>();
    send_sync::<RetryBudget<Smol>>();
    send_sync::<RetryBudget<Embassy>>();
    send_sync::<Semaphore<Tokio>>();
    send_sync::<Semaphore<Embassy>>();
    send::<Permit<'static, Tokio>>();
    send::<Acquire<'static, Smol>>();
    send::<Timeout<Op, TokioClock>>();
    send::<Timeout<Op, SmolClock>>();
    send_sync::<Timeout<Op, EmbassyClock>>();
    send_sync::<RetryError<u32>>();
    copy::<Retry<'static, Tokio>>();
    copy::<Retry<'static, Embassy>>();
    copy::<Instant>();
    copy::<Deadline>();
    copy::<Exponential>();
    assert!(is_send(&RETRY.run(|| ready(Ok::<u32, u32>(1)))));
}

struct Eight(#[expect(dead_code, reason = "it is there for its size")] u64);
impl Future for Eight {
    type Output = Result<u32, u32>;
    fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        std::task::Poll::Pending
    }
}

#[test]
fn a_timeout_is_its_operation_its_sleep_and_at_most_24_bytes() {
    fn check<C: Clock, F: Future<Output = Result<u32, u32>>>(name: &str) {
        let (whole, parts) = (size_of::<Timeout<F, C>>(), size_of::<F>() + size_of::<C::Sleep>());
        assert!(whole <= parts + 24, "{name}: {whole} bytes for {parts}");
    }
    check::<TokioClock, Op>("tokio");
    check::<TokioClock, Eight>("tokio");
    check::<SmolClock, Eight>("smol");
    check::<EmbassyClock, Eight>("embassy");
    assert_eq!(size_of::<<EmbassyClock as Clock>::Sleep>(), 8);
    assert!(size_of::<Alarm<<EmbassyClock as Clock>::Sleep>>() <= 24);
}

#[test]
fn a_call_of_a_policy_costs_what_its_docs_say() {
    let call = RETRY.run(|| ready(Ok::<u32, u32>(1)));
    let parts = size_of::<Op>() + size_of::<<TokioClock as Clock>::Sleep>();
    assert!(size_of_val(&call) <= parts + 112, "{} bytes for {parts}", size_of_val(&call));
}

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

/// A panic in a caller's code leaves what is shared as it should be.
#[test]
fn a_panic_gives_back_what_was_taken() {
    fn check<F: Future>(call: impl FnOnce(Retry<'static, Sim>) -> F) {
        // A budget of its own for each world; it outlives the policy that refers to it.
        let budget: &'static RetryBudget<Sim> = Box::leak(Box::new(RetryBudget::new(10)));
        let call = call(Retry::standard(budget));
        let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| drop(aplomb_sim::block_on(call))));
        assert!(panicked.is_err());
        assert_eq!(budget.available(), 10);
    }
    let fails = || ready(Err::<(), _>(()));
    check(|policy| async move { policy.run(|| -> Pending<Result<(), ()>> { panic!("operation") }).await });
    check(|policy| async move { policy.call(fails).retry_if(|()| panic!("predicate")).await });
    check(|policy| async move { policy.call(fails).notify(|_| panic!("observer")).await });
    check(|policy| async move { policy.call(fails).between(|_| -> Ready<()> { panic!("hook") }).await });
}

#[test]
fn futures_that_are_not_send_work_on_one_thread() {
    let shared = Rc::new(7);
    let got = aplomb_sim::block_on(Timeout::with_clock(SimClock, ms(5), async { Ok::<_, ()>(*shared) }));
    assert_eq!(got, Ok(7));
    let never = Timeout::at_with_clock(SimClock, Deadline::at(Instant::from_nanos(5)), pending::<Result<(), ()>>());
    assert_eq!(aplomb_sim::block_on(never), Err(TimeoutError::TimedOut { after: None }));
}

#[test]
fn what_must_not_compile_does_not() {
    trybuild::TestCases::new().compile_fail("ui/*.rs");
}
