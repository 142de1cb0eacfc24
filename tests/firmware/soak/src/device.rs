//! What all patterns guard: a device that takes its time, fails now and then, and is gone for some minutes of each hour.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use aplomb_embassy::{Clock, EmbassyClock, EmbassySleep};
use embassy_time_driver::TICK_HZ;

use crate::dice;
use crate::tally::Tally;

/// The device has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault;

/// An operation of the device. It starts when it is polled first.
pub struct Operation {
    tally: &'static Tally,
    state: State,
}

enum State {
    Created,
    Running(EmbassySleep),
    Ended,
}

/// Asks the device.
pub const fn ask(tally: &'static Tally) -> Operation {
    Operation { tally, state: State::Created }
}

impl Future for Operation {
    type Output = Result<u32, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::Created = self.state {
            self.tally.starts.add();
            let takes = if dice::once_in(4) { core::time::Duration::ZERO } else { dice::millis_below(400) };
            self.state = State::Running(EmbassyClock.sleep_until(EmbassyClock.now() + takes));
        }
        // An operation that is polled after its end would be a bug of the pattern: it hangs, and its caller is missed.
        let State::Running(sleep) = &mut self.state else { return Poll::Pending };
        ready!(Pin::new(sleep).poll(cx));
        self.state = State::Ended;
        if is_gone() || dice::once_in(8) {
            self.tally.broken.add();
            return Poll::Ready(Err(Fault));
        }
        self.tally.done.add();
        Poll::Ready(Ok(dice::below(1 << 16)))
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        if let State::Running(_) = self.state {
            self.tally.dropped.add();
        }
    }
}

fn is_gone() -> bool {
    board::time::now() / (60 * TICK_HZ) % 60 < 6
}
