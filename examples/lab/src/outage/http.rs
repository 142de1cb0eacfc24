use std::fmt;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use aplomb_tokio::TimeoutError;
use futures_lite::future::or;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::header::{HOST, HeaderMap};
use hyper::rt::{Read, Write};
use hyper::{Request, StatusCode};

/// For how many milliseconds to leave the service alone. `Retry-After` itself knows whole seconds only.
pub(super) const RETRY_AFTER_MS: &str = "retry-after-ms";

/// Where the service that has the outage is.
pub(super) const ANSWER: &str = "/answer";

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum HttpError {
    /// The service answered with an error.
    Status { status: StatusCode, retry_after: Option<Duration> },
    /// There was no connection, or it was lost.
    Connection(io::Error),
}

impl HttpError {
    /// Whether it may go better another time.
    fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => status.is_server_error(),
            Self::Connection(_) => true,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Connection(_) => None,
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { status, .. } => status.fmt(f),
            Self::Connection(error) => error.fmt(f),
        }
    }
}

impl From<hyper::Error> for HttpError {
    fn from(error: hyper::Error) -> Self {
        Self::Connection(io::Error::other(error))
    }
}

/// What is worth another attempt: errors of the service and of the connection, and attempts that took too long.
pub(super) fn is_transient(error: &TimeoutError<HttpError>) -> bool {
    error.inner().is_none_or(HttpError::is_transient)
}

/// The pause that the service asks for.
pub(super) fn retry_after(outcome: &Result<Bytes, TimeoutError<HttpError>>) -> Option<Duration> {
    outcome.as_ref().err().and_then(|error| error.inner()).and_then(HttpError::retry_after)
}

/// One request over a connection of its own, which is closed when this is dropped. It is the same on every runtime; only the connections differ.
pub(crate) async fn request<C>(connection: io::Result<C>, address: SocketAddr, path: &str) -> Result<Bytes, HttpError>
where
    C: Read + Write + Unpin,
{
    let (mut sender, driver) = handshake(connection.map_err(HttpError::Connection)?).await?;
    let exchange = async {
        let request = Request::get(path).header(HOST, address.to_string()).body(Empty::<Bytes>::new());
        let request = request.map_err(|error| HttpError::Connection(io::Error::other(error)))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let retry_after = pause(response.headers());
        let body = response.into_body().collect().await?.to_bytes();
        if status.is_success() { Ok(body) } else { Err(HttpError::Status { status, retry_after }) }
    };
    // The driver moves the bytes; what goes wrong with it, the exchange hears too.
    or(exchange, async {
        let _ = driver.await;
        pending().await
    })
    .await
}

fn pause(headers: &HeaderMap) -> Option<Duration> {
    let millis = headers.get(RETRY_AFTER_MS)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_millis(millis))
}
