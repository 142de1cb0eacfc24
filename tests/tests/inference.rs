//! Every pattern can be made where it is used, without a word about its type.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use aplomb_sim::block_on;
use aplomb_sim::prelude::*;

static BUDGET: RetryBudget = RetryBudget::new(500);

async fn answer() -> Result<u32, &'static str> {
    Ok(42)
}

#[test]
fn patterns_around_an_operation() {
    block_on(async {
        let limiter = RateLimiter::new(Rate::per_second(5));
        assert_eq!(limiter.run(answer).await.unwrap(), 42);
        let bulkhead = Bulkhead::new(5).max_waiting(10);
        assert_eq!(bulkhead.run(answer).await.unwrap(), 42);
        let limit = AdaptiveLimit::new();
        assert_eq!(limit.run(answer).await.unwrap(), 42);
        let pool = Pool::new(5);
        assert_eq!(pool.run(answer).await.unwrap(), 42);
        let jobs = JobSet::new(2);
        assert!(jobs.add(answer()).is_ok());
        let breaker = CircuitBreaker::consecutive(5).open_for(secs(1));
        assert_eq!(breaker.run(answer).await.unwrap(), 42);
        let of_calls = CircuitBreaker::last_calls(100);
        assert_eq!(of_calls.run(answer).await.unwrap(), 42);
        let of_time = CircuitBreaker::last_time(secs(10)).failure_rate(percent(20));
        assert_eq!(of_time.run(answer).await.unwrap(), 42);
        let hedge = Hedge::after(ms(50));
        assert_eq!(hedge.run(answer).await.unwrap(), 42);
        let followed = Hedge::percentile(percent(95));
        assert_eq!(followed.run(answer).await.unwrap(), 42);
        let debounce = Debounce::new(ms(5));
        assert_eq!(debounce.call(answer).await.unwrap(), 42);
        let throttle = Throttle::new(ms(5));
        assert_eq!(throttle.call(answer).await.unwrap(), 42);
        let retrying = Retry::standard(&BUDGET);
        assert_eq!(retrying.run(answer).await.unwrap(), 42);
        let guarded = Pipeline::new().timeout(secs(1)).retry(retrying).circuit_breaker(&breaker).rate_limiter(&limiter);
        assert_eq!(guarded.run(answer).await.unwrap(), 42);
        let doubled: Vec<u32> = timeout(secs(1), parallel(1..=3, 2, async |n: u32| Ok::<_, ()>(2 * n))).await.unwrap();
        assert_eq!(doubled, [2, 4, 6]);
        let batcher = Batcher::new(10);
        assert_eq!(batcher.call(7, async |items| Ok::<_, ()>(items)).await, Ok(7));
    });
}

#[test]
fn patterns_that_keep_keys() {
    block_on(async {
        let limiter = KeyedRateLimiter::<String>::new(Rate::per_second(5)).shards::<4>();
        assert_eq!(limiter.run("ann", answer).await.unwrap(), 42);
        let breaker = KeyedCircuitBreaker::<String>::new(CircuitBreaker::consecutive(5)).shards::<4>();
        assert_eq!(breaker.run("example.org", answer).await.unwrap(), 42);
        let flights = SingleFlight::new().shards::<4>();
        assert_eq!(flights.run(&7, answer).await.unwrap(), 42);
        let cache = Cache::new().ttl(secs(60)).shards::<4>();
        assert_eq!(cache.get(&7, answer).await.unwrap(), 42);
        let memoized = memoize(async |city: String| Ok::<_, ()>(city.len())).capacity(10);
        assert_eq!(memoized.call("Oslo").await.unwrap(), 4);
    });
}

/// A pattern has one name in the prelude, in its module, and at the root: who imports all of them may use it.
#[allow(unused_imports, reason = "whichever has the name first")]
mod all_names {
    macro_rules! one_name {
        ($($module:ident: $($made:expr),+;)+) => {$(
            #[test]
            fn $module() {
                mod of_tokio {
                    use aplomb_tokio::$module::*;
                    use aplomb_tokio::prelude::*;
                    use aplomb_tokio::*;

                    pub(super) fn make() {
                        $(let _made = $made;)+
                    }
                }
                mod of_sim {
                    use aplomb_sim::$module::*;
                    use aplomb_sim::prelude::*;
                    use aplomb_sim::*;

                    pub(super) fn make() {
                        $(let _made = $made;)+
                    }
                }
                of_tokio::make();
                of_sim::make();
            }
        )+};
    }

    one_name! {
        adaptive_limit: AdaptiveLimit::<Gradient>::new();
        batcher: Batcher::<u32, u32>::new(2);
        bulkhead: Bulkhead::<Heap>::new(2);
        cache: Cache::<u32, u32>::new();
        circuit_breaker: CircuitBreaker::<Consecutive>::consecutive(2), KeyedCircuitBreaker::<u32>::new(CircuitBreaker::consecutive(2));
        hedge: Hedge::<After>::after(ms(5));
        pipeline: Pipeline::<()>::new();
        pool: Pool::<Heap>::new(2);
        rate_limiter: RateLimiter::<TokenBucket>::new(Rate::per_second(1)), KeyedRateLimiter::<u32>::new(Rate::per_second(1));
        retry: Retry::<Exponential>::new(), RetryBudget::new(2);
        single_flight: SingleFlight::<u32, u32>::new();
        sync: Semaphore::<Heap>::new(2);
    }
}
