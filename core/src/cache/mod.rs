//! A cache: values by key, each for as long as it is good; and one fetch for all who ask for what is not there.
//!
//! ```text
//! get a   --fetch----> 1 |<- fresh: ttl ->|<- stale -->|
//! get a     --waits--> 1    1      1        1 at once    --fetch--> 2
//!                                           refresher --fetch--> 2
//! ```
//!
//! # What it promises
//!
//! - [`get`](Cache::get) answers with what is there and fresh: while `now < stored + ttl`. Else one of the callers fetches, and all who ask meanwhile have its result, its error too; a fetch counts as stored when it has ended, and one that is ready at once, when it was asked for: what it computes within its one poll is taken off the TTL, unless fetches are timed, for an observer or [early refreshes](Cache::early_refresh).
//! - A caller that fetches and is dropped, or whose fetch panics, hands over to the one that has waited longest, which starts its own; also if a value was stored or invalidated meanwhile, as what its callers get is what is fetched for them.
//! - A caller that fetches has to be polled. One that is kept and is not, as a future that lost a `select!` may be, holds up those who wait for it until it is dropped, or their deadlines come; [`invalidate`](Cache::invalidate) has the next caller start its own.
//! - A fetch that fails ends with a value for whoever asked, if one has been stored meanwhile that would be served.
//! - What is invalidated or replaced while it is fetched answers the callers of that fetch, and is not kept; and the end of an old fetch does nothing to a newer one. Nothing that was taken out comes back.
//! - It never has more entries than its [`capacity`](Cache::capacity), nor do they weigh more than [`max_weight`](Cache::max_weight), each shard its part, rounded up. To make room, what has ended goes first, and then what is used least and longest ago; no more than 128 entries are looked at for one that has ended, so that where many have moved their ends, another one may go before it; keys that come once, as in a scan, pass through without displacing what is used again.
//! - Nothing happens in the background. What has ended is no longer served, and lies there until its place is wanted, its key is stored again, it is invalidated, or somebody [purges](Cache::purge_expired).
//! - A caller may have a [deadline](Get::deadline_at) of its own. Others are not bound by it: if it fetches, the next one does. No fetch outlives the caller whose it is, so that where all deadlines are shorter than a fetch, [none ends](Get::deadline_at).
//! - The clock is read once a read, and once more when a fetch has ended that has waited or is timed; by whoever is told that one has failed, only if there is a value that may answer instead; not at all where nothing gets old, unless for an observer or a deadline.
//! - If the clock [may be set back](crate::Clock::IS_STEADY), and was by a millisecond or more, nobody knows how much time has passed: of a shard that has seen so, all has ended that has an end, and is fetched anew: whoever sees it goes through the shard once, under its lock. Time goes on from there. A shard has seen no more than what its own reads and writes have.
//!
//! # Serving what is old
//!
//! | an entry is read | it is served | and fetched anew |
//! | --- | --- | --- |
//! | before its TTL is over | yes | no, unless [early](Cache::early_refresh) by chance |
//! | no longer before that than [`refresh_ahead`](Cache::refresh_ahead) | yes | by a refresher |
//! | after its TTL, within [`stale_while_revalidate`](Cache::stale_while_revalidate) | yes | by a refresher |
//! | later, within [`stale_if_error`](Cache::stale_if_error) | if the fetch fails | by the caller |
//! | after that | no | by the caller |
//!
//! A refresher is a task that runs [`Cache::run`]: it fetches one key after the other, so run as many as there are to be fetched at once. Who would rather fetch by himself takes [`get_with_refresh`](Cache::get_with_refresh), and has the fetch as a future, to be run or dropped: as long as it is kept and not polled, nobody else has one, and whoever needs the value fetches it. Either way there is one for each key; if it fails, the old value stays for as long as it may, and the next read asks for another. Without either, what is due is served
//! until its end.
//!
//! # What runs under the lock
//!
//! `Borrow` and `Eq` of keys, by which they are found; and `Clone` of a value, or of an error that is kept, since it might be gone after the lock (and of a key, where entries are gone through). Put what is costly to clone into an `Arc`. All else runs outside: fetches, predicates, weights, TTLs, hashes, the [observer](Cache::observed_by), and whatever drops keys and values. The lock is not to be taken from
//! within these: they must not call the same cache. If one panics, the lock is free again where it is one between threads; a lock of a single executor stays taken.
//!
//! # What it takes
//!
//! In place, an entry takes its key, its value and 24 bytes, where these leave no gaps and fetches cannot fail. Where they can, it is a `Result` that is kept in the value's place: with a `u64` and an error of two bytes, 32. On the heap it is 31, where entries of up to 256 bytes lie in rows of sixteen. There, tables grow by doubling, up to the capacity; then nothing is allocated any more. The insert that has them grow puts all entries of its shard in order anew, under its lock: with half a million that takes some tens of milliseconds, which shards divide among them.
//!
//! Values are handed on as they are: what is kept is a clone of what a caller ends with. Where they have kilobytes, put them into a `Box` or an `Arc`: in a build that is not optimized, up to a hundred copies of one are on the stack at once while it is fetched and kept.
//!
//! # When not to use it
//!
//! For what must not be served twice, or whose change must be seen at once by all. For a function of its key alone that never gets old, [`memoize`](crate::memoize). A fetch that gets the key that it fetches waits for itself, for ever.
//!
//! # How others differ
//!
//! Those who wait for a fetch that fails end with its error, and do not fetch one after the other. A scan does not empty it, as it does an LRU. The windows are those of RFC 5861, `refresh_ahead` is Caffeine's `refreshAfterWrite`, counted from the end, early refreshes are `XFetch`.

mod answers;
mod arrivals;
mod compact;
mod direct;
mod event;
mod exponential;
mod fetching;
mod get;
mod iter;
mod refresh;
mod refresher;
mod refreshes;
mod rules;
mod serve;
mod settings;
mod shard;
mod snapshot;
mod store;

pub use self::event::{Event, Removal};
pub(crate) use self::fetching::Fetching;
pub use self::get::Get;
pub use self::iter::Iter;
pub use self::refresh::{GetWithRefresh, Read, Refresh};
pub use self::refresher::Refresher;
pub(crate) use self::serve::{Entered, Fetcher, LookedOf};
pub use self::serve::{Serve, ServeBy};
pub use self::settings::Cache;
pub(crate) use self::shard::Reading;
pub use self::snapshot::Snapshot;
