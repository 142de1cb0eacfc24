//! Deterministic simulation for aplomb: a platform whose time is virtual and whose every choice can be replayed.
//!
//! - [`block_on`] runs a future in virtual time: hours pass in microseconds, always in the same order. Examples and ordinary tests need nothing else.
//! - [`Explore`] runs a world for each of thousands of seeds: another order of tasks, other latencies, faults, jitter, another point at which a task is dropped.
//!   The first that fails is shrunk to what matters, and told as a timeline, with the line that replays it.
//! - [`World`] is driven step by step from outside, by tests that say themselves when time passes.
//! - [`ManualClock`] is all that there is without the feature `std`: a clock for `no_std`, moved by hand, that allocates nothing.
//!
//! Add it to the `dev-dependencies`, and fill the platform [`Sim`] into what you test.
//!
//! # A seed finds a bug
//!
//! Two clients share a budget; each looks before it takes, and awaits in between.
//!
//! ```
//! use aplomb_sim::{Explore, sleep};
//! use core::time::Duration;
//! use std::{cell::Cell, rc::Rc};
//!
//! let failure = Explore::new()
//!     .try_run(|sim| async move {
//!         let budget = Rc::new(Cell::new(1_i32));
//!         for client in ["anna", "ben"] {
//!             let budget = Rc::clone(&budget);
//!             sim.spawn(client, async move {
//!                 sleep(sim.latency(Duration::ZERO..=Duration::from_millis(16))).await;
//!                 if budget.get() > 0 {
//!                     sleep(sim.latency(Duration::ZERO..=Duration::from_millis(16))).await;
//!                     budget.set(budget.get() - 1);
//!                 }
//!             });
//!         }
//!         sim.always(move || budget.get() >= 0);
//!     })
//!     .unwrap_err();
//! println!("{failure}");
//! assert!(failure.to_string().contains("invariant broken"));
//! ```
//!
//! # One tape
//!
//! Every choice in a world is a number below some `n`, drawn from one [`Tape`]; zero is the plainest: first come first served, no fault, the shortest latency. A seed is a generator
//! that writes the tape; a replay reads it, and past its end all is zero. Shrinking edits the tape, and knows nothing of what the numbers mean.
//!
//! # Time
//!
//! Time stands while anything can run, and goes straight to the next timer when nothing can. There is no tick, and a poll takes no time, so that instants are exact to the nanosecond. Timers of one
//! instant fire in the order in which they were registered.
//!
//! # What is found
//!
//! A panic in a task, an invariant that is false ([`Sim::always`]), a deadlock (nothing can run, no timer is pending, tasks are left), a loop that makes no progress, a world that goes on beyond a limit, a
//! world that does something else when it is run again, a `static` that carries state from world to world (see [`SimRawMutex`] and [`Fresh`]). Each is a [`FailureKind`].
//!
//! # What it cannot see
//!
//! Threads: a world runs on one, and switches tasks at await points only. For what happens between two instructions on two cores, use loom or shuttle.
//! And I/O: nothing that waits for the operating system can run in a world.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(not(feature = "std"), forbid(unsafe_code))]
#![deny(unsafe_code)]

#[cfg(feature = "std")]
mod catch;
#[cfg(feature = "std")]
mod clock;
#[cfg(feature = "std")]
mod executor;
#[cfg(feature = "std")]
mod explore;
#[cfg(feature = "std")]
mod failure;
#[cfg(feature = "std")]
mod fresh;
#[cfg(feature = "std")]
mod inner;
#[cfg(feature = "std")]
mod lock;
mod manual;
#[cfg(feature = "std")]
mod overrides;
#[cfg(feature = "std")]
mod render;
#[cfg(feature = "std")]
mod shrink;
#[cfg(feature = "std")]
mod sim;
#[cfg(feature = "std")]
mod spawn;
#[cfg(feature = "std")]
mod tape;
#[cfg(feature = "std")]
mod task;
#[cfg(feature = "std")]
mod timers;
#[cfg(feature = "std")]
mod trace;
#[cfg(feature = "std")]
mod waits;
#[cfg(feature = "std")]
mod world;

pub use self::manual::{Manual, ManualClock, ManualSleep};
#[cfg(feature = "std")]
pub use self::{
    clock::{SimClock, SimSleep, now, sleep, sleep_until},
    explore::{Explore, Report},
    failure::{Failure, FailureKind, TaskReport},
    fresh::Fresh,
    inner::Order,
    lock::SimRawMutex,
    sim::{Sim, spawn},
    spawn::{Aborted, JoinHandle},
    tape::{ParseTapeError, Tape},
    trace::{Event, Trace, What},
    waits::{Settle, UntilIdle, WaitingFor, YieldNow, waiting_for},
    world::{World, block_on},
};
