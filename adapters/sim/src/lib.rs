//! Deterministic simulation for aplomb.
#![cfg_attr(not(feature = "std"), no_std)]
#![deny(unsafe_code)]

#[cfg(feature = "std")]
mod catch;
#[cfg(feature = "std")]
mod clock;
#[cfg(feature = "std")]
mod executor;
#[cfg(feature = "std")]
mod failure;
#[cfg(feature = "std")]
mod inner;
#[cfg(feature = "std")]
mod lock;
#[cfg(feature = "std")]
mod render;
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

#[cfg(feature = "std")]
pub use self::{
    clock::{SimClock, SimSleep, now, sleep, sleep_until},
    failure::{Failure, FailureKind, TaskReport},
    inner::Order,
    lock::SimRawMutex,
    sim::{Sim, spawn},
    spawn::{Aborted, JoinHandle},
    tape::{ParseTapeError, Tape},
    trace::{Event, Trace, What},
    waits::{Settle, UntilIdle, WaitingFor, YieldNow, waiting_for},
    world::{World, block_on},
};
