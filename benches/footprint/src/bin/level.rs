//! A contact that bounces.

#![no_std]
#![no_main]

use aplomb_embassy::level::LevelDebouncer;
use aplomb_embassy::prelude::*;
use aplomb_embassy::{Clock, EmbassyClock};
use footprint::firmware;

static CONTACT: critical_section::Mutex<core::cell::RefCell<LevelDebouncer>> =
    critical_section::Mutex::new(core::cell::RefCell::new(LevelDebouncer::new(ms(20))));

firmware!(critical_section::with(|cs| CONTACT
    .borrow_ref_mut(cs)
    .sample(EmbassyClock.now(), footprint::read().is_ok())
    .is_some()));
