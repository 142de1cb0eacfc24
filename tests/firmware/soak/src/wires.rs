//! What hangs at the wires of the device: a contact that bounces, a bus that has to be set right, a source of items.

use core::convert::Infallible;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use aplomb_embassy::edge::Stream;
use aplomb_embassy::{Clock, EmbassyClock, EmbassySleep, Instant};
use embassy_time_driver::TICK_HZ;
use embedded_hal::digital::{ErrorType, InputPin};
use embedded_hal_async::digital::Wait;

use crate::device::{Fault, ask};
use crate::dice;
use crate::tally::Tally;

/// How long a contact is closed, or open.
const HALF_PERIOD: u64 = 5 * TICK_HZ;

/// How often it changes its mind, and how fast: so that on so slow a core it is seen.
const BOUNCES: u64 = 4;
const BOUNCE: u64 = TICK_HZ / 125;

/// A contact that opens and closes for ever.
pub struct Contact {
    /// When it said last that it is open, and that it is closed, or was new.
    said: [Instant; 2],
}

impl Contact {
    pub fn new() -> Self {
        Self { said: [EmbassyClock.now(); 2] }
    }

    /// For how long it has not said otherwise.
    pub fn has_only_been(&self, closed: bool) -> Duration {
        EmbassyClock.now().saturating_duration_since(self.said[usize::from(!closed)])
    }

    /// Whether that has been its level just now, when it did not bounce. On so slow a core it takes milliseconds to ask.
    pub fn has_been(closed: bool) -> bool {
        let now = board::time::now();
        [now, now.saturating_sub(TICK_HZ / 10)].into_iter().any(|at| is_closed(at) == closed)
    }

    fn says(&mut self, closed: bool) {
        self.said[usize::from(closed)] = EmbassyClock.now();
    }

    fn level(&mut self) -> bool {
        let level = level(board::time::now());
        self.says(level);
        level
    }

    /// Who waits looks whenever it may have changed.
    async fn wait_for(&mut self, wanted: bool) -> Result<(), Infallible> {
        loop {
            let now = board::time::now();
            if level(now) == wanted {
                self.says(wanted);
                return Ok(());
            }
            let began = now - now % HALF_PERIOD;
            let bounces = (now - began) / BOUNCE;
            let next = if bounces < BOUNCES { began + (bounces + 1) * BOUNCE } else { began + HALF_PERIOD };
            EmbassyClock.sleep_until(EmbassyClock.now() + of_ticks(next - now)).await;
        }
    }
}

fn is_closed(now: u64) -> bool {
    now / HALF_PERIOD % 2 == 1
}

fn level(now: u64) -> bool {
    let bounces = now % HALF_PERIOD / BOUNCE;
    is_closed(now) == (bounces >= BOUNCES || bounces.is_multiple_of(2))
}

fn of_ticks(ticks: u64) -> Duration {
    Duration::from_nanos(ticks * 1_000_000_000 / TICK_HZ)
}

impl ErrorType for Contact {
    type Error = Infallible;
}

impl InputPin for Contact {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.level())
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(!self.level())
    }
}

impl Wait for Contact {
    async fn wait_for_high(&mut self) -> Result<(), Infallible> {
        self.wait_for(true).await
    }

    async fn wait_for_low(&mut self) -> Result<(), Infallible> {
        self.wait_for(false).await
    }

    async fn wait_for_rising_edge(&mut self) -> Result<(), Infallible> {
        self.wait_for(false).await?;
        self.wait_for(true).await
    }

    async fn wait_for_falling_edge(&mut self) -> Result<(), Infallible> {
        self.wait_for(true).await?;
        self.wait_for(false).await
    }

    async fn wait_for_any_edge(&mut self) -> Result<(), Infallible> {
        let level = self.level();
        self.wait_for(!level).await
    }
}

/// A bus to the device. What is cut off, or fails, leaves it in disorder.
pub struct Bus {
    pub tally: &'static Tally,
    pub is_in_order: bool,
}

impl Bus {
    pub async fn transfer(&mut self) -> Result<u32, Fault> {
        self.tally.must(self.is_in_order, "it is set right before it is used again");
        self.is_in_order = false;
        let transferred = ask(self.tally).await?;
        self.is_in_order = true;
        Ok(transferred)
    }
}

/// Has the numbers from one to `LAST`, now and then.
pub struct Source {
    had: u32,
    sleep: Option<EmbassySleep>,
}

impl Source {
    pub const LAST: u32 = 5;

    pub const fn new() -> Self {
        Self { had: 0, sleep: None }
    }
}

impl Stream for Source {
    type Item = u32;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u32>> {
        if self.had == Self::LAST {
            return Poll::Ready(None);
        }
        let pause = || EmbassyClock.sleep_until(EmbassyClock.now() + dice::millis_below(150));
        ready!(Pin::new(self.sleep.get_or_insert_with(pause)).poll(cx));
        self.sleep = None;
        self.had += 1;
        Poll::Ready(Some(self.had))
    }
}
