//! Edges: which calls of a burst start, and when. What [`debounce`](crate::debounce) and [`throttle`](crate::throttle) have in common.
//!
//! ```text
//! calls               a b  c d e                f
//! debounce            |..........--- e          |--- f     the newest, when there was no call for `wait`
//!   leading           a                         f          the first, and no more until then
//!   both              a          --- e          f
//!   max_wait          |.....d|....--- e         |--- f     and no later than that
//! throttle            a    d     e              f          the first at once, the newest at each interval's end
//!   leading only      a    c                    f
//! ```
//!
//! # One machine, three ways to use it
//!
//! | | callers | the operation |
//! | --- | --- | --- |
//! | [`call`](Gate::call) | wait for the result; all but the newest end with [`EdgeError::Superseded`], or [`Share`] its result | each caller's own |
//! | [`trigger`](Gate::trigger) and [`run`](Gate::run) | leave a value and go on, in an interrupt too | of the one task that runs |
//! | [`EdgeStream`] and [`PaceStream`] | are the items of a stream | is whoever takes the items |
//!
//! And none of these: [`Window`] is the machine alone, for a timer interrupt, or for C.
//!
//! # What it costs
//!
//! A call or a trigger in a pending burst costs a reading of the clock, the lock, and a store; no timer is set anew: whoever waits looks, when its timer is over, whether the burst goes on, which is once for each window.
//! Nothing allocates.

mod error;
mod gate;
mod machine;
mod reject;
mod seats;
mod share;
mod shared_call;
mod stream;
mod terms;
mod trigger;

pub use error::{DriveError, EdgeError};
#[doc(no_inline)]
pub use futures_core::Stream;
pub use gate::{Gate, Mode};
pub use machine::{Decision, Starting, Window};
pub use reject::{Call, Reject};
pub use share::Share;
pub use shared_call::SharedCall;
pub use stream::{EdgeStream, PaceStream};
pub use terms::Terms;
pub use trigger::{Next, Run, Trigger};
