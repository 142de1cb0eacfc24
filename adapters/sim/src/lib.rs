#![cfg_attr(feature = "std", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "std"), doc = "A clock for tests in `no_std`, moved by hand; the simulation needs the feature `std`.")]
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
