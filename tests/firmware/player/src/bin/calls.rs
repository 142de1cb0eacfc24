//! Patterns that are a call's own, or bring operations together.

#![no_std]
#![no_main]

#[cortex_m_rt::entry]
fn main() -> ! {
    player::play_calls()
}
