//! Drivers from crates.io, which have never heard of timeouts.

use aplomb::retry::RetryError;
use aplomb_sim::block_on;
use aplomb_sim::guarded::Guarded;
use aplomb_sim::prelude::*;
use embedded_hal::digital::{ErrorType, OutputPin};
use tmp108::AsyncTmp108;
use w25q32jv::{Error, W25q32jv};

use crate::flaky::{Act, Fault, Flaky};

static POLICY: Retry<Constant> = checked!(Retry::new().backoff(Constant::every(ms(10))).attempt_timeout(ms(5)));

async fn reset(bus: &mut Flaky) {
    bus.note("reset");
}

#[test]
fn a_thermometer_on_a_bus_that_hangs_tells_the_temperature() {
    block_on(async {
        let bus = Flaky::new(&[Act::Hangs, Act::Fails(Fault::Nack)]).answering(&[0x19, 0x80]);
        let mut thermometer = AsyncTmp108::new_with_a0_gnd(Guarded::new(bus, &POLICY).recover(reset));
        let degrees = thermometer.temperature().await.unwrap().to_degrees();
        assert!((degrees - 25.5).abs() < 0.01, "{degrees}");
    });
}

struct Pin;

impl ErrorType for Pin {
    type Error = std::convert::Infallible;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

#[test]
fn a_flash_chip_is_read_again_but_never_sent_what_it_answered() {
    block_on(async {
        let device = Flaky::new(&[Act::Hangs, Act::Works, Act::Hangs]);
        let log = device.log.clone();
        let mut flash = W25q32jv::new(Guarded::new(device, &POLICY).recover(reset), Pin, Pin).unwrap();
        let mut page = [0; 4];
        flash.read_async(0x100, &mut page).await.unwrap();
        assert_eq!(page, [0x2a; 4]);
        // The driver asks for the identity in place.
        let cut_off = flash.device_id_async().await.unwrap_err();
        assert!(matches!(cut_off, Error::SpiError(RetryError::Exhausted { attempts: 1, .. })));
        assert_eq!(flash.device_id_async().await.unwrap(), [0x2a; 8]);
        let order: Vec<_> = log.borrow().iter().map(|(_, what)| what[..what.len().min(11)].to_owned()).collect();
        let (read, identify) = ("select w[03", "select x[4b");
        assert_eq!(order, [read, "reset", read, identify, "reset", identify]);
    });
}
