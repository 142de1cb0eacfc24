//! A rule that changes while callers wait: whoever can never have its permits is turned away for good, and nobody counts it any more.

use std::cell::Cell;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use aplomb::rate_limiter::{
    Acquire, Algorithm, FixedWindow, KeyedRateLimiter, Rate, RateLimitError, RateLimiter, SlidingCounter, SlidingWindow,
    TokenBucket,
};
use aplomb::storage::{CacheLines, Slots, Storage};
use aplomb::time::{ms, secs};
use aplomb::{Deadline, Heap, Inline, Instant};
use aplomb_sim::{Sim, SimClock};

type Limiter<A = TokenBucket, S = Heap> = RateLimiter<Sim, A, S>;

fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn waits<F: Future>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    assert!(poll(&mut future).is_pending());
    future
}

/// What it is told instead of having its permits.
fn told<F: Future<Output = Result<T, RateLimitError>>, T>(future: &mut Pin<Box<F>>) -> Option<RateLimitError> {
    match poll(future) {
        Poll::Ready(outcome) => outcome.err(),
        Poll::Pending => None,
    }
}

/// Ten a second, and bursts of so many.
fn bucket(burst: u32) -> TokenBucket {
    TokenBucket::new(Rate::per_second(10)).burst(burst)
}

const REFUSED: RateLimitError = RateLimitError::TooManyPermits { requested: 5, most: 4 };

#[test]
fn whoever_was_turned_away_is_so_when_the_burst_is_as_before() {
    aplomb_sim::block_on(async {
        let limiter = Limiter::with_burst(Rate::per_second(10), 10);
        limiter.try_acquire(10).unwrap();
        let (mut large, mut small) = (waits(limiter.acquire(5)), waits(limiter.acquire(2)));
        limiter.set_rate(bucket(4)).unwrap();
        limiter.set_rate(bucket(10)).unwrap();
        assert_eq!(limiter.snapshot().waiting, 1);
        assert_eq!(limiter.try_acquire(1).unwrap_err().retry_after(), Some(ms(300)), "behind the two of the other");
        let reserved = limiter.reserve(1).unwrap();
        assert_eq!(reserved.delay(), ms(300));
        assert_eq!(told(&mut large), Some(REFUSED), "also after what it waited for could be there");
        aplomb_sim::sleep(ms(200)).await;
        assert!(poll(&mut small).is_ready());
        reserved.await;
        assert_eq!((aplomb_sim::now(), limiter.snapshot().available), (Instant::ORIGIN + ms(300), 0));
    });
}

#[test]
fn so_it_is_with_a_key() {
    aplomb_sim::block_on(async {
        let limiter: KeyedRateLimiter<Sim, u32> = KeyedRateLimiter::with_burst(Rate::per_second(10), 10);
        limiter.try_acquire(&7, 10).unwrap();
        let mut large = waits(limiter.acquire(&7, 5));
        limiter.set_rate(bucket(4)).unwrap();
        limiter.set_rate(bucket(10)).unwrap();
        assert_eq!(limiter.try_acquire(&7, 1).unwrap_err().retry_after(), Some(ms(100)));
        aplomb_sim::sleep(secs(9)).await;
        assert!(!limiter.forget(&7), "somebody is still to be told");
        assert_eq!(told(&mut large), Some(REFUSED));
        assert!(limiter.forget(&7));
    });
}

/// Whoever is dropped instead of learning of it leaves nothing behind, be it before its waker was woken or after.
#[test]
fn one_that_leaves_before_it_has_learnt_of_it_frees_its_place() {
    type Call = Pin<Box<Acquire<&'static Limiter<TokenBucket, Inline<3>>, ()>>>;
    /// Drops a call, and frees its place, when it is woken.
    struct Drops(Mutex<Option<Call>>);
    impl Wake for Drops {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock().unwrap().take());
        }
    }
    aplomb_sim::block_on(async {
        let limiter = Box::leak(Box::new(Limiter::with_burst(Rate::per_second(10), 10).storage::<Inline<3>>()));
        limiter.try_acquire(10).unwrap();
        let drops = Arc::new(Drops(Mutex::new(None)));
        let mut first = Box::pin(limiter.acquire(5));
        let waker = Waker::from(Arc::clone(&drops));
        assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let (second, third) = (waits(limiter.acquire(6)), waits(limiter.acquire(7)));
        *drops.0.lock().unwrap() = Some(second);
        limiter.set_rate(bucket(4)).unwrap();
        drop((first, third));
        let all = [(); 3].map(|()| waits(limiter.acquire(1)));
        assert_eq!(limiter.snapshot().waiting, 3);
        drop(all);
    });
}

/// One that has been woken and not polled has no waker to be woken by; those behind it have.
#[test]
fn one_that_has_no_waker_hides_nobody() {
    struct Counts(AtomicU32);
    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    aplomb_sim::block_on(async {
        let limiter = Limiter::with_burst(Rate::per_second(10), 10);
        limiter.try_acquire(10).unwrap();
        let _head = waits(limiter.acquire(5));
        let counts = Arc::new(Counts(AtomicU32::new(0)));
        let mut next = Box::pin(limiter.acquire(5));
        assert!(next.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&counts)))).is_pending());
        limiter.set_rate(bucket(9)).unwrap();
        limiter.set_rate(bucket(4)).unwrap();
        assert_eq!(counts.0.load(Ordering::Relaxed), 1);
        assert_eq!(told(&mut next), Some(REFUSED));
    });
}

/// What was reserved is used at the instant that was told, and so counts whenever there can be so much.
#[test]
fn a_reservation_counts_again_when_the_rule_is_as_before() {
    fn check<A: Algorithm>(name: &str, of: impl Fn(u32) -> A) {
        aplomb_sim::block_on(async {
            let limiter: Limiter<A> = RateLimiter::with_clock(SimClock, of(10));
            limiter.try_acquire(10).unwrap();
            let mut ahead = waits(limiter.acquire(4));
            let (large, small) = (limiter.reserve(10).unwrap(), limiter.reserve(1).unwrap());
            let told = [large.delay(), small.delay()];
            limiter.set_rate(of(4)).unwrap();
            let meanwhile = limiter.reserve(1).unwrap();
            assert!(meanwhile.delay() < secs(9), "{name}: one that does not count holds up nobody");
            drop(meanwhile);
            limiter.set_rate(of(10)).unwrap();
            let next = limiter.reserve(10).unwrap();
            assert_eq!([large.delay(), small.delay()], told, "{name}: what was told stays");
            assert_eq!(next.delay(), small.delay() + secs(1), "{name}: behind both");
            assert!(poll(&mut ahead).is_pending());
        });
    }
    check("token bucket", bucket);
    check("fixed window", |permits| FixedWindow::new(Rate::per_second(permits)));
    check("sliding window", |permits| SlidingWindow::<Heap>::new(Rate::per_second(permits)));
}

/// In any second ten, though the rule was another one in between.
#[test]
fn no_window_has_more_than_its_permits_after_a_change_and_back() {
    aplomb_sim::block_on(async {
        let limiter = Limiter::sliding_window(Rate::per_second(10));
        limiter.try_acquire(10).unwrap();
        let mut waiter = waits(limiter.acquire(8));
        limiter.set_rate(Rate::per_second(5)).unwrap();
        limiter.set_rate(Rate::per_second(10)).unwrap();
        let reserved = limiter.reserve(10).unwrap();
        assert_eq!(reserved.delay(), secs(1));
        reserved.await;
        assert_eq!(told(&mut waiter), Some(RateLimitError::TooManyPermits { requested: 8, most: 5 }));
        assert_eq!(limiter.snapshot().available, 0);
    });
}

/// What of the permits is there after a change, by each rule: a bucket has what it had, a window what has not been taken in it.
#[test]
fn what_is_there_after_a_change() {
    fn after<A: Algorithm + From<Rate>>(taken: u32, to: u32) -> u32 {
        aplomb_sim::block_on(async {
            let limiter: Limiter<A> = RateLimiter::with_clock(SimClock, A::from(Rate::per_second(10)));
            limiter.try_acquire(taken).unwrap();
            limiter.set_rate(Rate::per_second(to)).unwrap();
            limiter.snapshot().available
        })
    }
    for (taken, to, of_a_bucket, of_a_window) in
        [(10, 100, 0, 90), (4, 100, 6, 96), (4, 5, 5, 1), (6, 5, 4, 0), (0, 100, 10, 100)]
    {
        assert_eq!(after::<TokenBucket>(taken, to), of_a_bucket, "{taken} of 10, and then {to}");
        let windows =
            [after::<FixedWindow>(taken, to), after::<SlidingWindow<Heap>>(taken, to), after::<SlidingCounter>(taken, to)];
        assert_eq!(windows, [of_a_window; 3], "{taken} of 10, and then {to}");
    }
}

thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// A heap that counts how often a table is looked into.
pub(crate) struct Counted;
pub(crate) struct Table<T>(Vec<T>);

impl Storage for Counted {
    type Link = NonZeroU32;
    type Slots<T> = Table<T>;
    type Rows<T: Default> = CacheLines<T>;
    const CAPACITY: usize = usize::MAX;
}

impl<T> Slots<T> for Table<T> {
    const EMPTY: Self = Self(Vec::new());

    fn as_slice(&self) -> &[T] {
        STEPS.set(STEPS.get() + 1);
        &self.0
    }

    fn as_mut_slice(&mut self) -> &mut [T] {
        STEPS.set(STEPS.get() + 1);
        &mut self.0
    }

    fn try_push(&mut self, entry: T) -> Result<(), T> {
        self.0.push(entry);
        Ok(())
    }
}

/// How many looks into tables that takes.
pub(crate) fn steps(act: impl FnOnce()) -> u64 {
    let before = STEPS.get();
    act();
    STEPS.get() - before
}

const MANY: u32 = 2_000;
const KEYS: u32 = 4;

#[test]
fn a_change_takes_a_few_steps_for_each_who_waits_in_vain() {
    aplomb_sim::block_on(async {
        let limiter = Limiter::with_burst(Rate::per_hour(10), 10).storage::<Counted>();
        limiter.try_acquire(10).unwrap();
        let mut waiting: Vec<_> = (0..=MANY).map(|caller| waits(limiter.acquire(if caller == 0 { 1 } else { 5 }))).collect();
        let changed = steps(|| limiter.set_rate(TokenBucket::new(Rate::per_hour(10)).burst(4)).unwrap());
        assert!(changed <= 8 * u64::from(MANY), "{changed}");
        let learnt = steps(|| assert!(waiting.iter_mut().skip(1).all(|caller| told(caller) == Some(REFUSED))));
        assert!(learnt <= 16 * u64::from(MANY), "{learnt}");
    });
}

#[test]
fn so_it_does_with_keys() {
    aplomb_sim::block_on(async {
        let limiter = KeyedRateLimiter::<Sim, u32>::with_burst(Rate::per_hour(10), 10).storage::<Counted>();
        for key in 0..KEYS {
            limiter.try_acquire(&key, 10).unwrap();
        }
        let callers = (0..MANY).map(|caller| KeyedRateLimiter::acquire_own(&limiter, caller % KEYS, 5, Deadline::NEVER));
        let mut waiting: Vec<_> = callers.map(waits).collect();
        let changed = steps(|| limiter.set_rate(TokenBucket::new(Rate::per_hour(10)).burst(4)).unwrap());
        assert!(changed <= 16 * u64::from(MANY), "{changed}");
        assert!(waiting.iter_mut().all(|caller| told(caller) == Some(REFUSED)));
    });
}

/// By a sliding window, whoever is refused does not pay for all who have been let in.
#[test]
fn a_refusal_by_a_window_takes_the_logarithm_of_what_it_remembers() {
    let limiter: Limiter<SlidingWindow<Counted>> =
        RateLimiter::with_clock(SimClock, SlidingWindow::new(Rate::per_hour(MANY))).max_waiting(MANY);
    aplomb_sim::block_on(async {
        for _ in 0..MANY {
            limiter.try_acquire(1).unwrap();
            aplomb_sim::sleep(ms(1)).await;
        }
        let _waiting: Vec<_> = (0..MANY - 1).map(|_| waits(limiter.acquire(1))).collect();
        let soon = || Deadline::after(aplomb_sim::now(), secs(1));
        let of_try = steps(|| assert!(limiter.try_acquire(1).unwrap_err().retry_after().is_some()));
        let of_deadline = steps(|| assert!(told(&mut Box::pin(limiter.acquire_by(1, soon()))).is_some()));
        let _last = waits(limiter.acquire(1));
        let full = steps(|| {
            let refused = told(&mut Box::pin(limiter.acquire(1)));
            assert!(matches!(refused, Some(RateLimitError::QueueFull { retry_after: Some(_), .. })));
        });
        let shown = steps(|| assert_eq!(limiter.snapshot().waiting, MANY));
        assert!([of_try, of_deadline, full, shown].iter().all(|steps| *steps <= 80), "{:?}", [of_try, of_deadline, full, shown]);
    });
}
