//! How many small worlds one core explores in a second, and how soon a lost permit is found: `cargo run --release -p
//! aplomb-sim --example worlds_per_second`.

use std::rc::Rc;
use std::time::{Duration, Instant};

use aplomb::sync::Semaphore;
use aplomb_sim::{Explore, Order, Sim, sleep};

#[path = "../tests/toy/mod.rs"]
mod toy;

const TASKS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];
const WORLDS: u64 = 200_000;

/// Seven tasks share two permits, each twice; two of them may be dropped.
async fn sound(sim: Sim) {
    let semaphore = Rc::new(Semaphore::<Sim>::new(2));
    for name in TASKS {
        let semaphore = Rc::clone(&semaphore);
        sim.spawn(name, async move {
            for _ in 0..2 {
                let _permit = semaphore.acquire(1).await;
                sleep(sim.latency(Duration::from_millis(1)..=Duration::from_millis(17))).await;
            }
        });
    }
    sim.drop_at_random("c");
    sim.drop_at_random("d");
}

/// The same, with a semaphore that loses a permit when a granted waiter is dropped.
async fn faulty(sim: Sim) {
    let semaphore = toy::Semaphore::new(1);
    for name in TASKS {
        let semaphore = semaphore.clone();
        sim.spawn(name, async move {
            for _ in 0..2 {
                let _permit = semaphore.acquire().await;
                sleep(sim.latency(Duration::from_millis(1)..=Duration::from_millis(17))).await;
            }
        });
    }
    sim.drop_at_random("c");
    sim.drop_at_random("d");
}

fn main() {
    for order in [Order::Fifo, Order::Random] {
        let explore = Explore::new().seeds(0..WORLDS).order(order).check_determinism(false);
        let begun = Instant::now();
        let report = explore.run(sound);
        let seconds = begun.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let (worlds, polls) = (report.worlds as f64 / seconds, report.polls as f64 / seconds);
        println!("{order:?}: {worlds:.0} worlds/s, {polls:.0} polls/s");

        let found = (0..10_000).filter(|&seed| {
            let one = Explore::new().seeds(seed..seed + 1).order(order).check_determinism(false).shrink_runs(0);
            one.try_run(faulty).is_err()
        });
        println!("{order:?}: {} of 10000 seeds find the lost permit", found.count());

        let begun = Instant::now();
        let failure = Explore::new().seeds(0..10_000).order(order).try_run(faulty);
        if let Err(failure) = failure {
            println!("{order:?}: found and shrunk in {:?}", begun.elapsed());
            println!("{failure}");
        }
    }
}
