//! A small harness: members of a group take turns, so that what disturbs the machine disturbs all, and what counts is the ratio of medians.
//!
//! `cargo bench -p benches` prints nanoseconds, allocations and the ratio to the first peer of each group. With `--instructions` it prints instructions instead, counted by callgrind (which must be
//! installed), in runs of their own; those repeat to the digit.

mod allocations;
mod instructions;

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Instant;

pub use allocations::allocations;
use tower_service::Service;

/// Calls of a member in one measurement, and measurements.
const BATCH: u32 = 20_000;
const ROUNDS: usize = 31;

/// Things that do the same, beside each other. The first one is ours.
pub struct Group {
    name: &'static str,
    /// How many things one call does. Figures are for each.
    per_call: u32,
    members: Vec<Member>,
}

struct Member {
    name: &'static str,
    /// Bytes of the future, the operation included.
    size: usize,
    run: Box<dyn FnMut(u32)>,
}

impl Group {
    /// A group without members.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, per_call: 1, members: Vec::new() }
    }

    /// Whether this run has anything to do with that group: where instructions are counted, each member has a run of its own, which need not make what other groups want.
    #[must_use]
    pub fn is_wanted(name: &str) -> bool {
        match instructions::Mode::from_args() {
            instructions::Mode::Time | instructions::Mode::Count => true,
            instructions::Mode::Row { group, .. } => group == name,
        }
    }

    /// A group whose members do so many things in one call, at most as many as there are in a batch: figures are for each of those.
    #[must_use]
    pub const fn of_many(name: &'static str, per_call: u32) -> Self {
        Self { name, per_call, members: Vec::new() }
    }

    /// Adds a member: what makes the future. It is polled by hand until it is ready.
    #[must_use]
    pub fn member<F: Future>(mut self, name: &'static str, mut make: impl FnMut() -> F + 'static) -> Self {
        let run = Box::new(move |times| {
            for _ in 0..times {
                black_box(poll_to_end(make()));
            }
        });
        self.members.push(Member { name, size: size_of::<F>(), run });
        self
    }

    /// Measures, and prints a table.
    pub fn run(mut self) {
        match instructions::Mode::from_args() {
            instructions::Mode::Time => self.time(),
            instructions::Mode::Count => self.count(),
            instructions::Mode::Row { group, member, times } => {
                if group == self.name {
                    self.members.iter_mut().filter(|row| row.name == member).for_each(|row| (row.run)(times));
                }
            }
        }
    }

    fn time(&mut self) {
        let mut samples = vec![Vec::with_capacity(ROUNDS); self.members.len()];
        let mut allocated = vec![0; self.members.len()];
        let calls = BATCH / self.per_call;
        for _ in 0..ROUNDS {
            for (member, samples) in self.members.iter_mut().zip(&mut samples) {
                (member.run)(calls.div_ceil(10));
                let began = Instant::now();
                (member.run)(calls);
                samples.push(began.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH));
            }
        }
        for (member, allocated) in self.members.iter_mut().zip(&mut allocated) {
            *allocated = allocations(|| (member.run)(calls)) / u64::from(BATCH);
        }
        println!("\n{:<44} {:>9} {:>8} {:>7} {:>7}", self.name, "ns", "ratio", "allocs", "bytes");
        let medians: Vec<f64> = samples.iter_mut().map(|samples| median(samples)).collect();
        for ((member, median), allocated) in self.members.iter().zip(&medians).zip(allocated) {
            println!("  {:<42} {median:>9.2} {:>8.2} {allocated:>7} {:>7}", member.name, median / medians[0], member.size);
        }
    }

    fn count(&self) {
        println!("\n{:<44} {:>13} {:>8}", self.name, "instructions", "ratio");
        let count = |member: &Member| instructions::each(self.name, member.name, self.per_call).unwrap_or(f64::NAN);
        let counts: Vec<f64> = self.members.iter().map(count).collect();
        for (member, count) in self.members.iter().zip(&counts) {
            println!("  {:<42} {count:>13.1} {:>8.2}", member.name, count / counts[0]);
        }
    }
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// What two threads call all the time, beside each other: prints the nanoseconds of one call of each. Nothing, where instructions are counted.
pub fn in_two_threads(title: &str, members: &[(&str, &(dyn Fn() + Sync))]) {
    if !matches!(instructions::Mode::from_args(), instructions::Mode::Time) {
        return;
    }
    println!("\n{title:<44} {:>9}", "ns");
    let mut samples = vec![Vec::new(); members.len()];
    for _ in 0..11 {
        for ((_, call), samples) in members.iter().zip(&mut samples) {
            samples.push(between_two(*call));
        }
    }
    for ((name, _), samples) in members.iter().zip(&mut samples) {
        println!("  {name:<42} {:>9.2}", median(samples));
    }
}

fn between_two(call: &(dyn Fn() + Sync)) -> f64 {
    // Over many of the scheduler's turns: in few, they hardly meet.
    const CALLS: u32 = 500_000;
    let start = Barrier::new(2);
    let each = || {
        start.wait();
        let began = Instant::now();
        (0..CALLS).for_each(|_| call());
        began.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
    };
    thread::scope(|scope| {
        let other = scope.spawn(each);
        let ours = each();
        f64::midpoint(ours, other.join().expect("it ends"))
    })
}

/// Polls a future until it is ready, as an executor without anything else to do would.
// In line, as what is awaited is: called, it would have the future moved to it, and what comes out moved back, which costs a large one more than a small one.
#[allow(clippy::inline_always, reason = "it is what is measured otherwise")]
#[inline(always)]
pub fn poll_to_end<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
    }
}

/// An operation that is ready: of a type of its own at each place, as those of programs are, so that what is compiled for it is in line there.
#[macro_export]
macro_rules! succeeds {
    () => {
        async || Ok::<u32, u32>(::std::hint::black_box(7))
    };
}

/// Calls a service as its contract asks for: when it is ready.
///
/// # Panics
///
/// If it is not ready at once.
pub fn call<S: Service<()>>(service: &mut S) -> S::Future {
    let ready = service.poll_ready(&mut Context::from_waker(Waker::noop()));
    assert!(ready.is_ready(), "it has to wait for nothing");
    service.call(())
}

/// Pending once, then ready.
pub struct YieldOnce(bool);

impl YieldOnce {
    /// One that has not been polled.
    #[must_use]
    pub const fn new() -> Self {
        Self(false)
    }
}

impl Default for YieldOnce {
    fn default() -> Self {
        Self::new()
    }
}

impl Future for YieldOnce {
    type Output = Result<u32, u32>;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(Ok(7));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Polls a future once.
pub fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) {
    let _ = future.poll(&mut Context::from_waker(Waker::noop()));
}
