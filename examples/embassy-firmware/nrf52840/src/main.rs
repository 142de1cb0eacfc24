//! The device of `embassy-firmware` on a real board, the nRF52840-DK: its modem at P0.08 (received) and P0.06 (sent), its button at P0.11. What the device does is in `device`, and the same file.

#![no_std]
#![no_main]

mod button;
mod console;
#[path = "../../src/device.rs"]
mod device;
#[path = "../../src/modem.rs"]
mod modem;
mod sensor;
mod uart;
#[path = "../../src/watch.rs"]
mod watch;

use defmt_rtt as _;
use embassy_executor::Spawner;
use embassy_nrf::gpio::{Input, Pull};
use embassy_nrf::rng::Rng;
use embassy_nrf::{bind_interrupts, buffered_uarte, peripherals, uarte};
use panic_probe as _;
use static_cell::ConstStaticCell;

use crate::uart::Uart;

bind_interrupts!(struct Interrupts {
    UARTE0 => buffered_uarte::InterruptHandler<peripherals::UARTE0>;
});

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    static RECEIVED: ConstStaticCell<[u8; 128]> = ConstStaticCell::new([0; 128]);
    static SENT: ConstStaticCell<[u8; 64]> = ConstStaticCell::new([0; 64]);
    let board = embassy_nrf::init(embassy_nrf::config::Config::default());
    aplomb_embassy::seed(Rng::new_blocking(board.RNG).blocking_next_u64());
    let mut config = uarte::Config::default();
    config.baudrate = uarte::Baudrate::Baud115200;
    let port = buffered_uarte::BufferedUarte::new(
        board.UARTE0,
        board.TIMER0,
        board.PPI_CH0,
        board.PPI_CH1,
        board.PPI_GROUP0,
        board.P0_08,
        board.P0_06,
        Interrupts,
        config,
        RECEIVED.take(),
        SENT.take(),
    );
    device::start(spawner, Uart::new(port), Input::new(board.P0_11, Pull::Up));
    sensor::start();
}
