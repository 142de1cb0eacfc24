//! What must hold of each pattern in the end.

use core::sync::atomic::Ordering;

use aplomb_embassy::circuit_breaker::State;

use crate::CALLS;
use crate::patterns::*;

impl Pattern {
    /// What must hold of it, when all callers have ended and some time has gone by.
    #[allow(clippy::too_many_lines, reason = "a few for each pattern")]
    pub fn check(self) {
        let tally = self.tally();
        tally.check();
        tally.must(tally.calls.get() == CALLS, "each caller calls it in each round");
        // Nobody can drop a job, and wires start nothing.
        let has_none = matches!(self, Self::Jobs | Self::Contact | Self::Button | Self::Streams);
        tally.must(tally.dropped.get() > 0 || has_none, "there was something to lose");
        let (calls, values, starts) = (tally.calls.get(), tally.values.get(), tally.starts.get());
        match self {
            Self::Timeout => {
                tally.check_one_to_one();
                tally.must(starts == calls, "each call starts");
            }
            Self::Retry | Self::Guarded => {
                tally.must(values == tally.done.get(), "each value is its caller's");
                tally.must(starts > calls && starts <= 4 * calls, "some are tried again, and none too often");
            }
            Self::Budget => {
                let retries = TOKENS - BUDGET.available();
                tally.must(values == tally.done.get(), "each value is its caller's");
                tally.must(starts == calls + retries, "each retry is paid for, and no other");
                tally.must(retries > TOKENS / 2, "most of it is spent");
            }
            Self::Breaker => {
                tally.check_one_to_one();
                let end = BREAKER.snapshot();
                tally.must(u64::from(tally.refusals.get()) == end.rejected && end.rejected > 0, "it tells whom it rejected");
                tally.must(end.opened > 0 && end.probes == 0, "no probe is left");
            }
            Self::Breakers => {
                tally.check_one_to_one();
                tally.must(
                    (0..6).all(|key| BREAKERS.state(&key) != State::HalfOpen || BREAKERS.snapshot(&key).probes == 0),
                    "no probe is left",
                );
            }
            Self::Limiter => {
                tally.check_one_to_one();
                let end = LIMITER.snapshot();
                tally.must(end.available == 2 && end.waiting == 0, "its permits are there again");
                tally.must(tally.refusals.get() > 0, "it had no room for some");
            }
            Self::Limiters => {
                tally.check_one_to_one();
                tally.must((0..6).all(|key| LIMITERS.snapshot(&key).available == 2), "its permits are there again");
            }
            Self::Fallback => {
                tally.must(values == tally.done.get(), "each value is its caller's");
                tally.must(starts > calls && starts <= 2 * calls, "what fails is tried otherwise, and once");
            }
            Self::Window => {
                tally.check_one_to_one();
                tally.must(WINDOW.snapshot().waiting == 0 && tally.refusals.get() > 0, "nobody waits, and some could not");
            }
            Self::ByTime => {
                tally.check_one_to_one();
                let end = BY_TIME.snapshot();
                tally.must(u64::from(tally.refusals.get()) == end.rejected && end.rejected > 0, "it tells whom it rejected");
                tally.must(end.opened > 0 && end.probes == 0, "no probe is left");
            }
            Self::ByPercentile => {
                let end = BY_PERCENTILE.snapshot();
                tally.must(u64::from(starts) == end.calls + end.hedges && end.hedges > 0, "it counts alike");
                tally.must(values == tally.done.get(), "each value is its caller's");
            }
            Self::Contact | Self::Button | Self::Streams => {
                tally.must(values > 0 && values + tally.given_up.get() == calls, "each call has what it waits for");
                // A contact changes each five seconds, and bounces; a button is held when it was for another one.
                tally.must(tally.longest.get() < 6_150, "and not too late");
            }
            Self::Debounce | Self::Throttle => tally.check_one_to_one(),
            Self::Trigger => {
                tally.must(!TRIGGER.is_pending() && starts < calls, "nothing waits, and some was superseded");
                tally.must(WORKED_ON.load(Ordering::Relaxed) == TRIGGERED.load(Ordering::Relaxed), "the newest was worked on");
            }
            Self::Polling => tally.must(starts > calls && starts <= 5 * calls, "some ask again, and none too often"),
            Self::Semaphore => {
                tally.check_one_to_one();
                tally.must(tally.refusals.get() == 0, "everybody waits");
                tally.must(SEMAPHORE.available() == 2 && SEMAPHORE.waiting() == 0, "its permits are there again");
            }
            Self::Bulkhead => {
                tally.check_one_to_one();
                let end = BULKHEAD.snapshot();
                tally.must(end.running == 0 && end.waiting == 0, "its place is free");
                tally.must(tally.refusals.get() > 0, "it had no room for some");
            }
            Self::Pool => {
                tally.check_one_to_one();
                let end = POOL.snapshot();
                tally.must(end.running == 0 && end.waiting == 0, "its place is free");
                tally.must(
                    end.completed == u64::from(values) && end.rejected == u64::from(tally.refusals.get()),
                    "it counts alike",
                );
            }
            Self::SingleFlight => {
                let end = FLIGHTS.snapshot();
                tally.must(end.flights == 0 && end.waiting == 0, "nobody is in the air");
                tally.must(values > tally.done.get(), "some share");
            }
            Self::Cache => {
                let end = CACHE.snapshot();
                tally.must(end.fetching == 0 && end.waiting == 0, "nobody fetches");
                tally.must(values > tally.done.get() && end.hits > 0 && end.len <= 2, "some are kept");
            }
            Self::Memoize => {
                let end = MEMOIZED.snapshot();
                tally.must(end.fetching == 0 && end.waiting == 0, "nobody calls");
                tally.must(values > tally.done.get() && end.evicted > 0 && end.len <= 2, "some are kept");
            }
            Self::Parallel => tally.must(tally.done.get() >= 4 * values && starts <= 4 * calls, "each item starts, and once"),
            Self::Waterfall => {
                tally.must(tally.done.get() >= 3 * values && starts <= 3 * calls, "each step starts, and once");
                tally.must(tally.failures.get() == tally.broken.get(), "each error is its caller's");
            }
            Self::Hedge => {
                let end = HEDGE.snapshot();
                tally.must(u64::from(starts) == end.calls + end.hedges && end.hedges > 0, "it counts alike");
                tally.must(values == tally.done.get(), "each value is its caller's");
            }
            Self::Batcher => {
                let end = BATCHER.snapshot();
                tally.must(end.waiting == 0 && end.running == 0, "nobody waits");
                tally.must(starts < calls && values > tally.done.get(), "some go together");
            }
            Self::Adaptive => {
                tally.check_one_to_one();
                let end = ADAPTIVE.snapshot();
                tally.must(end.in_flight == 0 && end.waiting == 0, "its places are free");
            }
            Self::Pipeline => {
                let end = (BY_RATE.snapshot(), BY_COUNTER.snapshot(), PLACES.snapshot());
                tally.must(end.0.opened > 0, "it was open at times");
                tally.must(end.0.probes == 0, "no probe is left");
                tally.must(end.1.waiting == 0 && end.2.running == 0 && end.2.waiting == 0, "its places are free");
                tally.must(values == tally.done.get() && starts > calls, "each value is its caller's, and some are tried again");
            }
            Self::Jobs => {
                let (end, ended) = (JOBS.snapshot(), tally.done.get() + tally.broken.get());
                tally.must(end.running == 0 && end.waiting == 0, "its places are free");
                tally.must(ended == values && RESULTS.load(Ordering::Relaxed) == values, "each job has its result");
                tally.must(tally.refusals.get() > 0, "it had no room for some");
            }
        }
    }
}
