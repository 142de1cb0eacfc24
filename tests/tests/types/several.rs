//! Of what lets so many in and no more.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use aplomb::adaptive_limit::{self, Aimd, Gradient, IgnoreErrors, Sample, Vegas, Verdict};
use aplomb::bulkhead::{self, Snapshot};
use aplomb::children::{FutureGroup, Turn};
use aplomb::key::FoldHash;
use aplomb::observe::Silent;
use aplomb::rate_limiter::{
    self, FixedWindow, KeyedRateLimiter, Rate, RateLimitError, RateLimitStream, RateLimiter, Refused, SlidingCounter,
    SlidingWindow, TokenBucket,
};
use aplomb::single_flight::{self, Restarts, Survives};
use aplomb::sync::Permit;
use aplomb::{
    AdaptiveLimit, Bulkhead, BulkheadError, FlightError, Heap, Inline, JobSet, LimitError, OwnWakers, ParallelError, ParentWaker,
    Platform, Pool, PoolError, SingleFlight, parallel, pool,
};
use aplomb_embassy::Embassy;
use aplomb_sim::Sim;
use aplomb_smol::Smol;
use aplomb_tokio::Tokio;

use crate::{Eight, Items, Lacks, Local, LocalItems, ManualFour, Op, Pinned, Start};

type Limiter<P> = RateLimiter<P>;
type Keyed<P> = KeyedRateLimiter<P, String, TokenBucket, Heap, FoldHash, 8>;
type Limited<L, F> = rate_limiter::Run<&'static L, (), Start<F>, F>;

#[test]
fn rate_limiters() {
    types! {
        Limiter<Tokio>: "Send Sync Unpin",
        Limiter<Smol>: "Send Sync Unpin",
        Limiter<Embassy>: "Send Sync Unpin",
        Limiter<Sim>: "Send Sync Unpin",
        Limiter<ManualFour>: "Unpin",
        RateLimiter<Embassy, FixedWindow, Inline<4>>: "Send Sync Unpin",
        RateLimiter<Tokio, SlidingWindow<Heap>>: "Send Sync Unpin",
        Keyed<Tokio>: "Send Sync Unpin",
        Keyed<Smol>: "Send Sync Unpin",
        rate_limiter::Acquire<&'static Limiter<Tokio>, ()>: "Send Sync",
        rate_limiter::Acquire<&'static Limiter<Embassy>, ()>: "Send Sync Unpin",
        rate_limiter::Acquire<&'static Keyed<Tokio>, &'static str>: "Send Sync",
        Limited<Limiter<Tokio>, Op>: "Send Sync",
        Limited<Limiter<Embassy>, Op>: "Send Sync Unpin",
        Limited<Limiter<Tokio>, Local>: "",
        rate_limiter::Permit<&'static Limiter<Tokio>>: "Send Sync Unpin",
        rate_limiter::Permit<Arc<Limiter<Tokio>>>: "Send Sync Unpin",
        rate_limiter::Permit<Rc<Limiter<Tokio>>>: "Unpin",
        rate_limiter::Acquire<Arc<Limiter<Tokio>>, ()>: "Send Sync",
        rate_limiter::Reservation<&'static Limiter<Tokio>>: "Send Sync Unpin",
        rate_limiter::Reservation<Arc<Limiter<Tokio>>>: "Send Sync Unpin",
        rate_limiter::Reservation<Rc<Limiter<Tokio>>>: "Unpin",
        rate_limiter::Reserved<&'static Limiter<Tokio>>: "Send Sync",
        rate_limiter::Reserved<Arc<Limiter<Tokio>>>: "Send Sync",
        RateLimitStream<&'static Limiter<Tokio>, Items>: "Send Sync",
        RateLimitStream<Arc<Limiter<Tokio>>, Items>: "Send Sync",
        Rate: "Send Sync Unpin Copy",
        TokenBucket: "Send Sync Unpin Copy",
        SlidingCounter: "Send Sync Unpin Copy",
        Refused: "Send Sync Unpin Copy",
        rate_limiter::Snapshot: "Send Sync Unpin Copy",
        RateLimitError<u32>: "Send Sync Unpin Copy",
        RateLimitError<Rc<u32>>: "Unpin",
    }
}

type Through<P, F> = parallel::Parallel<P, parallel::Items<Range<u32>>, fn(u32) -> F, F>;
type ThroughStream<P, S, F> = parallel::Parallel<P, S, fn(u32) -> F, F>;
type Together<P, F> = parallel::Run<P, parallel::Items<Range<u32>>, fn(u32) -> F, F, parallel::FailFast, Silent, Heap, Heap>;
type InPlace<F, const N: usize> = parallel::Run<
    Embassy,
    parallel::Items<std::array::IntoIter<u32, 4>>,
    fn(u32) -> F,
    F,
    parallel::FailFast,
    Silent,
    Inline<N>,
    parallel::Array<4>,
>;

#[test]
fn parallel_and_groups() {
    types! {
        Through<Tokio, Op>: "Send Sync Unpin",
        Through<Smol, Op>: "Send Sync Unpin",
        Through<Sim, Op>: "Send Sync Unpin",
        Through<Embassy, Op>: "Send Sync Unpin",
        Through<Tokio, Local>: "Unpin",
        Through<Embassy, Pinned>: "Send Sync",
        ThroughStream<Tokio, Items, Op>: "Send Sync Unpin",
        ThroughStream<Tokio, LocalItems, Op>: "Unpin",
        Together<Tokio, Op>: "Send Sync Unpin",
        Together<Embassy, Op>: "Send Sync Unpin",
        Together<Tokio, Local>: "Unpin",
        InPlace<Op, 2>: "Send Sync Unpin",
        InPlace<Local, 2>: "Unpin",
        ParallelError<u32>: "Send Sync Unpin Copy",
        parallel::Progress: "Send Sync Unpin Copy",
        FutureGroup<Op, u32, OwnWakers<<Tokio as Platform>::RawMutex>, Heap>: "Send Sync Unpin",
        FutureGroup<Local, u32, ParentWaker, Inline<2>>: "Unpin",
        Turn: "Send Sync Unpin",
    }
}

pub(crate) type Guarded<P, F> = bulkhead::Run<&'static Bulkhead<P>, Start<F>, F>;

#[test]
fn bulkheads() {
    types! {
        Bulkhead<Tokio>: "Send Sync Unpin",
        Bulkhead<Smol>: "Send Sync Unpin",
        Bulkhead<Embassy>: "Send Sync Unpin",
        Bulkhead<Embassy, Inline<4>>: "Send Sync Unpin",
        Bulkhead<Sim>: "Send Sync Unpin",
        Bulkhead<ManualFour>: "Unpin",
        bulkhead::Acquire<&'static Bulkhead<Tokio>>: "Send Sync",
        bulkhead::Acquire<Arc<Bulkhead<Tokio>>>: "Send Sync",
        bulkhead::Acquire<&'static Bulkhead<Embassy>>: "Send Sync Unpin",
        Permit<Arc<Bulkhead<Tokio>>>: "Send Sync Unpin",
        Guarded<Tokio, Op>: "Send Sync",
        Guarded<Smol, Op>: "Send Sync Unpin",
        Guarded<Embassy, Op>: "Send Sync Unpin",
        Guarded<Sim, Op>: "Send Sync Unpin",
        Guarded<Tokio, Local>: "",
        Guarded<Embassy, Local>: "Unpin",
        Snapshot: "Send Sync Unpin Copy",
        BulkheadError<u32>: "Send Sync Unpin Copy",
        BulkheadError<Rc<u32>>: "Unpin",
    }
}

pub(crate) type Adapted<P, F> = adaptive_limit::Run<&'static AdaptiveLimit<P>, Start<F>, F>;

#[test]
fn adaptive_limits() {
    types! {
        AdaptiveLimit<Tokio>: "Send Sync Unpin",
        AdaptiveLimit<Smol, Vegas>: "Send Sync Unpin",
        AdaptiveLimit<Embassy, Aimd, IgnoreErrors, Inline<4>>: "Send Sync Unpin",
        AdaptiveLimit<Sim>: "Send Sync Unpin",
        AdaptiveLimit<ManualFour>: "Unpin",
        adaptive_limit::Acquire<&'static AdaptiveLimit<Tokio>>: "Send Sync",
        adaptive_limit::Acquire<Arc<AdaptiveLimit<Tokio>>>: "Send Sync",
        adaptive_limit::Acquire<&'static AdaptiveLimit<Embassy>>: "Send Sync Unpin",
        adaptive_limit::Permit<Arc<AdaptiveLimit<Tokio>>>: "Send Sync Unpin",
        Adapted<Tokio, Op>: "Send Sync",
        Adapted<Smol, Op>: "Send Sync Unpin",
        Adapted<Embassy, Op>: "Send Sync Unpin",
        Adapted<Tokio, Local>: "",
        Adapted<Embassy, Local>: "Unpin",
        Aimd: "Send Sync Unpin Copy",
        Gradient: "Send Sync Unpin Copy",
        Vegas: "Send Sync Unpin Copy",
        Sample: "Send Sync Unpin Copy",
        Verdict: "Send Sync Unpin Copy",
        adaptive_limit::Snapshot: "Send Sync Unpin Copy",
        LimitError<u32>: "Send Sync Unpin Copy",
        LimitError<Rc<u32>>: "Unpin",
    }
}

type Flight<P, W = Restarts> = SingleFlight<P, u64, u32, u32, W>;
type Flying<P, F> = single_flight::Run<'static, 'static, Flight<P>, u64, Start<F>, F>;
type SurvivingRun<P, F> = single_flight::SurvivingRun<'static, 'static, Flight<P, Survives>, u64, Start<F>>;

#[test]
fn single_flights() {
    types! {
        Flight<Tokio>: "Send Sync Unpin",
        Flight<Smol>: "Send Sync Unpin",
        Flight<Embassy>: "Send Sync Unpin",
        Flight<Sim>: "Send Sync Unpin",
        Flight<ManualFour>: "Send Unpin",
        Flight<Tokio, Survives>: "Send Sync Unpin",
        Flight<Embassy, Survives>: "Send Sync Unpin",
        SingleFlight<Tokio, String, Arc<[u8]>, u32, Restarts, Heap, FoldHash, 8>: "Send Sync Unpin",
        SingleFlight<Embassy, u64, u32, u32, Restarts, Inline<4>>: "Send Sync Unpin",
        SingleFlight<Tokio, u64, Rc<u32>, u32>: "Unpin",
        Flying<Tokio, Op>: "Send Sync Unpin",
        Flying<Embassy, Op>: "Send Sync Unpin",
        Flying<Tokio, Local>: "Unpin",
        Flying<Tokio, Pinned>: "Send Sync",
        SurvivingRun<Tokio, Op>: "Send Unpin",
        single_flight::WithShared<Flying<Tokio, Op>>: "Send Sync Unpin",
        single_flight::Shared<Result<u32, u32>>: "Send Sync Unpin Copy",
        single_flight::Snapshot: "Send Sync Unpin Copy",
        FlightError<u32>: "Send Sync Unpin Copy",
        FlightError<Rc<u32>>: "Unpin",
    }
}

/// A value of eight bytes, and a key of as many.
#[test]
fn a_call_that_shares_its_run_is_its_operation_and_56_bytes() {
    type Large = [u64; 20];
    let (running, making) = (
        size_of::<single_flight::Run<'static, 'static, Flight<Tokio>, u64, (), Large>>(),
        size_of::<single_flight::Run<'static, 'static, Flight<Tokio>, u64, Large, ()>>(),
    );
    let [two, three] = [
        size_of::<SingleFlight<Embassy, u64, u32, u32, Restarts, Inline<2>>>(),
        size_of::<SingleFlight<Embassy, u64, u32, u32, Restarts, Inline<3>>>(),
    ];
    println!("a call: {running} and {making} bytes, {} that survives", size_of::<SurvivingRun<Tokio, Op>>());
    println!("a single flight: {} bytes on tokio, {two} with two places, {} each", size_of::<Flight<Tokio>>(), three - two);
    assert!(running <= size_of::<Large>() + 56 && making <= size_of::<Large>() + 56, "{running}, {making}");
    // A place is one in the list, one of a flight, and one of a waiter.
    assert!(three - two <= 80, "{}", three - two);
}

type Pooled<P, F> = pool::Run<&'static Pool<P>, Start<F>, F>;
type Collected<P, F> = pool::Results<'static, P, F, <P as Platform>::Storage>;

#[test]
fn pools() {
    types! {
        Pool<Tokio>: "Send Sync Unpin",
        Pool<Smol>: "Send Sync Unpin",
        Pool<Embassy>: "Send Sync Unpin",
        Pool<Embassy, Inline<4>>: "Send Sync Unpin",
        Pool<Sim>: "Send Sync Unpin",
        Pool<ManualFour>: "Send Unpin",
        Pooled<Tokio, Op>: "Send Sync Unpin",
        Pooled<Embassy, Op>: "Send Sync Unpin",
        Pooled<Tokio, Local>: "Unpin",
        pool::Run<Rc<Pool<Tokio>>, Start<Op>, Op>: "Unpin",
        pool::Drained<&'static Pool<Tokio>>: "Send Sync Unpin",
        pool::Spawned<aplomb_tokio::TokioTask<u32>, &'static Pool<Tokio>>: "Send Sync Unpin",
        pool::Spawned<aplomb_smol::SmolTask<u32>, Arc<Pool<Smol>>>: "Send Sync Unpin",
        pool::Spawned<aplomb_sim::SimTask<u32>, &'static Pool<Sim>>: "Unpin",
        pool::Snapshot: "Send Sync Unpin Copy",
        PoolError<u32>: "Send Sync Unpin Copy",
        JobSet<Tokio, Op>: "Send Sync Unpin",
        JobSet<Embassy, Op, Inline<4>>: "Send Sync Unpin",
        JobSet<Tokio, Local>: "Unpin",
        Collected<Tokio, Op>: "Send Sync Unpin",
        Collected<Embassy, Op>: "Send Sync Unpin",
        Collected<Tokio, Local>: "Unpin",
        pool::Rejected<Op>: "Send Sync Unpin",
    }
}

#[test]
fn a_job_in_a_pool_is_as_large_as_itself_and_40_bytes() {
    let (job, making) =
        (size_of::<pool::Run<&Pool<Tokio>, [u64; 20], Op>>(), size_of::<pool::Run<&Pool<Tokio>, (), [u64; 20]>>());
    println!(
        "a job: {job} and {making} bytes; a pool: {} on tokio, {} on embassy",
        size_of::<Pool<Tokio>>(),
        size_of::<Pool<Embassy>>()
    );
    assert!(job <= 160 + 40 && making <= 160 + 40);
    let (four, five) = (size_of::<Pool<Embassy, Inline<4>>>(), size_of::<Pool<Embassy, Inline<5>>>());
    assert_eq!(five - four, if cfg!(target_pointer_width = "64") { 40 } else { 28 });
}

/// A future has what its operation and its runtime's sleep have.
#[test]
fn parallel_in_place_is_its_operations_its_items_its_results_and_some_200_bytes() {
    let sizes = [size_of::<InPlace<Eight, 1>>(), size_of::<InPlace<Eight, 2>>(), size_of::<InPlace<Eight, 8>>()];
    println!("parallel in place: {sizes:?} bytes with 1, 2 and 8 places, {} on the heap", size_of::<Together<Tokio, Eight>>());
    // A place is an operation that may not be there, and whose it is.
    let place = size_of::<Option<Eight>>() + 16;
    assert_eq!([sizes[1] - sizes[0], sizes[2] - sizes[0]], [place, 7 * place]);
    let items = size_of::<std::array::IntoIter<u32, 4>>();
    let results = 4 * size_of::<u32>() + 4 * size_of::<Option<u32>>();
    assert!(sizes[0] <= place + items + results + 200, "{} bytes", sizes[0]);
    assert!(size_of::<Together<Tokio, Eight>>() <= 320);
}
