//! A function of which eight values are kept, and no more when there are as many, by its only caller.

use heapless::LinearMap;

use crate::{Fault, operation};

/// The function's value.
///
/// # Errors
///
/// The operation's own.
pub async fn factor(factors: &mut LinearMap<u8, u32, 8>, channel: u8) -> Result<u32, Fault> {
    if let Some(factor) = factors.get(&channel) {
        return Ok(*factor);
    }
    let factor = operation().await?;
    let _ = factors.insert(channel, factor);
    Ok(factor)
}
