//! A clock that is moved by hand, for `no_std`: fixed capacity, no allocator, no executor.

use core::cell::RefCell;
use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use aplomb::sync::LocalRawMutex;
use aplomb::{Clock, Inline, Instant, ParentWaker, Platform, Sleep};

/// A clock that stands until it is moved, with room for `N` pending sleeps.
///
/// It wakes the sleeps that are due, in the order of their instants and then of their first polls, and polls nothing
/// itself: that is left to whatever executor a test uses, if any. It is for one thread, and every method can be
/// called from a waker.
///
/// A sleep takes its place when it is first polled, and gives it back when it is dropped. When there are more sleeps
/// than places, the earliest have them. One without a place wakes its task at once, again and again, until it is
/// ready or finds a place: nothing is lost, but an executor that runs until nothing is ready would not come to an
/// end. [`overflows`](ManualClock::overflows) tells whether that has happened: give the clock more room then.
///
/// A place takes 32 bytes on 64 bits, 24 on 32.
///
/// # Examples
///
/// ```
/// use aplomb::{Clock, Instant};
/// use aplomb_sim::ManualClock;
/// use core::{future::Future, pin::pin, task::{Context, Poll, Waker}, time::Duration};
///
/// let clock = ManualClock::<4>::new();
/// let mut sleep = pin!((&clock).sleep_until(Instant::from_nanos(500)));
/// let cx = &mut Context::from_waker(Waker::noop());
/// assert_eq!(sleep.as_mut().poll(cx), Poll::Pending);
///
/// clock.advance(Duration::from_nanos(499));
/// assert_eq!(sleep.as_mut().poll(cx), Poll::Pending);
/// assert_eq!(clock.advance_to_next(), Some(Instant::from_nanos(500)));
/// assert_eq!(sleep.as_mut().poll(cx), Poll::Ready(()));
/// ```
pub struct ManualClock<const N: usize> {
    state: RefCell<State<N>>,
}

struct State<const N: usize> {
    now: Instant,
    /// The number of the last registration.
    registrations: u64,
    overflows: u64,
    places: [Option<Place>; N],
}

struct Place {
    at: Instant,
    number: u64,
    waker: Waker,
}

impl Place {
    fn key(&self) -> (Instant, u64) {
        (self.at, self.number)
    }
}

impl<const N: usize> ManualClock<N> {
    /// A clock at [`Instant::ORIGIN`].
    #[must_use]
    pub const fn new() -> Self {
        let places = [const { None }; N];
        Self { state: RefCell::new(State { now: Instant::ORIGIN, registrations: 0, overflows: 0, places }) }
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.state.borrow().now
    }

    /// Moves the clock forward, and wakes all sleeps that are due then.
    ///
    /// They all see the new time. Where it matters that each sees its own, use
    /// [`advance_to_next`](ManualClock::advance_to_next) and run the tasks after each step.
    pub fn advance(&self, duration: Duration) {
        self.set(self.now() + duration);
    }

    /// Moves the clock to the instant of the earliest pending sleep and wakes all that are due then; gives that
    /// instant, or `None` if no sleep is pending.
    ///
    /// A sleep that is overdue, because nobody polled it before the clock passed by, was woken then and isn't
    /// pending.
    pub fn advance_to_next(&self) -> Option<Instant> {
        let next = self.next_deadline()?;
        self.set(next.max(self.now()));
        Some(next)
    }

    /// The instant of the earliest pending sleep.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.state.borrow().places.iter().flatten().map(|place| place.at).min()
    }

    /// Sets the clock, forward or backward, and wakes all sleeps that are due then.
    ///
    /// A sleep that was woken and not polled before the clock was set back finds that its instant lies ahead, and
    /// waits again.
    pub fn set(&self, at: Instant) {
        self.state.borrow_mut().now = at;
        // A waker may run a task at once, which may move the clock or register a sleep.
        while let Some(waker) = self.take_due() {
            waker.wake();
        }
    }

    /// How many sleeps are pending and have a place.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.state.borrow().places.iter().flatten().count()
    }

    /// How often a sleep was polled and had no place.
    #[must_use]
    pub fn overflows(&self) -> u64 {
        self.state.borrow().overflows
    }

    fn take_due(&self) -> Option<Waker> {
        let mut state = self.state.borrow_mut();
        let now = state.now;
        let earliest =
            state.places.iter_mut().filter(|place| place.is_some()).min_by_key(|place| place.as_ref().map(Place::key))?;
        earliest.take_if(|place| place.at <= now).map(|place| place.waker)
    }

    /// Makes sure that `waker` is called at `at`, under the number that the sleep has already, or else a new one.
    fn register(&self, at: Instant, number: Option<u64>, waker: &Waker) -> Option<u64> {
        let new = waker.clone();
        let mut state = self.state.borrow_mut();
        if let Some(number) = number
            && let Some(place) = state.places.iter_mut().flatten().find(|place| place.number == number)
        {
            let old = mem::replace(&mut place.waker, new);
            drop(state);
            drop(old);
            return Some(number);
        }
        state.registrations += 1;
        let place = Place { at, number: state.registrations, waker: new };
        let number = place.number;
        // A free place comes before all that are taken, and then the place of the latest.
        let candidate = state.places.iter_mut().max_by_key(|place| (place.is_none(), place.as_ref().map(Place::key)));
        let outcome = match candidate {
            Some(free @ None) => {
                *free = Some(place);
                Ok(None)
            }
            Some(Some(latest)) if latest.at > at => Ok(Some(mem::replace(latest, place))),
            Some(Some(_)) | None => Err(place),
        };
        if !matches!(outcome, Ok(None)) {
            state.overflows += 1;
        }
        drop(state);
        match outcome {
            Ok(evicted) => {
                // It comes back, and finds that it has no place.
                if let Some(evicted) = evicted {
                    evicted.waker.wake();
                }
                Some(number)
            }
            Err(place) => {
                place.waker.wake();
                None
            }
        }
    }

    fn cancel(&self, number: u64) {
        let mut state = self.state.borrow_mut();
        let place = state.places.iter_mut().find(|place| place.as_ref().is_some_and(|place| place.number == number));
        let cancelled = place.and_then(Option::take);
        drop(state);
        drop(cancelled);
    }
}

impl<const N: usize> Default for ManualClock<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Debug for ManualClock<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").field("now", &self.now()).field("pending", &self.pending()).finish_non_exhaustive()
    }
}

impl<'c, const N: usize> Clock for &'c ManualClock<N> {
    type Sleep = ManualSleep<'c, N>;

    fn now(&self) -> Instant {
        ManualClock::now(self)
    }

    fn sleep_until(&self, at: Instant) -> Self::Sleep {
        ManualSleep { clock: self, at, number: None }
    }
}

/// A sleep on a [`ManualClock`].
///
/// # Cancel safety
///
/// Dropping it gives back its place.
///
/// # Examples
///
/// ```
/// use aplomb::{Clock, Instant, Sleep};
/// use aplomb_sim::ManualClock;
/// use core::{future::Future, pin::pin, task::{Context, Poll, Waker}};
///
/// let clock = ManualClock::<1>::new();
/// let cx = &mut Context::from_waker(Waker::noop());
/// let mut sleep = pin!((&clock).sleep_until(Instant::from_nanos(5)));
/// sleep.as_mut().reset(Instant::ORIGIN);
/// assert_eq!(sleep.as_mut().poll(cx), Poll::Ready(()));
/// ```
#[derive(Debug)]
#[must_use = "a sleep does nothing unless it is polled"]
pub struct ManualSleep<'c, const N: usize> {
    clock: &'c ManualClock<N>,
    at: Instant,
    /// Of the place that it took. It may have lost it since.
    number: Option<u64>,
}

impl<const N: usize> Future for ManualSleep<'_, N> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.at.is_never() {
            return Poll::Pending;
        }
        if self.clock.now() >= self.at {
            self.cancel();
            return Poll::Ready(());
        }
        self.number = self.clock.register(self.at, self.number, cx.waker());
        Poll::Pending
    }
}

impl<const N: usize> Sleep for ManualSleep<'_, N> {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        if at != self.at {
            self.cancel();
            self.at = at;
        }
    }
}

impl<const N: usize> ManualSleep<'_, N> {
    fn cancel(&mut self) {
        if let Some(number) = self.number.take() {
            self.clock.cancel(number);
        }
    }
}

impl<const N: usize> Drop for ManualSleep<'_, N> {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// The platform of a [`ManualClock`]: for tests of firmware on the desk, and for tables in virtual time.
///
/// Its lock is for one thread, its tables hold 16 entries, children are polled with the waker of their parent, and
/// [`random`](Platform::random) is always `1 << 63`, the middle of its range: jitter comes out as the middle of what
/// it can be.
///
/// # Examples
///
/// ```
/// use aplomb::Platform;
/// use aplomb_sim::Manual;
///
/// assert_eq!(<Manual<'static, 4> as Platform>::random(), 1 << 63);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Manual<'c, const N: usize>(PhantomData<&'c ManualClock<N>>);

impl<'c, const N: usize> Platform for Manual<'c, N> {
    type Clock = &'c ManualClock<N>;
    type RawMutex = LocalRawMutex;
    type Word = aplomb::sync::NoWord;
    type Storage = Inline<16>;
    type Children = ParentWaker;

    fn random() -> u64 {
        1 << 63
    }
}
