use core::fmt;
use core::future::Future;
use core::ops::Deref;
use core::time::Duration;

use super::acquire::Acquire;
use super::algorithm::{Algorithm, Gradient};
use super::error::LimitError;
use super::event::Event;
use super::judge::IgnoreErrors;
use super::machine::{Call, End, Machine, Terms};
use super::permit::{Permit, Settle};
use super::run::Run;
use crate::observe::{SharedObserver, Silent};
use crate::platform::Platform;
use crate::storage::Storage;
use crate::sync::Semaphore;
use crate::sync::semaphore::{AcquireError, Lender, Patient, TryAcquireError};
use crate::time::{Clock, Instant, duration};

/// So many operations at once as the service can take, which is found from how long they take. The module [`adaptive_limit`](crate::adaptive_limit) tells what it promises.
///
/// `A` is the rule by which it is found, `J` says what is a sign of overload; waiters are kept in `S`, and `O` is told of its [events](Event).
///
/// | setting | default |
/// | --- | --- |
/// | [`algorithm`](AdaptiveLimit::algorithm) | [`Gradient`] |
/// | [`initial_limit`](AdaptiveLimit::initial_limit) | 20, as in Netflix's concurrency-limits |
/// | [`min_limit`](AdaptiveLimit::min_limit), [`max_limit`](AdaptiveLimit::max_limit) | 1, 200 |
/// | [`window`](AdaptiveLimit::window), [`min_calls`](AdaptiveLimit::min_calls) | 100 ms, 10 calls |
/// | [`overload_if`](AdaptiveLimit::overload_if), [`judged_by`](AdaptiveLimit::judged_by) | errors count as nothing |
/// | [`overload_tolerance`](AdaptiveLimit::overload_tolerance) | 5 % of the calls of a window, and one |
/// | [`max_waiting`](AdaptiveLimit::max_waiting) | as many as the storage has room for; on the heap, set it |
/// | [`max_wait`](AdaptiveLimit::max_wait) | without limit |
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// static API: AdaptiveLimit = checked!(AdaptiveLimit::new().max_limit(100).max_waiting(50).max_wait(ms(200)));
///
/// async fn fetch_user(id: u32) -> Result<String, std::io::Error> { Ok(format!("user {id}")) }
///
/// aplomb_sim::block_on(async {
///     let id = 7;
///     match API.run(|| fetch_user(id)).await {
///         Err(error) if error.is_rejected() => eprintln!("try again later: {error}"),
///         user => assert_eq!(user.unwrap(), "user 7"),
///     }
/// });
/// ```
pub struct AdaptiveLimit<
    P: Platform,
    A: Algorithm = Gradient,
    J = IgnoreErrors,
    S: Storage = <P as Platform>::Storage,
    O = Silent,
> {
    pub(super) semaphore: Semaphore<P, S, Machine<A>>,
    pub(super) terms: Terms<A>,
    pub(super) clock: P::Clock,
    /// Nanoseconds.
    pub(super) max_wait: u64,
    pub(super) judge: J,
    pub(super) observer: O,
}

/// What an adaptive limit is like at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Snapshot {
    /// How many may run at once.
    pub limit: u32,
    /// How many run; more than may, for a while after the limit has shrunk.
    pub in_flight: u32,
    /// How many wait.
    pub waiting: u32,
}

impl<P: Platform, A: Algorithm, J, S: Storage, O> AdaptiveLimit<P, A, J, S, O> {
    /// How many may run at once, as far as is known by now.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static API: AdaptiveLimit = checked!(AdaptiveLimit::new().initial_limit(8));
    /// assert_eq!(API.limit(), 8);
    /// ```
    pub fn limit(&self) -> u32 {
        self.snapshot().limit
    }

    /// The limit, how many run, and how many wait, all at one moment.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static API: AdaptiveLimit = checked!(AdaptiveLimit::new());
    ///
    /// let permit = API.try_acquire();
    /// let now = API.snapshot();
    /// assert_eq!((now.in_flight, now.waiting, now.limit), (1, 0, 20));
    /// # drop(permit);
    /// ```
    pub fn snapshot(&self) -> Snapshot {
        let (permits, in_flight, waiting) = self.semaphore.counts();
        // Nobody has asked yet.
        let limit = if permits == 0 { self.terms.initial } else { permits };
        Snapshot { limit, in_flight, waiting }
    }

    /// Lets nobody in any more. Those who wait end with [`Closed`](LimitError::Closed), and so does whoever comes; what runs is not disturbed.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// aplomb_sim::block_on(async {
    ///     let api: AdaptiveLimit = AdaptiveLimit::new();
    ///     api.close();
    ///     assert_eq!(api.acquire().await.unwrap_err(), LimitError::Closed);
    /// });
    /// ```
    pub fn close(&self) {
        self.semaphore.close();
    }

    /// Whether it was [closed](AdaptiveLimit::close).
    pub fn is_closed(&self) -> bool {
        self.semaphore.is_closed()
    }
}

impl<P: Platform, A: Algorithm, J, S: Storage, O: SharedObserver<Event>> AdaptiveLimit<P, A, J, S, O> {
    /// Runs the operation when the limit allows it, and learns from how long that takes.
    ///
    /// It is started once, so that it may borrow mutably whatever it needs, and be a closure of any kind.
    ///
    /// # Errors
    ///
    /// [`LimitError::QueueFull`], at once; [`LimitError::TimedOut`] after [`max_wait`](AdaptiveLimit::max_wait); [`LimitError::Closed`]; or the operation's own, as [`LimitError::Failed`].
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static MODEM: AdaptiveLimit = checked!(AdaptiveLimit::new().initial_limit(2));
    ///
    /// struct Link { sent: u32 }
    /// impl Link {
    ///     async fn send(&mut self, frame: &mut [u8]) -> Result<u32, std::io::Error> {
    ///         frame[0] = 1;
    ///         self.sent += 1;
    ///         Ok(self.sent)
    ///     }
    /// }
    ///
    /// aplomb_sim::block_on(async {
    ///     let (mut link, mut frame) = (Link { sent: 0 }, [0; 64]);
    ///     let sent = MODEM.run(|| link.send(&mut frame)).await;
    ///     assert_eq!(sent.unwrap(), 1);
    /// });
    /// ```
    #[inline]
    pub const fn run<F, Fut, T, E>(&self, operation: F) -> Run<&Self, F, Fut>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        Run::new(self, true, operation)
    }

    /// Runs the operation if the limit allows it now.
    ///
    /// # Errors
    ///
    /// [`LimitError::Busy`] if the limit is reached, or others wait; [`LimitError::Closed`]; or the operation's own, as [`LimitError::Failed`].
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static API: AdaptiveLimit = checked!(AdaptiveLimit::new().initial_limit(1));
    ///
    /// async fn report() -> Result<&'static str, std::io::Error> { Ok("all is well") }
    ///
    /// aplomb_sim::block_on(async {
    ///     let _permit = API.acquire().await;
    ///     let refused = API.try_run(report).await.unwrap_err();
    ///     assert!(matches!(refused, LimitError::Busy));
    /// });
    /// ```
    #[inline]
    pub const fn try_run<F, Fut, T, E>(&self, operation: F) -> Run<&Self, F, Fut>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        Run::new(self, false, operation)
    }

    /// Waits until the limit allows another call: for work that is no single operation. Whoever has the permit tells how that ended.
    ///
    /// # Errors
    ///
    /// As [`run`](AdaptiveLimit::run), but for the operation's.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static API: AdaptiveLimit = checked!(AdaptiveLimit::new());
    ///
    /// async fn send(request: &str) -> Result<u16, std::io::Error> { Ok(200) }
    ///
    /// aplomb_sim::block_on(async {
    ///     let permit = API.acquire().await?;
    ///     match send("GET /").await {
    ///         Ok(503) => permit.overload(),
    ///         Ok(_) => permit.success(),
    ///         Err(_) => drop(permit), // it counts as nothing
    ///     }
    ///     Ok::<_, LimitError>(())
    /// })?;
    /// # Ok::<_, LimitError>(())
    /// ```
    pub const fn acquire(&self) -> Acquire<&Self> {
        Self::acquire_owned(self)
    }

    /// As [`acquire`](AdaptiveLimit::acquire), of a limit that `this` points to: an `Arc` or `Rc` of it, which the permit keeps.
    ///
    /// # Errors
    ///
    /// As [`acquire`](AdaptiveLimit::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use std::sync::Arc;
    ///
    /// aplomb_sim::block_on(async {
    ///     let api: Arc<AdaptiveLimit> = Arc::new(AdaptiveLimit::new());
    ///     let permit = AdaptiveLimit::acquire_owned(Arc::clone(&api)).await?;
    ///     aplomb_sim::spawn("call", async move { permit.success() }).await.unwrap();
    ///     assert_eq!(api.snapshot().in_flight, 0);
    ///     Ok::<_, LimitError>(())
    /// })?;
    /// # Ok::<_, LimitError>(())
    /// ```
    pub const fn acquire_owned<B: Deref<Target = Self>>(this: B) -> Acquire<B> {
        Acquire::new(this)
    }

    /// Takes a permit, if the limit allows it and nobody waits.
    ///
    /// # Errors
    ///
    /// [`LimitError::Busy`]; [`LimitError::Closed`].
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static API: AdaptiveLimit = checked!(AdaptiveLimit::new().initial_limit(1));
    ///
    /// let permit = API.try_acquire()?;
    /// assert_eq!(API.try_acquire().unwrap_err(), LimitError::Busy);
    /// permit.success();
    /// assert!(API.try_acquire().is_ok());
    /// # Ok::<_, LimitError>(())
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit<&Self>, LimitError> {
        Self::try_acquire_owned(self)
    }

    /// As [`try_acquire`](AdaptiveLimit::try_acquire), of a limit that `this` points to.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](AdaptiveLimit::try_acquire).
    #[inline]
    pub fn try_acquire_owned<B: Deref<Target = Self>>(this: B) -> Result<Permit<B>, LimitError> {
        this.enter(false)?;
        Ok(Permit::new(this))
    }

    /// Whether one who comes has a place. If not, it is to be waited for.
    #[inline]
    pub(super) fn enter(&self, waits: bool) -> Result<bool, LimitError> {
        if waits {
            match self.semaphore.admit(1) {
                Err(refused) if self.opens(refused) => self.semaphore.admit(1),
                admitted => admitted,
            }
            .map_err(|refused| self.refusal(refused))
        } else {
            match self.semaphore.take(1) {
                Err(TryAcquireError::TooMany { .. }) if self.open() => self.semaphore.take(1),
                taken => taken,
            }
            .map(|()| true)
            .map_err(|refused| self.denial(refused))
        }
    }

    /// Has the first permits there be, if it makes sense.
    #[cold]
    fn open(&self) -> bool {
        let makes_sense = self.settings_error().is_none();
        if makes_sense {
            self.semaphore.resize(0, |machine, _, _| machine.open(&self.terms));
        }
        makes_sense
    }

    /// Why there is no place now.
    #[cold]
    fn denial(&self, refused: TryAcquireError) -> LimitError {
        self.rejected(match refused {
            TryAcquireError::TooMany { .. } => self.senseless(),
            TryAcquireError::NoPermits { .. } => LimitError::Busy,
            TryAcquireError::Closed => LimitError::Closed,
        })
    }

    /// Why there are no permits at all.
    fn senseless(&self) -> LimitError {
        self.settings_error().map_or(LimitError::Busy, LimitError::Config)
    }

    pub(super) fn admitted(&self, since: Instant) {
        let waited = self.clock.now().saturating_duration_since(since);
        self.observer.observe(&Event::Admitted { waited });
    }

    fn rejected(&self, reason: LimitError) -> LimitError {
        self.observer.observe(&Event::Rejected { reason });
        reason
    }
}

impl<P: Platform, A: Algorithm, J, S: Storage, O> Lender for AdaptiveLimit<P, A, J, S, O> {
    type Platform = P;
    type Storage = S;
    type Beside = Machine<A>;

    #[inline]
    fn semaphore(&self) -> &Semaphore<P, S, Machine<A>> {
        &self.semaphore
    }
}

impl<P: Platform, A: Algorithm, J, S: Storage, O: SharedObserver<Event>> Patient for AdaptiveLimit<P, A, J, S, O> {
    type Error = LimitError;
    const LISTENS: bool = O::LISTENS;

    fn clock(&self) -> &P::Clock {
        &self.clock
    }

    fn patience(&self) -> Duration {
        duration(self.max_wait)
    }

    #[inline]
    fn opens(&self, refused: AcquireError) -> bool {
        matches!(refused, AcquireError::TooMany { .. }) && self.open()
    }

    #[cold]
    fn refusal(&self, refused: AcquireError) -> LimitError {
        self.rejected(match refused {
            AcquireError::TooMany { .. } => self.senseless(),
            AcquireError::QueueFull { waiting } => LimitError::QueueFull { waiting },
            AcquireError::Closed => LimitError::Closed,
        })
    }

    fn timed_out(&self, after: Duration) -> LimitError {
        self.rejected(LimitError::TimedOut { after })
    }

    fn waits(&self) {
        self.observer.observe(&Event::Waiting { waiting: self.semaphore.waiting() });
    }
}

impl<P: Platform, A: Algorithm, J, S: Storage, O: SharedObserver<Event>> Settle for AdaptiveLimit<P, A, J, S, O> {
    type Judge = J;

    #[inline]
    fn judge(&self) -> &J {
        &self.judge
    }

    #[inline]
    fn now(&self) -> Instant {
        self.clock.now()
    }

    #[inline]
    fn settle(&self, began: Instant, end: End) {
        let (ended, overload) = match end {
            End::Success(ended) => (ended, false),
            End::Overload(ended) => (ended, true),
            End::Ignored => {
                self.semaphore.resize(1, |_, admitted, _| admitted);
                return;
            }
        };
        let call = Call { began, ended, overload };
        let (from, to) =
            self.semaphore.resize(1, |machine, admitted, in_flight| machine.record(&self.terms, admitted, in_flight, call));
        if from != to {
            self.observer.observe(&Event::Changed { from, to });
        }
    }
}

impl<P: Platform, A: Algorithm, J, S: Storage, O> fmt::Debug for AdaptiveLimit<P, A, J, S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveLimit").field("now", &self.snapshot()).finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P: Platform, A: Algorithm, J, S: Storage, O> defmt::Format for AdaptiveLimit<P, A, J, S, O> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "AdaptiveLimit {{ now: {}, .. }}", self.snapshot());
    }
}
