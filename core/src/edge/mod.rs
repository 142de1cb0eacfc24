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
//! # Zero
//!
//! A window of zero is over as it begins. Where the first call of a window starts at once (a leading edge), each call does: an interval of zero keeps nobody. Elsewhere the newest of those that come at once starts, when everybody who is ready
//! has had a turn. Neither sets a timer.
//!
//! # What it costs
//!
//! A trigger, a call that [shares](Share), or an item of a stream in a pending burst costs a reading of the clock, the lock, and a few stores, however many wait; no timer is set anew: whoever waits looks, when its timer is over, whether the
//! burst goes on, which is once for each window.
//!
//! Where callers end when they are superseded ([`Reject`], the default of [`call`](Gate::call)), a timer lives no longer than its caller: each call that is still the newest when all who are ready had their turn sets one, and its
//! successor another. A burst that comes at once sets one timer; 1,000 calls that come one after another set 1,000, and each then costs twice as much. Where that matters, [`trigger`](Gate::trigger).
//!
//! Nothing allocates, but storage on the heap that grows.

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

/// How much is done at one poll before the other tasks have their turn.
const BUDGET: u32 = 256;
