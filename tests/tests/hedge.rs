//! Hedges beside a slow and obvious model, through random scripts; what the budget bears, where the percentile goes, and a call poll by poll.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, ready};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aplomb::hedge::{After, Cause, Event, Percentile, Verdict};
use aplomb::ratio::{Ratio, percent};
use aplomb::time::ms;
use aplomb::{
    Bulkhead, Clock, ConfigError, Heap, Hedge, HedgeError, Inline, Instant, Judge, ParentWaker, Pipeline, Platform, Sleep,
};
use aplomb_sim::{Sim, sleep};
use futures_lite::future::zip;

/// Drawn at random, or replayed: a failure tells it.
fn seed() -> u64 {
    let seed = std::env::var("APLOMB_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("APLOMB_SEED={seed}");
    seed
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn millis() -> u64 {
    aplomb_sim::now().as_nanos() / 1_000_000
}

/// How a start behaves: how long it takes, and with what it ends.
#[derive(Debug, Clone, Copy)]
struct Behaviour {
    takes: u64,
    ends: Ends,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Well,
    Badly,
    Fatally,
}

/// An error, and whether it is fatal.
type Failure = (u32, bool);

/// What is to be seen of a call: when each start came, when it ended, and how.
#[derive(Debug, PartialEq)]
struct Seen {
    starts: Vec<u64>,
    end: u64,
    result: Result<u32, HedgeError<Failure>>,
}

#[derive(Clone, Copy)]
struct ByFlag;

impl<T> Judge<T, Failure, Verdict> for ByFlag {
    fn judge(&self, outcome: Result<&T, &Failure>) -> Verdict {
        match outcome {
            Ok(_) => Verdict::Success,
            Err((_, true)) => Verdict::Fatal,
            Err((_, false)) => Verdict::Failure,
        }
    }
}

/// Goes through the milliseconds one by one, and looks at all that runs.
fn model(delay: u64, max_hedges: usize, behaviours: &[Behaviour]) -> Seen {
    let mut starts = vec![0];
    let mut over = vec![false];
    let mut late = delay;
    for now in 0.. {
        loop {
            let ended = (0..starts.len()).find(|&start| !over[start] && starts[start] + behaviours[start].takes <= now);
            if let Some(start) = ended {
                over[start] = true;
                let (number, attempts) = (u32::try_from(start).unwrap() + 1, u32::try_from(starts.len()).unwrap());
                let seen = |result| Seen { starts: starts.clone(), end: now, result };
                match behaviours[start].ends {
                    Ends::Well => return seen(Ok(number)),
                    Ends::Fatally => return seen(Err(HedgeError::Fatal { attempts, error: (number, true) })),
                    Ends::Badly if starts.len() <= max_hedges => late = now,
                    Ends::Badly if over.iter().all(|over| *over) => {
                        return seen(Err(HedgeError::Failed { attempts, error: (number, false) }));
                    }
                    Ends::Badly => continue,
                }
            }
            if late > now || starts.len() > max_hedges {
                break;
            }
            starts.push(now);
            over.push(false);
            late = now + delay;
        }
    }
    unreachable!("time goes on for ever")
}

#[test]
fn a_call_goes_as_the_model_says() {
    let mut random = fastrand::Rng::with_seed(seed());
    for _ in 0..2_000 {
        let delay = random.u64(0..6) * 10;
        let max_hedges = random.usize(1..=3);
        // None ends at the instant at which another is late or ends, except where it takes no time.
        let behaviours: Vec<_> = (0..4)
            .map(|start| Behaviour {
                takes: if random.u8(0..5) == 0 { 0 } else { random.u64(0..20) * 10 + start + 1 },
                ends: [Ends::Well, Ends::Badly, Ends::Badly, Ends::Fatally][random.usize(0..4)],
            })
            .collect();
        let seen = aplomb_sim::block_on(async {
            let built = Hedge::<Sim>::after(ms(delay)).storage::<Inline<3>>().max_hedges(u32::try_from(max_hedges).unwrap());
            let hedge = built.judged_by(ByFlag);
            let mut starts = Vec::new();
            let operation = |number: u32| {
                starts.push(millis());
                let Behaviour { takes, ends } = behaviours[number as usize - 1];
                async move {
                    if takes > 0 {
                        sleep(ms(takes)).await;
                    }
                    if ends == Ends::Well { Ok(number) } else { Err((number, ends == Ends::Fatally)) }
                }
            };
            let result = hedge.run_numbered(operation).await;
            Seen { starts, end: millis(), result }
        });
        assert_eq!(seen, model(delay, max_hedges, &behaviours), "after {delay}, at most {max_hedges}: {behaviours:?}");
    }
}

#[test]
fn there_are_never_more_hedges_than_the_budget_bears() {
    let mut random = fastrand::Rng::with_seed(seed());
    for _ in 0..100 {
        let (share, burst, max_hedges) = (random.u64(1..150), random.u64(1..20), random.u32(1..4));
        let calls: Vec<_> = (0..200).map(|_| (random.u64(0..3_000), random.u64(0..80), random.bool())).collect();
        aplomb_sim::block_on(async {
            let built = Hedge::<Sim>::after(ms(20)).storage::<Inline<3>>().max_hedges(max_hedges);
            let hedge = built.budget(percent(u32::try_from(share).unwrap())).burst(u32::try_from(burst).unwrap());
            let hedge = Rc::new(hedge);
            let tasks: Vec<_> = calls
                .into_iter()
                .map(|(at, takes, succeeds)| {
                    let hedge = Rc::clone(&hedge);
                    aplomb_sim::spawn("call", async move {
                        sleep(ms(at)).await;
                        let work = || async move {
                            sleep(ms(takes)).await;
                            if succeeds { Ok(()) } else { Err(()) }
                        };
                        let _ = hedge.run(work).await;
                        let now = hedge.snapshot();
                        assert!(now.hedges * 100 <= now.calls * share + burst * 100, "{now:?}");
                        assert!(now.denied == 0 || now.hedges >= burst, "nobody is denied before the burst is used up");
                        assert!(now.won <= now.hedges && u64::from(now.budget) <= burst);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(hedge.snapshot().calls, 200);
        });
    }
}

/// Three calls of a hundred hang, the others take 10 to 20 ms: the 95th percentile stays among those, though what hangs is given up early.
#[test]
fn a_burst_that_cannot_be_counted_is_refused() {
    let hedge = |share, burst| Hedge::<Sim>::after(ms(10)).budget(share).burst(burst);
    let billionth = Ratio::new(1, 1_000_000_000);
    for (share, burst, most) in
        [(billionth, 5, 4), (percent(10), u32::MAX / 100 + 1, u32::MAX / 100), (percent(10), 0, u32::MAX / 100)]
    {
        let expected = ConfigError::HedgeBurst { value: burst, most };
        assert_eq!(hedge(share, burst).check().err(), Some(expected));
        let call = aplomb_sim::block_on(async { hedge(share, burst).run(|| ready(Ok::<_, ()>(()))).await });
        assert_eq!(call, Err(HedgeError::Config(expected)));
    }
    for (share, burst) in [(billionth, 4), (percent(10), u32::MAX / 100), (Ratio::ONE, u32::MAX)] {
        let hedge = hedge(share, burst).check().unwrap();
        assert_eq!(hedge.snapshot().budget, burst);
    }
    assert_eq!(ConfigError::HedgeBurst { value: 5, most: 4 }.to_string(), "burst is 5, must be from 1 to 4 with that budget");
}

#[test]
fn a_percentile_does_not_run_away() {
    // One seed: of others, some have more than five that hang in a hundred.
    let mut random = fastrand::Rng::with_seed(1);
    aplomb_sim::block_on(async {
        let hedge: Hedge<Sim, Percentile> = Hedge::percentile(percent(95)).budget(Ratio::ONE);
        let mut longest = Duration::ZERO;
        for call in 0..5_000 {
            let began = aplomb_sim::now();
            let takes = [if random.u8(0..100) < 3 { 60_000 } else { random.u64(10..20) }, random.u64(10..20)];
            let work = |start: u32| async move {
                sleep(ms(takes[start as usize - 1])).await;
                Ok::<_, ()>(())
            };
            assert_eq!(hedge.run_numbered(work).await, Ok(()));
            if call > 200 {
                longest = longest.max(aplomb_sim::now() - began);
            }
        }
        let now = hedge.snapshot();
        assert!(ms(18) < now.delay && now.delay < ms(24), "{now:?}");
        assert!(longest <= ms(24 + 20), "{longest:?}");
        assert!((90..300).contains(&now.hedges), "{now:?}");
    });
}

#[test]
fn a_percentile_follows_what_has_become_slower() {
    aplomb_sim::block_on(async {
        let hedge: Hedge<Sim, Percentile> = Hedge::percentile(percent(90)).min_samples(10);
        let call = async |takes| {
            let work = || async move {
                sleep(ms(takes)).await;
                Ok::<_, ()>(())
            };
            assert_eq!(hedge.run(work).await, Ok(()));
        };
        for _ in 0..3_000 {
            call(10).await;
        }
        assert!(hedge.snapshot().delay < ms(12));
        for _ in 0..2_000 {
            call(100).await;
        }
        let now = hedge.snapshot();
        assert!(ms(100) < now.delay && now.delay < ms(113), "{now:?}");
        assert!(now.hedges <= now.calls / 10 + 10, "meanwhile the budget held: {now:?}");
    });
}

/// Notes its drop.
struct Held<'l>(u32, &'l RefCell<Vec<u32>>);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

#[test]
fn who_has_lost_is_dropped_before_the_value_is_returned() {
    let dropped = RefCell::new(Vec::new());
    aplomb_sim::block_on(async {
        let hedge: Hedge<Sim, After, Inline<2>> = Hedge::after(ms(10)).storage().max_hedges(2);
        let work = |start: u32| {
            let held = Held(start, &dropped);
            async move {
                let held = held;
                sleep(if start == 2 { ms(50) } else { ms(5_000) }).await;
                Ok::<_, ()>(held.0)
            }
        };
        let mut call = pin!(hedge.run_numbered(work));
        assert_eq!(call.as_mut().await, Ok(2));
        let mut dropped = dropped.borrow().clone();
        dropped.sort_unstable();
        assert_eq!(dropped, [1, 2, 3], "while the future is there still");
        assert!(poll(call).is_pending(), "and it never ends again");
    });
}

/// Of starts that end at one instant, one that succeeds wins, and none comes in place of one before it.
#[test]
fn what_fails_while_another_succeeds_has_nothing_start() {
    let events = RefCell::default();
    let note = |event: &Event| RefCell::<Vec<Event>>::borrow_mut(&events).push(*event);
    let hedge = Hedge::<Sim>::after(ms(10)).storage::<Inline<3>>().max_hedges(3).burst(5).observed_by(&note);
    let started = Cell::new(0);
    let operation = |number: u32| {
        started.set(number);
        async move {
            sleep(ms(if number == 1 { 15 } else { 5 })).await;
            if number == 1 { Err("down") } else { Ok(number) }
        }
    };
    assert_eq!(aplomb_sim::block_on(hedge.run_numbered(operation)), Ok(2));
    assert_eq!(*events.borrow(), [Event::Hedged { start: 2, cause: Cause::Late }, Event::Won { start: 2 }]);
    assert_eq!((started.get(), hedge.snapshot().hedges), (2, 1));
}

/// It has a bit for each of them.
#[test]
fn there_are_no_more_than_thirty_two_hedges() {
    let heap = |hedges| Hedge::<Sim>::after(ms(1)).storage::<Heap>().max_hedges(hedges).burst(100);
    let error = heap(33).check().unwrap_err();
    assert_eq!(error, ConfigError::MaxHedges { value: 33, most: 32 });
    assert_eq!(error.to_string(), "max_hedges is 33, must be from 1 to 32");
    let (hedge, one) = (heap(32).check().unwrap(), Bulkhead::<Sim>::new(1).max_waiting(32));
    let guarded = Pipeline::<Sim>::new().hedge(&hedge).bulkhead(&one);
    aplomb_sim::block_on(async {
        let works = || async {
            sleep(ms(500)).await;
            Ok::<_, ()>(())
        };
        assert_eq!(guarded.run(works).await, Ok(()));
    });
    let now = hedge.snapshot();
    assert_eq!((now.hedges, now.budget), (32, 100), "what only waited has cost nothing");
}

#[test]
fn polls_that_nobody_asked_for_start_nothing() {
    aplomb_sim::block_on(async {
        let hedge: Hedge<Sim, After, Inline<2>> = Hedge::after(ms(10)).storage().max_hedges(2);
        let starts = Cell::new(0);
        let mut call = pin!(hedge.run(|| {
            starts.set(starts.get() + 1);
            pending::<Result<(), ()>>()
        }));
        for (at, expected) in [(0, 1), (9, 1), (10, 2), (19, 2), (20, 3), (40, 3)] {
            sleep(ms(at - millis())).await;
            for _ in 0..3 {
                assert!(poll(call.as_mut()).is_pending());
            }
            assert_eq!(starts.get(), expected, "at {at}");
        }
    });
}

#[test]
fn all_that_is_the_callers_may_look_at_the_hedge() {
    thread_local! {
        static LOOKS: Cell<u64> = const { Cell::new(0) };
    }
    static HEDGE: Hedge<Sim, After, Inline<1>, Looks, Looks> =
        aplomb::checked!(Hedge::<Sim>::after(ms(10)).judged_by(Looks).observed_by(Looks));

    #[derive(Clone, Copy)]
    struct Looks;

    fn look() {
        assert!(HEDGE.snapshot().calls <= 1);
        LOOKS.set(LOOKS.get() + 1);
    }

    impl Judge<u32, u32, Verdict> for Looks {
        fn judge(&self, outcome: Result<&u32, &u32>) -> Verdict {
            look();
            if outcome.is_ok() { Verdict::Success } else { Verdict::Failure }
        }
    }

    impl aplomb::observe::SharedObserver<Event> for Looks {
        fn observe(&self, event: &Event) {
            assert!(matches!(event, Event::Hedged { cause: Cause::Failed, .. } | Event::Won { start: 2 }));
            look();
        }
    }

    struct OnDrop;

    impl Drop for OnDrop {
        fn drop(&mut self) {
            look();
        }
    }

    let ended = aplomb_sim::block_on(async {
        HEDGE
            .run_numbered(|start| {
                look();
                let held = OnDrop;
                async move {
                    look();
                    drop(held);
                    if start == 1 { Err(1) } else { Ok(2) }
                }
            })
            .await
    });
    // Two starts of three looks each, the judge twice, and two events.
    assert_eq!((ended, LOOKS.get()), (Ok(2), 10));
}

#[test]
fn two_calls_at_once_share_the_budget_and_nothing_else() {
    aplomb_sim::block_on(async {
        let hedge: Hedge<Sim> = Hedge::after(ms(10)).burst(1);
        let work = |start: u32| async move {
            sleep(if start == 1 { ms(100) } else { ms(5) }).await;
            Ok::<_, ()>(start)
        };
        assert_eq!(zip(hedge.run_numbered(work), hedge.run_numbered(work)).await, (Ok(2), Ok(1)));
        let now = hedge.snapshot();
        assert_eq!((now.calls, now.hedges, now.won, now.denied, now.budget), (2, 1, 1, 1, 0));
    });
}

thread_local! {
    static READINGS: Cell<u32> = const { Cell::new(0) };
}

/// A clock that stands still, and counts who looks.
#[derive(Clone, Copy)]
struct Watched;

struct Never;

impl Clock for Watched {
    type Sleep = Never;

    fn now(&self) -> Instant {
        READINGS.set(READINGS.get() + 1);
        Instant::ORIGIN
    }

    fn sleep_until(&self, _at: Instant) -> Never {
        Never
    }
}

impl Future for Never {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Sleep for Never {
    fn reset(self: Pin<&mut Self>, _at: Instant) {}
}

struct Watching;

impl Platform for Watching {
    type Clock = Watched;
    type RawMutex = aplomb::sync::LocalRawMutex;
    type Word = aplomb::sync::NoWord;
    type Storage = Inline<1>;
    type Children = ParentWaker;

    fn random() -> u64 {
        0
    }
}

#[test]
fn the_clock_is_read_where_it_has_to_be() {
    let reads = |act: &mut dyn FnMut()| {
        READINGS.set(0);
        act();
        READINGS.get()
    };
    let fixed: Hedge<Watching> = Hedge::with_clock(Watched, After::new(ms(10)));
    let followed: Hedge<Watching, Percentile> = Hedge::with_clock(Watched, Percentile::new(percent(95)));
    let once = || {
        let mut polls = 0;
        std::future::poll_fn(move |_| {
            polls += 1;
            if polls == 3 { Poll::Ready(Ok::<_, ()>(())) } else { Poll::Pending }
        })
    };
    assert_eq!(reads(&mut || assert!(poll(pin!(fixed.run(|| ready(Ok::<_, ()>(()))))).is_ready())), 0);
    assert_eq!(reads(&mut || assert!(poll(pin!(followed.run(|| ready(Ok::<_, ()>(()))))).is_ready())), 0);
    let mut call = pin!(fixed.run(once));
    assert_eq!([(); 3].map(|()| reads(&mut || _ = poll(call.as_mut()))), [1, 0, 0]);
    let mut call = pin!(followed.run(once));
    assert_eq!([(); 3].map(|()| reads(&mut || _ = poll(call.as_mut()))), [1, 0, 1]);
}
