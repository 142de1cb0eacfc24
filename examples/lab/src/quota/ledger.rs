use std::time::{Duration, Instant};

/// The quota: so many requests a second.
pub(super) const RATE: u32 = 100;
/// How many more are served at once, after a while without any.
pub(super) const BURST: u32 = 50;

/// What the service knows of a customer: a bucket into which every request pours a unit, and which leaks at the rate. A request that would make it run over is refused.
pub(super) struct Ledger {
    level: f64,
    at: Instant,
    /// When the first request came.
    began: Option<Instant>,
    served: u32,
    refused: u32,
}

impl Ledger {
    pub(super) fn new(now: Instant) -> Self {
        Self { level: 0.0, at: now, began: None, served: 0, refused: 0 }
    }

    /// A request arrives.
    ///
    /// # Errors
    ///
    /// How long to wait, if it is refused.
    pub(super) fn arrive(&mut self, now: Instant) -> Result<(), Duration> {
        self.began.get_or_insert(now);
        let leaked = now.saturating_duration_since(self.at).as_secs_f64() * f64::from(RATE);
        (self.level, self.at) = ((self.level - leaked).max(0.0), now);
        let excess = self.level + 1.0 - f64::from(BURST);
        if excess > 0.0 {
            self.refused += 1;
            return Err(Duration::from_secs_f64(excess / f64::from(RATE)));
        }
        self.level += 1.0;
        self.served += 1;
        Ok(())
    }

    pub(super) fn served(&self) -> u32 {
        self.served
    }

    pub(super) fn refused(&self) -> u32 {
        self.refused
    }

    /// How much of the rate was used from the first request to the last: what has leaked, of what can have. All of it, if the bucket was never empty.
    pub(super) fn throughput(&self) -> f64 {
        let took = self.began.map_or(Duration::ZERO, |began| self.at - began);
        if took.is_zero() { 0.0 } else { (f64::from(self.served) - self.level) / took.as_secs_f64() / f64::from(RATE) }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use aplomb_tokio::rate_limiter::{Algorithm, Rate, Refused, TokenBucket};
    use fastrand::Rng;

    use super::super::clients::{CLIENTS, CLIENTS_BURST, SLACK};
    use super::*;

    #[test]
    fn it_serves_a_burst_and_then_the_rate() {
        let began = Instant::now();
        let mut ledger = Ledger::new(began);
        let at = |millis| began + Duration::from_millis(millis);
        for _ in 0..BURST {
            assert_eq!(ledger.arrive(at(10)), Ok(()));
        }
        assert_eq!(ledger.arrive(at(10)).map_err(|wait| wait.as_millis()), Err(10));
        for request in 1..=200 {
            assert!(ledger.arrive(at(10 + 10 * request)).is_ok(), "the {request}th of the rate");
            assert!(ledger.arrive(at(10 + 10 * request)).is_err(), "one more");
        }
        assert_eq!((ledger.served(), ledger.refused()), (BURST + 200, 201));
    }

    #[test]
    fn throughput_is_less_only_where_the_bucket_was_empty() {
        let began = Instant::now();
        let mut ledger = Ledger::new(began);
        let at = |millis| began + Duration::from_millis(millis);
        assert!(ledger.throughput().abs() < 1e-9);
        for _ in 0..BURST {
            assert_eq!(ledger.arrive(at(1_000)), Ok(()));
        }
        for (millis, throughput) in [(1_250, 1.0), (1_500, 1.0), (2_000, 0.52)] {
            assert_eq!(ledger.arrive(at(millis)), Ok(()));
            assert!((ledger.throughput() - throughput).abs() < 1e-6, "{} at {millis}", ledger.throughput());
        }
    }

    /// What becomes of what the limiter of the clients lets through, if they stand still now and then, for up to `still` when they have caught up, and the network delays for a while by `late`, and then by nothing.
    fn play(still: Duration, late: Duration, seed: u64) -> Ledger {
        let mut draw = Rng::with_seed(seed);
        let bucket = TokenBucket::new(Rate::per_second(RATE)).burst(CLIENTS_BURST);
        let (mut state, mut now, began) = (TokenBucket::START, aplomb_tokio::Instant::ORIGIN, Instant::now());
        let (mut arrivals, mut delay, mut caught_up) = (Vec::new(), late, false);
        for _ in 0..2_000 {
            if draw.u8(..) < 3 {
                delay = if draw.bool() { late } else { Duration::ZERO };
            }
            if caught_up && draw.u8(..) < 3 {
                now = now + still.mul_f64(draw.f64());
            }
            let free = bucket.try_take(&mut state, now, 1).err().and_then(Refused::until);
            caught_up = free.is_some();
            if let Some(at) = free {
                now = at;
                assert_eq!(bucket.try_take(&mut state, now, 1), Ok(()));
            }
            arrivals.push(began + Duration::from_nanos(now.as_nanos()) + delay);
        }
        arrivals.sort_unstable();
        let mut ledger = Ledger::new(began);
        for at in arrivals {
            // It is counted.
            let _ = ledger.arrive(at);
        }
        ledger
    }

    #[test]
    fn nothing_is_refused_that_is_no_later_than_the_slack() {
        // A little less, as the service counts with fractions.
        let late = SLACK.mul_f64(0.9999);
        for seed in 0..300 {
            assert_eq!(play(late * 2, late, seed).refused(), 0, "seed {seed}");
        }
    }

    /// The clients and their limiter, with a network in between.
    #[test]
    fn clients_that_share_a_limiter_use_the_quota_and_are_not_refused() {
        use aplomb_sim::{Explore, RateLimiter, Sim};

        Explore::new().seeds(0..8).run(|sim: Sim| async move {
            let limiter = Rc::new(RateLimiter::with_burst(Rate::per_second(RATE), CLIENTS_BURST));
            let began = Instant::now();
            let ledger = Rc::new(RefCell::new(Ledger::new(began)));
            let end = aplomb_sim::now() + Duration::from_secs(20);
            for client in 0..CLIENTS {
                let (limiter, ledger) = (Rc::clone(&limiter), Rc::clone(&ledger));
                let way = move || aplomb_sim::sleep(sim.latency(Duration::ZERO..=SLACK.mul_f64(0.9999)));
                sim.spawn(format!("client {client}"), async move {
                    let request = async || {
                        way().await;
                        let answer = ledger.borrow_mut().arrive(began + Duration::from_nanos(aplomb_sim::now().as_nanos()));
                        way().await;
                        answer
                    };
                    while aplomb_sim::now() < end {
                        assert_eq!(limiter.run(&request).await, Ok(()));
                    }
                });
            }
            sim.run_until_idle().await;
            let throughput = ledger.borrow().throughput();
            assert!((0.98..=1.0).contains(&throughput), "{throughput}");
        });
    }

    #[test]
    fn what_is_later_may_be_refused() {
        assert!((0..300).any(|seed| play(SLACK, SLACK * 2, seed).refused() > 0));
    }

    #[test]
    fn nothing_is_lost_to_clients_that_can_catch_up() {
        let still = Duration::from_secs(1) * CLIENTS_BURST / RATE;
        for seed in 0..300 {
            let throughput = play(still, Duration::ZERO, seed).throughput();
            assert!(throughput > 0.999, "{throughput} with seed {seed}");
        }
        assert!((0..300).any(|seed| play(still * 4, Duration::ZERO, seed).throughput() < 0.99));
    }
}
