use core::fmt;

use super::circuit::{Circuit, Ticket};
use super::error::BreakerError;
use super::judge::Verdict;
use crate::judge::Judge;

/// Leave to make one call, which is told how that ended. Made by [`CircuitBreaker::permit`](super::CircuitBreaker::permit) and its likes.
///
/// One that is dropped without a word counts as nothing; if it was a probe's, another may go in its place.
///
/// It may be taken, and told, in an interrupt handler too, if the platform's lock keeps those out.
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// static BUS: CircuitBreaker = CircuitBreaker::consecutive(1).open_for(secs(5));
///
/// fn read_register() -> Result<u8, &'static str> { Err("no acknowledge") }
///
/// aplomb_sim::block_on(async {
///     let permit = BUS.permit().unwrap();
///     permit.record(&read_register());
///     assert_eq!(BUS.permit().unwrap_err().retry_after(), Some(secs(5)));
/// });
/// ```
#[must_use = "a permit that is dropped counts as nothing"]
pub struct Permit<C: Circuit> {
    circuit: C,
    /// None before it has asked, and once it has been told.
    ticket: Option<Ticket>,
}

impl<C: Circuit> Permit<C> {
    #[inline]
    pub(super) fn of(circuit: C) -> Result<Self, BreakerError> {
        let mut permit = Self::unasked(circuit);
        permit.ask()?;
        Ok(permit)
    }

    /// One that is none yet.
    pub(super) const fn unasked(circuit: C) -> Self {
        Self { circuit, ticket: None }
    }

    /// Does something while a call is under way, which counts as nothing if that panics.
    pub(super) fn holding<R>(circuit: C, ticket: Ticket, act: impl FnOnce() -> R) -> R {
        let mut permit = Self { circuit, ticket: Some(ticket) };
        let result = act();
        permit.ticket = None;
        result
    }

    #[inline]
    pub(super) fn ask(&mut self) -> Result<(), BreakerError> {
        self.ticket = Some(self.circuit.admit()?);
        Ok(())
    }

    /// The call begins now. For a permit that was there before its call: what it has been kept for makes no call [slow](super::CircuitBreaker::slow_calls).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static API: CircuitBreaker<LastCalls> = checked!(CircuitBreaker::last_calls(1).min_calls(1).slow_calls(ms(500), percent(50)));
    ///
    /// # aplomb_sim::block_on(async {
    /// let mut permit = API.permit()?;
    /// aplomb_sim::sleep(secs(1)).await; // nobody calls yet
    /// permit.begin();
    /// permit.success();
    /// assert!(!API.state().is_open(), "it was a quick one");
    /// # Ok::<_, BreakerError>(()) }).unwrap();
    /// ```
    #[inline]
    pub fn begin(&mut self) {
        self.ticket = self.ticket.map(|ticket| self.circuit.begin(ticket));
    }

    /// The call has done what it was to.
    #[inline]
    pub fn success(mut self) {
        self.settle(false);
    }

    /// The call has failed.
    pub fn failure(mut self) {
        self.settle(true);
    }

    /// The call has ended so, which counts as the breaker's [`Judge`] says.
    #[inline]
    pub fn record<T, E>(mut self, outcome: &Result<T, E>)
    where
        C::Judge: Judge<T, E, Verdict>,
    {
        let verdict = self.circuit.judge().judge(outcome.as_ref());
        self.settle_as(verdict);
    }

    pub(super) fn judge(&self) -> &C::Judge {
        self.circuit.judge()
    }

    #[inline]
    pub(super) fn settle_as(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Success => self.settle(false),
            Verdict::Failure => self.settle(true),
            Verdict::Ignored => self.abandon(),
        }
    }

    #[inline]
    fn settle(&mut self, failed: bool) {
        if let Some(ticket) = self.ticket.take() {
            self.circuit.settle(ticket, failed);
        }
    }

    #[inline]
    pub(super) fn abandon(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.circuit.abandon(ticket);
        }
    }
}

impl<C: Circuit> Drop for Permit<C> {
    #[inline]
    fn drop(&mut self) {
        self.abandon();
    }
}

impl<C: Circuit> fmt::Debug for Permit<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}
