//! aplomb on sim
