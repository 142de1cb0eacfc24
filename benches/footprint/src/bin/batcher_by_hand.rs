//! `batcher`, by hand.

#![no_std]
#![no_main]

use footprint::by_hand;

#[embassy_executor::main]
async fn main(spawner: embassy_executor::Spawner) {
    footprint::start();
    by_hand::batcher::start(spawner);
    loop {
        by_hand::batcher::batched(footprint::key().into()).await;
        embassy_time::Timer::after_millis(100).await;
    }
}
