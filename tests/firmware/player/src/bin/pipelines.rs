//! Pipelines.

#![no_std]
#![no_main]

#[cortex_m_rt::entry]
fn main() -> ! {
    player::play_pipelines()
}
