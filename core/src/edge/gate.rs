use core::fmt;
use core::marker::PhantomData;
use core::mem::forget;
use core::task::Waker;
use core::time::Duration;

use super::machine::Window;
use super::terms::Terms;
use crate::config::ConfigError;
use crate::panicking::wake_all;
use crate::platform::Platform;
use crate::storage::waiting_error;
use crate::sync::Shared;
use crate::time::Clock;

/// What debounce and throttle have in common: an edge machine that many callers share. Its users know it as [`Debounce`](crate::Debounce) and [`Throttle`](crate::Throttle).
///
/// `K` says which of the two it is, and `M` what becomes of callers: [`Reject`](super::Reject), the default, [`Share`](super::Share), or [`Trigger`](super::Trigger).
pub struct Gate<P: Platform, K, M> {
    pub(super) clock: P::Clock,
    pub(super) terms: Terms,
    /// Where callers share.
    pub(super) max_waiting: u32,
    pub(super) state: Shared<P::RawMutex, State<M>>,
    kind: PhantomData<fn() -> K>,
}

/// What is behind the lock.
pub(super) struct State<M> {
    pub(super) window: Window,
    pub(super) mode: M,
}

/// What becomes of callers, and of what they bring.
pub trait Mode {
    /// Before the first call.
    const NEW: Self;
    /// How many callers there is room for, where they have places.
    const PLACES: usize = usize::MAX;
    /// What is dropped outside the lock.
    type Dropped;

    /// What is pending will not start.
    fn cancel(&mut self) -> Self::Dropped;

    /// What is pending starts at once, and what comes later does not take its place.
    fn flush(&mut self) -> Self::Dropped;

    /// Who is to be woken after a change, one at a time; until there is none.
    fn next_waker(&mut self) -> Option<Waker>;
}

impl<P: Platform, K, M: Mode> Gate<P, K, M> {
    /// By these terms, on a clock that is held in hand.
    #[must_use]
    pub const fn with_terms(clock: P::Clock, terms: Terms) -> Self {
        let state = State { window: Window::new(), mode: M::NEW };
        let terms = terms.tick(P::Clock::TICK);
        Self { clock, terms, max_waiting: u32::MAX, state: Shared::new(state), kind: PhantomData }
    }

    /// Ends the burst: what is pending will not start, and its callers end with [`Cancelled`](super::EdgeError::Cancelled). What runs is not disturbed. Whether something was pending.
    ///
    /// The next call to a debounce begins a new burst; a throttle keeps its distance from the last start.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::future::zip;
    ///
    /// aplomb_sim::block_on(async {
    ///     let draft: Debounce = Debounce::new(secs(2));
    ///     let save = draft.call(|| async { Ok::<_, std::io::Error>(()) });
    ///     let discard = async {
    ///         aplomb_sim::sleep(secs(1)).await;
    ///         assert!(draft.cancel());
    ///     };
    ///     let (saved, ()) = zip(save, discard).await;
    ///     assert!(matches!(saved, Err(EdgeError::Cancelled)));
    /// });
    /// ```
    pub fn cancel(&self) -> bool {
        let cancelled = self.state.with(|state| state.window.cancel(&self.terms).then(|| state.mode.cancel()));
        let pending = cancelled.is_some();
        drop(cancelled);
        self.wake(pending);
        pending
    }

    /// Starts what is pending at once, be the window over or not; what comes later does not take its place. Whether something was pending.
    ///
    /// If that has not been started when there is another flush, the newer takes its place.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::future::zip;
    ///
    /// aplomb_sim::block_on(async {
    ///     let draft: Debounce = Debounce::new(secs(2));
    ///     let save = draft.call(|| async { Ok::<_, std::io::Error>("saved") });
    ///     let leave_the_page = async {
    ///         aplomb_sim::sleep(ms(10)).await;
    ///         draft.flush()
    ///     };
    ///     let (saved, pending) = zip(save, leave_the_page).await;
    ///     assert!(pending && saved.unwrap() == "saved");
    ///     assert_eq!(aplomb_sim::now().as_nanos(), 10_000_000);
    /// });
    /// ```
    pub fn flush(&self) -> bool {
        let flushed = self.state.with(|state| state.window.flush(&self.terms).then(|| state.mode.flush()));
        let pending = flushed.is_some();
        drop(flushed);
        self.wake(pending);
        pending
    }

    fn wake(&self, changed: bool) {
        if changed {
            wake_all(&mut || self.state.with(|state| state.mode.next_waker()));
        }
    }

    /// Whether a call is pending, one that is due and has not started included.
    pub fn is_pending(&self) -> bool {
        self.state.with(|state| state.window.is_pending())
    }
}

impl<P: Platform, K, M> Gate<P, K, M> {
    /// Whether the call that opens a window starts at once. Default: a debounce's does not, a throttle's does.
    ///
    /// # Examples
    ///
    /// A button that acts on the first press, and not on the nervous ones after it:
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static SUBMIT: Debounce = checked!(Debounce::new(ms(500)).leading(true).trailing(false));
    ///
    /// aplomb_sim::block_on(async {
    ///     let submit = || async { Ok::<_, std::io::Error>("ordered") };
    ///     assert_eq!(SUBMIT.call(submit).await.unwrap(), "ordered");
    ///     assert!(SUBMIT.call(submit).await.unwrap_err().is_superseded());
    /// });
    /// ```
    #[must_use]
    pub const fn leading(mut self, leading: bool) -> Self {
        self.terms = self.terms.leading(leading);
        self
    }

    /// Whether the newest call in a window starts at its end. Default: it does. With both edges that takes more than one call.
    #[must_use]
    pub const fn trailing(mut self, trailing: bool) -> Self {
        self.terms = self.terms.trailing(trailing);
        self
    }

    pub(crate) const fn with_max_wait(mut self, max_wait: Duration) -> Self {
        self.terms = self.terms.max_wait(max_wait);
        self
    }
}

impl<P: Platform, K, M: Mode> Gate<P, K, M> {
    /// What is wrong with it, if anything is: [`check`](Gate::check), for code that is evaluated at compile time.
    #[must_use]
    pub const fn config_error(self) -> Option<ConfigError> {
        let error = self.settings_error();
        // It has no waiters yet, and a `const fn` drops nothing.
        forget(self);
        error
    }

    /// Itself, if it makes sense; for what comes from a configuration file. [`checked!`](crate::checked) does so at compile time.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if neither edge starts anything, `max_wait` is shorter than the window, or more callers may wait than there is room for.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let refused = Debounce::new(ms(300)).max_wait(ms(100)).check();
    /// assert_eq!(refused.unwrap_err().to_string(), "max_wait is 100ms, must be at least wait, 300ms");
    /// ```
    pub const fn check(self) -> Result<Self, ConfigError> {
        match self.settings_error() {
            Some(error) => {
                // It has no waiters yet, and a `const fn` drops nothing.
                forget(self);
                Err(error)
            }
            None => Ok(self),
        }
    }

    pub(super) const fn settings_error(&self) -> Option<ConfigError> {
        match self.terms.config_error() {
            Some(error) => Some(error),
            None => waiting_error(self.max_waiting, M::PLACES),
        }
    }
}

impl<P: Platform, K, M> fmt::Debug for Gate<P, K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = self.state.with(|state| state.window);
        f.debug_struct("Gate").field("terms", &self.terms).field("window", &window).finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P: Platform, K, M> defmt::Format for Gate<P, K, M> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let window = self.state.with(|state| state.window);
        defmt::write!(f, "Gate {{ terms: {}, window: {}, .. }}", self.terms, window);
    }
}
