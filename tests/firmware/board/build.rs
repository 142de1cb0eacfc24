//! Where the linker finds the memory of the board, which the target tells: thumbv6m is the microbit, thumbv7m the lm3s6965evb.
//!
//! The stack lies beneath what is static, at the lower end of the RAM: one that grows too far meets no memory, which is a fault, where it would else change others' values.

use std::env;
use std::fs;
use std::path::PathBuf;

/// KiB of RAM.
const MICROBIT: u32 = 16;
const LM3S6965EVB: u32 = 64;

fn main() {
    let target = env::var("TARGET").unwrap_or_default();
    let (flash, ram) = match env::var_os("CARGO_FEATURE_BOUNDLESS") {
        Some(_) => (4_096, 1_024),
        None if target.starts_with("thumbv6m") => (256, MICROBIT),
        None => (256, LM3S6965EVB),
    };
    let memory = format!(
        "MEMORY {{
  FLASH : ORIGIN = 0x00000000, LENGTH = {flash}K
  RAM : ORIGIN = 0x20000000 + {ram}K - STATICS, LENGTH = STATICS
}}
STATICS = (SIZEOF(.data) + SIZEOF(.bss) + SIZEOF(.uninit) + 31) & ~7;
_stack_start = ORIGIN(RAM);
_stack_end = 0x20000000;
"
    );
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    if let Err(error) = fs::write(out.join("memory.x"), memory) {
        panic!("memory.x: {error}");
    }
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rerun-if-changed=build.rs");
}
