//! A device in the field: it asks a modem how well it hears, lets a button count, and reports what a sensor measures. Here is what the emulated board is; what the device does is in `device`.

#![no_std]
#![no_main]

mod button;
mod console;
mod device;
mod modem;
mod sensor;
mod uart;
mod watch;

use board::Executor;
use panic_semihosting as _;

use crate::button::ButtonPin;
use crate::uart::Uart;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut EXECUTOR: Option<Executor> = None;
    board::time::start();
    aplomb_embassy::seed(0x0815); // the serial number
    EXECUTOR.insert(Executor::new()).run(|spawner| {
        device::start(spawner, Uart::new(), ButtonPin::new());
        sensor::start();
    })
}
