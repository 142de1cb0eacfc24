//! Circuit breaker: while a service fails, it is not called.

mod breaker;
mod changed;
mod circuit;
mod error;
mod gate;
mod judge;
mod keyed;
mod machine;
mod permit;
mod run;
mod settings;
mod state;
mod timing;
mod trip;

pub use breaker::CircuitBreaker;
pub use changed::Changed;
pub use circuit::{Circuit, Ticket};
pub use error::BreakerError;
pub use judge::{AnyError, FailureIf, Judge, Verdict};
pub use keyed::{KeyedCircuitBreaker, OfKey};
pub use permit::Permit;
pub use run::Run;
pub use state::{Event, Snapshot, State};
pub use trip::{
    Call, CallsRing, CallsWindow, Consecutive, LastCalls, LastTime, Sliding, Tally, TimeRing, TimeWindow, Trip, Window,
};
