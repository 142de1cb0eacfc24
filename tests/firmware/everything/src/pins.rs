//! Contacts, and buses.

use core::convert::Infallible;
use core::fmt::Write;
use core::hint::black_box;

use aplomb_embassy::guarded::{Guarded, Recovery};
use aplomb_embassy::level::{Button, Contact, Gestures, LevelDebouncer};
use aplomb_embassy::prelude::*;
use embedded_hal::digital::InputPin;
use embedded_hal::{digital, i2c, spi};
use embedded_hal_async::digital::Wait;
use embedded_hal_async::i2c::I2c;
use embedded_hal_async::spi::{SpiBus, SpiDevice};

use crate::{Paper, answer, told, unknown, used};

static POLICY: Retry = checked!(Retry::new().attempt_timeout(ms(5)));

struct Pin;

impl digital::ErrorType for Pin {
    type Error = Infallible;
}

impl InputPin for Pin {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(black_box(true))
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(black_box(false))
    }
}

async fn changed() -> Result<(), Infallible> {
    used(answer().await);
    Ok(())
}

impl Wait for Pin {
    async fn wait_for_high(&mut self) -> Result<(), Infallible> {
        changed().await
    }

    async fn wait_for_low(&mut self) -> Result<(), Infallible> {
        changed().await
    }

    async fn wait_for_rising_edge(&mut self) -> Result<(), Infallible> {
        changed().await
    }

    async fn wait_for_falling_edge(&mut self) -> Result<(), Infallible> {
        changed().await
    }

    async fn wait_for_any_edge(&mut self) -> Result<(), Infallible> {
        changed().await
    }
}

struct Bus;

#[derive(Debug, Clone, Copy)]
struct Nack;

impl i2c::Error for Nack {
    fn kind(&self) -> i2c::ErrorKind {
        if unknown() > 3 { i2c::ErrorKind::Bus } else { i2c::ErrorKind::Other }
    }
}

impl spi::Error for Nack {
    fn kind(&self) -> spi::ErrorKind {
        if unknown() > 3 { spi::ErrorKind::Overrun } else { spi::ErrorKind::Other }
    }
}

impl i2c::ErrorType for Bus {
    type Error = Nack;
}

impl spi::ErrorType for Bus {
    type Error = Nack;
}

async fn transferred() -> Result<(), Nack> {
    answer().await.map(used).map_err(|_| Nack)
}

impl I2c for Bus {
    async fn transaction(&mut self, _: u8, _: &mut [i2c::Operation<'_>]) -> Result<(), Nack> {
        transferred().await
    }
}

/// The same at another kind of bus.
struct Chosen;

impl spi::ErrorType for Chosen {
    type Error = Nack;
}

impl SpiDevice for Chosen {
    async fn transaction(&mut self, _: &mut [spi::Operation<'_, u8>]) -> Result<(), Nack> {
        transferred().await
    }
}

impl SpiBus for Bus {
    async fn read(&mut self, _: &mut [u8]) -> Result<(), Nack> {
        transferred().await
    }

    async fn write(&mut self, _: &[u8]) -> Result<(), Nack> {
        transferred().await
    }

    async fn transfer(&mut self, _: &mut [u8], _: &[u8]) -> Result<(), Nack> {
        transferred().await
    }

    async fn transfer_in_place(&mut self, _: &mut [u8]) -> Result<(), Nack> {
        transferred().await
    }

    async fn flush(&mut self) -> Result<(), Nack> {
        transferred().await
    }
}

struct Reset;

impl<B> Recovery<B, Nack> for Reset {
    async fn recover(&mut self, _: &mut B) {
        used(answer().await);
    }
}

pub async fn all() {
    let debouncer = LevelDebouncer::new(ms(u64::from(unknown()))).rise(ms(3)).fall(ms(5));
    let mut contact = Contact::new(Pin, debouncer).active_low();
    used((contact.edge().await.is_ok(), contact.level()));
    let gestures = Gestures::new(debouncer).long_press(secs(1)).multi_press_gap(ms(300)).repeat_after(secs(2));
    let mut button: Button<_> = Contact::new(Pin, gestures);
    told(button.gesture().await);
    used((button.is_pressed(), write!(Paper, "{contact:?} {button:?}").is_ok(), contact.release()));

    let mut bytes = [0; 4];
    let mut wires = Guarded::new(Bus, &POLICY).recover(Reset);
    let read = I2c::write_read(&mut wires, 0x48, &[7], &mut bytes).await;
    used((read.map_err(|error| i2c::Error::kind(&error)), wires.needs_recovery()));
    used(I2c::read(&mut wires, 0x48, &mut bytes).await);
    used(I2c::write(&mut wires, 0x48, &[7]).await);
    used(SpiBus::transfer(&mut wires, &mut bytes, &[7; 4]).await);
    used(SpiBus::transfer_in_place(&mut wires, &mut bytes).await);
    used(SpiBus::read(&mut wires, &mut bytes).await);
    used(SpiBus::write(&mut wires, &[7]).await);
    used(SpiBus::flush(&mut wires).await.map_err(|error| spi::Error::kind(&error)));
    let mut chosen = Guarded::new(Chosen, &POLICY).recover(Reset);
    let mut closed = Guarded::new(wires.release(), &POLICY).recover(async |_: &mut Bus| told(answer().await));
    used(closed.run(async |_: &mut Bus| transferred().await).await);
    used(Guarded::new(Bus, &POLICY).run_once(async |_: &mut Bus| transferred().await).await);
    used(chosen.transaction(&mut [spi::Operation::Write(&[7]), spi::Operation::Read(&mut bytes)]).await);
}
