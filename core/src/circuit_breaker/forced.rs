//! What a breaker is told by hand.

use super::breaker::CircuitBreaker;
use super::machine::{Forced, Machine};
use super::state::Event;
use super::trip::Trip;
use crate::backoff::Backoff;
use crate::observe::SharedObserver;
use crate::platform::Platform;
use crate::storage::Storage;

impl<P, T, B, J, S, O> CircuitBreaker<P, T, B, J, S, O>
where
    P: Platform,
    T: Trip,
    B: Backoff<State: Copy>,
    S: Storage,
    O: SharedObserver<Event>,
{
    /// Rejects all calls from now on, until it is told otherwise.
    ///
    /// The calls under way don't count, nor do they after any other of these verbs.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::circuit_breaker::State;
    /// use aplomb_sim::prelude::*;
    ///
    /// aplomb_sim::block_on(async {
    ///     let api: CircuitBreaker = CircuitBreaker::consecutive(5);
    ///     api.force_open();
    ///     assert_eq!(api.permit().unwrap_err(), BreakerError::Open { retry_after: None });
    ///     api.force_closed();
    ///     assert_eq!(api.state(), State::Closed);
    /// });
    /// ```
    pub fn force_open(&self) {
        self.force(|machine| machine.force(Forced::Open));
    }

    /// Closes it now, with nothing on record, as if its probes had succeeded.
    pub fn force_closed(&self) {
        self.force(|machine| machine.force(Forced::Closed));
    }

    /// Lets all calls through from now on and counts none, until it is told otherwise.
    pub fn disable(&self) {
        self.force(|machine| machine.force(Forced::Disabled));
    }

    /// Makes it as new: closed, with nothing on record, its [counts](super::Snapshot) at zero.
    pub fn reset(&self) {
        self.force(Machine::reset);
    }

    fn force(&self, act: impl FnOnce(&mut Machine<T, B>)) {
        // One that makes no sense lets nothing through, whatever is said.
        if self.terms.config_error().is_none() {
            self.act(None, |machine, _, _| act(machine));
        }
    }
}
