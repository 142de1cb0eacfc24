//! embassy alone, and a device that is only read: what a contact is compared with.

#![no_std]
#![no_main]

use footprint::firmware;

firmware!(footprint::read().is_ok());
