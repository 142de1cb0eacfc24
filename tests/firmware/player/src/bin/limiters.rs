//! Rate limiters, one or one for each key, by every rule.

#![no_std]
#![no_main]

#[cortex_m_rt::entry]
fn main() -> ! {
    player::play_limiters()
}
