use core::time::Duration;

use fastrand::Rng;

use super::Backoff;

/// The delays of a [`Backoff`] as an iterator; made by [`Backoff::delays`]. The same seed gives the same delays.
#[derive(Debug, Clone)]
pub struct Delays<B: Backoff> {
    backoff: B,
    state: B::State,
    rng: Rng,
}

impl<B: Backoff> Delays<B> {
    pub(super) fn new(backoff: B, seed: u64) -> Self {
        Self { state: backoff.start(), backoff, rng: Rng::with_seed(seed) }
    }
}

impl<B: Backoff> Iterator for Delays<B> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.backoff.delay(&mut self.state, || self.rng.u64(..))
    }
}
