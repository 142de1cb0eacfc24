//! `pool`, by hand.

#![no_std]
#![no_main]

use footprint::by_hand;

#[embassy_executor::main]
async fn main(spawner: embassy_executor::Spawner) {
    footprint::start();
    by_hand::pool::start(spawner);
    loop {
        footprint::report(by_hand::pool::pooled().await.is_ok());
        embassy_time::Timer::after_millis(100).await;
    }
}
