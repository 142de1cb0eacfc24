//! Patterns that remember by key: a number, some bytes, a text.

use core::fmt::Write;
use core::hint::black_box;

use aplomb_embassy::Memoize;
use aplomb_embassy::key::FoldHash;
use aplomb_embassy::prelude::*;
use aplomb_embassy::single_flight::Restarts;
use heapless::String;

use crate::{Asked, Fault, Paper, answer, ask, told, unknown, used};

type Memoized<F> = Memoize<F, u32, u32, Fault, Inline<4>, FoldHash, Inline<4>>;

static FLIGHTS: SingleFlight<u32, u32, Fault, Restarts, Inline<4>> = SingleFlight::new().storage().capacity(4).max_waiting(3);
static CACHE: Cache<u32, u32, Fault, Inline<8>, FoldHash, Inline<4>> = Cache::new()
    .storage()
    .flight_storage()
    .ttl_by(|_, value| core::time::Duration::new(0, *value))
    .ttl_jitter(percent(10))
    .error_ttl(ms(500))
    .time_to_idle(secs(300))
    .refresh_ahead(secs(30))
    .early_refresh(Ratio::new(1, 1))
    .stale_while_revalidate(secs(10))
    .stale_if_error(secs(60))
    .max_weight(100)
    .weigh_by(|_, value| *value);

/// By what a bus calls its devices, in shards.
static BY_ADDRESS: Cache<[u8; 6], u32, Fault, Inline<4>, FoldHash, Inline<4>, 3> =
    Cache::new().storage().flight_storage().shards().ttl(secs(1)).max_weight(100).weigh_by(|_, value| *value);
static BY_NAME: SingleFlight<String<12>, u32, Fault, Restarts, Inline<4>> = SingleFlight::new().storage();
static OF_NAME: KeyedRateLimiter<String<12>, TokenBucket, Inline<4>> = KeyedRateLimiter::new(Rate::per_second(3)).storage();

static MEMOIZED: Memoized<fn(u32) -> Asked> = Memoize::kept_in(Asked, Cache::new().storage().flight_storage());

pub async fn all() {
    let key = unknown();
    told(FLIGHTS.run(&key, answer).await);
    used(FLIGHTS.run(&key, answer).with_shared().await);
    used((FLIGHTS.forget(&key), FLIGHTS.snapshot()));

    told(CACHE.get(&key, answer).await);
    told(CACHE.get_with_refresh(&key, answer).await);
    told(Err::<(), _>(CACHE.run(ask).await));
    CACHE.insert(key, unknown());
    CACHE.insert_with_ttl(key, unknown(), ms(u64::from(unknown())));
    used((CACHE.peek(&key), CACHE.invalidate(&key), CACHE.invalidate_if(|key, value| key == value)));
    used((CACHE.snapshot(), CACHE.len(), CACHE.iter().count()));
    CACHE.clear();
    bytes().await;
    told(MEMOIZED.call(&key).await);
    used((MEMOIZED.peek(&key), MEMOIZED.forget(&key), MEMOIZED.snapshot()));
    told(MEMOIZED.call(&key).deadline_at(deadline(secs(1))).await);
    used((MEMOIZED.len(), MEMOIZED.is_empty()));
    MEMOIZED.clear();
    used(write!(Paper, "{FLIGHTS:?} {CACHE:?} {MEMOIZED:?} {:?}", CACHE.iter()));
}

async fn bytes() {
    let address = black_box([2, 0, 0, 0, 0, 1]);
    told(BY_ADDRESS.get(&address, answer).await);
    used((BY_ADDRESS.peek(&address), BY_ADDRESS.invalidate(&address)));
    let Ok(name) = String::try_from(black_box("outdoor")) else { return };
    told(BY_NAME.run(&name, answer).await);
    told(OF_NAME.run(&name, answer).await);
}
