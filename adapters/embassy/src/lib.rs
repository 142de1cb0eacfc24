//! aplomb on embassy
