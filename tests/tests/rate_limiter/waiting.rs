//! Waiters one by one: who is woken, who holds the timer, and what happens when somebody leaves between being woken and being polled.

use std::cell::Cell;
use std::future::{Future, IntoFuture};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use std::time::Duration;

use aplomb::rate_limiter::{FixedWindow, Rate, RateLimitError, RateLimiter, TokenBucket};
use aplomb::sync::LocalRawMutex;
use aplomb::time::{ms, secs};
use aplomb::{Deadline, Inline, Instant, ParentWaker, Platform};
use aplomb_sim::{ManualClock, Sim};

/// With a clock that is moved by hand.
struct ByHand;

impl Platform for ByHand {
    type Clock = &'static ManualClock<2>;
    type RawMutex = LocalRawMutex;
    type Word = aplomb::sync::NoWord;
    type Storage = Inline<8>;
    type Children = ParentWaker;

    fn random() -> u64 {
        0
    }
}

type Limiter = RateLimiter<ByHand>;

/// A permit each 100 ms, so many at once, and so many calls; with its clock, which stands at one second.
fn limiter(burst: u32, max_concurrent: u32) -> (&'static ManualClock<2>, Limiter) {
    let clock: &'static ManualClock<2> = Box::leak(Box::new(ManualClock::new()));
    clock.set(Instant::ORIGIN + secs(1));
    let bucket = TokenBucket::new(Rate::new(1, ms(100))).burst(burst);
    (clock, RateLimiter::with_clock(clock, bucket).max_concurrent(max_concurrent))
}

const ANY: u32 = u32::MAX;

/// A waker that counts.
#[derive(Default)]
struct Wakes(AtomicU32);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A caller, polled by hand.
struct Caller<F> {
    future: Pin<Box<F>>,
    wakes: Arc<Wakes>,
}

impl<F: Future> Caller<F> {
    fn new(future: F) -> Self {
        Self { future: Box::pin(future), wakes: Arc::default() }
    }

    fn poll(&mut self) -> Poll<F::Output> {
        self.future.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&self.wakes))))
    }

    /// One that has been polled, and waits.
    fn waits(future: F) -> Self {
        let mut caller = Self::new(future);
        assert!(caller.poll().is_pending());
        caller
    }

    /// How often it was woken since this was asked last.
    fn woken(&self) -> u32 {
        self.wakes.0.swap(0, Ordering::Relaxed)
    }
}

#[test]
fn a_head_that_was_woken_and_leaves_before_it_is_polled_hands_on() {
    let (clock, limiter) = limiter(1, ANY);
    let _spent = limiter.try_acquire(1).unwrap();
    let (head, mut next) = (Caller::waits(limiter.acquire(1)), Caller::waits(limiter.acquire(1)));
    clock.advance(ms(100));
    assert_eq!((head.woken(), next.woken()), (1, 0), "only the head has a timer");
    drop(head);
    assert_eq!(next.woken(), 1);
    assert!(next.poll().is_ready(), "the permit is still there");
    assert_eq!(limiter.snapshot().available, 0);
}

#[test]
fn whoever_leaves_the_head_the_middle_or_the_tail_makes_way() {
    for leaves in 0..3 {
        let (clock, limiter) = limiter(1, ANY);
        let _spent = limiter.try_acquire(1).unwrap();
        let mut callers: Vec<_> = (0..3).map(|_| Caller::waits(limiter.acquire(1))).collect();
        drop(callers.remove(leaves));
        assert_eq!(callers[0].woken(), u32::from(leaves == 0), "who is first now has to look");
        assert_eq!(limiter.snapshot().waiting, 2);
        for caller in &mut callers {
            let _when_it_became_the_first = caller.woken();
            assert!(caller.poll().is_pending());
            assert_eq!(clock.pending(), 1, "only the head has a timer");
            clock.advance(ms(100));
            assert_eq!(caller.woken(), 1);
            assert!(caller.poll().is_ready());
        }
        assert_eq!((limiter.snapshot().waiting, clock.pending()), (0, 0));
    }
}

#[test]
fn whoever_has_its_permits_wakes_the_next() {
    let (clock, limiter) = limiter(2, ANY);
    let _spent = limiter.try_acquire(2).unwrap();
    let (mut head, mut next) = (Caller::waits(limiter.acquire(1)), Caller::waits(limiter.acquire(1)));
    clock.advance(ms(200));
    assert!(head.poll().is_ready());
    assert_eq!(next.woken(), 1);
    assert!(next.poll().is_ready(), "at the same instant");
    assert_eq!(clock.next_deadline(), None, "no timer is left");
}

#[test]
fn a_call_that_ends_wakes_only_whoever_waits_for_that() {
    let (_, limiter) = limiter(3, 2);
    let [first, second] = [(); 2].map(|()| limiter.try_acquire(1).unwrap());
    let mut waits = Caller::waits(limiter.acquire(1));
    drop(first);
    assert_eq!(waits.woken(), 1);
    let Poll::Ready(Ok(third)) = waits.poll() else { panic!("a place is free") };
    let [mut large, mut small] = [3, 1].map(|n| Caller::waits(limiter.acquire(n)));
    drop(second);
    assert_eq!((large.woken(), small.woken()), (1, 0), "it waited for a place as well");
    assert!(large.poll().is_pending());
    drop(third);
    assert_eq!((large.woken(), small.woken()), (0, 0), "its permits are not there, whoever ends");
    drop(large);
    assert!(small.poll().is_pending());
}

#[test]
fn whoever_waits_for_a_place_and_leaves_hands_it_on() {
    for polled in [false, true] {
        let (_, limiter) = limiter(9, 1);
        let runs = limiter.try_acquire(1).unwrap();
        let [mut head, mut next] = [(); 2].map(|()| Caller::waits(limiter.acquire(1)));
        drop(runs);
        assert_eq!((head.woken(), next.woken()), (1, 0));
        let permit = polled.then(|| head.poll());
        assert!(next.poll().is_pending(), "nobody overtakes, woken or not");
        assert_eq!(next.woken(), u32::from(polled), "who is first now looks");
        drop((head, permit));
        assert_eq!(next.woken(), 1);
        assert!(next.poll().is_ready());
        assert_eq!(limiter.snapshot().available, if polled { 6 } else { 7 }, "who left took nothing");
    }
}

#[test]
fn only_the_last_waker_is_woken() {
    let (_, limiter) = limiter(9, 1);
    let runs = limiter.try_acquire(1).unwrap();
    let mut waits = Caller::waits(limiter.acquire(1));
    let before = std::mem::take(&mut waits.wakes);
    assert!(waits.poll().is_pending());
    drop(runs);
    assert_eq!((before.0.load(Ordering::Relaxed), waits.woken()), (0, 1));
}

#[test]
fn a_queue_of_eight_is_full_with_eight() {
    let (_, limiter) = limiter(1, ANY);
    let _spent = limiter.try_acquire(1).unwrap();
    let mut waiting: Vec<_> = (0..8).map(|_| Caller::waits(limiter.acquire(1))).collect();
    let refused = Caller::new(limiter.acquire(1)).poll();
    assert!(matches!(refused, Poll::Ready(Err(RateLimitError::QueueFull { waiting: 8, .. }))));
    assert!(matches!(limiter.reserve(1), Err(RateLimitError::QueueFull { waiting: 8, .. })));
    drop(waiting.swap_remove(4));
    waiting.push(Caller::waits(limiter.acquire(1)));
}

#[test]
fn a_clock_that_is_set_back_is_no_time() {
    let (clock, limiter) = limiter(1, ANY);
    let _spent = limiter.try_acquire(1).unwrap();
    clock.advance(ms(40));
    assert_eq!(limiter.try_acquire(1).unwrap_err().retry_after(), Some(ms(60)));
    clock.set(Instant::ORIGIN + ms(10));
    assert_eq!(limiter.try_acquire(1).unwrap_err().retry_after(), Some(ms(60)), "as before");
    let mut waits = Caller::waits(limiter.acquire(1));
    assert_eq!(clock.next_deadline(), Some(Instant::ORIGIN + ms(70)), "on the clock as it is now");
    clock.advance(ms(60));
    assert_eq!(waits.woken(), 1);
    assert!(waits.poll().is_ready());
}

#[test]
fn whoever_waits_when_the_clock_is_set_back_learns_of_it_when_polled() {
    let (clock, limiter) = limiter(1, ANY);
    let _spent = limiter.try_acquire(1).unwrap();
    let mut waits = Caller::waits(limiter.acquire(1));
    clock.set(Instant::ORIGIN + ms(500));
    assert!(waits.poll().is_pending());
    assert_eq!(clock.next_deadline(), Some(Instant::ORIGIN + ms(600)));
}

#[test]
fn a_reservation_is_given_back_by_whoever_drops_it_in_time() {
    let (clock, limiter) = limiter(1, ANY);
    let _spent = limiter.try_acquire(1).unwrap();
    let first = limiter.reserve(1).unwrap();
    let mut waits = Caller::waits(limiter.acquire(1));
    let last = limiter.reserve(1).unwrap();
    assert_eq!([first.delay(), last.delay()], [ms(100), ms(300)]);
    drop(first);
    assert_eq!(waits.woken(), 1, "it comes sooner");
    assert!(waits.poll().is_pending());
    clock.advance(ms(100));
    assert!(waits.poll().is_ready());
    assert_eq!(last.delay(), ms(200), "an instant that was told stays");
    let mut last = Caller::waits(last.into_future());
    clock.advance(ms(200));
    assert_eq!(last.woken(), 1);
    assert!(last.poll().is_ready());
    assert_eq!(limiter.snapshot().waiting, 0);
}

#[test]
fn a_deadline_is_kept_by_a_head_that_waits_for_a_place() {
    let (clock, limiter) = limiter(9, 1);
    let runs = limiter.try_acquire(1).unwrap();
    let deadline = Deadline::after(clock.now(), ms(50));
    let [mut head, mut next] = [(); 2].map(|()| Caller::waits(limiter.acquire_by(1, deadline)));
    assert_eq!(clock.pending(), 2, "each has one for its deadline");
    clock.advance(ms(50));
    assert!(matches!(head.poll(), Poll::Ready(Err(RateLimitError::Deadline { retry_after: None }))));
    assert!(matches!(next.poll(), Poll::Ready(Err(RateLimitError::Deadline { retry_after: None }))));
    drop(runs);
    assert!(limiter.try_acquire(8).is_ok());
}

/// Calls back into the limiter when it is woken, and when it is dropped.
struct Reentrant(&'static RateLimiter<Sim>);

impl Wake for Reentrant {
    fn wake(self: Arc<Self>) {
        let _unlocked = self.0.snapshot();
    }
}

impl Drop for Reentrant {
    fn drop(&mut self) {
        drop(self.0.try_acquire(1));
    }
}

#[test]
fn wakers_run_outside_the_lock() {
    static LIMITER: RateLimiter<Sim> = RateLimiter::new(Rate::per_second(9)).max_concurrent(1);
    let runs = LIMITER.try_acquire(1).unwrap();
    let mut waits = Box::pin(LIMITER.acquire(1));
    for _ in 0..2 {
        // The second replaces the first, which is dropped.
        let waker = Waker::from(Arc::new(Reentrant(&LIMITER)));
        assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(runs);
    drop(waits);
    assert_eq!(LIMITER.snapshot().waiting, 0);
}

#[test]
fn a_panic_in_a_waker_leaves_it_usable() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("in a waker");
        }
    }
    let (_, limiter) = limiter(9, 1);
    let runs = limiter.try_acquire(1).unwrap();
    let mut head = Box::pin(limiter.acquire(1));
    let waker = Waker::from(Arc::new(Panics));
    assert!(head.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let mut next = Caller::waits(limiter.acquire(1));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(runs))).is_err());
    drop(head);
    assert_eq!(next.woken(), 1);
    assert!(next.poll().is_ready());
}

#[test]
fn a_panic_in_an_operation_leaves_its_place_and_spends_its_permit() {
    let (clock, limiter) = limiter(3, 1);
    let panics = Caller::new(limiter.run(async || -> Result<(), ()> { panic!("in an operation") }));
    let at_once = Caller::new(limiter.run(|| -> std::future::Ready<Result<(), ()>> { panic!("before it is one") }));
    let ends = Cell::new(false);
    let mut waits = Caller::new(limiter.run(async || {
        ends.set(true);
        Ok::<_, ()>(())
    }));
    for mut caller in [Box::new(panics) as Box<dyn PollOnce>, Box::new(at_once)] {
        assert!(catch_unwind(AssertUnwindSafe(|| caller.poll_once())).is_err());
        drop(caller);
        assert_eq!((limiter.snapshot().running, limiter.snapshot().waiting), (Some(0), 0));
    }
    assert_eq!(limiter.snapshot().available, 1);
    assert!(matches!(waits.poll(), Poll::Ready(Ok(()))));
    assert!(ends.get());
    clock.advance(ms(300));
    assert_eq!(limiter.snapshot().available, 3);
}

#[test]
fn a_burst_that_was_set_stays_at_a_new_rate() {
    let size = |limiter: &RateLimiter<Sim>| match limiter.try_acquire(u32::MAX) {
        Err(RateLimitError::TooManyPermits { most, .. }) => most,
        other => panic!("{other:?}"),
    };
    aplomb_sim::block_on(async {
        let limiter = RateLimiter::<Sim>::with_burst(Rate::per_second(10), 3);
        limiter.set_rate(Rate::per_second(100)).unwrap();
        assert_eq!(size(&limiter), 3);
        limiter.set_rate(TokenBucket::new(Rate::per_second(5))).unwrap();
        assert_eq!(size(&limiter), 3, "a bucket that says nothing of it either");
        limiter.set_rate(TokenBucket::new(Rate::per_second(5)).burst(9)).unwrap();
        assert_eq!(size(&limiter), 9);
        // So many would fill again after 146 years.
        limiter.set_rate(Rate::new(1, secs(4_000_000_000))).unwrap();
        assert_eq!(size(&limiter), 1, "as many as can be");
        let never = RateLimiter::<Sim>::with_burst(Rate::per_second(10), 100);
        never.set_rate(Rate::new(1, Duration::MAX)).unwrap();
        assert_eq!(size(&never), 1);
        let follows = RateLimiter::<Sim>::new(Rate::per_second(10));
        follows.set_rate(Rate::per_second(100)).unwrap();
        assert_eq!(size(&follows), 100, "one that never was set goes with the rate");
    });
}

#[test]
fn an_owned_permit_outlives_whoever_acquired_it() {
    let limiter = Arc::new(RateLimiter::<Sim>::new(Rate::per_second(10)).max_concurrent(1));
    aplomb_sim::block_on(async {
        let permit = RateLimiter::acquire_owned(Arc::clone(&limiter), 2).await.unwrap();
        assert_eq!((permit.count(), Arc::strong_count(&limiter)), (2, 2));
        assert!(RateLimiter::try_acquire_owned(Arc::clone(&limiter), 1).is_err());
        let mut waits = Caller::waits(RateLimiter::acquire_owned(Arc::clone(&limiter), 1));
        let mut leaves = Caller::waits(RateLimiter::acquire_owned(Arc::clone(&limiter), 1));
        aplomb_sim::spawn("call", async move { drop(permit) }).await.unwrap();
        assert_eq!(waits.woken(), 1);
        let next = waits.poll();
        assert!(next.is_ready() && leaves.poll().is_pending());
        drop((waits, leaves));
        drop(next);
        assert_eq!((limiter.snapshot().running, limiter.snapshot().waiting), (Some(0), 0));
        assert_eq!(Arc::strong_count(&limiter), 1);
    });
}

/// Callers of different operations.
trait PollOnce {
    fn poll_once(&mut self);
}

impl<F: Future> PollOnce for Caller<F> {
    fn poll_once(&mut self) {
        assert!(self.poll().is_pending());
    }
}

#[test]
fn after_its_end_it_is_pending_for_ever() {
    let (_, limiter) = limiter(3, ANY);
    let mut ended = Caller::new(limiter.acquire(1));
    assert!(ended.poll().is_ready());
    assert!(ended.poll().is_pending());
    let mut refused = Caller::new(limiter.acquire(4));
    assert!(matches!(refused.poll(), Poll::Ready(Err(RateLimitError::TooManyPermits { requested: 4, most: 3 }))));
    assert!(refused.poll().is_pending());
    assert_eq!(limiter.snapshot().available, 2);
}

#[test]
fn nothing_happens_before_the_first_poll() {
    let (_, limiter) = limiter(1, ANY);
    let (first, second) = (limiter.acquire(1), limiter.acquire(1));
    assert_eq!(limiter.snapshot().available, 1);
    assert!(pin!(second).poll(&mut Context::from_waker(Waker::noop())).is_ready(), "in the order of first polls");
    assert!(pin!(first).poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[test]
fn of_many_callers_each_is_polled_a_few_times() {
    aplomb_sim::block_on(async {
        let limiter = Rc::new(RateLimiter::<Sim, _>::with_clock(aplomb_sim::SimClock, FixedWindow::new(Rate::per_second(1))));
        let polls = Rc::new(Cell::new(0));
        for _ in 0..1_000 {
            let (limiter, polls) = (Rc::clone(&limiter), Rc::clone(&polls));
            aplomb_sim::spawn("caller", async move {
                let mut waits = pin!(limiter.acquire(1));
                let counted = std::future::poll_fn(|cx| {
                    polls.set(polls.get() + 1);
                    waits.as_mut().poll(cx)
                });
                drop(counted.await.unwrap());
            });
        }
        Sim.run_until_idle().await;
        assert_eq!(aplomb_sim::now(), Instant::ORIGIN + secs(999));
        assert!(polls.get() <= 3_000, "{}", polls.get());
    });
}

/// Whoever waits for more than there can be any more is told so at once, wherever in the queue, also while a call runs, and stands in nobody's way meanwhile.
#[test]
fn a_smaller_burst_tells_all_who_wait_for_more() {
    for max_concurrent in [ANY, 1] {
        let (clock, limiter) = limiter(9, max_concurrent);
        let runs = limiter.try_acquire(9).unwrap();
        let mut callers = [8, 1, 7, 2, 9].map(|n| Caller::waits(limiter.acquire(n)));
        limiter.set_rate(TokenBucket::new(Rate::new(1, ms(100))).burst(4)).unwrap();
        assert_eq!(limiter.reserve(1).unwrap().delay(), ms(400), "behind three that are waited for");
        assert_eq!(
            callers.each_ref().map(|caller| caller.wakes.0.load(Ordering::Relaxed)),
            [1, 1, 1, 0, 1],
            "and who is first now"
        );
        for (index, n) in [(0, 8), (2, 7), (4, 9)] {
            let told = RateLimitError::TooManyPermits { requested: n, most: 4 };
            assert!(matches!(callers[index].poll(), Poll::Ready(Err(error)) if error == told));
        }
        drop(runs);
        clock.advance(ms(600));
        assert!(callers[1].poll().is_ready());
        clock.advance(ms(200));
        assert!(callers[3].poll().is_ready());
        assert_eq!(limiter.snapshot().waiting, 0);
    }
}

#[test]
fn where_a_call_has_to_end_first_nobody_is_told_when() {
    let (clock, limiter) = limiter(9, 1);
    let runs = limiter.try_acquire(1).unwrap();
    let mut waits = Caller::waits(limiter.acquire(1));
    assert_eq!(limiter.try_acquire(1).unwrap_err().retry_after(), None);
    drop(runs);
    let _runs = waits.poll();
    clock.advance(ms(1_000));
    assert_eq!(limiter.try_acquire(1).unwrap_err().retry_after(), None);
}
