//! A contact that bounces, sampled at a fixed rate.

use core::cell::Cell;

use critical_section::Mutex;

static SAMPLES: Mutex<Cell<(u8, bool)>> = Mutex::new(Cell::new((0, false)));

/// Whether the level has changed: eight samples are as this one.
#[must_use]
pub fn changed(sample: bool) -> bool {
    critical_section::with(|cs| {
        let contact = SAMPLES.borrow(cs);
        let (mut samples, mut level) = contact.get();
        samples = (samples << 1) | u8::from(sample);
        let held = samples == if level { 0 } else { u8::MAX };
        level ^= held;
        contact.set((samples, level));
        held
    })
}
