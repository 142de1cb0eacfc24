//! Debounce and throttle on several threads: few of them in every interleaving, or every one with two preemptions (loom), and more of them in many (shuttle).
//!
//! That they find something was tried on core itself, with one bug at a time: a trigger that leaves a waiting driver asleep; a driver that leaves its waker only after it has looked; a flush that wakes nobody; a dropped call that stays
//! pending; a shared run that nobody takes over when it is dropped; a caller that leaves with the timer of all; a flushed
//! call that starts and leaves the one behind it asleep. Each made a test here fail.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod checkers;

use std::cell::Cell;
use std::future::{Future, poll_fn, ready};
use std::mem::{forget, replace};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use aplomb::edge::{EdgeError, Gate, Mode, Reject, Share, Terms, Trigger};
use aplomb::time::ms;
use aplomb::{Clock, Debounce, Heap, Instant, Platform, Sleep};
use checkers::{Loom, Shuttle, forgets, is_found_by};

/// Time without idling: a sleep is over when it is polled for the second time, and then its instant has come. What lies beyond the end never comes.
#[derive(Clone)]
struct Hasty {
    now: Arc<AtomicU64>,
    end: Instant,
}

impl Hasty {
    fn until(end: Instant) -> Self {
        Self { now: Arc::new(AtomicU64::new(0)), end }
    }
}

impl Clock for Hasty {
    type Sleep = HastySleep;

    fn now(&self) -> Instant {
        Instant::from_nanos(self.now.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, at: Instant) -> HastySleep {
        HastySleep { clock: self.clone(), at, polled: false }
    }
}

struct HastySleep {
    clock: Hasty,
    at: Instant,
    polled: bool,
}

impl Future for HastySleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.at > self.clock.end {
            return Poll::Pending;
        }
        if replace(&mut self.polled, true) {
            self.clock.now.fetch_max(self.at.as_nanos(), Ordering::SeqCst);
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Sleep for HastySleep {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        (self.at, self.polled) = (at, false);
    }
}

/// A model checker with its threads, so that one test can be given to both.
trait Checker: Platform<Clock = Hasty, RawMutex: Send + Sync> + 'static {
    /// Runs it on a thread of its own. Who calls what comes back waits for the end.
    fn spawn<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> impl FnOnce() -> T;

    fn block_on<F: Future>(future: F) -> F::Output;
}

impl Checker for Loom<Hasty> {
    fn spawn<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> impl FnOnce() -> T {
        let thread = loom::thread::spawn(act);
        move || thread.join().unwrap()
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        loom::future::block_on(future)
    }
}

impl Checker for Shuttle<Hasty> {
    fn spawn<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> impl FnOnce() -> T {
        let thread = shuttle::thread::spawn(act);
        move || thread.join().unwrap()
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        shuttle::future::block_on(future)
    }
}

/// Every interleaving with at most two preemptions: all of them would take minutes in some of these worlds.
fn explore(world: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(world);
}

type Numbers = Trigger<(usize, u32)>;
type Shared = Share<Result<u32, ()>, Heap>;

const WAIT: Terms = Terms::debounce(ms(1));
const INTERVAL: Terms = Terms::throttle(ms(1));
const FIRST_ONLY: Terms = INTERVAL.trailing(false);

/// Debounces or throttles, as the terms say, in a time of its own.
fn gate<C: Checker, M: Mode>(terms: Terms, end: Instant) -> &'static Debounce<C, M> {
    Box::leak(Box::new(Debounce::with_terms(Hasty::until(end), terms)))
}

/// Polls at most so many times, without waiting to be woken.
fn polled<F: Future>(mut future: Pin<&mut F>, polls: usize) -> Option<F::Output> {
    let mut cx = Context::from_waker(Waker::noop());
    (0..polls).find_map(|_| match future.as_mut().poll(&mut cx) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

/// Ends after the others had their turn.
async fn slowly<T>(result: T) -> T {
    let mut yielded = false;
    poll_fn(|cx| {
        if replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    result
}

/// Two threads leave values, so many each, while a driver takes what starts.
fn triggers_meet_a_driver<C: Checker>(terms: Terms, last: [u32; 2]) {
    let gate = gate::<C, Numbers>(terms, Instant::MAX);
    let leaving = [0, 1].map(|thread| C::spawn(move || (1..=last[thread]).for_each(|number| gate.trigger((thread, number)))));
    let (seen, newest) = (Cell::new([0; 2]), Cell::new((0, 0)));
    let mut run = pin!(gate.run(|(thread, number)| {
        let mut numbers = seen.get();
        let before = replace(&mut numbers[thread], number);
        assert!(number > before, "{number} came after {before}");
        seen.set(numbers);
        newest.set((thread, number));
        ready(())
    }));
    // The newest of all is the last of its thread, and nothing takes its place: until it comes, the driver must not be left asleep.
    C::block_on(poll_fn(|cx| {
        assert!(run.as_mut().poll(cx).is_pending());
        let has_come = seen.get().iter().zip(&last).any(|(seen, last)| seen == last);
        if has_come { Poll::Ready(()) } else { Poll::Pending }
    }));
    for left in leaving {
        left();
    }
    // The other thread's last may have come after it.
    assert!(polled(run, 3).is_none());
    let (thread, number) = newest.get();
    assert_eq!(number, last[thread], "the newest wins");
    assert!(!gate.is_pending());
}

#[test]
fn a_driver_sees_the_last_of_two_threads() {
    explore(|| triggers_meet_a_driver::<Loom<_>>(WAIT, [1, 1]));
    explore(|| triggers_meet_a_driver::<Loom<_>>(INTERVAL, [1, 1]));
    shuttle::check_random(|| triggers_meet_a_driver::<Shuttle<_>>(WAIT, [4, 3]), 500);
    shuttle::check_random(|| triggers_meet_a_driver::<Shuttle<_>>(INTERVAL, [4, 3]), 500);
}

/// One calls and stays to the end, another is dropped after so many polls, unless it has ended by then.
fn calls_race<C: Checker>(terms: Terms, polls: usize) {
    let gate = gate::<C, Reject>(terms, Instant::MAX);
    let stays = C::spawn(move || C::block_on(gate.call(|| ready(Ok::<_, ()>(1)))));
    let left = polled(pin!(gate.call(|| ready(Ok::<_, ()>(2)))), polls);
    match (stays(), left) {
        (Ok(1), None | Some(Ok(2) | Err(EdgeError::Superseded))) | (Err(EdgeError::Superseded), None | Some(Ok(2))) => {}
        ends => panic!("{ends:?}"),
    }
    assert!(!gate.is_pending());
    gate.cancel();
    assert_eq!(C::block_on(gate.call(|| slowly(Ok::<_, ()>(3)))), Ok(3), "the next burst");
}

#[test]
fn of_two_calls_the_newest_starts_or_nobody_is_left_pending() {
    for polls in 0..=3 {
        loom::model(move || calls_race::<Loom<_>>(WAIT, polls));
        loom::model(move || calls_race::<Loom<_>>(INTERVAL, polls));
        shuttle::check_random(move || calls_race::<Shuttle<_>>(WAIT, polls), 200);
        shuttle::check_random(move || calls_race::<Shuttle<_>>(INTERVAL, polls), 200);
    }
}

/// Within a window that never ends, and whose first call only starts.
#[test]
fn of_two_first_calls_exactly_one_starts() {
    fn race<C: Checker>() {
        let gate = gate::<C, Reject>(FIRST_ONLY, Instant::ORIGIN);
        let call = move || C::block_on(gate.call(|| slowly(Ok::<_, ()>(()))));
        let other = C::spawn(call);
        let started = [call(), other()].map(|ended| ended.is_ok());
        assert_ne!(started[0], started[1]);
    }
    loom::model(race::<Loom<_>>);
    shuttle::check_random(race::<Shuttle<_>>, 200);
}

/// How a caller that shares comes to its end before the others.
#[derive(Clone, Copy)]
enum Leave {
    /// It is dropped after so many polls, unless it has ended by then.
    After(usize),
    /// Its operation panics.
    Panicking,
    /// It is neither polled nor dropped any more: the bug that is to be found.
    Forgotten,
}

fn leave<C: Checker>(gate: &'static Debounce<C, Shared>, how: Leave) {
    match how {
        Leave::After(polls) => {
            if let Some(ended) = polled(pin!(gate.call(|| slowly(Ok(2)))), polls) {
                assert!(matches!(ended, Ok(1 | 2) | Err(EdgeError::Superseded)), "{ended:?}");
            }
        }
        Leave::Panicking => {
            // Without the message of a panic, of which there would be thousands.
            let call = gate.call(|| async { resume_unwind(Box::new(())) });
            if let Ok(ended) = catch_unwind(AssertUnwindSafe(|| C::block_on(call))) {
                assert!(matches!(ended, Ok(1) | Err(EdgeError::Superseded)), "{ended:?}");
            }
        }
        Leave::Forgotten => {
            let mut call = Box::pin(gate.call(|| slowly(Ok(2))));
            polled(call.as_mut(), 1);
            forget(call);
        }
    }
}

/// So many callers stay to the end, and one leaves before.
fn sharers_lose_one<C: Checker>(terms: Terms, staying: usize, how: Leave) {
    let gate = gate::<C, Shared>(terms, Instant::MAX);
    let call = move || C::block_on(gate.call(|| slowly(Ok(1))));
    let stay: Vec<_> = (0..staying).map(|_| C::spawn(call)).collect();
    leave(gate, how);
    for stays in stay {
        let ended = stays();
        assert!(matches!(ended, Ok(1 | 2) | Err(EdgeError::Superseded)), "{ended:?}");
    }
    // One that is forgotten is pending for ever; what counts is whether it leaves others waiting.
    assert!(matches!(how, Leave::Forgotten) || !gate.is_pending());
}

const WAYS_TO_LEAVE: [Leave; 5] = [Leave::After(1), Leave::After(2), Leave::After(3), Leave::After(4), Leave::Panicking];

#[test]
fn all_end_who_share_with_one_that_leaves() {
    for terms in [WAIT, INTERVAL, FIRST_ONLY] {
        for how in WAYS_TO_LEAVE {
            explore(move || sharers_lose_one::<Loom<_>>(terms, 1, how));
            shuttle::check_random(move || sharers_lose_one::<Shuttle<_>>(terms, 3, how), 200);
        }
    }
}

#[test]
fn nobody_waits_for_a_call_that_is_dropped_at_once() {
    let how = if forgets() { Leave::Forgotten } else { Leave::After(1) };
    explore(move || sharers_lose_one::<Loom<_>>(WAIT, 1, how));
}

#[test]
fn loom_finds_a_call_that_was_forgotten() {
    is_found_by("nobody_waits_for_a_call_that_is_dropped_at_once");
}

#[test]
fn nobody_of_many_waits_for_a_call_that_is_dropped_at_once() {
    let how = if forgets() { Leave::Forgotten } else { Leave::After(1) };
    shuttle::check_random(move || sharers_lose_one::<Shuttle<_>>(WAIT, 3, how), 200);
}

#[test]
fn shuttle_finds_a_call_that_was_forgotten() {
    is_found_by("nobody_of_many_waits_for_a_call_that_is_dropped_at_once");
}

/// A call is pending, in a window that never ends, and is polled on a thread of its own: what it ends with, when something is done meanwhile.
fn ends_when<C: Checker, F>(call: F, act: impl FnOnce()) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let mut call = Box::pin(call);
    assert!(polled(call.as_mut(), 1).is_none());
    let ends = C::spawn(move || C::block_on(call));
    act();
    ends()
}

/// Cancelled here, flushed there.
fn cancelled_and_flushed<C: Checker, M: Mode<Dropped: Send> + Send>(gate: &'static Debounce<C, M>) -> (bool, bool) {
    let flushes = C::spawn(move || gate.flush());
    (gate.cancel(), flushes())
}

fn a_call_ends<C: Checker>() {
    let pending = || gate::<C, Reject>(WAIT, Instant::ORIGIN);

    let gate = pending();
    let ended = ends_when::<C, _>(gate.call(|| ready(Ok::<_, ()>(1))), || assert!(gate.flush()));
    assert_eq!(ended, Ok(1));

    let gate = pending();
    let ended = ends_when::<C, _>(gate.call(|| ready(Ok::<_, ()>(1))), || assert!(gate.cancel()));
    assert_eq!(ended, Err(EdgeError::Cancelled));

    let gate = pending();
    let mut acts = (false, false);
    let ended = ends_when::<C, _>(gate.call(|| ready(Ok::<_, ()>(1))), || acts = cancelled_and_flushed(gate));
    assert_eq!(ended, if acts.0 { Err(EdgeError::Cancelled) } else { Ok(1) });
    assert!(acts.0 || acts.1, "one of them has come upon it");
    assert!(!gate.is_pending());
}

fn a_shared_call_ends<C: Checker>() {
    let pending = || gate::<C, Shared>(WAIT, Instant::ORIGIN);

    let gate = pending();
    let ended = ends_when::<C, _>(gate.call(|| slowly(Ok(1))), || assert!(gate.flush()));
    assert_eq!(ended, Ok(1));

    let gate = pending();
    let ended = ends_when::<C, _>(gate.call(|| slowly(Ok(1))), || assert!(gate.cancel()));
    assert_eq!(ended, Err(EdgeError::Cancelled));

    let gate = pending();
    let mut acts = (false, false);
    let ended = ends_when::<C, _>(gate.call(|| slowly(Ok(1))), || acts = cancelled_and_flushed(gate));
    assert_eq!(ended, if acts.0 { Err(EdgeError::Cancelled) } else { Ok(1) });
    assert!(acts.0 || acts.1, "one of them has come upon it");
    assert!(!gate.is_pending());
}

/// Two wait for the same result, the newest on another thread than the one that has set the timer.
fn shared_calls_end<C: Checker>(act: fn(&'static Debounce<C, Shared>) -> bool, with: Result<u32, EdgeError<()>>) {
    let gate = gate::<C, Shared>(WAIT, Instant::ORIGIN);
    let mut keeps = Box::pin(gate.call(|| slowly(Ok(1))));
    assert!(polled(keeps.as_mut(), 1).is_none());
    let keeper = C::spawn(move || C::block_on(keeps));
    let newest = ends_when::<C, _>(gate.call(|| slowly(Ok(2))), || assert!(act(gate)));
    assert_eq!((keeper(), newest), (with, with));
}

/// A driver that waits for a window that never ends is woken by who flushes; what was cancelled it never sees.
fn a_driver_is_woken<C: Checker>() {
    let gate = gate::<C, Trigger<u32>>(WAIT, Instant::ORIGIN);
    gate.trigger(1);
    let takes = C::spawn(move || C::block_on(gate.next()));
    assert!(gate.cancel());
    gate.trigger(2);
    assert!(gate.flush());
    assert_eq!(takes(), Ok(2));
}

/// One is pending until the interval is over. It is flushed, while it is polled on a thread of its own, and then another calls.
fn a_call_comes_after_a_flush<C: Checker>() {
    let gate = gate::<C, Reject>(INTERVAL, Instant::MAX);
    assert!(matches!(polled(pin!(gate.call(|| ready(Ok::<_, ()>(0)))), 1), Some(Ok(0))));
    let mut after = Ok(0);
    let flushed = ends_when::<C, _>(gate.call(|| ready(Ok::<_, ()>(1))), || {
        gate.flush();
        after = C::block_on(gate.call(|| ready(Ok::<_, ()>(2))));
    });
    assert_eq!((flushed, after), (Ok(1), Ok(2)));
    assert!(!gate.is_pending());
}

fn a_shared_call_comes_after_a_flush<C: Checker>() {
    let gate = gate::<C, Shared>(INTERVAL, Instant::MAX);
    assert!(matches!(polled(pin!(gate.call(|| ready(Ok(0)))), 1), Some(Ok(0))));
    let mut after = Ok(0);
    let flushed = ends_when::<C, _>(gate.call(|| slowly(Ok(1))), || {
        gate.flush();
        after = C::block_on(gate.call(|| slowly(Ok(2))));
    });
    assert_eq!((flushed, after), (Ok(1), Ok(2)));
    assert!(!gate.is_pending());
}

#[test]
fn a_flush_takes_nothing_from_those_who_come_later() {
    explore(a_call_comes_after_a_flush::<Loom<_>>);
    explore(a_shared_call_comes_after_a_flush::<Loom<_>>);
    shuttle::check_random(a_call_comes_after_a_flush::<Shuttle<_>>, 200);
    shuttle::check_random(a_shared_call_comes_after_a_flush::<Shuttle<_>>, 200);
}

#[test]
fn whoever_is_pending_learns_of_cancel_and_flush() {
    explore(a_call_ends::<Loom<_>>);
    explore(a_shared_call_ends::<Loom<_>>);
    explore(a_driver_is_woken::<Loom<_>>);
    explore(|| shared_calls_end::<Loom<_>>(Gate::flush, Ok(2)));
    explore(|| shared_calls_end::<Loom<_>>(Gate::cancel, Err(EdgeError::Cancelled)));
    shuttle::check_random(a_call_ends::<Shuttle<_>>, 200);
    shuttle::check_random(a_shared_call_ends::<Shuttle<_>>, 200);
    shuttle::check_random(a_driver_is_woken::<Shuttle<_>>, 200);
    shuttle::check_random(|| shared_calls_end::<Shuttle<_>>(Gate::flush, Ok(2)), 200);
    shuttle::check_random(|| shared_calls_end::<Shuttle<_>>(Gate::cancel, Err(EdgeError::Cancelled)), 200);
}
