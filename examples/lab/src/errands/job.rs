use std::net::SocketAddr;
use std::time::Duration;

use aplomb_tokio::prelude::*;

use super::fetch;

/// How long the service works on the job, from the first request for it on.
pub(crate) const TAKES: Duration = ms(650);
/// How often it is asked.
pub(super) const EVERY: Duration = ms(100);

/// Polls the job until it is done. How many attempts that took.
pub(super) async fn until_done(address: SocketAddr) -> Result<u32, String> {
    let mut attempts = 0;
    let status = || {
        attempts += 1;
        fetch(address, "/job")
    };
    let done = poll_until(status, |state| state == "done").every(EVERY).max_attempts(50).deadline(secs(10)).await;
    done.map_err(|error| format!("the job: {error}"))?;
    Ok(attempts)
}
