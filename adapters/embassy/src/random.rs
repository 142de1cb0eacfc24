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
        let number = rng.u64(..);
        *state = rng.get_seed();
        number
    })
}
