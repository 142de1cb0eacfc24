//! Whatever of its user's panics, and wherever it does: nobody waits for ever, nothing is left under way, and what is kept is no more than there is room for.

use std::cell::Cell;
use std::future::{Future, ready};
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::panicking;

use aplomb::cache::{Event, Read};
use aplomb::key::FoldHash;
use aplomb::single_flight::Survives;
use aplomb::time::ms;
use aplomb::{Cache, Deadline, Heap, Inline, Memoize, SingleFlight, Storage};
use aplomb_tokio::Tokio;
use aplomb_tokio::prelude::deadline;
use tokio::runtime::Runtime;

thread_local! {
    static RANDOM: Cell<u64> = const { Cell::new(0) };
    /// One chance in so many is taken; 0: none.
    static ODDS: Cell<u64> = const { Cell::new(0) };
}

fn draw(below: u64) -> u64 {
    let next = RANDOM.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    RANDOM.set(next);
    (next >> 33) % below
}

/// A chance to panic, unless something does.
fn chance() {
    if ODDS.get() > 0 && !panicking() && draw(ODDS.get()) == 0 {
        resume_unwind(Box::new("by chance"));
    }
}

/// What may panic is done. What it returns, if it does not.
fn attempt<R>(act: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(act)).ok()
}

/// A key, a value, or an error.
#[derive(Debug, PartialEq, Eq)]
struct Fragile(u64);

impl Hash for Fragile {
    fn hash<H: Hasher>(&self, state: &mut H) {
        chance();
        self.0.hash(state);
    }
}

impl Clone for Fragile {
    fn clone(&self) -> Self {
        chance();
        Self(self.0)
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        chance();
    }
}

struct Operation {
    ends: Option<Result<Fragile, Fragile>>,
    is_ready: bool,
}

fn operation(key: u64) -> Operation {
    chance();
    let value = Fragile(key);
    Operation { ends: Some(if draw(3) == 0 { Err(value) } else { Ok(value) }), is_ready: draw(2) == 0 }
}

impl Future for Operation {
    type Output = Result<Fragile, Fragile>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        chance();
        let is_ready = self.is_ready;
        if let Some(ended) = self.ends.take_if(|_| is_ready) {
            return Poll::Ready(ended);
        }
        self.is_ready = draw(4) == 0;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        chance();
    }
}

/// Says that it was woken, and then may panic; or when it is dropped.
#[derive(Default)]
struct Wakes(Arc<AtomicBool>);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
        chance();
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        chance();
    }
}

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

type Call<'c> = Pin<Box<dyn Future<Output = ()> + 'c>>;

/// A call of which nobody wants to know what it ends with. It is no `async` block, which drops all that it holds when that panics.
struct Ends<F>(Pin<Box<F>>);

impl<F: Future> Future for Ends<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx).map(drop)
    }
}

struct Caller<'c> {
    call: Call<'c>,
    /// Since it was polled.
    is_woken: Arc<AtomicBool>,
}

impl Caller<'_> {
    /// Whether it is pending, unless it panics.
    fn poll(&mut self) -> Option<bool> {
        self.is_woken.store(false, Ordering::Relaxed);
        let waker = Waker::from(Arc::new(Wakes(Arc::clone(&self.is_woken))));
        let polled = attempt(|| self.call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        attempt(|| drop(waker));
        polled
    }
}

/// All who call are polled, dropped, or kept though they have panicked.
struct Callers<'c> {
    calls: Vec<Caller<'c>>,
    kept: Vec<Caller<'c>>,
}

impl<'c> Callers<'c> {
    fn come(&mut self, call: impl Future + 'c) {
        if self.calls.len() < 12 {
            let is_woken = Arc::new(AtomicBool::new(true));
            self.calls.push(Caller { call: Box::pin(Ends(Box::pin(call))), is_woken });
        }
    }

    fn poll_one(&mut self) {
        if self.calls.is_empty() {
            return;
        }
        let at = usize::try_from(draw(self.calls.len() as u64)).unwrap();
        let polled = self.calls[at].poll();
        let stays = polled.is_some_and(|pending| pending && draw(16) > 0);
        if !stays {
            let caller = self.calls.swap_remove(at);
            if polled.is_none() && draw(2) == 0 {
                self.kept.push(caller);
            } else {
                attempt(|| drop(caller));
            }
        }
    }
}

fn play<S: Storage, F: Storage>(seed: u64, form: u64, runtime: &Runtime) {
    RANDOM.set(2 * seed + form);
    ODDS.set(0);
    let cache = &cache::<S, F>();
    let flights = &SingleFlight::<Tokio, Fragile, Fragile, Fragile>::new();
    let surviving = &SingleFlight::<Tokio, Fragile, Fragile, Fragile, Survives>::surviving();
    let memoized = &Memoize::<Tokio, _, Fragile, Fragile, Fragile>::new(|key: Fragile| operation(key.0)).capacity(3);
    let keys: &Vec<Fragile> = &(0..4).map(Fragile).collect();
    let refresh = || -> Call<'_> { Box::pin(Ends(Box::pin(cache.run(|key: Fragile| operation(key.0))))) };
    let mut refresher: Option<Call<'_>> = None;
    let mut callers = Callers { calls: Vec::new(), kept: Vec::new() };
    let _entered = runtime.enter();
    ODDS.set([40, 300, 1_500][usize::try_from(seed % 3).unwrap()]);
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
        callers.calls.retain_mut(|caller| !caller.is_woken.load(Ordering::Relaxed) || caller.poll() == Some(true));
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
