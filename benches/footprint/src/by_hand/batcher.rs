//! Values that are sent four at a time, or after 100 ms, by a task. Who sends them is not told what becomes of them.

use embassy_executor::Spawner;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_time::{Duration, Instant, with_deadline};
use heapless::Vec;

use crate::{operation, report};

static ITEMS: Channel<CriticalSectionRawMutex, u32, 4> = Channel::new();

#[embassy_executor::task]
async fn send() {
    loop {
        let mut batch = Vec::<u32, 4>::new();
        let _ = batch.push(ITEMS.receive().await);
        let ends = Instant::now() + Duration::from_millis(100);
        while !batch.is_full()
            && let Ok(item) = with_deadline(ends, ITEMS.receive()).await
        {
            let _ = batch.push(item);
        }
        report(operation().await.is_ok() && core::hint::black_box(&batch).is_full());
    }
}

/// Starts the task.
pub fn start(spawner: Spawner) {
    if let Ok(task) = send() {
        spawner.spawn(task);
    }
}

/// Puts one into the next batch.
pub async fn batched(item: u32) {
    ITEMS.send(item).await;
}
