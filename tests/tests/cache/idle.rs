//! Idleness beside a TTL, and a window after it, whatever their spans.

use std::future::pending;
use std::time::Duration;

use aplomb::time::{ms, secs};
use aplomb::{Cache, Instant};
use aplomb_sim::{Sim, sleep};

use crate::hand::{Plain, fails, never, now, pass, poll, present, set_clock, with};

const DAY: u64 = 86_400;
const YEAR: u64 = 365 * DAY;

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
            assert!(lived <= ttl && lived + step + ttl / 65_536 > ttl, "{ttl:?}, {idle:?}: {lived:?}");
        });
    }
}

/// It is read all the time, and nobody fetches it anew.
#[test]
fn what_is_stale_stays_so_and_ends() {
    let cache = Plain::<u32, u32>::new().ttl(secs(10)).time_to_idle(secs(10)).stale_while_revalidate(secs(60));
    cache.insert(1, 10);
    for second in (5..70).step_by(5) {
        pass(secs(5));
        let read = now(cache.get_with_refresh(&1, never)).unwrap();
        assert_eq!((read.value, read.refresh.is_some()), (10, second >= 10), "after {second} s");
    }
    pass(secs(5));
    assert_eq!(now(cache.get(&1, with(11))), Ok(11));
}

/// Reading it stale rounds its end, which is sooner then.
#[test]
fn what_was_read_stale_is_found_and_goes_first_as_soon_as_it_has_ended() {
    for millis in [0, 7_000, 33_000, 41_000] {
        let ended = || {
            let cache = Plain::<u32, u32>::new().ttl(secs(10)).time_to_idle(secs(YEAR)).stale_while_revalidate(secs(30 * DAY));
            let cache = cache.capacity(2);
            set_clock(millis);
            cache.insert(1, 10);
            pass(secs(11));
            assert_eq!(now(cache.get(&1, never)), Ok(10));
            pass(secs(30 * DAY - 60));
            while cache.peek(&1).is_some() {
                pass(secs(1));
            }
            cache
        };
        assert_eq!(ended().purge_expired(), 1, "from {millis}");
        let cache = ended();
        cache.insert(2, 20);
        cache.insert(3, 30);
        assert_eq!((cache.peek(&2), cache.peek(&3)), (Some(20), Some(30)), "from {millis}");
        assert_eq!((cache.snapshot().expired, cache.snapshot().evicted), (1, 0), "from {millis}");
    }
}

/// By whom it is asked, and what becomes of that fetch, makes no difference.
#[test]
fn what_answers_for_a_fetch_is_read_by_that() {
    type Read = fn(&Plain) -> Option<u32>;
    let reads: [(&str, Read); 3] = [
        ("a fetch that fails", |cache| now(cache.get(&1, fails)).ok()),
        ("a fetch that fails, with a refresh", |cache| now(cache.get_with_refresh(&1, fails)).ok().map(|read| read.value)),
        ("no room for a fetch", |cache| {
            let mut other = Box::pin(cache.get(&2, pending));
            assert!(poll(&mut other).is_pending());
            now(cache.get(&1, never)).ok()
        }),
    ];
    let stale = [Duration::ZERO, secs(20)];
    for ((how, read), stale) in reads.into_iter().flat_map(|read| stale.map(|stale| (read, stale))) {
        let cache = Plain::<u32, u32>::new().ttl(secs(10)).time_to_idle(secs(15)).stale_if_error(secs(DAY)).max_fetches(1);
        let cache = cache.stale_while_revalidate(stale);
        cache.insert(1, 10);
        for second in (14..600).step_by(14) {
            pass(secs(14));
            assert_eq!(read(&cache), Some(10), "{how}: after {second} s, stale for {stale:?}");
        }
        pass(secs(15));
        assert_eq!(read(&cache), None, "{how}: stale for {stale:?}");
    }
}

/// Nobody has got it.
#[test]
fn a_refresh_that_fails_reads_nothing() {
    let cache =
        Plain::<u32, u32>::new().ttl(secs(10)).time_to_idle(secs(15)).stale_while_revalidate(secs(2)).stale_if_error(secs(DAY));
    cache.insert(1, 10);
    pass(secs(11));
    let refresh = now(cache.get_with_refresh(&1, fails)).unwrap().refresh.unwrap();
    pass(secs(14));
    assert_eq!((now(refresh), cache.snapshot().stale_if_error), (Err("down"), 0));
    pass(secs(1));
    assert!(now(cache.get(&1, fails)).is_err(), "it has been read for the last time 15 s ago");
}

#[test]
fn a_ttl_that_is_much_shorter_than_idleness_holds() {
    for idle in [secs(60), secs(DAY), secs(30 * DAY), secs(YEAR), secs(300 * YEAR)] {
        let cache = Plain::<u32, u32>::new().time_to_idle(idle).ttl_by(|_, millis| ms((*millis).into()));
        for millis in [1, 7, 100, 5_000, 60_000] {
            pass(Duration::from_nanos(1_234_567_891));
            cache.insert(1, millis);
            let ttl = ms(millis.into());
            let sooner = ttl / 65_536 + Duration::from_nanos(1);
            pass(ttl.saturating_sub(sooner));
            assert_eq!(now(cache.get(&1, never)), Ok(millis), "beside {idle:?}");
            pass(sooner);
            assert_eq!(cache.peek(&1), None, "beside {idle:?}");
        }
    }
}

/// A millisecond at least, and years at most: each power of two is as likely.
fn span(rng: &mut fastrand::Rng) -> Duration {
    let nanos = rng.u64(1 << 20..1 << 59) >> rng.u32(0..39);
    Duration::from_nanos(nanos.max(1_000_000))
}

/// Never fresh after its end, never served after its windows or its idleness, and over no sooner than is said.
#[test]
fn whatever_the_spans_are_it_is_what_it_should_be() {
    for seed in 0..4_000 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let [ttl, idle, window, reserve] = [(); 4].map(|()| span(&mut rng));
        let [window, reserve] = [window, reserve].map(|span| if rng.bool() { span } else { Duration::ZERO });
        let cache = Plain::<u32, u32>::new().ttl(ttl).time_to_idle(idle);
        let cache = cache.stale_while_revalidate(window).stale_if_error(reserve);
        pass(span(&mut rng) / 4);
        cache.insert(1, 10);
        let (stored, mut read) = (present(), present());
        let (early, early_window) = (ttl / 65_536, ttl / 65_536 + window / 65_536);
        for _ in 0..200 {
            let of = [ttl, idle, window, reserve][rng.usize(0..4)];
            pass(of / [1, 2, 5, 50, 1_000][rng.usize(0..5)]);
            if rng.bool() {
                // As near to an end as may be.
                let end = [stored + ttl, stored + ttl + window, stored + ttl + reserve, read + idle][rng.usize(0..4)];
                let moment = Duration::from_nanos(1);
                pass(end.saturating_duration_since(present()).saturating_sub(if rng.bool() { moment } else { Duration::ZERO }));
            }
            let (now_is, end, idle_end) = (present(), stored + ttl, read + idle);
            let said = format!(
                "seed {seed}: {ttl:?}, idle {idle:?}, window {window:?}, reserve {reserve:?}, {:?} after",
                now_is - stored
            );
            let before = |end: Instant, by: Duration| now_is + by < end;
            let served = cache.peek(&1);
            if served.is_none() {
                assert!(!before(end + window, early_window) || now_is >= idle_end, "{said}: over too soon");
            } else {
                assert!(served == Some(10) && now_is < end + window && now_is < idle_end, "{said}: served too late");
            }
            let last = end + window.max(reserve);
            let Ok(answer) = now(cache.get_with_refresh(&1, fails)) else {
                assert!(!before(last, early_window + reserve / 65_536) || now_is >= idle_end, "{said}: dead too soon");
                break;
            };
            assert!(answer.value == 10 && now_is < last && now_is < idle_end, "{said}: answers too late");
            read = now_is;
            let is_fresh = served.is_some() && answer.refresh.is_none();
            assert!(if is_fresh { now_is < end } else { !before(end, early) }, "{said}: fresh is {is_fresh}");
        }
    }
}
