//! A push button to ground. embassy's pins are waited for already.

/// The pin of the button, which is low while it is pressed.
pub type ButtonPin = embassy_nrf::gpio::Input<'static>;
