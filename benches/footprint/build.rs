//! A memory large enough for all of it. Nothing of it is ever run.

use std::path::PathBuf;
use std::{env, fs};

const MEMORY: &str = "MEMORY { FLASH : ORIGIN = 0x00000000, LENGTH = 256K  RAM : ORIGIN = 0x20000000, LENGTH = 64K }\n";

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    if let Err(error) = fs::write(out.join("memory.x"), MEMORY) {
        panic!("memory.x: {error}");
    }
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rerun-if-changed=build.rs");
}
