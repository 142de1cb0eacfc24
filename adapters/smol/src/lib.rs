//! aplomb on smol
