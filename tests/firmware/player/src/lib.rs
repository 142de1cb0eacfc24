//! Plays the scenarios of a file of the host, `scenarios`, and tells it what happened: a line for each entry of the trace. How they compare with what should have happened, the host says.
//!
//! All patterns at once are more than the Cortex-M0 has flash for. So there are four images, and each tells of which scenarios it does not know the pattern.

#![no_std]

mod arena;
mod patterns;
mod play;
mod world;

use core::cell::UnsafeCell;

use board::files::File;
use board::hprintln;
use panic_semihosting as _;
use wire::{LONGEST, postcard};

use self::patterns::SetUp;

struct Buffer(UnsafeCell<[u8; LONGEST]>);

// SAFETY: a board has one thread, and interrupts don't know it.
unsafe impl Sync for Buffer {}

static BUFFER: Buffer = Buffer(UnsafeCell::new([0; LONGEST]));

/// Plays those of patterns that are a call's own, or bring operations together.
pub fn play_calls() -> ! {
    play_all(patterns::of_calls)
}

/// Plays those of patterns that stand before a service, and are shared by its callers.
pub fn play_guards() -> ! {
    play_all(patterns::of_guards)
}

/// Plays those of rate limiters.
pub fn play_limiters() -> ! {
    play_all(patterns::of_limiters)
}

/// Plays those of pipelines.
pub fn play_pipelines() -> ! {
    play_all(patterns::of_pipelines)
}

fn play_all(set_up: SetUp) -> ! {
    board::time::start();
    let Some(mut file) = File::open(b"scenarios\0") else {
        hprintln!("there is no file `scenarios`");
        board::exit(false)
    };
    let mut length = [0; 2];
    while file.read(&mut length) == 2 {
        let length = usize::from(u16::from_le_bytes(length)).min(LONGEST);
        // SAFETY: what the scenario before has placed, and read, is not used any more; `play` has dropped all that runs.
        let bytes: &'static mut [u8] = unsafe {
            arena::reset();
            &mut (&mut *BUFFER.0.get())[..length]
        };
        file.read(bytes);
        match postcard::from_bytes(bytes) {
            Ok(scenario) => play::play(scenario, set_up),
            Err(error) => hprintln!("not a scenario: {:?}", error),
        }
        hprintln!("done");
    }
    hprintln!("memory {}", arena::most());
    board::exit(true)
}
