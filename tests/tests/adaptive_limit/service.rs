//! A service of known capacity in virtual time, callers that keep it busy, and what both get to feel.

use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::rc::Rc;
use std::time::Duration;

use aplomb::adaptive_limit::Algorithm;
use aplomb::sync::Semaphore;
use aplomb::{AdaptiveLimit, Instant};
use aplomb_sim::{Sim, block_on, now, sleep, sleep_until, spawn};

/// So many at once, in the order in which they come, each for a time that is drawn: `takes` on average. What is too much waits in it.
pub(crate) struct Service {
    servers: Semaphore<Sim>,
    takes: Cell<Duration>,
    spread: Spread,
    random: RefCell<fastrand::Rng>,
    /// How long each call took that has ended since somebody looked.
    took: RefCell<Vec<Duration>>,
}

impl Service {
    fn new(Phase { capacity, takes, .. }: Phase, spread: Spread) -> Self {
        let random = RefCell::new(fastrand::Rng::with_seed(42));
        Self { servers: Semaphore::new(capacity), takes: Cell::new(takes), spread, random, took: RefCell::default() }
    }

    async fn call(&self) -> Result<(), ()> {
        let began = now();
        let server = self.servers.acquire(1).await.unwrap();
        let times = self.spread.draw(&mut self.random.borrow_mut());
        sleep(self.takes.get().mul_f64(times)).await;
        drop(server);
        self.took.borrow_mut().push(now() - began);
        Ok(())
    }
}

/// How much of the average calls take.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Spread {
    /// Between a half and one and a half of it.
    Even,
    Exponential,
    /// Half of it, and one of twenty, ten and a half times as long as the average.
    TwoKinds,
    /// Half of it, and one of two hundred, a hundred times as long.
    Rare,
}

impl Spread {
    fn draw(self, random: &mut fastrand::Rng) -> f64 {
        match self {
            Self::Even => f64::from(random.u32(50..=150)) / 100.0,
            Self::Exponential => -(1.0 - random.f64()).ln(),
            Self::TwoKinds => [0.5, 10.5][usize::from(random.u32(..20) == 0)],
            Self::Rare => [0.5, 100.0][usize::from(random.u32(..200) == 0)],
        }
    }
}

/// What a service is like for a while.
#[derive(Clone, Copy)]
pub(crate) struct Phase {
    pub(crate) capacity: u32,
    pub(crate) takes: Duration,
    pub(crate) seconds: u64,
}

impl Phase {
    /// How many calls a second it can do.
    pub(crate) fn ideal(&self) -> f64 {
        f64::from(self.capacity) / self.takes.as_secs_f64()
    }
}

/// What became of callers in one second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Second {
    pub(crate) limit: u32,
    /// How many calls were done.
    pub(crate) done: usize,
    /// How long all but the slowest hundredth of them took, without the time before they were let in.
    pub(crate) p99: Duration,
    pub(crate) rejected: u32,
}

/// Who calls.
#[derive(Clone, Copy)]
pub(crate) enum Load {
    /// So many callers, each of whom calls again as soon as a call has ended, and waits for its turn.
    Closed { callers: u32 },
    /// So many calls a second, at random, which do not wait for their turn.
    Open { calls: f64 },
}

/// Plays the phases one after the other; says what came of each second, by phases. Without a limit, nobody is held up.
pub(crate) fn play<A>(limit: Option<AdaptiveLimit<Sim, A>>, load: Load, phases: &[Phase]) -> Vec<Vec<Second>>
where
    A: Algorithm + 'static,
{
    play_spread(limit, load, phases, Spread::Even)
}

/// The same, of a service whose calls are not alike.
pub(crate) fn play_spread<A>(
    limit: Option<AdaptiveLimit<Sim, A>>,
    load: Load,
    phases: &[Phase],
    spread: Spread,
) -> Vec<Vec<Second>>
where
    A: Algorithm + 'static,
{
    block_on(async {
        let service = Rc::new(Service::new(phases[0], spread));
        let (limit, rejected) = (limit.map(Rc::new), Rc::new(Cell::new(0)));
        match load {
            Load::Closed { callers } => {
                for _ in 0..callers {
                    let (service, limit) = (Rc::clone(&service), limit.clone());
                    spawn("caller", async move {
                        loop {
                            match &limit {
                                Some(limit) => limit.run(|| service.call()).await.unwrap(),
                                None => service.call().await.unwrap(),
                            }
                        }
                    });
                }
            }
            Load::Open { calls } => {
                let (service, limit, rejected) = (Rc::clone(&service), limit.clone(), Rc::clone(&rejected));
                spawn("callers", arrive(calls, service, limit, rejected));
            }
        }
        let mut seconds = Vec::new();
        let mut at = Instant::ORIGIN;
        for phase in phases {
            service.servers.set_permits(phase.capacity);
            service.takes.set(phase.takes);
            let mut of_phase = Vec::new();
            for _ in 0..phase.seconds {
                at = at + Duration::from_secs(1);
                sleep_until(at).await;
                let mut took = service.took.take();
                took.sort_unstable();
                let p99 = took.get(took.len() * 99 / 100).copied().unwrap_or_default();
                let limit = limit.as_ref().map_or(0, |limit| limit.limit());
                of_phase.push(Second { limit, done: took.len(), p99, rejected: rejected.take() });
            }
            seconds.push(of_phase);
        }
        seconds
    })
}

async fn arrive<A>(calls: f64, service: Rc<Service>, limit: Option<Rc<AdaptiveLimit<Sim, A>>>, rejected: Rc<Cell<u32>>)
where
    A: Algorithm + 'static,
{
    let mut random = fastrand::Rng::with_seed(7);
    let mut at = now();
    loop {
        at = at + Duration::from_secs_f64(-(1.0 - random.f64()).ln() / calls);
        sleep_until(at).await;
        let (service, limit, rejected) = (Rc::clone(&service), limit.clone(), Rc::clone(&rejected));
        spawn("call", async move {
            match &limit {
                Some(limit) => {
                    if limit.try_run(|| service.call()).await.is_err() {
                        rejected.set(rejected.get() + 1);
                    }
                }
                None => service.call().await.unwrap(),
            }
        });
    }
}

/// The seconds of all phases, to be looked at.
pub(crate) fn table(phases: &[Vec<Second>]) -> String {
    let mut table = String::from("\n  second  limit  calls     p99  rejected\n");
    for (second, Second { limit, done, p99, rejected }) in phases.iter().flatten().enumerate() {
        let p99 = p99.as_secs_f64() * 1e3;
        writeln!(table, "{second:8} {limit:6} {done:6} {p99:7.1} {rejected:9}").unwrap();
    }
    table
}
