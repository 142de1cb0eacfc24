//! Rate limiter: so many permits in so much time.
//!
//! ```text
//! 3 per second, all at once   ||| . . . . . . . . .
//! token bucket                ||| |  |  |  |  |  |       a burst, and then at an even pace
//! fixed window                |||       |||       |||    a window begins with its first permit
//! sliding window              |||       |||       |||    never more than 3 in any second
//! ```
//!
//! # What it promises
//!
//! - Callers are served in the order of their first poll. Nobody overtakes, a large request is not starved by small ones, and who leaves makes way at once, from wherever in the queue.
//! - A caller that leaves spends nothing: permits are taken at the very poll that returns them.
//! - A request that no wait can satisfy fails at once: more permits than there can be, a rate at which nothing ever comes back, a deadline that will have passed.
//! - Arithmetic is exact, in whole numbers: 7 permits per 3 seconds are that, over years.
//! - Only who is first in the queue has a timer, and whoever has a deadline; without waiters there is none. So a caller that has begun to wait is polled when it is woken, or dropped: one that is kept and never polled again holds up those behind it.
//! - Where the clock is set back, that is no time, but a timer that is set already rings when the clock says so: whoever is first waits so much longer, unless it is polled.
//! - A timer that is coarser than the clock, as tokio's of a millisecond, wakes late. By a window, whoever goes late counts from then: the rate is a little less than it says, and no stretch of time has more. By a token bucket, a caller that is late by no more than four times the clock's [resolution](crate::Clock::RESOLUTION) counts for the instant for which it was due: the rate is met, and who was due in the meantime goes with it: on tokio, up to 4 ms worth of permits beyond the burst at one instant. Where a service counts as strictly as that, take a bucket that is smaller than its own by so many; where there are none to spare, a window.
//! - Beside the rate, [`max_concurrent`](RateLimiter::max_concurrent) bounds how many calls run at once.
//!
//! # By key
//!
//! A [`KeyedRateLimiter`] is a limiter for each key, in a table of fixed capacity. It forgets first what is as good as new, and never lets somebody through for want of room.
//!
//! # Which rule
//!
//! | | in any window of `per` | state | |
//! | --- | --- | --- | --- |
//! | [`TokenBucket`] | at most `burst` and what drips in | 16 bytes | the default: smooth, and a burst after idling |
//! | [`FixedWindow`] | at most twice the permits, where two meet | 16 bytes | what many servers enforce |
//! | [`SlidingWindow`] | exactly the permits | up to 16 bytes a permit | for quotas that are counted so |
//! | [`SlidingCounter`] | the permits, by an estimate | 16 bytes | nearly that, in little room |
//!
//! Or one of your own: [`Algorithm`].
//!
//! # When not to use it
//!
//! To bound how many calls run at once and nothing else, take a [bulkhead](crate::bulkhead). To drop what comes too fast instead of letting it wait, [`throttle`](crate::throttle), or [`try_acquire`](RateLimiter::try_acquire). One process does not know what another takes: a quota that several share has to be divided among them.
//!
//! # What it costs
//!
//! A permit costs a reading of the clock, the lock, and two additions. On platforms with a [`Word`](crate::Platform::Word), a [`TokenBucket`] gives it by a single exchange in place of the lock, and refuses it by none. The lock is taken only with [`max_concurrent`](RateLimiter::max_concurrent), once [`set_rate`](RateLimiter::set_rate) was called or the clock was set back, while somebody waits or has reserved for later, and, once something was given back, until the bucket is full. Where permits do not lie whole nanoseconds apart, it counts in parts of them, which takes some multiplications, and only as long as those fit into 64 bits: of 7 permits in 3 seconds, 20 years. A waiter takes a slot of 32 bytes on 32-bit machines (40 on 64-bit ones, 48 on the heap), and one turn of its task, another when it becomes the first.
//!
//! Whoever is refused learns in constant time when it is worth another try; by a [`SlidingWindow`], in the logarithm of what that remembers. [`reserve`](RateLimiter::reserve) goes through those who came to wait since the last one; or through all who wait, if any has left since, or could have gone but for a call that runs, and on machines of less than 64 bits. By a [`SlidingWindow`] it copies what that remembers, if anybody waits. [`set_rate`](RateLimiter::set_rate) looks at each who waits, once, under the lock.
//!
//! # How peers differ
//!
//! Tests play the same calls against each, or against what it was recorded to do.
//!
//! - **governor** decides the same at the same nanosecond, where permits lie whole nanoseconds apart. Else it rounds that down, and so gives more than the rate in the long run. Its waiters all sleep and try again, so that they overtake each other, and each permit costs a turn of many.
//! - **Go's `x/time/rate`** gives each caller its time when it comes, so that nobody moves up when another leaves. It counts in floating point. A reservation gives back the same, less what later ones rest on, as does a caller there that leaves; but where several large ones are given back from under a small one, Go makes a burst larger than the bucket.
//! - **p-throttle** counts a call at the very end of a window in that window; for a [`FixedWindow`], the next one has begun. Its strict mode sets those who wait apart, where a [`SlidingWindow`] lets them come as soon as there is room; and with weights, it lets small calls overtake large ones.
//! - **Bottleneck** keeps the same pace by its `minTime` as a bucket of one. Its reservoir is filled on a grid that begins when it is made, and when its heart beats; a window of a [`FixedWindow`] begins with its first permit.
//! - **leaky-bucket** counts from when it woke, so that a coarse timer halves its rate. **tower**'s limits are per clone.

mod acquire;
mod algorithm;
mod error;
mod event;
mod keyed;
mod limiter;
mod line;
mod lines;
mod outside;
mod permit;
mod rate;
mod reservation;
mod run;
mod settings;
mod stream;

pub use acquire::Acquire;
pub use algorithm::{Algorithm, Bucket, Counters, FixedWindow, Log, Refused, SlidingCounter, SlidingWindow, TokenBucket, Window};
pub use error::RateLimitError;
pub use event::Event;
pub use keyed::{KeyedRateLimiter, Own};
pub use limiter::RateLimiter;
pub use line::Snapshot;
pub use lines::{Find, Lines};
pub use permit::Permit;
pub use rate::Rate;
pub use reservation::{Reservation, Reserved};
pub use run::Run;
pub use stream::{RateLimitStream, RateLimitStreamExt};
