//! What the types promise: who may send, share, move and copy them, how large they are, and what does not compile.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::future::{Future, Ready, pending, ready};
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use aplomb::alarm::Alarm;
use aplomb::backoff::{Constant, Delays, Exponential, Fibonacci, Jitter, Linear, List, NoJitter};
use aplomb::bulkhead;
use aplomb::debounce::Debouncing;
use aplomb::edge::{self, Share, Stream, Trigger};
use aplomb::level::{Button, Contact, Edge, Gesture, GestureError, Gestures, LevelDebouncer};
use aplomb::observe::Silent;
use aplomb::retry::{Attempt, Cause, Charge, Event, Nothing, Plain, Policy, RetryAll, Run, StopReason};
use aplomb::sync::{Acquire, AcquireError, LocalRawMutex, MergeError, Permit, Semaphore, Shared, TryAcquireError, WaitList};
use aplomb::throttle::Throttling;
use aplomb::time::ms;
use aplomb::{
    AdaptiveLimit, Bulkhead, Clock, ConfigError, Deadline, Debounce, Heap, InfallibleFuture, Inline, Instant, OwnWakers,
    ParentWaker, Platform, PollError, Ratio, Retry, RetryBudget, RetryError, Throttle, Timeout, TimeoutError, WaterfallError,
    polling, waterfall,
};
use aplomb_embassy::{Embassy, EmbassyClock, EmbassySleep};
use aplomb_sim::{Manual, Sim, SimClock, SimSleep};
use aplomb_smol::{Smol, SmolClock, SmolSleep};
use aplomb_tokio::{Tokio, TokioClock, TokioSleep};
// A program has one time driver.
use embassy_host as _;
use futures_lite::stream::Pending;
use several::{Adapted, Guarded};

/// What any type has.
trait Lacks {
    const HAS: bool = false;
}

impl<T> Lacks for T {}

/// Whether a type has a trait, as a value: the constant of its own comes before that of a trait.
macro_rules! has {
    ($type:ty: $bound:path) => {{
        struct Asked<T>(std::marker::PhantomData<T>);
        #[allow(dead_code, reason = "not used where the type lacks it")]
        impl<T: $bound> Asked<T> {
            const HAS: bool = true;
        }
        <Asked<$type>>::HAS
    }};
}

/// A table of types, and all that they have of these four.
macro_rules! types {
    ($($type:ty: $expected:literal,)*) => {{
        let mut wrong = Vec::new();
        $(
            let has = [
                (has!($type: Send), "Send"),
                (has!($type: Sync), "Sync"),
                (has!($type: Unpin), "Unpin"),
                (has!($type: Copy), "Copy"),
            ];
            let has: Vec<&str> = has.iter().filter(|(has, _)| *has).map(|(_, name)| *name).collect();
            if has.join(" ") != $expected {
                wrong.push(format!("{} is {:?}, not {:?}", stringify!($type), has.join(" "), $expected));
            }
        )*
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }};
}
mod batchers;
mod breakers;
mod caches;
mod errors;
mod hedges;
mod several;

type Op = Ready<Result<u32, u32>>;

/// An operation that stays on its thread.
struct Local(#[expect(dead_code, reason = "it is what keeps it there")] Rc<()>);

impl Future for Local {
    type Output = Result<u32, u32>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Pending
    }
}

type ManualFour = Manual<'static, 4>;
type Call<P, F> = Run<&'static Policy<'static, P, Exponential>, RetryAll, Plain<fn() -> F>, Nothing>;
type OwnedCall<P, F> = Run<Policy<'static, P, Exponential>, RetryAll, Plain<fn() -> F>, Nothing>;

type Start<F> = fn() -> F;
type Debounced<P, F> = edge::Call<'static, P, Debouncing, Start<F>, F>;
type SharedBy<P, F> = edge::SharedCall<'static, P, Debouncing, Start<F>, F, Result<u32, u32>, Heap>;
type Driven<P> = edge::Run<'static, P, Throttling, u32, fn(u32) -> Ready<()>, Ready<()>>;
type Items = Pending<u32>;
type Polled<P, F> = polling::Run<P, Start<F>, fn(&u32) -> bool, Constant, Silent, F, u32, u32>;
type FirstStep<F> = waterfall::After<waterfall::Fed<u32>, fn(u32) -> F, u32, F>;
type Chain<F> = waterfall::Run<waterfall::After<FirstStep<F>, fn(u32) -> F, u32, F>, u32, u32>;

/// An operation that stays in its place.
struct Pinned(PhantomPinned);

impl Future for Pinned {
    type Output = Result<u32, u32>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Pending
    }
}

/// A stream that stays on its thread.
struct LocalItems(#[expect(dead_code, reason = "it is what keeps it there")] Rc<()>);

impl Stream for LocalItems {
    type Item = u32;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u32>> {
        Poll::Pending
    }
}

#[test]
fn edges_polling_and_waterfalls() {
    types! {
        Debounce<Tokio>: "Send Sync Unpin",
        Debounce<Smol>: "Send Sync Unpin",
        Debounce<Embassy>: "Send Sync Unpin",
        Debounce<Sim>: "Send Sync Unpin",
        Debounce<ManualFour>: "Unpin",
        Debounce<Tokio, Share<Result<u32, u32>, Heap>>: "Send Sync Unpin",
        Debounce<Embassy, Share<Result<u32, u32>, Inline<4>>>: "Send Sync Unpin",
        Throttle<Tokio, Trigger<u32>>: "Send Sync Unpin",
        Throttle<Embassy, Trigger<u32>>: "Send Sync Unpin",
        Throttle<Tokio, Trigger<Rc<u32>>>: "Unpin",
        Debounced<Tokio, Op>: "Send Sync",
        Debounced<Smol, Op>: "Send Sync Unpin",
        Debounced<Embassy, Op>: "Send Sync Unpin",
        Debounced<Tokio, Local>: "",
        SharedBy<Tokio, Op>: "Send Sync",
        SharedBy<Tokio, Local>: "",
        Driven<Tokio>: "Send Sync",
        Driven<Embassy>: "Send Sync Unpin",
        edge::Next<'static, Tokio, Throttling, u32>: "Send Sync",
        edge::EdgeStream<Items, TokioClock>: "Send Sync",
        edge::EdgeStream<Items, EmbassyClock>: "Send Sync Unpin",
        edge::EdgeStream<LocalItems, TokioClock>: "",
        edge::PaceStream<Items, TokioClock>: "Send Sync",
        edge::Window: "Send Sync Unpin Copy",
        edge::Starting: "Send Sync Unpin Copy",
        edge::Terms: "Send Sync Unpin Copy",
        edge::EdgeError<u32>: "Send Sync Unpin Copy",
        edge::DriveError: "Send Sync Unpin Copy",
        Polled<Tokio, Op>: "Send Sync",
        Polled<Embassy, Op>: "Send Sync Unpin",
        Polled<Tokio, Local>: "",
        PollError<u32, u32>: "Send Sync Unpin Copy",
        Chain<Op>: "Send Sync",
        Chain<Local>: "",
        WaterfallError<u32>: "Send Sync Unpin Copy",
    }
}

#[test]
fn levels() {
    types! {
        LevelDebouncer: "Send Sync Unpin Copy",
        Gestures: "Send Sync Unpin Copy",
        Edge: "Send Sync Unpin Copy",
        Gesture: "Send Sync Unpin Copy",
        GestureError<u32>: "Send Sync Unpin Copy",
        Contact<TokioClock, u32>: "Send Sync Unpin",
        Button<TokioClock, u32>: "Send Sync Unpin",
        Button<EmbassyClock, Rc<u32>>: "Unpin",
    }
}

#[test]
fn policies_and_what_calls_share() {
    types! {
        Retry<'static, Tokio>: "Send Sync Unpin Copy",
        Retry<'static, Smol>: "Send Sync Unpin Copy",
        Retry<'static, Embassy>: "Send Sync Unpin Copy",
        Retry<'static, Sim>: "Send Sync Unpin Copy",
        Retry<'static, ManualFour>: "Unpin Copy",
        RetryBudget<Tokio>: "Send Sync Unpin",
        RetryBudget<Smol>: "Send Sync Unpin",
        RetryBudget<Embassy>: "Send Sync Unpin",
        RetryBudget<Sim>: "Send Sync Unpin",
        RetryBudget<ManualFour>: "Send Unpin",
        Charge<'static, Tokio>: "Send Sync Unpin",
        Semaphore<Tokio>: "Send Sync Unpin",
        Semaphore<Smol>: "Send Sync Unpin",
        Semaphore<Embassy>: "Send Sync Unpin",
        Semaphore<Embassy, Inline<4>>: "Send Sync Unpin",
        Semaphore<Sim>: "Send Sync Unpin",
        Semaphore<ManualFour>: "Send Unpin",
        Permit<&'static Semaphore<Tokio>>: "Send Sync Unpin",
        Permit<&'static Semaphore<ManualFour>>: "Unpin",
        Permit<Arc<Semaphore<Tokio>>>: "Send Sync Unpin",
        Permit<Rc<Semaphore<Tokio>>>: "Unpin",
        Acquire<&'static Semaphore<Tokio>>: "Send Sync Unpin",
        Acquire<&'static Semaphore<Embassy>>: "Send Sync Unpin",
        Acquire<Arc<Semaphore<Tokio>>>: "Send Sync Unpin",
        MergeError<Arc<Semaphore<Tokio>>>: "Send Sync Unpin",
        WaitList<u32, Inline<4>>: "Send Sync Unpin",
        WaitList<Rc<u32>, Heap>: "Unpin",
        Shared<LocalRawMutex, u32>: "Send Unpin",
        ParentWaker: "Send Sync Unpin",
        OwnWakers<<Tokio as Platform>::RawMutex>: "Send Sync Unpin",
    }
}

#[test]
fn futures() {
    types! {
        TokioSleep: "Send Sync",
        SmolSleep: "Send Sync Unpin",
        EmbassySleep: "Send Sync Unpin",
        SimSleep: "Send Sync Unpin",
        Timeout<Op, TokioClock>: "Send Sync",
        Timeout<Op, SmolClock>: "Send Sync Unpin",
        Timeout<Op, EmbassyClock>: "Send Sync Unpin",
        Timeout<Op, SimClock>: "Send Sync Unpin",
        Timeout<Local, TokioClock>: "",
        Timeout<Local, EmbassyClock>: "Unpin",
        Call<Tokio, Op>: "Send Sync",
        Call<Smol, Op>: "Send Sync Unpin",
        Call<Embassy, Op>: "Send Sync Unpin",
        Call<Sim, Op>: "Send Sync Unpin",
        Call<Tokio, Local>: "",
        Call<Embassy, Local>: "Unpin",
        Call<ManualFour, Op>: "Unpin",
        OwnedCall<Tokio, Op>: "Send Sync",
        OwnedCall<Tokio, Local>: "",
        InfallibleFuture<Op>: "Send Sync Unpin",
        InfallibleFuture<Local>: "Unpin",
    }
}

#[test]
fn plain_data() {
    types! {
        Instant: "Send Sync Unpin Copy",
        Deadline: "Send Sync Unpin Copy",
        Ratio: "Send Sync Unpin Copy",
        Jitter: "Send Sync Unpin Copy",
        NoJitter: "Send Sync Unpin Copy",
        Constant: "Send Sync Unpin Copy",
        Linear: "Send Sync Unpin Copy",
        Exponential: "Send Sync Unpin Copy",
        Fibonacci: "Send Sync Unpin Copy",
        List<'static>: "Send Sync Unpin Copy",
        Delays<Exponential>: "Send Sync Unpin",
        Attempt: "Send Sync Unpin Copy",
        Event<'static, u32>: "Send Sync Unpin",
        Cause<'static, Rc<u32>>: "Unpin Copy",
        StopReason: "Send Sync Unpin Copy",
        ConfigError: "Send Sync Unpin Copy",
        TimeoutError<u32>: "Send Sync Unpin Copy",
        RetryError<u32>: "Send Sync Unpin Copy",
        RetryError<Rc<u32>>: "Unpin",
        AcquireError: "Send Sync Unpin Copy",
        TryAcquireError: "Send Sync Unpin Copy",
    }
}

/// What is shared stands in a `static` on every platform; under a mocked clock that has an identity, where that is.
#[test]
fn statics() {
    fn check<P: Platform>(budget: &'static RetryBudget<P>, semaphore: &'static Semaphore<P>) {
        assert!(budget.withdraw().is_some() && semaphore.try_acquire(1).is_ok());
    }
    macro_rules! on {
        ($($platform:ty),*) => {{
            $({
                static BUDGET: RetryBudget<$platform> = RetryBudget::new(10);
                static SEMAPHORE: Semaphore<$platform> = Semaphore::new(1);
                static POLICY: Retry<'static, $platform> = Retry::standard(&BUDGET);
                check(&BUDGET, &SEMAPHORE);
                // Ready at once, it needs no runtime.
                let mut call = Box::pin(POLICY.run(|| ready(Ok::<u32, u32>(7))));
                assert_eq!(call.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())), Poll::Ready(Ok(7)));
            })*
        }};
    }
    on!(Tokio, Smol, Embassy, Sim);
}

struct Eight(#[expect(dead_code, reason = "it is there for its size")] u64);

impl Future for Eight {
    type Output = Result<u32, u32>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Pending
    }
}

#[test]
fn a_timeout_is_its_operation_its_sleep_and_at_most_24_bytes() {
    fn check<C: Clock, F: Future<Output = Result<u32, u32>>>(name: &str, most: usize) {
        let (whole, parts) = (size_of::<Timeout<F, C>>(), size_of::<F>() + size_of::<C::Sleep>());
        println!("timeout on {name}: {whole} bytes, of which {parts} are the operation and the sleep");
        assert!(whole <= parts + most, "{name}: {whole} bytes for {parts}");
    }
    check::<TokioClock, Op>("tokio", 24);
    check::<TokioClock, Eight>("tokio", 24);
    check::<SmolClock, Op>("smol", 24);
    check::<SmolClock, Eight>("smol", 24);
    check::<EmbassyClock, Op>("embassy", 24);
    check::<EmbassyClock, Eight>("embassy", 24);
    check::<SimClock, Op>("sim", 24);
    check::<SimClock, Eight>("sim", 32);
    assert_eq!(size_of::<EmbassySleep>(), 8);
    assert_eq!(size_of::<Alarm<EmbassySleep>>(), 16);
}

#[test]
fn a_call_of_a_policy_is_its_attempt_its_sleep_and_some_100_bytes() {
    fn check<P: Platform + 'static>(name: &str, most: usize) {
        let parts = size_of::<Op>() + size_of::<<P::Clock as Clock>::Sleep>();
        let (call, owned) = (size_of::<Call<P, Op>>(), size_of::<OwnedCall<P, Op>>());
        println!("call on {name}: {call} bytes, {owned} with its own policy, of which {parts} are attempt and sleep");
        // What is not the attempt or the sleep; an operation that is a pointer among it.
        assert!(call <= parts + most, "{name}: {call} bytes for {parts}");
        assert_eq!(owned, call + size_of::<Policy<'static, P, Exponential>>() - size_of::<usize>(), "{name}");
    }
    check::<Tokio>("tokio", 120);
    check::<Smol>("smol", 120);
    check::<Embassy>("embassy", 120);
    check::<Sim>("sim", 128);
}

#[test]
fn a_further_waiter_costs_32_bytes() {
    let (four, five) = (size_of::<Semaphore<Embassy, Inline<4>>>(), size_of::<Semaphore<Embassy, Inline<5>>>());
    println!("semaphore: {four} bytes with four places, {} on the heap", size_of::<Semaphore<Tokio>>());
    assert_eq!(five - four, if cfg!(target_pointer_width = "64") { 32 } else { 24 });
}

/// While it waits it is its sleep and 40 bytes, and while it runs its operation and 24.
#[test]
fn a_call_through_a_bulkhead_is_as_large_as_the_larger_of_its_stages() {
    fn check<P: Platform + 'static>(name: &str, most: usize) {
        let sleep = size_of::<<P::Clock as Clock>::Sleep>();
        let (acquire, run) = (size_of::<bulkhead::Acquire<&Bulkhead<P>>>(), size_of::<Guarded<P, Op>>());
        println!("bulkhead on {name}: acquire {acquire}, run {run}, sleep {sleep}, bulkhead {}", size_of::<Bulkhead<P>>());
        assert!(run <= sleep + most, "{name}: {run} bytes for a sleep of {sleep}");
        let large = size_of::<bulkhead::Run<&'static Bulkhead<P>, Start<Large>, Large>>();
        assert!(large <= size_of::<Large>() + 24, "{name}: {large} bytes for an operation of {}", size_of::<Large>());
    }
    check::<Tokio>("tokio", 40);
    check::<Smol>("smol", 40);
    check::<Embassy>("embassy", 40);
    check::<Sim>("sim", 48);
}

/// While it waits it is its sleep and some 50 bytes, and while it runs its operation and 40.
#[test]
fn a_call_through_an_adaptive_limit_is_as_large_as_the_larger_of_its_stages() {
    fn check<P: Platform + 'static>(name: &str, most: usize) {
        let sleep = size_of::<<P::Clock as Clock>::Sleep>();
        let (run, limit) = (size_of::<Adapted<P, Op>>(), size_of::<AdaptiveLimit<P>>());
        println!("adaptive limit on {name}: run {run}, sleep {sleep}, limit {limit}");
        assert!(run <= sleep + most, "{name}: {run} bytes for a sleep of {sleep}");
        let large = size_of::<Adapted<P, Large>>();
        assert!(large <= size_of::<Large>() + 40, "{name}: {large} bytes for an operation of {}", size_of::<Large>());
    }
    check::<Tokio>("tokio", 56);
    check::<Smol>("smol", 56);
    check::<Embassy>("embassy", 56);
    check::<Sim>("sim", 64);
}

struct Large(#[expect(dead_code, reason = "it is there for its size")] [u64; 64]);

impl Future for Large {
    type Output = Result<u32, u32>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Pending
    }
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
