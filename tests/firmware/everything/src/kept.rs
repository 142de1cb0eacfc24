//! What is kept for longer than a call: permits that are owned, in advance, by a deadline; tasks; and who waits no longer than that.

use core::future::Future;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll};

use aplomb_embassy::adaptive_limit::{Gradient, IgnoreErrors};
use aplomb_embassy::backoff::Constant;
use aplomb_embassy::circuit_breaker::AnyError;
use aplomb_embassy::pool::{Spawn, Stopped, Task};
use aplomb_embassy::prelude::*;
use aplomb_embassy::single_flight::Restarts;
use aplomb_embassy::{adaptive_limit, circuit_breaker};

use crate::{Fault, answer, told, unknown, used};

static LIMITER: RateLimiter<TokenBucket, Inline<4>> = RateLimiter::new(Rate::per_second(3)).storage().max_concurrent(2);
static LIMITERS: KeyedRateLimiter<u32, TokenBucket, Inline<4>> =
    KeyedRateLimiter::new(Rate::per_second(3)).storage().max_concurrent(2).capacity(3);
static BREAKER: CircuitBreaker<Consecutive, Constant, AnyError, Inline<1>> = CircuitBreaker::consecutive(3).storage();
static BREAKERS: KeyedCircuitBreaker<u32, Consecutive, Constant, AnyError, Inline<4>> =
    KeyedCircuitBreaker::new(CircuitBreaker::consecutive(2).storage());
static LIMIT: AdaptiveLimit<Gradient, IgnoreErrors, Inline<4>> = AdaptiveLimit::new().storage();
static BULKHEAD: Bulkhead<Inline<4>> = Bulkhead::new(2).storage();
static SEMAPHORE: Semaphore<Inline<4>> = Semaphore::with_storage(3);
static POOL: Pool<Inline<4>> = Pool::new(2).storage();
static FLIGHTS: SingleFlight<u32, u32, Fault, Restarts, Inline<4>> = SingleFlight::new().storage();
static CACHE: Cache<u32, u32, Fault, Inline<4>, FoldHash, Inline<4>> = Cache::new().storage().flight_storage().ttl(secs(1));

/// Takes tasks, and loses them.
struct Forgetful;

struct Lost<T>(PhantomData<fn() -> T>);

impl Spawn for Forgetful {
    type Task<T: Send + 'static> = Lost<T>;

    fn spawn<F>(&self, future: F) -> Lost<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        used(future);
        Lost(PhantomData)
    }
}

impl<T> Task for Lost<T> {
    fn detach(self) {}
}

impl<T> Future for Lost<T> {
    type Output = Result<T, Stopped>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Err(Stopped::Cancelled))
    }
}

pub async fn all() {
    limiters().await;
    breakers().await;
    places().await;
    tasks().await;
    shared().await;
}

async fn limiters() {
    let (key, n) = (unknown(), unknown());
    told(RateLimiter::acquire_owned(&LIMITER, n).await.map(|permit| used(permit.count())));
    told(RateLimiter::acquire_owned_by(&LIMITER, n, deadline(secs(1))).await.map(drop));
    told(RateLimiter::try_acquire_owned(&LIMITER, n).map(drop));
    if let Ok(reservation) = LIMITER.reserve(n) {
        used((reservation.at(), reservation.count()));
        drop(reservation);
    }
    told(KeyedRateLimiter::acquire_owned(&LIMITERS, &key, n).await.map(drop));
    told(KeyedRateLimiter::acquire_own(&LIMITERS, key, n, deadline(secs(1))).await.map(drop));
    told(LIMITERS.acquire_by(&key, n, deadline(secs(1))).await.map(drop));
    told(KeyedRateLimiter::try_acquire_owned(&LIMITERS, &key, n).map(drop));
    used(LIMITER.acquire(n).at_once().is_ok());
}

async fn breakers() {
    let key = unknown();
    told(CircuitBreaker::permit_owned(&BREAKER).map(circuit_breaker::Permit::failure));
    told(BREAKER.permit().map(circuit_breaker::Permit::success));
    used(BREAKER.changed_from(BREAKER.state()).await);
    told(KeyedCircuitBreaker::permit_owned(&BREAKERS, key).map(circuit_breaker::Permit::failure));
    told(BREAKERS.permit(&key).map(|permit| permit.record(&Err::<(), _>(Fault(key)))));
    used((BREAKERS.state(&key), BREAKERS.len()));
    told(BREAKERS.force_closed(&key));
}

async fn places() {
    told(AdaptiveLimit::acquire_owned(&LIMIT).await.map(|mut permit| permit.begin()));
    told(LIMIT.try_acquire().map(adaptive_limit::Permit::success));
    told(AdaptiveLimit::try_acquire_owned(&LIMIT).map(adaptive_limit::Permit::overload));
    used((LIMIT.limit(), LIMIT.is_closed(), LIMIT.acquire().at_once().is_ok()));
    told(Bulkhead::acquire_owned(&BULKHEAD).await.map(drop));
    told(Bulkhead::try_acquire_owned(&BULKHEAD).map(drop));
    used((BULKHEAD.is_closed(), BULKHEAD.acquire().at_once().is_ok()));
    told(BULKHEAD.try_run(answer).await);
    told(Semaphore::acquire_owned(&SEMAPHORE, unknown()).await.map(drop));
    told(Semaphore::try_acquire_owned(&SEMAPHORE, unknown()).map(drop));
    SEMAPHORE.close();
    used((SEMAPHORE.permits(), SEMAPHORE.is_closed()));
}

async fn tasks() {
    told(POOL.run(answer).spawn_on(&Forgetful).await);
    POOL.run(answer).spawn_on(&Forgetful).detach();
    POOL.close();
}

/// Ends with what becomes what is kept.
async fn narrow() -> Result<u8, Fault> {
    answer().await.map(|value| value.to_le_bytes()[0])
}

async fn shared() {
    let (key, late) = (unknown(), deadline(secs(1)));
    told(FLIGHTS.run(&key, answer).deadline_at(late).await);
    used(FLIGHTS.run(&key, answer).deadline_at(late).with_shared().await);
    told(FLIGHTS.run_into(&key, narrow).await);
    told(CACHE.get(&key, answer).deadline_at(late).await);
    used(CACHE.get(&key, answer).with_shared().await);
    told(CACHE.get_into(&key, narrow).await);
    told(CACHE.get_with_refresh(&key, answer).deadline_at(late).await);
    told(CACHE.get_with_refresh_into(&key, narrow).await);
    used((CACHE.purge_expired(), CACHE.is_empty(), CACHE.snapshot().hit_ratio()));
}
