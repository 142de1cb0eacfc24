//! Who does not wait any longer: what it ends with, and what becomes of its fetch.

use std::cell::Cell;
use std::future::{Future, pending};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use aplomb::time::{ms, secs};
use aplomb::{Cache, Deadline, FlightError, SingleFlight};
use aplomb_sim::prelude::{deadline, memoize};
use aplomb_sim::{Sim, block_on, sleep};
use futures_lite::future::{poll_once, zip};

type Kept = Cache<Sim, u32, u32, u32>;

async fn after(takes: u64, value: u32) -> Result<u32, u32> {
    sleep(ms(takes)).await;
    Ok(value)
}

#[test]
fn a_deadline_is_its_callers_alone() {
    block_on(async {
        let cache = Kept::new();
        let get = |takes, value| cache.get(&1, move || after(takes, value));
        // One who fetches leaves: the one that waits starts its own.
        let (hurried, patient) = zip(get(80, 10).deadline_at(deadline(ms(50))), get(80, 11)).await;
        assert_eq!((hurried, patient), (Err(FlightError::Deadline), Ok(11)));
        assert_eq!(aplomb_sim::now().as_nanos(), 130_000_000);
        cache.clear();
        // One who waits leaves: the fetch goes on.
        let (patient, hurried) = zip(get(80, 12), get(80, 13).deadline_at(deadline(ms(50)))).await;
        assert_eq!((patient, hurried), (Ok(12), Err(FlightError::Deadline)));
        let told = cache.snapshot();
        assert_eq!((told.fetching, told.waiting, told.fetches), (0, 0, 2));
    });
}

#[test]
fn what_is_ready_at_the_deadline_is_in_time() {
    block_on(async {
        let cache = Kept::new();
        let by = deadline(ms(50));
        let (first, second) = zip(cache.get(&1, || after(50, 10)).deadline_at(by), cache.get(&1, pending).deadline_at(by)).await;
        assert_eq!((first, second), (Ok(10), Ok(10)));
        // It has passed: what is there is served, and what is not is not waited for.
        sleep(ms(1)).await;
        assert_eq!(cache.get(&1, pending).deadline_at(by).await, Ok(10));
        assert_eq!(cache.get(&2, || after(0, 20)).deadline_at(Deadline::NEVER).await, Ok(20));
        let late = cache.get(&3, || after(1, 30)).deadline_at(by).await;
        assert!(late.is_err_and(|error| error.is_timeout() && !error.is_rejected()));
        assert_eq!(cache.peek(&3), None);
    });
}

#[test]
fn what_is_past_its_end_answers_one_who_is_late() {
    block_on(async {
        let cache = Kept::new().ttl(secs(1)).stale_if_error(secs(9));
        cache.insert(1, 10);
        sleep(secs(2)).await;
        let (one, other) = zip(
            cache.get(&1, pending).deadline_at(deadline(ms(50))),
            cache.get_with_refresh(&1, pending).deadline_at(deadline(ms(60))),
        )
        .await;
        let other = other.unwrap();
        assert_eq!((one, other.value, other.refresh.is_some()), (Ok(10), 10, false));
        assert_eq!((cache.snapshot().stale_if_error, cache.snapshot().fetching), (2, 0));
        sleep(secs(8)).await;
        assert_eq!(cache.get(&1, pending).deadline_at(deadline(ms(50))).await, Err(FlightError::Deadline));
        assert_eq!(cache.snapshot().stale_if_error, 2);
    });
}

#[test]
fn whoever_is_late_has_dropped_its_fetch_and_tells_whether_it_shared() {
    block_on(async {
        let cache = Kept::new();
        let held = Rc::new(Cell::new(0));
        let fetch = || {
            let held = Rc::clone(&held);
            async move { pending::<Result<u32, u32>>().await.map(|value| value + held.get()) }
        };
        let mut late = Box::pin(cache.get(&1, fetch).deadline_at(deadline(ms(5))).with_shared());
        let ended = late.as_mut().await;
        assert_eq!((ended.result, ended.is_shared), (Err(FlightError::Deadline), false));
        assert_eq!(Rc::strong_count(&held), 1, "though the call is kept");
        let again = late.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(again, Poll::Pending), "it has ended");
        let ask = || cache.get(&1, || after(5, 7)).deadline_at(deadline(ms(5))).with_shared();
        let (one, other) = zip(ask(), ask()).await;
        assert!(one.is_shared && other.is_shared && one.result == Ok(7));
    });
}

/// All hand over at the same instant; nothing can come of what they would start.
#[test]
fn who_comes_to_lead_at_its_deadline_starts_nothing() {
    async fn all_are_late<C, E: std::fmt::Debug>(starts: &Cell<u32>, ask: impl Fn() -> C)
    where
        C: Future<Output = Result<u32, FlightError<E>>>,
    {
        let mut calls: Vec<_> = (0..100).map(|_| Box::pin(ask())).collect();
        for call in &mut calls {
            assert!(poll_once(call.as_mut()).await.is_none());
        }
        for call in calls {
            assert!(call.await.is_err_and(|error| error.is_timeout()));
        }
        assert_eq!(starts.take(), 1);
    }
    block_on(async {
        let starts = Cell::new(0);
        let fetch = || {
            starts.set(starts.get() + 1);
            after(80, 7)
        };
        let (cache, flights, memoized) = (Kept::new(), SingleFlight::<Sim, u32, u32, u32>::new(), memoize(|_: u32| fetch()));
        all_are_late(&starts, || cache.get(&1, fetch).deadline_at(deadline(ms(50)))).await;
        let read = async |by| cache.get_with_refresh(&1, fetch).deadline_at(by).await.map(|read| read.value);
        all_are_late(&starts, || read(deadline(ms(50)))).await;
        all_are_late(&starts, || flights.run(&1, fetch).deadline_at(deadline(ms(50)))).await;
        all_are_late(&starts, || memoized.call(&1).deadline_at(deadline(ms(50)))).await;
        assert_eq!((cache.snapshot().fetching, flights.snapshot().flights), (0, 0));
    });
}

#[test]
fn calls_of_a_memoized_function_have_deadlines_too() {
    block_on(async {
        let slow = memoize(|n: u32| after(u64::from(n), 2 * n));
        assert_eq!(slow.call(&20).deadline_at(deadline(ms(10))).await, Err(FlightError::Deadline));
        assert_eq!(slow.call(&10).deadline_at(deadline(ms(10))).await, Ok(20));
        assert_eq!(slow.snapshot().fetching, 0);
    });
}

/// What may answer for a fetch that fails may answer for one that there is no room for, too.
#[test]
fn an_old_value_answers_where_there_is_no_room() {
    block_on(async {
        let built = || Cache::<Sim, u32, u32, &str>::new().ttl(secs(1)).stale_if_error(secs(9));
        // With another key under way, and with the same.
        for (cache, fetched) in [(built().max_fetches(1), 2), (built().max_waiting(0), 1)] {
            cache.insert(1, 10);
            sleep(secs(2)).await;
            let mut busy = Box::pin(cache.get(&fetched, pending::<Result<u32, &str>>));
            assert!(poll_once(busy.as_mut()).await.is_none());
            assert_eq!(cache.get(&1, pending::<Result<u32, &str>>).await, Ok(10));
            assert_eq!(cache.snapshot().stale_if_error, 1);
            if fetched == 2 {
                let refused = cache.get(&3, pending::<Result<u32, &str>>).await;
                assert_eq!(refused, Err(FlightError::Full { capacity: 1 }), "there is nothing to be served");
            }
        }
    });
}
