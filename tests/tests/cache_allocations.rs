//! What a cache allocates: where it grows, and nowhere else.

mod counting;

use std::future::{Future, Ready, pending, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aplomb::key::FoldHash;
use aplomb::time::{ms, secs};
use aplomb::{Cache, Heap, Memoize, Platform};
use aplomb_sim::{Manual, ManualClock};
use counting::allocations;

fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

type Kept<'c, const SHARDS: usize = 1> = Cache<Manual<'c, 1>, u64, u64, u32, Heap, FoldHash, Heap, SHARDS>;

/// Reads of what is there and of what is not, waiting, handing over, invalidation, eviction, expiry.
#[test]
fn what_has_grown_allocates_nothing_any_more() {
    let clock = ManualClock::<1>::new();
    let cache: Kept<'_> = Cache::with_clock(&clock).capacity(100).ttl(secs(1)).stale_while_revalidate(secs(1));
    let use_it = |from: u64| {
        for key in from..from + 300 {
            assert_eq!(poll(cache.get(&key, || ready(Ok(key)))), Poll::Ready(Ok(key)));
            assert_eq!(poll(cache.get(&key, pending)), Poll::Ready(Ok(key)));
        }
        {
            let (mut first, mut second) = (pin!(cache.get(&0, pending)), pin!(cache.get(&0, || ready(Err(1)))));
            let cx = &mut Context::from_waker(Waker::noop());
            assert!(first.as_mut().poll(cx).is_pending() && second.as_mut().poll(cx).is_pending());
        }
        cache.clear();
        for key in 0..100 {
            cache.insert(key, key);
            cache.insert(key, key + 1);
        }
        assert_eq!(cache.iter().count(), 100);
        assert!((0..50).all(|key| cache.invalidate(&(2 * key)).is_some()));
        clock.advance(ms(1_500));
        let read = poll(cache.get_with_refresh(&1, || ready(Ok(7))));
        assert!(matches!(read, Poll::Ready(Ok(read)) if read.refresh.is_some()));
        assert_eq!(poll(cache.get(&3, pending)), Poll::Ready(Ok(4)));
        assert!(poll(cache.run(|key| ready(Ok(key)))).is_pending());
        assert_eq!(cache.peek(&3), Some(3));
        clock.advance(secs(9));
    };
    assert!(allocations(|| use_it(1_000)) > 0);
    assert_eq!(allocations(|| use_it(2_000)), 0);
}

/// What is due and nobody refreshes is queued again and again.
#[test]
fn without_a_refresher_the_queue_does_not_grow() {
    let clock = ManualClock::<1>::new();
    let cache: Kept<'_> = Cache::with_clock(&clock).capacity(8).ttl(secs(2)).refresh_ahead(secs(1));
    let use_it = |times: u32| {
        for _ in 0..times {
            for _ in 0..2 {
                for key in 0..8 {
                    assert_eq!(poll(cache.get(&key, || ready(Ok(key)))), Poll::Ready(Ok(key)));
                }
                clock.advance(secs(1));
            }
        }
    };
    use_it(2);
    assert_eq!(allocations(|| use_it(200)), 0);
}

#[test]
fn memoized_functions_allocate_no_more() {
    type Squares<P> = Memoize<P, fn(u64) -> Ready<Result<u64, u32>>, u64, u64, u32, Heap>;
    fn use_it<P: Platform>(squares: &Squares<P>) {
        for n in 0..100 {
            assert_eq!(poll(squares.call(&n)), Poll::Ready(Ok(n * n)));
            assert_eq!(poll(squares.call(&n)), Poll::Ready(Ok(n * n)));
        }
    }
    let squares: Squares<aplomb_tokio::Tokio> = Memoize::new((|n| ready(Ok(n * n))) as fn(u64) -> _).capacity(50);
    use_it(&squares);
    assert_eq!(allocations(|| use_it(&squares)), 0);
}
