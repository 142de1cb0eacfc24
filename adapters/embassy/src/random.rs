use aplomb::sync::Shared;
use fastrand::Rng;
use mutex::raw_impls::cs::CriticalSectionRawMutex;

static STATE: Shared<CriticalSectionRawMutex, u64> = Shared::new(0);

/// Seeds the generator that jitter is drawn from.
///
/// # Examples
///
/// ```
/// aplomb_embassy::seed(0x1234_5678); // the serial number, or a hardware generator's word
/// ```
pub fn seed(seed: u64) {
    STATE.with(|state| *state = seed);
}

/// The next number. The time flows in, so that devices with the same seed part ways as soon as their days differ.
pub(crate) fn next() -> u64 {
    let now = embassy_time_driver::now();
    STATE.with(|state| {
        let mut rng = Rng::with_seed(*state ^ now);
        let number = draw(&mut rng);
        *state = rng.get_seed();
        number
    })
}

// The same as that by which calls draw their jitter, so that small machines have it once.
#[cfg_attr(target_pointer_width = "64", inline)]
#[cfg_attr(not(target_pointer_width = "64"), inline(never))]
fn draw(rng: &mut Rng) -> u64 {
    rng.u64(..)
}
