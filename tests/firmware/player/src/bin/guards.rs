//! Patterns that stand before a service, and are shared by its callers.

#![no_std]
#![no_main]

#[cortex_m_rt::entry]
fn main() -> ! {
    player::play_guards()
}
