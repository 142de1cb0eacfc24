//! Case by case, in virtual time.

use std::panic::{AssertUnwindSafe, catch_unwind};

use aplomb::guarded::Recovery;
use aplomb::retry::{RetryError, StopReason};
use aplomb::{ConfigError, TimeoutError};
use aplomb_sim::guarded::Guarded;
use aplomb_sim::prelude::*;
use aplomb_sim::{block_on, sleep};
use embedded_hal::{i2c, spi};
use embedded_hal_async::i2c::I2c;
use embedded_hal_async::spi::{SpiBus, SpiDevice};

use crate::flaky::{Act, Fault, Flaky, Log};

type Policy = Retry<Constant>;

/// Three attempts of 5 ms, with 10 ms in between.
static POLICY: Policy = checked!(Retry::new().backoff(Constant::every(ms(10))).attempt_timeout(ms(5)));
static ONCE: Policy = checked!(Retry::new().backoff(Constant::every(ms(10))).max_attempts(1).attempt_timeout(ms(5)));

/// Takes 3 ms, and is not needed where the device was only busy.
struct Reset;

impl Recovery<Flaky, Fault> for Reset {
    fn is_needed(&mut self, error: &Fault) -> bool {
        *error != Fault::Nack
    }

    async fn recover(&mut self, bus: &mut Flaky) {
        bus.note("reset");
        sleep(ms(3)).await;
        bus.note("right");
    }
}

fn guarded(policy: &'static Policy, script: &[Act]) -> (Guarded<Flaky, Reset, Constant>, Log) {
    let bus = Flaky::new(script);
    let log = bus.log.clone();
    (Guarded::new(bus, policy).recover(Reset), log)
}

#[track_caller]
fn assert_log(log: &Log, expected: &[(u64, &str)]) {
    let log = log.borrow();
    let told: Vec<_> = log.iter().map(|(at, what)| (*at, what.as_str())).collect();
    assert_eq!(told, expected);
}

const TIMED_OUT: TimeoutError<Fault> = TimeoutError::TimedOut { after: Some(ms(5)) };

#[test]
fn a_transfer_that_hangs_is_cut_off_and_repeated_on_a_bus_that_was_set_right() {
    block_on(async {
        let (mut bus, log) = guarded(&POLICY, &[Act::Hangs]);
        let mut read = [0; 2];
        assert_eq!(bus.write_read(0x48, &[7], &mut read).await, Ok(()));
        assert_eq!(read, [0x2a; 2]);
        assert_log(&log, &[(0, "48 w[07] r2"), (15, "reset"), (18, "right"), (18, "48 w[07] r2")]);
    });
}

#[test]
fn an_error_that_the_bus_gets_over_is_only_repeated() {
    block_on(async {
        let (mut bus, log) = guarded(&POLICY, &[Act::Fails(Fault::Nack), Act::Fails(Fault::Stuck)]);
        assert_eq!(I2c::write(&mut bus, 0x48, &[7]).await, Ok(()));
        assert_log(&log, &[(0, "48 w[07]"), (10, "48 w[07]"), (20, "reset"), (23, "right"), (23, "48 w[07]")]);
    });
}

#[test]
fn what_ended_well_owes_nothing() {
    block_on(async {
        let (mut bus, log) = guarded(&POLICY, &[]);
        let mut read = [0; 1];
        assert_eq!(I2c::read(&mut bus, 0x48, &mut read).await, Ok(()));
        assert!(!bus.needs_recovery());
        let operations = &mut [i2c::Operation::Write(&[1]), i2c::Operation::Read(&mut read)];
        assert_eq!(I2c::transaction(&mut bus, 0x48, operations).await, Ok(()));
        assert_log(&log, &[(0, "48 r1"), (0, "48 w[01] r1")]);
    });
}

#[test]
fn after_the_last_attempt_the_next_call_sets_the_bus_right() {
    block_on(async {
        for (act, expected) in [
            (Act::Hangs, RetryError::Exhausted { attempts: 1, last: TIMED_OUT }),
            (Act::Fails(Fault::Stuck), RetryError::Exhausted { attempts: 1, last: TimeoutError::Failed(Fault::Stuck) }),
        ] {
            let (mut bus, log) = guarded(&ONCE, &[act]);
            assert_eq!(I2c::write(&mut bus, 0x48, &[7]).await, Err(expected));
            assert!(bus.needs_recovery());
            log.borrow_mut().clear();
            assert_eq!(I2c::write(&mut bus, 0x48, &[8]).await, Ok(()));
            let order: Vec<_> = log.borrow().iter().map(|(_, what)| what.clone()).collect();
            assert_eq!(order, ["reset", "right", "48 w[08]"]);
        }
    });
}

#[test]
fn after_a_call_that_was_dropped_the_next_one_sets_the_bus_right() {
    block_on(async {
        let (mut bus, log) = guarded(&POLICY, &[Act::Hangs]);
        assert!(infallible(I2c::write(&mut bus, 0x48, &[7])).timeout(ms(2)).await.unwrap_err().is_timeout());
        // A recovery that is dropped counts for nothing.
        assert!(infallible(I2c::write(&mut bus, 0x48, &[8])).timeout(ms(1)).await.unwrap_err().is_timeout());
        assert!(bus.needs_recovery());
        assert_eq!(I2c::write(&mut bus, 0x48, &[9]).await, Ok(()));
        assert_log(&log, &[(0, "48 w[07]"), (2, "reset"), (3, "reset"), (6, "right"), (6, "48 w[09]")]);
    });
}

#[test]
fn a_deadline_cuts_a_recovery_off_which_is_begun_anew() {
    static SHORT: Policy = checked!(Retry::new().backoff(Constant::every(ms(10))).attempt_timeout(ms(5)).deadline(ms(16)));
    block_on(async {
        let (mut bus, log) = guarded(&SHORT, &[Act::Hangs]);
        let late = I2c::write(&mut bus, 0x48, &[7]).await.unwrap_err();
        assert_eq!((late.reason(), late.attempts()), (StopReason::Deadline, 1));
        assert_eq!(I2c::write(&mut bus, 0x48, &[8]).await, Ok(()));
        assert_log(&log, &[(0, "48 w[07]"), (15, "reset"), (16, "reset"), (19, "right"), (19, "48 w[08]")]);
    });
}

#[test]
fn after_a_panic_the_next_call_sets_the_bus_right() {
    let (mut bus, log) = guarded(&POLICY, &[Act::Panics]);
    assert!(catch_unwind(AssertUnwindSafe(|| block_on(I2c::write(&mut bus, 0x48, &[7])))).is_err());
    assert!(bus.needs_recovery());
    block_on(async {
        assert_eq!(I2c::write(&mut bus, 0x48, &[8]).await, Ok(()));
    });
    assert_log(&log, &[(0, "48 w[07]"), (0, "reset"), (3, "right"), (3, "48 w[08]")]);
}

#[test]
fn a_policy_that_makes_no_sense_ends_a_call_before_anything_is_done() {
    static NEVER: Policy = Retry::new().backoff(Constant::every(ms(1))).max_attempts(0);
    block_on(async {
        let (mut bus, log) = guarded(&NEVER, &[]);
        let refused = I2c::write(&mut bus, 0x48, &[7]).await;
        assert_eq!(refused, Err(RetryError::Config(ConfigError::MaxAttempts { value: 0 })));
        assert_log(&log, &[]);
    });
}

#[test]
fn a_transaction_of_a_device_is_repeated_as_a_whole() {
    block_on(async {
        let (mut bus, log) = guarded(&POLICY, &[Act::Hangs]);
        let mut read = [0; 2];
        let operations = &mut [spi::Operation::Write(&[3]), spi::Operation::Read(&mut read)];
        assert_eq!(SpiDevice::transaction(&mut bus, operations).await, Ok(()));
        assert_eq!(read, [0x2a; 2]);
        assert_log(&log, &[(0, "select w[03] r2"), (15, "reset"), (18, "right"), (18, "select w[03] r2")]);
    });
}

#[test]
fn what_has_overwritten_what_it_sends_is_not_repeated() {
    block_on(async {
        for act in [Act::Hangs, Act::Fails(Fault::Stuck)] {
            let (mut bus, log) = guarded(&POLICY, &[act]);
            let failed = SpiDevice::transfer_in_place(&mut bus, &mut [5, 0]).await.unwrap_err();
            assert_eq!((failed.reason(), failed.attempts()), (StopReason::Exhausted, 1));
            assert_eq!(SpiDevice::transfer_in_place(&mut bus, &mut [6, 0]).await, Ok(()));
            let order: Vec<_> = log.borrow().iter().map(|(_, what)| what.clone()).collect();
            assert_eq!(order, ["select x[05, 00]", "reset", "right", "select x[06, 00]"]);
        }
    });
}

#[test]
fn what_is_a_part_of_something_is_not_repeated() {
    block_on(async {
        let hangs = [Act::Hangs; 5];
        let (mut bus, log) = guarded(&POLICY, &hangs);
        let mut read = [0; 1];
        let ends = [
            SpiBus::write(&mut bus, &[1]).await,
            SpiBus::read(&mut bus, &mut read).await,
            SpiBus::transfer(&mut bus, &mut read, &[2]).await,
            SpiBus::transfer_in_place(&mut bus, &mut read).await,
            SpiBus::flush(&mut bus).await,
        ];
        assert_eq!(ends, [Err(RetryError::Exhausted { attempts: 1, last: TIMED_OUT }); 5]);
        let order: Vec<_> = log.borrow().iter().map(|(_, what)| what.clone()).collect();
        let reset = ["reset", "right"];
        let transfers = ["w[01]", "r1", "w[02] r1", "x[00]", "flush"];
        assert_eq!(order, transfers.map(|what| [what, reset[0], reset[1]]).concat()[..13]);
    });
}

#[test]
fn the_kind_is_that_of_the_last_error() {
    let failed = |last| RetryError::Exhausted { attempts: 3, last };
    let (stuck, cut_off) = (failed(TimeoutError::Failed(Fault::Stuck)), failed(TIMED_OUT));
    assert_eq!(i2c::Error::kind(&stuck), i2c::ErrorKind::Bus);
    assert_eq!(spi::Error::kind(&stuck), spi::ErrorKind::ModeFault);
    assert_eq!(i2c::Error::kind(&cut_off), i2c::ErrorKind::Other);
    assert_eq!(spi::Error::kind(&cut_off), spi::ErrorKind::Other);
}

/// What the docs say of it, on a processor of 64 bits; on one of 32, benches/footprint weighs it.
#[test]
fn a_call_is_little_larger_than_its_transfer() {
    static LINK: aplomb_embassy::Retry = checked!(aplomb_embassy::Retry::new().attempt_timeout(ms(5)));

    async fn transfer(bus: &mut u8) -> Result<u8, Fault> {
        std::future::pending::<()>().await;
        Ok(*bus)
    }

    let mut bus = aplomb_embassy::guarded::Guarded::new(7, &LINK).recover(async |bus: &mut u8| *bus = 0);
    let parts = size_of_val(&transfer(&mut 7)) + size_of::<aplomb_embassy::EmbassySleep>();
    let whole = size_of_val(&bus.run(transfer));
    assert!(whole <= parts + 208, "{whole} bytes, and the parts alone {parts}");
}
