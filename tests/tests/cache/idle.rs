//! Idleness beside a TTL that is much longer.

use std::time::Duration;

use aplomb::Cache;
use aplomb::time::{ms, secs};
use aplomb_sim::{Sim, sleep};

const DAY: u64 = 86_400;

/// An entry idles for as long as it may, to the nanosecond, however long its TTL is, and however often it is read.
#[test]
fn it_is_exact_beside_any_ttl() {
    let ttls = [ms(200), secs(9), secs(DAY), secs(7 * DAY), secs(30 * DAY), secs(364 * DAY), secs(3_650 * DAY)];
    let idles = [ms(1), ms(500), secs(5), secs(90), secs(600)];
    let moment = Duration::from_nanos(1);
    for (ttl, idle) in ttls.into_iter().flat_map(|ttl| idles.map(|idle| (ttl, idle))).filter(|(ttl, idle)| ttl > &(*idle * 4)) {
        aplomb_sim::block_on(async {
            let cache = Cache::<Sim, u32, u32>::new().ttl(ttl).time_to_idle(idle);
            sleep(ms(7)).await;
            cache.insert(1, 10);
            for _ in 0..3 {
                sleep(idle.saturating_sub(moment)).await;
                assert_eq!(cache.get(&1, || async { Ok(99) }).await, Ok(10), "{ttl:?}, {idle:?}");
            }
            sleep(idle).await;
            assert_eq!(cache.peek(&1), None, "{ttl:?}, {idle:?}");
        });
    }
}

/// Reads don't move the end of its TTL, which comes a little sooner at most.
#[test]
fn a_ttl_ends_when_it_should_however_often_it_is_read() {
    for (ttl, idle) in [(secs(10), secs(1)), (secs(DAY), secs(3_600)), (secs(30 * DAY), secs(DAY))] {
        aplomb_sim::block_on(async {
            let cache = Cache::<Sim, u32, u32>::new().ttl(ttl).time_to_idle(idle);
            cache.insert(1, 10);
            let step = idle / 2;
            let mut lived = Duration::ZERO;
            while cache.get(&1, || async { Ok(99) }).await == Ok(10) {
                sleep(step).await;
                lived += step;
            }
            assert!(lived <= ttl && lived + step + ttl / 32_768 > ttl, "{ttl:?}, {idle:?}: {lived:?}");
        });
    }
}
