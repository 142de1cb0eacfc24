//! Futures that have no name are polled again after their end.

use std::future::{Future, ready};
use std::pin::pin;
use std::task::{Context, Waker};

use aplomb_sim::Retry;
use aplomb_sim::guarded::Guarded;
use embedded_hal_async::i2c::{ErrorKind, ErrorType, I2c, Operation};
use embedded_hal_async::spi::{self, SpiBus, SpiDevice};

static ONCE: Retry = Retry::new().max_attempts(1);

struct Silent;

impl ErrorType for Silent {
    type Error = ErrorKind;
}

impl I2c for Silent {
    async fn transaction(&mut self, _: u8, _: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
        Err(ErrorKind::Bus)
    }
}

struct Deaf;

impl spi::ErrorType for Deaf {
    type Error = spi::ErrorKind;
}

impl SpiDevice for Deaf {
    async fn transaction(&mut self, _: &mut [spi::Operation<'_, u8>]) -> Result<(), spi::ErrorKind> {
        Ok(())
    }
}

impl SpiBus for Deaf {
    async fn read(&mut self, _: &mut [u8]) -> Result<(), spi::ErrorKind> {
        Ok(())
    }

    async fn write(&mut self, _: &[u8]) -> Result<(), spi::ErrorKind> {
        Ok(())
    }

    async fn transfer(&mut self, _: &mut [u8], _: &[u8]) -> Result<(), spi::ErrorKind> {
        Ok(())
    }

    async fn transfer_in_place(&mut self, _: &mut [u8]) -> Result<(), spi::ErrorKind> {
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), spi::ErrorKind> {
        Ok(())
    }
}

fn is_pending_ever_after<F: Future>(future: F) {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut cx).is_ready());
    for _ in 0..2 {
        assert!(future.as_mut().poll(&mut cx).is_pending());
    }
}

#[test]
fn transfers_of_a_guarded_bus() {
    let mut bus = Guarded::new(Silent, &ONCE);
    is_pending_ever_after(bus.run(async |_| Ok::<_, ErrorKind>(())));
    is_pending_ever_after(bus.run_once(async |_| Err::<(), _>(ErrorKind::Bus)));
    is_pending_ever_after(bus.read(1_u8, &mut [0]));
    is_pending_ever_after(bus.write(1_u8, &[0]));
    is_pending_ever_after(bus.write_read(1_u8, &[0], &mut [0]));
    is_pending_ever_after(bus.transaction(1_u8, &mut []));
    let mut device = Guarded::new(Deaf, &ONCE);
    is_pending_ever_after(SpiDevice::transaction(&mut device, &mut [spi::Operation::TransferInPlace(&mut [0])]));
    is_pending_ever_after(SpiBus::read(&mut device, &mut [0]));
    is_pending_ever_after(SpiBus::write(&mut device, &[0]));
    is_pending_ever_after(SpiBus::transfer(&mut device, &mut [0], &[0]));
    is_pending_ever_after(SpiBus::transfer_in_place(&mut device, &mut [0]));
    is_pending_ever_after(SpiBus::flush(&mut device));
}

#[test]
fn a_retry_whose_operation_lends() {
    is_pending_ever_after(ONCE.run_mut(async || Ok::<_, ()>(1)));
    is_pending_ever_after(ONCE.run_with(&mut 1, async |_| Err::<(), _>(())));
    is_pending_ever_after(ONCE.run_with_between(&mut 1, async |_| Ok::<_, ()>(1), |_: &mut i32| ready(())));
}
