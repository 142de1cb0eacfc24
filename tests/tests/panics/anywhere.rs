//! Whatever of its user's panics, and wherever it does: nobody waits for ever, nothing is left under way, and what is kept is no more than there is room for.

use std::future::ready;
use std::sync::Arc;
use std::task::{Context, Waker};

use aplomb::cache::{Event, Read};
use aplomb::key::FoldHash;
use aplomb::single_flight::Survives;
use aplomb::time::ms;
use aplomb::{Cache, Deadline, Heap, Inline, Memoize, SingleFlight, Storage};
use aplomb_tokio::Tokio;
use aplomb_tokio::prelude::deadline;
use tokio::runtime::Runtime;

use super::chance::{Call, Callers, Ends, Fragile, ODDS, Wakes, attempt, begin, chance, draw, operation, set_out};

type Observes = fn(&Event<'_, Fragile, Fragile>);
type Kept<S, F> = Cache<Tokio, Fragile, Fragile, Fragile, S, FoldHash, F, 1, Observes>;

fn weight_of(value: &Fragile) -> u32 {
    u32::try_from(value.0 % 4).unwrap()
}

fn cache<S: Storage, F: Storage>() -> Kept<S, F> {
    let cache: Kept<S, F> = Cache::new().storage().flight_storage().observed_by((|_| chance()) as Observes);
    let mut cache = cache.capacity(1 + usize::try_from(draw(6)).unwrap()).ttl(ms(20));
    for setting in (0..8).filter(|_| draw(2) == 0) {
        cache = match setting {
            0 => cache.stale_while_revalidate(ms(20)),
            1 => cache.stale_if_error(ms(50)),
            2 => cache.error_ttl(ms(20)),
            3 => cache.time_to_idle(ms(30)),
            4 => cache.refresh_ahead(ms(5)),
            5 => cache.max_waiting(2).max_fetches(2),
            6 => cache.ttl_by(|_, value| {
                chance();
                ms(10 * (value.0 % 4))
            }),
            _ => cache.max_weight(8).weigh_by(|_, value| {
                chance();
                weight_of(value)
            }),
        };
    }
    cache.check().unwrap()
}

fn play<S: Storage, F: Storage>(seed: u64, form: u64, runtime: &Runtime) {
    set_out(2 * seed + form);
    let cache = &cache::<S, F>();
    let flights = &SingleFlight::<Tokio, Fragile, Fragile, Fragile>::new();
    let surviving = &SingleFlight::<Tokio, Fragile, Fragile, Fragile, Survives>::surviving();
    let memoized = &Memoize::<Tokio, _, Fragile, Fragile, Fragile>::new(|key: Fragile| operation(key.0)).capacity(3);
    let keys: &Vec<Fragile> = &(0..4).map(Fragile).collect();
    let refresh = || -> Call<'_> { Box::pin(Ends(Box::pin(cache.run(|key: Fragile| operation(key.0))))) };
    let mut refresher: Option<Call<'_>> = None;
    let mut callers = Callers::default();
    let _entered = runtime.enter();
    begin(seed);
    for _ in 0..150 {
        let number = draw(4);
        let (key, by): (_, Deadline) = (&keys[usize::try_from(number).unwrap()], deadline(ms(draw(20))));
        let fetch = move || operation(number);
        attempt(|| match draw(16) {
            0..=2 => callers.come(cache.get(key, fetch)),
            3 => callers.come(async move {
                let Ok(Read { value, refresh }) = cache.get_with_refresh(key, fetch).await else { return };
                drop(value);
                if let Some(refresh) = refresh {
                    drop(refresh.await);
                }
            }),
            4 => callers.come(cache.get(key, fetch).deadline_at(by)),
            5 => callers.come(flights.run(key, fetch).deadline_at(by)),
            6 => callers.come(surviving.run(key, fetch).deadline_at(by)),
            7 => callers.come(memoized.call(key)),
            8 => cache.insert(Fragile(number), Fragile(number)),
            9 => drop(cache.invalidate(key)),
            10 => drop((flights.forget(key), surviving.forget(key), memoized.forget(key), cache.purge_expired())),
            11 if draw(4) == 0 => {
                cache.invalidate_if(|key, _| {
                    chance();
                    key.0 % 2 == 0
                });
            }
            12 if draw(4) == 0 => cache.clear(),
            13 => refresher = Some(refresh()),
            14 => refresher = None,
            _ => {}
        });
        for _ in 0..2 {
            callers.poll_one();
        }
        if let Some(mut run) = refresher.take() {
            let waker = Waker::from(Arc::new(Wakes::default()));
            if attempt(|| run.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()) == Some(true) {
                refresher = Some(run);
            } else {
                attempt(|| drop(run));
            }
            attempt(|| drop(waker));
        }
        if draw(4) == 0 {
            let odds = ODDS.replace(0);
            runtime.block_on(tokio::time::advance(ms(draw(10))));
            ODDS.set(odds);
        }
    }
    ODDS.set(0);
    // Who has to be polled has been told so.
    runtime.block_on(tokio::time::advance(ms(20)));
    for _ in 0..400 {
        let cx = &mut Context::from_waker(Waker::noop());
        if refresher.as_mut().is_some_and(|run| run.as_mut().poll(cx).is_ready()) {
            refresher = None;
        }
        callers.poll_woken();
    }
    assert!(callers.calls.is_empty(), "seed {seed}: {} wait for ever", callers.calls.len());
    drop(refresher);
    // Those who have panicked are kept still.
    let told = cache.snapshot();
    let under_way = [told.fetching, flights.snapshot().flights, surviving.snapshot().flights, memoized.snapshot().fetching];
    let waiting = [told.waiting, flights.snapshot().waiting, surviving.snapshot().waiting, memoized.snapshot().waiting];
    assert_eq!((under_way, waiting), ([0; 4], [0; 4]), "seed {seed}");
    for (key, number) in keys.iter().zip(0..) {
        let ended = runtime.block_on(cache.get(key, || ready(Ok(Fragile(number)))));
        assert_eq!(ended.unwrap_or_else(|error| error.into_inner().unwrap()), Fragile(number), "seed {seed}");
    }
    let fetch = |key: Fragile| ready(Ok(Fragile(key.0)));
    assert!(runtime.block_on(futures_lite::future::poll_once(cache.run(fetch))).is_none());
    assert_eq!(cache.snapshot().queued, 0, "seed {seed}");
    cache.clear();
    assert_eq!((cache.len(), cache.snapshot().weight), (0, 0), "seed {seed}");
}

#[test]
fn nobody_waits_for_ever_and_nothing_is_left() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let seeds = std::env::var("APLOMB_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in seeds.map_or(0..600, |seed: u64| seed..seed + 1) {
        play::<Heap, Heap>(seed, 0, &runtime);
        play::<Inline<6>, Inline<12>>(seed, 1, &runtime);
    }
}
