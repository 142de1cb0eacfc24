//! aplomb on tokio
