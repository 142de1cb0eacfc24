use core::fmt;
use core::time::Duration;

use super::trip::Tally;

/// What a breaker does with the calls that come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum State {
    /// All go through, and their ends are counted.
    Closed,
    /// None goes through, until [`open_for`](super::CircuitBreaker::open_for) is over.
    Open,
    /// A few go through at once, by which it is found out whether the others may.
    HalfOpen,
    /// None goes through, until somebody says otherwise.
    ForcedOpen,
    /// All go through, and nothing is counted.
    Disabled,
}

impl State {
    /// Whether no call goes through.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::ForcedOpen)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::ForcedOpen => "forced open",
            Self::Disabled => "disabled",
        })
    }
}

/// What a breaker tells its observer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event {
    /// It has gone from one state to another.
    Changed {
        /// What it was.
        from: State,
        /// What it is.
        to: State,
    },
    /// A call did not go through.
    Rejected {
        /// When it may be worth another try, where that is known.
        retry_after: Option<Duration>,
    },
}

/// What a breaker for each key tells its observer: an event, and of which key. The key is a copy, made only if somebody [listens](crate::observe::SharedObserver::LISTENS).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct KeyedEvent<K> {
    /// Of which key.
    pub key: K,
    /// What happened.
    pub event: Event,
}

/// From which state to which, if that is to be told.
pub(super) type Change = Option<(State, State)>;

/// How a breaker stands at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Snapshot {
    /// What the next call would find: a breaker whose time has passed is half-open, though no call has come yet.
    pub state: State,
    /// How long it stays open.
    pub retry_after: Option<Duration>,
    /// What is on record while it is closed.
    pub tally: Tally,
    /// How many probes are under way.
    pub probes: u32,
    /// How often it has opened.
    pub opened: u32,
    /// How many calls it has rejected.
    pub rejected: u64,
}
