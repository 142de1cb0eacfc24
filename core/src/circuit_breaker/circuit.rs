use core::ops::Deref;

use super::error::BreakerError;
use super::machine::Epoch;
use crate::time::Instant;

/// What a [`Permit`](super::Permit) answers to: a breaker, what points to one, or that of a key.
pub trait Circuit {
    /// What says what counts as a failure.
    type Judge;

    /// What says what counts as a failure.
    fn judge(&self) -> &Self::Judge;

    /// A call has come.
    ///
    /// # Errors
    ///
    /// It does not go through.
    fn admit(&self) -> Result<Ticket, BreakerError>;

    /// A call that went through begins now, and not when it came.
    #[must_use]
    fn begin(&self, ticket: Ticket) -> Ticket;

    /// A call that went through has ended.
    fn settle(&self, ticket: Ticket, failed: bool);

    /// A call that went through counts as nothing.
    fn abandon(&self, ticket: Ticket);
}

/// The stamp of a call that went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ticket {
    pub(super) epoch: Epoch,
    /// When it began, if that matters.
    pub(super) began: Instant,
}

impl<C: Deref<Target: Circuit>> Circuit for C {
    type Judge = <C::Target as Circuit>::Judge;

    #[inline]
    fn judge(&self) -> &Self::Judge {
        (**self).judge()
    }

    #[inline]
    fn admit(&self) -> Result<Ticket, BreakerError> {
        (**self).admit()
    }

    #[inline]
    fn begin(&self, ticket: Ticket) -> Ticket {
        (**self).begin(ticket)
    }

    #[inline]
    fn settle(&self, ticket: Ticket, failed: bool) {
        (**self).settle(ticket, failed);
    }

    #[inline]
    fn abandon(&self, ticket: Ticket) {
        (**self).abandon(ticket);
    }
}
