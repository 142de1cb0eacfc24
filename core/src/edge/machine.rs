use super::terms::{After, Terms};
use crate::time::Instant;

/// The edge machine: which calls of a burst start, and when. Debounce and throttle are this one machine under different [`Terms`].
///
/// It knows of the one call that may be pending, and of one that was flushed; of whom these are, its driver knows. A call that comes before the pending one has been started takes its place, also if that one is due already. What was flushed
/// starts, whatever comes after it.
///
/// # Examples
///
/// Without futures, on a timer interrupt:
///
/// ```
/// use aplomb::Instant;
/// use aplomb::edge::{Decision, Starting, Terms, Window};
/// use aplomb::time::ms;
///
/// let at = |millis| Instant::ORIGIN + ms(millis);
/// let terms = Terms::debounce(ms(20));
/// let mut window = Window::new();
///
/// assert_eq!(window.call(&terms, at(0)), Decision::Wait { until: at(20) });
/// assert_eq!(window.call(&terms, at(15)), Decision::Wait { until: at(35) });
/// assert_eq!(window.tick(&terms, at(20)), None);
/// assert_eq!(window.tick(&terms, at(35)), Some(Starting::Newest));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Window {
    /// Calls before it belong to the window.
    closes: Instant,
    /// When the pending call starts, even if the window goes on.
    limit: Instant,
    pending: Option<Pending>,
    /// Whether a call was flushed that has not been started.
    flushed: bool,
    /// Whether the window began with a start.
    started: bool,
}

/// What the pending call waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Pending {
    /// The end of the window, or the limit.
    Time,
    /// Its driver, and nothing else.
    Driver,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Decision {
    /// It starts now, in the place of the pending one, if there is one.
    Start,
    /// It is the pending one from now on. It starts at that instant, if no other call comes before.
    Wait {
        /// When: [`Instant::ORIGIN`], as soon as all that comes at once has come; [`Instant::MAX`], after what was flushed.
        until: Instant,
    },
    /// It never starts: the window began with a start, and nothing starts at its end.
    Skip,
}

/// Which call starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Starting {
    /// The one that was pending when there was a flush.
    Flushed,
    /// The newest.
    Newest,
}

impl Window {
    /// The machine before the first call.
    #[must_use]
    pub const fn new() -> Self {
        Self { closes: Instant::ORIGIN, limit: Instant::MAX, pending: None, flushed: false, started: false }
    }

    /// There is a call, which starts on the spot if it is told to.
    #[inline]
    pub fn call(&mut self, terms: &Terms, now: Instant) -> Decision {
        let decision = self.arrive(terms, now);
        if decision == Decision::Start {
            self.pending = None;
            self.start(terms, now);
        }
        decision
    }

    /// There is a call whose driver comes for it later: that is when it starts, and until then it is the pending one.
    #[inline]
    pub(super) fn defer(&mut self, terms: &Terms, now: Instant) -> Decision {
        match self.arrive(terms, now) {
            Decision::Start => {
                self.pending = Some(Pending::Driver);
                Decision::Wait { until: Instant::ORIGIN }
            }
            later => later,
        }
    }

    /// A call comes. If it may start, that is not counted yet.
    #[inline]
    fn arrive(&mut self, terms: &Terms, now: Instant) -> Decision {
        if self.pending.is_none() && now >= self.closes && !self.awaits_flushed(terms) {
            return self.open(terms, now);
        }
        self.forget_the_future(terms, now);
        if terms.after == After::Call {
            self.closes = now.saturating_add_nanos(terms.length());
        }
        let over = now >= self.limit || (terms.after != After::Call && now >= self.closes);
        if over && !self.stays(terms, now) {
            return Decision::Start;
        }
        if terms.trailing || self.pending.is_some() { self.wait(terms) } else { Decision::Skip }
    }

    /// A call opens a window.
    #[inline]
    fn open(&mut self, terms: &Terms, now: Instant) -> Decision {
        self.limit = now.saturating_add_nanos(terms.max_wait);
        self.started = false;
        if !terms.leading || terms.after != After::Start {
            self.closes = now.saturating_add_nanos(terms.length());
        }
        if terms.leading { Decision::Start } else { self.wait(terms) }
    }

    /// Whether a call is the pending one, though the window is over: after what was flushed, or where there was no time to wait for, and more may come at once.
    fn stays(&self, terms: &Terms, now: Instant) -> bool {
        self.awaits_flushed(terms) || (self.pending == Some(Pending::Driver) && now <= self.limit)
    }

    /// Time has passed. Which call starts, if one does. If one was flushed and one is pending, the other may start too: ask again.
    #[inline]
    pub fn tick(&mut self, terms: &Terms, now: Instant) -> Option<Starting> {
        if self.start_flushed(terms, now) {
            Some(Starting::Flushed)
        } else if self.start_newest(terms, now) {
            Some(Starting::Newest)
        } else {
            None
        }
    }

    /// Whether the flushed call starts, if there is one.
    #[inline]
    pub(super) fn start_flushed(&mut self, terms: &Terms, now: Instant) -> bool {
        let starts = self.flushed;
        if starts {
            self.flushed = false;
            self.start(terms, now);
        }
        starts
    }

    /// Whether the pending call starts, if there is one.
    #[inline]
    pub(super) fn start_newest(&mut self, terms: &Terms, now: Instant) -> bool {
        let due = self.is_due(terms, now);
        if due {
            self.pending = None;
            self.start(terms, now);
        }
        due
    }

    /// Whether the pending call may start.
    #[inline]
    pub(super) fn is_due(&mut self, terms: &Terms, now: Instant) -> bool {
        self.forget_the_future(terms, now);
        let due = self.newest_deadline(terms);
        !due.is_never() && now >= due
    }

    /// The pending call starts at the next tick, and those that come later do not take its place. Whether there is one, or was at an earlier flush and has not been started.
    pub const fn flush(&mut self, terms: &Terms) -> bool {
        if self.pending.take().is_some() {
            self.flushed = true;
            // What comes later has a limit of its own.
            self.limit = Instant::MAX;
            if matches!(terms.after, After::Opening) {
                self.closes = Instant::ORIGIN;
            }
        }
        self.flushed
    }

    /// What is pending or flushed will not start. A debounce begins anew with the next call; a throttle keeps its distance from the last start. Whether there was anything.
    pub const fn cancel(&mut self, terms: &Terms) -> bool {
        if !(matches!(terms.after, After::Start) && self.started) {
            self.closes = Instant::ORIGIN;
        }
        let flushed = self.abandon_flushed();
        self.abandon() || flushed
    }

    /// The pending call has gone. Its burst goes on. Whether there was one.
    pub const fn abandon(&mut self) -> bool {
        self.pending.take().is_some()
    }

    /// The flushed call has gone. Whether there was one.
    pub(super) const fn abandon_flushed(&mut self) -> bool {
        core::mem::replace(&mut self.flushed, false)
    }

    /// A start was given up, and another call of its burst takes its place: it is pending, and starts as soon as may be.
    pub(super) const fn restart(&mut self, terms: &Terms) {
        if self.pending.is_none() {
            self.pending = Some(if matches!(terms.after, After::Call) { Pending::Driver } else { Pending::Time });
        }
    }

    /// When a call starts: [`Instant::MAX`] if there is none, [`Instant::ORIGIN`] if one does at once.
    #[must_use]
    #[inline]
    pub fn next_deadline(&self) -> Instant {
        if self.flushed { Instant::ORIGIN } else { self.due() }
    }

    /// When the pending call starts: never, before a flushed one that it has to keep its distance from.
    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub(super) fn newest_deadline(&self, terms: &Terms) -> Instant {
        if self.awaits_flushed(terms) { Instant::MAX } else { self.due() }
    }

    /// Whether a call is pending, or flushed and not started.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        self.pending.is_some() || self.flushed
    }

    #[inline]
    fn due(&self) -> Instant {
        match self.pending {
            None => Instant::MAX,
            Some(Pending::Driver) => Instant::ORIGIN,
            Some(Pending::Time) => self.closes.min(self.limit),
        }
    }

    #[inline]
    fn awaits_flushed(&self, terms: &Terms) -> bool {
        self.flushed && terms.after == After::Start
    }

    #[inline]
    fn wait(&mut self, terms: &Terms) -> Decision {
        // A window of no length has no end to set a timer for.
        if terms.span == 0 {
            self.pending = Some(Pending::Driver);
        }
        self.pending.get_or_insert(Pending::Time);
        Decision::Wait { until: self.newest_deadline(terms) }
    }

    /// A call starts: what is counted from a start begins here.
    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    fn start(&mut self, terms: &Terms, now: Instant) {
        self.started = true;
        self.limit = now.saturating_add_nanos(terms.max_wait);
        match terms.after {
            After::Start => self.closes = now.saturating_add_nanos(terms.length()),
            // It has closed, unless it has just been opened by this very start.
            After::Opening if now >= self.closes => self.closes = Instant::ORIGIN,
            After::Opening | After::Call => {}
        }
    }

    /// Time that ran backwards is no time: nothing ends later than if it had begun now.
    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    fn forget_the_future(&mut self, terms: &Terms, now: Instant) {
        self.closes = self.closes.min(now.saturating_add_nanos(terms.length()));
        self.limit = self.limit.min(now.saturating_add_nanos(terms.max_wait));
    }
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}
