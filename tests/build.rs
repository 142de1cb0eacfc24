//! Writes the examples of the READMEs so that they are compiled as doc tests: each in a function, with what it takes for granted (`readme/given.rs`).

use std::path::PathBuf;
use std::{env, fs, io};

/// All but that of the simulation, which is the documentation of its crate.
const READMES: [&str; 6] = [
    "README.md",
    "core/README.md",
    "adapters/tokio/README.md",
    "adapters/smol/README.md",
    "adapters/embassy/README.md",
    "adapters/tower/README.md",
];

fn main() -> io::Result<()> {
    let variable = |name| env::var_os(name).map(PathBuf::from).unwrap_or_default();
    let (here, out) = (variable("CARGO_MANIFEST_DIR"), variable("OUT_DIR"));
    let given = here.join("readme/given.rs").display().to_string();
    println!("cargo::rerun-if-changed={given}");
    let mut examples = String::new();
    for readme in READMES {
        let path = here.join("..").join(readme);
        println!("cargo::rerun-if-changed={}", path.display());
        examples.extend(blocks(&fs::read_to_string(path)?).map(|block| doc_test(block, &given)));
    }
    fs::write(out.join("readmes.md"), examples)
}

/// The blocks in Rust.
fn blocks(readme: &str) -> impl Iterator<Item = &str> {
    let opened = readme.split("\n```rust").skip(1);
    opened.filter_map(|block| block.split_once('\n')?.1.split_once("\n```").map(|(block, _)| block))
}

fn doc_test(block: &str, given: &str) -> String {
    // A test would be left out.
    let block = block.replace("#[test]\n", "");
    // Firmware imports what its drivers are for; the others show it, or are tokio's.
    let prelude = if block.contains("modem") { "aplomb_embassy" } else { "aplomb_tokio" };
    format!(
        "```no_run\n\
         # mod given {{ include!({given:?}); }}\n\
         # use given::*;\n\
         # use {prelude}::prelude::*;\n\
         # fn main() {{}}\n\
         # async fn example(given: Given) -> Result<(), Box<dyn std::error::Error>> {{\n\
         # let Given {{ id, urls, file, report, text, position, address, host, client, users, peer, mut modem, mut frame, i2c }} = given;\n\
         {block}\n\
         # Ok(()) }}\n\
         ```\n\n"
    )
}
