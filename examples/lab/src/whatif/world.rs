//! One run: a policy, a seed, a world in virtual time.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use aplomb_sim::{Instant, Order, Sim, World, now, sleep, sleep_until};
use fastrand::Rng;

use super::plan::{Calls, Plan};
use crate::backend::{Answer, Backend};
use crate::policy::{Failure, Policy, Sent, Stack};
use crate::tally::Tally;

/// What all tasks of a world share.
struct Shared {
    /// One for each process.
    stacks: Vec<Stack<Sim>>,
    backend: RefCell<Backend>,
    tally: RefCell<Tally>,
}

/// Runs it to the end of the last call.
///
/// Who calls when, and how long the service works on it, hangs on the seed alone, so that policies are compared on the same days.
///
/// # Errors
///
/// Says what went wrong in the world, which is a fault of this program.
pub(super) fn run(plan: &Plan, policy: &Policy, seed: u64) -> Result<Tally, String> {
    let mut seeds = Rng::with_seed(seed);
    let backend = Backend::new(plan.ability.clone(), seeds.u64(..));
    let clients = seeds.fork();
    let world = World::with_seed(seeds.u64(..), Order::Fifo);
    let stacks = (0..plan.processes).map(|_| Stack::new(policy, plan.patience));
    let shared = Rc::new(Shared {
        stacks: stacks.collect::<Result<_, _>>().map_err(|error| error.to_string())?,
        backend: RefCell::new(backend),
        tally: RefCell::new(Tally::new(plan.time, plan.rate)),
    });
    match plan.calls {
        Calls::Open => {
            world.spawn("arrivals", arrive(Rc::clone(&shared), plan.rate, plan.time, clients));
        }
        Calls::Closed { clients: number } => {
            let pause = Duration::from_secs_f64(f64::from(number) / plan.rate);
            let mut clients = clients;
            for index in 0..number {
                let client = client(Rc::clone(&shared), index as usize, pause, plan.time, clients.fork());
                world.spawn("client", client);
            }
        }
    }
    world.run().map_err(|failure| failure.to_string())?;
    let tally = shared.tally.borrow().clone();
    Ok(tally)
}

/// Lets calls begin.
async fn arrive(shared: Rc<Shared>, rate: f64, time: Duration, mut random: Rng) {
    let mut index = 0;
    loop {
        sleep(exponential(Duration::from_secs_f64(1.0 / rate), &mut random)).await;
        if elapsed() >= time {
            return;
        }
        let shared = Rc::clone(&shared);
        Sim.spawn("call", async move { shared.call(index).await });
        index = index.wrapping_add(1);
    }
}

/// Calls again and again.
async fn client(shared: Rc<Shared>, index: usize, pause: Duration, time: Duration, mut random: Rng) {
    loop {
        sleep(exponential(pause, &mut random)).await;
        if elapsed() >= time {
            return;
        }
        shared.call(index).await;
    }
}

impl Shared {
    async fn call(&self, index: usize) {
        let Some(stack) = self.stacks.get(index % self.stacks.len()) else { return };
        let began = elapsed();
        let request = || -> Sent<'_> { Box::pin(self.request()) };
        let outcome = stack.call(&request).await;
        self.tally.borrow_mut().call(began, elapsed(), outcome.is_ok());
    }

    async fn request(&self) -> Result<(), Failure> {
        let now = elapsed();
        self.tally.borrow_mut().request(now);
        let answer = self.backend.borrow_mut().arrive(now);
        let (Answer::Value { at } | Answer::Error { at }) = answer;
        sleep_until(Instant::ORIGIN + at).await;
        match answer {
            Answer::Value { .. } => Ok(()),
            Answer::Error { .. } => Err(Failure::Unavailable),
        }
    }
}

/// The time since the world began.
fn elapsed() -> Duration {
    now().saturating_duration_since(Instant::ORIGIN)
}

fn exponential(mean: Duration, random: &mut Rng) -> Duration {
    mean.mul_f64(-(1.0 - random.f64()).ln())
}
