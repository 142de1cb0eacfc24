//! What aplomb has for firmware, in one image: each pattern in each of its forms, rules and settings, and each source file that has code: `.ci/linked` sees to that. It is linked and never run: what may panic in it, and what divides 64 bits, is found by looking at it.
//!
//! The compiler knows nothing of what it is called with, so that nothing of it is left out.

#![no_std]
#![no_main]

mod calls;
mod guards;
mod judged;
mod kept;
mod observed;
mod pins;
mod streams;
mod tables;

use core::error::Error;
use core::fmt::{self, Write};
use core::hint::black_box;
use core::pin::Pin;
use core::task::{Context, Poll};

use aplomb_embassy::prelude::*;
use aplomb_embassy::{Clock, EmbassyClock};
use board::Executor;
use panic_semihosting as _;

/// The operation's own error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fault(u32);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Fault {}

/// An operation of which nobody knows how it ends.
async fn ask(number: u32) -> Result<u32, Fault> {
    EmbassyClock.sleep_until(EmbassyClock.now() + ms(u64::from(black_box(number)))).await;
    let ended = black_box(number);
    if ended.is_multiple_of(2) { Ok(ended) } else { Err(Fault(ended)) }
}

/// The same, with what is asked left out.
async fn answer() -> Result<u32, Fault> {
    ask(unknown()).await
}

/// The same as a type, which ends at once.
struct Asked(u32);

impl Future for Asked {
    type Output = Result<u32, Fault>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(if self.0 > 3 { Ok(self.0) } else { Err(Fault(self.0)) })
    }
}

/// A number of which the compiler knows nothing.
fn unknown() -> u32 {
    black_box(7)
}

/// Makes use of what something ends with.
fn used<T>(outcome: T) {
    black_box(outcome);
}

/// Makes use of how something ends, of its error's text too.
fn told<T, E: Error + 'static>(outcome: Result<T, E>) {
    match outcome {
        Ok(value) => used(value),
        Err(error) => used(write!(Paper, "{error} {error:?} {}", error.source().is_some())),
    }
}

/// What is written here is not read.
struct Paper;

impl Write for Paper {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        used(text);
        Ok(())
    }
}

#[embassy_executor::task]
async fn all() {
    calls::all().await;
    guards::all().await;
    judged::all().await;
    kept::all().await;
    observed::all().await;
    tables::all().await;
    streams::all().await;
    pins::all().await;
}

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut EXECUTOR: Option<Executor> = None;
    board::time::start();
    let executor: &'static Executor = EXECUTOR.insert(Executor::new());
    executor.run(|spawner| {
        if let Ok(all) = all() {
            spawner.spawn(all);
        }
    })
}
