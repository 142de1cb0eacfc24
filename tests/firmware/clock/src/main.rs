#![no_std]
#![no_main]
use board::hprintln;
use embassy_time::{Timer, Instant, Duration, with_timeout};
use panic_semihosting as _;
#[embassy_executor::task]
async fn a() { for _ in 0..5 { Timer::after_millis(250).await; hprintln!("a {}", Instant::now().as_ticks()); } }
#[embassy_executor::task]
async fn b() {
    for _ in 0..5 {
        let r = with_timeout(Duration::from_millis(333), core::future::pending::<()>()).await;
        hprintln!("m {} {}", Instant::now().as_ticks(), r.is_err());
    }
    Timer::after_secs(86400*30).await;
    hprintln!("m {}", Instant::now().as_ticks());
    board::exit(true)
}
#[cortex_m_rt::entry]
fn main() -> ! {
    static mut E: Option<board::Executor> = None;
    board::time::start();
    E.insert(board::Executor::new()).run(|s| {s.spawn(a().unwrap());s.spawn(b().unwrap());})
}
