//! A function of which eight values are kept.

#![no_std]
#![no_main]

use aplomb_embassy::Memoize;
use aplomb_embassy::key::FoldHash;
use aplomb_embassy::prelude::*;
use footprint::{Fault, operation};

async fn factor(_channel: u8) -> Result<u32, Fault> {
    operation().await
}

type Factors<A> = Memoize<A, u8, u32, Fault, Inline<8>, FoldHash, Inline<4>>;

#[embassy_executor::main]
async fn main(_spawner: embassy_executor::Spawner) {
    footprint::start();
    let factors: Factors<_> = Memoize::kept_in(factor, Cache::new().storage().flight_storage());
    loop {
        footprint::report(factors.call(&footprint::key()).await.is_ok());
        embassy_time::Timer::after_millis(100).await;
    }
}
