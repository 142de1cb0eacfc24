//! A pool of two tasks, and a channel with four places for what waits. There is one job, and one who asks for it: neither priorities, nor a way to take back what waits.

use embassy_executor::Spawner;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::signal::Signal;

use crate::{Fault, operation};

type Answer = Signal<CriticalSectionRawMutex, Result<u32, Fault>>;

static JOBS: Channel<CriticalSectionRawMutex, &'static Answer, 4> = Channel::new();
static ANSWER: Answer = Answer::new();

#[embassy_executor::task(pool_size = 2)]
async fn work() {
    loop {
        let answer = JOBS.receive().await;
        answer.signal(operation().await);
    }
}

/// Starts the tasks.
pub fn start(spawner: Spawner) {
    for _ in 0..2 {
        if let Ok(task) = work() {
            spawner.spawn(task);
        }
    }
}

/// Has it run by one of them.
///
/// # Errors
///
/// The operation's own, or that too many wait already.
pub async fn pooled() -> Result<u32, Fault> {
    JOBS.try_send(&ANSWER).map_err(|_| Fault)?;
    ANSWER.wait().await
}
