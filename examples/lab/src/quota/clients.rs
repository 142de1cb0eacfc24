use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aplomb_tokio::prelude::*;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::ledger::{BURST, RATE};
use crate::http::{HttpError, fetch};

/// How many clients a customer has.
pub(super) const CLIENTS: usize = 50;
/// After how long a client asks again that does as it likes.
pub(super) const AGAIN: Duration = ms(100);
/// What the clients that keep to the quota send at once after a while without permits: with half of the burst they catch up on what they were late for themselves.
pub(super) const CLIENTS_BURST: u32 = BURST / 2;
/// With the other half the service bears that requests arrive closer together than they were sent: one may be so much later than others.
pub(super) const SLACK: Duration = ms(1_000 * (BURST - CLIENTS_BURST) as u64 / RATE as u64);

static LIMITER: RateLimiter = checked!(RateLimiter::with_burst(Rate::per_second(RATE), CLIENTS_BURST));

/// How the clients of a customer ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// They ask again soon, whatever the service says.
    Bare,
    /// They ask again when the service has told them to.
    AsTold,
    /// They share a limiter.
    Limited,
}

impl Manner {
    pub(super) const ALL: [Self; 3] = [Self::Bare, Self::AsTold, Self::Limited];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::AsTold => "as told",
            Self::Limited => "limited",
        }
    }

    /// Where the service has the quota of this customer.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Bare => "/quota/bare",
            Self::AsTold => "/quota/as-told",
            Self::Limited => "/quota/limited",
        }
    }

    /// Asks until it is served.
    async fn until_served(self, address: SocketAddr) -> Result<(), String> {
        let request = || fetch(address, self.path());
        let refused = HttpError::is_too_many_requests;
        match self {
            Self::Bare => loop {
                match request().await {
                    Ok(_) => return Ok(()),
                    Err(error) if refused(&error) => sleep(AGAIN).await,
                    Err(error) => return Err(error.to_string()),
                }
            },
            Self::AsTold => {
                let asking = retry(request).forever().retry_if(refused);
                let served = asking.retry_after(|answer| answer.err().and_then(HttpError::retry_after)).await;
                served.map(drop).map_err(|error| error.to_string())
            }
            Self::Limited => loop {
                match LIMITER.run(request).await {
                    Ok(_) => return Ok(()),
                    Err(error) if error.inner().is_some_and(refused) => {}
                    Err(error) => return Err(error.to_string()),
                }
            },
        }
    }
}

/// What came of one client.
struct Client {
    served: u32,
    longest_wait: Duration,
}

/// What came of the clients of a customer.
pub(super) struct Measured {
    /// The fewest and the most requests that one client had served.
    pub(super) served: (u32, u32),
    /// The longest that one was not served.
    pub(super) longest_wait: Duration,
}

/// A client, which has a request after another, until then.
async fn client(manner: Manner, address: SocketAddr, end: Deadline) -> Result<Client, String> {
    let mut client = Client { served: 0, longest_wait: Duration::ZERO };
    loop {
        let began = Instant::now();
        let served = timeout_at(end, manner.until_served(address)).await;
        client.longest_wait = client.longest_wait.max(began.elapsed());
        match served {
            Ok(()) => client.served += 1,
            Err(TimeoutError::TimedOut { .. }) => return Ok(client),
            Err(TimeoutError::Failed(error)) => return Err(error),
        }
    }
}

/// All clients of a customer, until then.
pub(super) async fn all(manner: Manner, address: SocketAddr, end: Deadline) -> Result<Measured, String> {
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(client(manner, address, end));
    }
    let mut measured = Measured { served: (u32::MAX, 0), longest_wait: Duration::ZERO };
    while let Some(client) = clients.join_next().await {
        let client = client.map_err(|error| error.to_string())?.map_err(|error| format!("{}: {error}", manner.name()))?;
        let (fewest, most) = measured.served;
        measured.served = (fewest.min(client.served), most.max(client.served));
        measured.longest_wait = measured.longest_wait.max(client.longest_wait);
    }
    Ok(measured)
}
