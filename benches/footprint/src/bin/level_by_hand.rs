//! A contact that bounces, sampled at a fixed rate.

#![no_std]
#![no_main]

use core::cell::Cell;

use critical_section::Mutex;
use footprint::firmware;

static SAMPLES: Mutex<Cell<(u8, bool)>> = Mutex::new(Cell::new((0, false)));

firmware!(critical_section::with(|cs| {
    let contact = SAMPLES.borrow(cs);
    let (mut samples, mut level) = contact.get();
    samples = (samples << 1) | u8::from(footprint::read().is_ok());
    let held = samples == if level { 0 } else { u8::MAX };
    level ^= held;
    contact.set((samples, level));
    held
}));
