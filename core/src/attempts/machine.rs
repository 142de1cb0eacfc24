use core::time::Duration;

use fastrand::Rng;

use crate::backoff::Backoff;
use crate::time::{Instant, duration, nanos};

/// What bounds the attempts of a call. Durations are nanoseconds, `u64::MAX` is never.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Limits {
    pub(crate) max_attempts: u32,
    pub(crate) attempt_timeout: u64,
    pub(crate) deadline: u64,
    /// The deadline that came with the request.
    pub(crate) deadline_at: Instant,
    pub(crate) retry_after_max: u64,
    pub(crate) reset_after: u64,
}

impl Limits {
    /// As many attempts as it takes.
    pub(crate) const FOREVER: u32 = u32::MAX;

    pub(crate) const fn new(max_attempts: u32) -> Self {
        Self {
            max_attempts,
            attempt_timeout: u64::MAX,
            deadline: u64::MAX,
            deadline_at: Instant::MAX,
            retry_after_max: u64::MAX,
            reset_after: u64::MAX,
        }
    }

    /// The time an attempt has, if there is a limit to it.
    pub(crate) fn attempt_timeout(&self) -> Option<Duration> {
        (self.attempt_timeout != u64::MAX).then(|| duration(self.attempt_timeout))
    }

    /// Whether an attempt under way has to be watched by a clock.
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    const fn are_timed(&self) -> bool {
        self.attempt_timeout != u64::MAX
            || self.deadline != u64::MAX
            || !self.deadline_at.is_never()
            || self.reset_after != u64::MAX
    }
}

/// What a policy says of attempts, to all its calls.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Terms<B> {
    pub(crate) limits: Limits,
    pub(crate) backoff: B,
}

/// The attempt loop, as a machine: it counts, and says when to go on and when to stop. `S` is the state of its backoff.
///
/// Where the present instant may not be needed, it is asked for: on servers the clock costs more than all the rest.
#[derive(Debug)]
pub(crate) struct AttemptLoop<S> {
    attempt: u32,
    /// The first one that counts: those before it don't any more, because the backoff has begun anew since.
    first: u32,
    /// None while there is nothing to remember: a first attempt without limits in time leaves it so.
    past: Option<Past<S>>,
}

#[derive(Debug)]
pub(crate) struct Past<S> {
    /// When the call began; never, until somebody had to look at the clock.
    began: Instant,
    /// When the present attempt began, likewise.
    attempt_began: Instant,
    /// Where the backoff stands, with the generator of its jitter. None until the first delay.
    place: Option<(S, Option<Rng>)>,
}

impl<S> Default for Past<S> {
    fn default() -> Self {
        Self { began: Instant::MAX, attempt_began: Instant::MAX, place: None }
    }
}

/// What follows a failure: the next attempt, after the delay, at that instant. Without a delay, the instant is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pause {
    /// Nanoseconds.
    delay: u64,
    pub(crate) at: Instant,
}

impl Pause {
    pub(crate) const fn is_none(self) -> bool {
        self.delay == 0
    }

    pub(crate) const fn delay(self) -> Duration {
        duration(self.delay)
    }
}

/// Why no further attempt follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// As many as were allowed have been made.
    Exhausted,
    /// The deadline comes first.
    Deadline,
    /// The retry budget is empty.
    Budget,
}

impl<S> AttemptLoop<S> {
    pub(crate) const fn new() -> Self {
        // Were all of it zero, it would be filled in one way and moved in another, and whoever moves it would wait for that.
        Self { attempt: 0, first: 1, past: None }
    }

    /// The number of the present attempt; the first is 1.
    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// An attempt starts.
    #[inline]
    pub(crate) fn start(&mut self) {
        self.attempt = self.attempt.saturating_add(1);
    }

    /// How long the call has lasted.
    pub(crate) fn elapsed(&mut self, now: Instant) -> Duration {
        now - self.note(now).began
    }

    /// The instant at which the present attempt, which is pending, is to be cut off. Asks for the time once an attempt, if it matters.
    #[inline]
    pub(crate) fn cut_off(&mut self, limits: &Limits, now: impl FnOnce() -> Instant) -> Instant {
        if !limits.are_timed() {
            return Instant::MAX;
        }
        if self.past.as_ref().is_none_or(|past| past.attempt_began.is_never()) {
            self.note(now());
        }
        self.ends_at(limits)
    }

    /// When the attempt ends whose beginning has been noted, by its timeout or by the deadline.
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    fn ends_at(&self, limits: &Limits) -> Instant {
        let began = self.past.as_ref().map_or(Instant::MAX, |past| past.attempt_began);
        began.saturating_add_nanos(limits.attempt_timeout).min(self.deadline(limits))
    }

    /// The deadline of the call, as far as it is known.
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub(crate) fn deadline(&self, limits: &Limits) -> Instant {
        let began = self.past.as_ref().map_or(Instant::MAX, |past| past.began);
        began.saturating_add_nanos(limits.deadline).min(limits.deadline_at)
    }

    /// The attempt has failed. `retry_after` is what the failure itself asks for; `seed` starts the generator of jitter, once a call.
    ///
    /// # Errors
    ///
    /// Why there is no further one.
    pub(crate) fn failed<B: Backoff<State = S>>(
        &mut self,
        terms: &Terms<B>,
        now: impl Fn() -> Instant,
        retry_after: Option<Duration>,
        seed: impl FnOnce() -> u64,
    ) -> Result<Pause, Stop> {
        let (limits, attempt) = (&terms.limits, self.attempt);
        let noted = limits.are_timed().then(&now);
        let past = self.past.get_or_insert_default();
        if let Some(now) = noted {
            past.note(now);
            if now.nanos_since(past.attempt_began) >= limits.reset_after {
                self.first = attempt;
                past.place = None;
            }
            past.attempt_began = Instant::MAX;
        }
        let is_limited = limits.max_attempts != Limits::FOREVER;
        if is_limited && attempt.saturating_sub(self.first) >= limits.max_attempts.saturating_sub(1) {
            return Err(Stop::Exhausted);
        }
        let (place, rng) = past.place.get_or_insert_with(|| (terms.backoff.start(), None));
        let draw = || draw(rng.get_or_insert_with(|| Rng::with_seed(seed())));
        let Some(delay) = terms.backoff.next_nanos(place, draw) else { return Err(Stop::Exhausted) };
        let delay = match retry_after {
            Some(asked) => nanos(asked).min(limits.retry_after_max),
            None => delay,
        };
        if delay == 0 && noted.is_none() {
            return Ok(Pause { delay, at: Instant::ORIGIN });
        }
        let at = noted.unwrap_or_else(now).saturating_add_nanos(delay);
        if at > self.deadline(limits) {
            return Err(Stop::Deadline);
        }
        Ok(Pause { delay, at })
    }

    /// Notes the time at which the call and the attempt began, unless it is known.
    pub(crate) fn note(&mut self, now: Instant) -> &mut Past<S> {
        let past = self.past.get_or_insert_default();
        past.note(now);
        past
    }
}

impl<S> Past<S> {
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    fn note(&mut self, now: Instant) {
        if self.began.is_never() {
            self.began = now;
        }
        if self.attempt_began.is_never() {
            self.attempt_began = now;
        }
    }
}

/// The next number. Kept out of line on small machines, to which a multiplication of 64 bits is a long way.
#[cfg_attr(target_pointer_width = "64", inline)]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
fn draw(rng: &mut Rng) -> u64 {
    rng.u64(..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backoff::{Constant, Exponential, List};

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn at(millis: u64) -> Instant {
        Instant::ORIGIN + ms(millis)
    }

    const fn pause(delay: u64, at: u64) -> Pause {
        Pause { delay: delay * 1_000_000, at: Instant::from_nanos(at * 1_000_000) }
    }

    /// A machine with its terms, and a clock that stands where a test says.
    struct Driven<B: Backoff> {
        terms: Terms<B>,
        machine: AttemptLoop<B::State>,
    }

    fn started<B: Backoff>(limits: Limits, backoff: B) -> Driven<B> {
        let mut attempts = Driven { terms: Terms { limits, backoff }, machine: AttemptLoop::new() };
        attempts.start();
        attempts
    }

    impl<B: Backoff> Driven<B> {
        fn start(&mut self) {
            self.machine.start();
        }

        fn failed(&mut self, now: Instant, retry_after: Option<Duration>) -> Result<Pause, Stop> {
            self.machine.failed(&self.terms, || now, retry_after, || 0)
        }

        fn cut_off(&mut self, now: impl FnOnce() -> Instant) -> Instant {
            self.machine.cut_off(&self.terms.limits, now)
        }
    }

    #[test]
    fn the_first_attempt_counts() {
        let mut attempts = started(Limits::new(3), Constant::every(ms(10)));
        assert_eq!(attempts.failed(at(5), None), Ok(pause(10, 15)));
        attempts.start();
        assert_eq!(attempts.failed(at(20), None), Ok(pause(10, 30)));
        attempts.start();
        assert_eq!(attempts.failed(at(40), None), Err(Stop::Exhausted));
        assert_eq!(attempts.machine.attempt(), 3);
    }

    #[test]
    fn the_end_of_the_backoff_is_the_end() {
        let delays = [ms(10)];
        let mut attempts = started(Limits::new(9), List::of(&delays));
        assert_eq!(attempts.failed(at(0), None), Ok(pause(10, 10)));
        attempts.start();
        assert_eq!(attempts.failed(at(10), None), Err(Stop::Exhausted));
    }

    #[test]
    fn what_the_error_asks_for_wins_over_the_backoff_up_to_its_own_ceiling() {
        let limits = Limits { retry_after_max: nanos(ms(500)), ..Limits::new(9) };
        let mut attempts = started(limits, Exponential::from(ms(10)).max(ms(20)));
        assert_eq!(attempts.failed(at(0), Some(ms(300))), Ok(pause(300, 300)));
        assert_eq!(attempts.failed(at(0), Some(ms(900))), Ok(pause(500, 500)));
        assert_eq!(attempts.failed(at(0), Some(Duration::ZERO)), Ok(pause(0, 0)));
        assert_eq!(attempts.failed(at(0), None), Ok(pause(20, 20)), "the backoff went on meanwhile");
    }

    #[test]
    fn a_pause_may_end_at_the_deadline_but_not_after_it() {
        let limits = Limits { deadline: nanos(ms(100)), ..Limits::new(9) };
        let mut attempts = started(limits, Constant::every(ms(50)));
        assert_eq!(attempts.failed(at(1_000), None), Ok(pause(50, 1_050)));
        assert_eq!(attempts.failed(at(1_050), None), Ok(pause(50, 1_100)));
        assert_eq!(attempts.failed(at(1_051), None), Err(Stop::Deadline));
    }

    #[test]
    fn an_attempt_is_cut_off_by_its_timeout_or_the_deadline_whichever_comes_first() {
        let limits = Limits { deadline: nanos(ms(100)), attempt_timeout: nanos(ms(30)), ..Limits::new(9) };
        let mut attempts = started(limits, Constant::every(ms(50)));
        assert_eq!(attempts.cut_off(|| at(0)), at(30));
        assert_eq!(attempts.cut_off(|| unreachable!("the time is known")), at(30));
        assert_eq!(attempts.failed(at(30), None), Ok(pause(50, 80)));
        attempts.start();
        assert_eq!(attempts.cut_off(|| at(80)), at(100));
        assert_eq!(attempts.machine.deadline(&limits), at(100));
    }

    #[test]
    fn without_limits_in_time_nobody_looks_at_the_clock() {
        let mut attempts = started(Limits::new(3), Constant::every(ms(10)));
        assert_eq!(attempts.cut_off(|| unreachable!()), Instant::MAX);
    }

    #[test]
    fn the_backoff_begins_anew_when_an_attempt_held_for_a_while() {
        let limits = Limits { reset_after: nanos(ms(1_000)), ..Limits::new(3) };
        let mut attempts = started(limits, Exponential::from(ms(10)));
        attempts.cut_off(|| at(0));
        assert_eq!(attempts.failed(at(1), None), Ok(pause(10, 11)));
        attempts.start();
        attempts.cut_off(|| at(11));
        assert_eq!(attempts.failed(at(12), None), Ok(pause(20, 32)));
        attempts.start();
        attempts.cut_off(|| at(32));
        assert_eq!(attempts.failed(at(1_032), None), Ok(pause(10, 1_042)));
        assert_eq!(attempts.machine.attempt(), 3, "attempts are counted through");
    }

    #[test]
    fn time_that_runs_backwards_is_no_time() {
        let limits = Limits { deadline: nanos(ms(100)), reset_after: nanos(ms(10)), ..Limits::new(9) };
        let mut attempts = started(limits, Constant::every(ms(50)));
        attempts.cut_off(|| at(1_000));
        assert_eq!(attempts.failed(at(10), None), Ok(pause(50, 60)));
        assert_eq!(attempts.machine.elapsed(at(10)), Duration::ZERO);
    }

    #[test]
    fn endless_delays_are_a_pause_without_end() {
        let mut attempts = started(Limits::new(u32::MAX), Constant::every(Duration::MAX));
        assert_eq!(attempts.failed(at(1), None), Ok(Pause { delay: u64::MAX, at: Instant::MAX }));
    }

    #[test]
    fn for_ever_does_not_end_where_the_count_does() {
        let mut attempts = started(Limits::new(Limits::FOREVER), Constant::every(ms(10)));
        attempts.machine.attempt = u32::MAX;
        assert_eq!(attempts.failed(at(0), None), Ok(pause(10, 10)));
    }
}
