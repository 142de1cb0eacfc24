//! The deterministic executor, and the patterns on it.

pub(crate) mod catch;
pub(crate) mod clock;
pub(crate) mod executor;
pub(crate) mod explore;
pub(crate) mod failure;
pub(crate) mod fresh;
pub(crate) mod inner;
pub(crate) mod lock;
pub(crate) mod overrides;
mod owner;
pub(crate) mod patterns;
pub(crate) mod pool;
pub(crate) mod render;
pub(crate) mod shrink;
pub(crate) mod sim;
pub(crate) mod spawn;
pub(crate) mod tape;
pub(crate) mod task;
pub(crate) mod timers;
pub(crate) mod trace;
pub(crate) mod waits;
pub(crate) mod word;
pub(crate) mod world;
