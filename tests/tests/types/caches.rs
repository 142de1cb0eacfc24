//! Of what keeps values by key.

use std::convert::Infallible;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use aplomb::cache::{Cache, Event, Get, GetWithRefresh, Iter, Refresh, Refresher, Removal, Snapshot};
use aplomb::key::FoldHash;
use aplomb::memoize::{Call, Memoize};
use aplomb::observe::Silent;
use aplomb::single_flight::WithDeadline;
use aplomb::{FlightError, Heap, Inline, Platform, Storage};
use aplomb_embassy::{Embassy, EmbassySleep};
use aplomb_sim::Sim;
use aplomb_smol::Smol;
use aplomb_tokio::{Tokio, TokioSleep};

use crate::{Lacks, Local, ManualFour, Op, Start};

type Kept<P, V = u32> = Cache<P, u32, V, u32>;
type Sharded<P> = Cache<P, String, u32, u32, Heap, FoldHash, Heap, 8>;
type InPlace<P, S = Inline<4>> = Cache<P, u32, u32, u32, S, FoldHash, Inline<2>>;
type Getting<P, F> = Get<'static, 'static, Kept<P>, u32, Start<F>, F>;
type Reading<P, F> = GetWithRefresh<'static, 'static, Kept<P>, u32, Start<F>, F>;
type Refreshing<P, F> = Refresh<'static, Kept<P>, Start<F>, F>;
type Running<P, F> = Refresher<'static, Kept<P>, fn(u32) -> F, F>;
type Function<P, F = Op> = Memoize<P, fn(u32) -> F, u32, u32, u32>;
type Calling<P, F> = Call<'static, 'static, fn(u32) -> F, Kept<P>, u32, F>;
type Through<P> = Iter<'static, P, u32, u32, u32, Heap, FoldHash, Heap, 1, Silent>;

#[test]
fn caches_and_memoized_functions() {
    types! {
        Kept<Tokio>: "Send Sync Unpin",
        Kept<Smol>: "Send Sync Unpin",
        Kept<Embassy>: "Send Sync Unpin",
        Kept<Sim>: "Send Sync Unpin",
        Kept<ManualFour>: "Unpin",
        Kept<Tokio, Rc<u32>>: "Unpin",
        Sharded<Tokio>: "Send Sync Unpin",
        InPlace<Embassy>: "Send Sync Unpin",
        Getting<Tokio, Op>: "Send Sync Unpin",
        Getting<Embassy, Op>: "Send Sync Unpin",
        Getting<Tokio, Local>: "Unpin",
        Reading<Tokio, Op>: "Send Sync Unpin",
        Reading<Tokio, Local>: "Unpin",
        WithDeadline<Getting<Embassy, Op>, EmbassySleep>: "Send Sync Unpin",
        WithDeadline<Getting<Tokio, Local>, TokioSleep>: "",
        WithDeadline<Calling<Embassy, Op>, EmbassySleep>: "Send Sync Unpin",
        Refreshing<Tokio, Op>: "Send Sync Unpin",
        Refreshing<Tokio, Local>: "Unpin",
        Running<Tokio, Op>: "Send Sync Unpin",
        Running<Embassy, Op>: "Send Sync Unpin",
        Running<Tokio, Local>: "Unpin",
        Through<Tokio>: "Send Sync Unpin",
        Function<Tokio>: "Send Sync Unpin",
        Function<Embassy>: "Send Sync Unpin",
        Calling<Tokio, Op>: "Send Sync Unpin",
        Calling<Tokio, Local>: "Unpin",
        Snapshot: "Send Sync Unpin Copy",
        Event<'static, u32, u32>: "Send Sync Unpin Copy",
        Removal: "Send Sync Unpin Copy",
        FlightError<u32>: "Send Sync Unpin Copy",
        FlightError<Rc<u32>>: "Unpin",
    }
}

/// In place it stands in a `static`, which costs no flash; on the heap as well, and takes memory as entries come.
#[test]
fn in_statics() {
    fn check<P: Platform, S: Storage, F: Storage>(cache: &'static Cache<P, u32, u32, u32, S, FoldHash, F>, capacity: usize) {
        for key in 0..20 {
            let mut get = Box::pin(cache.get(&key, || std::future::ready(Ok(key + 1))));
            assert_eq!(get.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(key + 1)));
            assert!(cache.len() <= capacity && cache.peek(&key) == Some(key + 1));
        }
    }
    macro_rules! on {
        ($($platform:ty),*) => {{
            $({
                static IN_PLACE: InPlace<$platform> = Cache::new().storage().flight_storage();
                static SMALLER: InPlace<$platform> = Cache::new().storage().flight_storage().capacity(3);
                static ON_THE_HEAP: InPlace<$platform, Heap> = Cache::new().storage().flight_storage().capacity(5);
                check(&IN_PLACE, 4);
                check(&SMALLER, 3);
                check(&ON_THE_HEAP, 5);
            })*
        }};
    }
    on!(Tokio, Smol, Embassy, Sim);
    let refused = Cache::<Embassy, u32, u32, u32>::new()
        .storage::<Inline<4>>()
        .flight_storage::<Inline<2>>()
        .capacity(5)
        .check()
        .unwrap_err();
    assert_eq!(refused.to_string(), "capacity is 5, must be from 1 to 4");
}

/// What an entry takes in place, beside its key and its value; and what a fetch that can fail adds.
#[test]
fn an_entry_takes_as_much_as_it_says() {
    type Of<K, V, E, const N: usize> = Cache<Tokio, K, V, E, Inline<N>, FoldHash, Inline<2>>;
    fn beside<K, V, Small, Large>() -> usize {
        (size_of::<Large>() - size_of::<Small>()) / 1_000 - size_of::<K>() - size_of::<V>()
    }
    macro_rules! entry {
        ($key:ty, $value:ty, $error:ty) => {
            beside::<$key, $value, Of<$key, $value, $error, 1_000>, Of<$key, $value, $error, 2_000>>()
        };
    }
    assert_eq!([entry!(u64, u64, Infallible), entry!(u32, u32, Infallible), entry!(String, String, Infallible)], [24; 3]);
    // A value in which there is room for it takes no more.
    assert_eq!([entry!(u64, u64, u16), entry!(u64, u64, &str), entry!(u64, String, u16)], [32, 32, 24]);
}

/// What a call holds beside its operation.
#[test]
fn calls_of_a_cache_are_small() {
    let sizes = [size_of::<Getting<Tokio, Op>>(), size_of::<Calling<Tokio, Op>>(), size_of::<Running<Tokio, Op>>()];
    println!(
        "a get, a call of a memoized function, a refresher: {sizes:?} bytes, of which {} are the operation",
        size_of::<Op>()
    );
    assert!(sizes.iter().all(|size| *size <= 120 + size_of::<Op>()), "{sizes:?}");
}
