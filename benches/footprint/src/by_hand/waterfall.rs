//! Three steps, one after another, of which the error tells which one failed.

use crate::{Fault, operation};

/// A step that works on what the one before it has found.
///
/// # Errors
///
/// The operation's own.
pub async fn step(value: u32) -> Result<u32, Fault> {
    operation().await.map(|read| read ^ value)
}

/// All of them.
///
/// # Errors
///
/// Which one failed, and why.
pub async fn fallen(value: u32) -> Result<u32, (u8, Fault)> {
    let value = step(value).await.map_err(|fault| (0, fault))?;
    let value = step(value).await.map_err(|fault| (1, fault))?;
    step(value).await.map_err(|fault| (2, fault))
}
