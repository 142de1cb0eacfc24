//! What is asked if another has no answer.

use crate::{Fault, operation, read};

/// Reads it as it is, if it has no answer.
///
/// # Errors
///
/// That of the reading.
pub async fn fallen_back() -> Result<u32, Fault> {
    match operation().await {
        Err(_) => read(),
        value => value,
    }
}
