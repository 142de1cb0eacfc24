//! Adaptive concurrency limit: as many at once as the service can take, found from how long its calls take.
//!
//! ```text
//! a service that serves 8 at once, 10 ms each, and callers without end
//!
//! limit      20   10   5    10   11 ..  15   16   16     (gradient: half as much again, and a short queue)
//! latency    25   13   10   13   14     19   20   20  ms
//! a second   800  800  500  800  800    800  800  800    calls
//!
//! then it serves 4 at once: calls take twice as long, and within some twenty windows the limit is 10
//! ```
//!
//! A service does so much at once; what is more waits in it, in a queue that nobody sees. There calls only take longer, until they take too long for anybody to have a use for them, and all that is done is done in vain. How much is too much is not written anywhere, and
//! changes with every release, every instance, every hour. But it can be seen: as long as there is no queue, calls take as long as the work does. So the limit goes up while that is so, and down when it is not, as TCP finds how much a network takes.
//!
//! # What it promises
//!
//! - Never more than the limit start. It is always from [`min_limit`](AdaptiveLimit::min_limit) to [`max_limit`](AdaptiveLimit::max_limit). When it shrinks, nobody is disturbed: what runs ends, and nobody starts before enough have.
//! - It never grows while less than half of it is in use, nor after an overload: latency says nothing of calls that were not made. It may shrink at any time.
//! - First come, first served, as in a [bulkhead](crate::bulkhead): a queue with an end, a limit to the time in it, room at once when somebody leaves. A place is free as soon as its operation has ended, was dropped, or has panicked.
//! - A call is measured from its start to its end, by one reading of the clock at each. How long it waited for its place is not in it. A call that is dropped or panics, and by default one that fails, counts as nothing.
//! - One overload is answered once: calls that had begun before the limit last gave way don't make it give way again, however many of them fail.
//! - Where the clock is set back, the calls under way count as nothing, and those after it as ever.
//! - The judge and the observer run outside the lock, so that they may call the limit.
//!
//! # When it changes
//!
//! Calls are measured in windows, of 100 ms and ten calls at least, each ended by a call that began in it, since what a change has brought about is not seen sooner. When one is over, the rule is told the average latency, of which no call counts for more than four times the average before, and says what the limit is to be. A window of that time that is overloaded
//! ends however few calls it has.
//!
//! # Which rule
//!
//! | | finds, of a capacity `C` | goes by | for |
//! | --- | --- | --- | --- |
//! | [`Gradient`] | some `1.5 C + 4` | average latency, against that in the long run | most; calls that are not all alike |
//! | [`Vegas`] | `C` and a few; up to `2 C` where calls are not alike | average latency, against that without a queue | lowest latency |
//! | [`Aimd`] | where calls take `max_latency` | overload only | when what is too slow is known; errors that tell |
//!
//! Gradient and Vegas let in half as many, for two windows, when half of the limit was in use in two; then once in a hundred in which all of it is; and when not all of it is, but calls have taken half as long again as before in five in a row, no more often either; or an eighth as often where nothing has changed and two fifths of it are in use, since a queue that was there from the beginning makes nothing slower. There is no other way to tell a service that has become slower from a queue of one's own. It costs about a
//! hundredth of the throughput, when callers are kept waiting anyway. The limit itself is not touched: an overload, or a lack of calls, ends it, and all of it is there again, less what the overload costs. Or a rule of one's own: [`Algorithm`].
//!
//! # What is a sign of overload
//!
//! Latency, for the limit; an error only if one says so: a timeout inside by [`OnTimeout`], others by [`overload_if`](AdaptiveLimit::overload_if), or a [`Judge`](crate::Judge) for values too, as a 429 or a 503 is. By default errors count as nothing, timeouts among them: an error that comes at once would look like a quick call, and of an error of whatever type nobody can tell whether it is a timeout. (In a [pipeline](crate::pipeline) it is known, and counts.)
//!
//! Some calls fail whatever the load is: they are lost on the way, one of many machines is down, a few questions take too long by nature. A limit that gave way to each of them would be the lower the more calls there are, with nothing gained. So a window is overloaded only when, beside one of them, 5 % of its calls or more are signs of overload
//! ([`overload_tolerance`](AdaptiveLimit::overload_tolerance)); then the limit is a tenth lower. What is borne neither lowers it nor keeps it from growing. In simulations with 60 callers whose service has no queue, 3 % of calls that say "overload" at random cost less than a tenth of the throughput by any rule, and where the service turns away what is more than it can
//! do, the limit comes down from three times that within two seconds. (TCP, which gives way to each loss, is strangled by 1 %; its BBR bears 2 %, and Envoy's admission control 5 %.)
//!
//! # When not to use it
//!
//! - The number is known, since it is one's own: connections, licences, cores. That is a [bulkhead](crate::bulkhead).
//! - What is scarce is a rate: a [rate limiter](crate::rate_limiter). An API with a quota is not slower when it is used up.
//! - Calls that take wildly different times through one limit: an upload and a look-up have no average. Give each kind a limit.
//! - Calls that take half a second and more, or times without a typical one: windows have few calls then, and their averages tell little. In simulations with 50 servers, 500 ms a call and 1,000 callers, Vegas finds some 60 where times are nearly alike, at nine tenths of the throughput, and twice the capacity where they are exponential; Gradient finds two to three times the capacity, and loses a quarter of the throughput where half the calls take next to nothing. Of calls of which one in 200 takes 2 s
//!   and the others 10 ms, either loses up to a fifth of the throughput for some time after a change. Bounds by [`min_limit`](AdaptiveLimit::min_limit) and
//!   [`max_limit`](AdaptiveLimit::max_limit), a longer [`window`](AdaptiveLimit::window), or [`Aimd`] with a latency that is known to be too long.
//! - A few callers on a few servers, whose calls are not alike: where a window has a few dozen of them, chance hides a queue, and the limit may come to lie above all callers, where it holds nobody back until it looks again. In simulations with four servers, 20 callers and exponential times of 20 ms, that is twenty calls a window, five of twelve runs spent minutes at a time so;
//!   with a window of 500 ms, none did. A longer [`window`](AdaptiveLimit::window), or a [`max_limit`](AdaptiveLimit::max_limit) below the callers.
//! - More fail than are tolerated, whatever the load is: then the limit goes down to [`min_limit`](AdaptiveLimit::min_limit), and that does not help. Count as overload only what less load would make better, tolerate more, or leave failures to a [breaker](crate::circuit_breaker).
//! - Under little traffic, when ten calls are a matter of minutes: it stays where it begins, which does no harm.
//!
//! A [timeout](crate::timeout) belongs inside, so that a call that hangs gives its place back; a [retry](crate::retry) outside, so that its delays hold no place.
//!
//! # What it costs
//!
//! Two rounds of the lock and two readings of the clock a call; sums, and one division a window. Nothing is allocated, and there is no floating point. On a server it takes 256 bytes, beside its waiters.
//!
//! # How others differ
//!
//! The rules are those of Netflix's concurrency-limits (Java), and the docs of each say where it differs: here, windows are ended by a call that began in them, overloads heeded by all rules, when they are more than chance, and answered once, and probes made with half as many calls. Its limiters turn away or block a thread; here callers
//! wait in a queue with an end. Envoy's adaptive concurrency pins its limit to 3 while it measures.

mod acquire;
mod algorithm;
mod error;
mod event;
mod judge;
mod limit;
mod machine;
mod permit;
mod run;
mod settings;

pub use acquire::Acquire;
pub use algorithm::{Aimd, Algorithm, Gradient, GradientState, Sample, Vegas, VegasState};
pub use error::LimitError;
pub use event::Event;
pub use judge::{IgnoreErrors, OnTimeout, OverloadIf, Verdict};
pub use limit::{AdaptiveLimit, Snapshot};
pub use permit::{Permit, Settle};
pub use run::Run;
