use std::fmt;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_lite::future::or;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::header::{HOST, HeaderMap, RETRY_AFTER};
use hyper::rt::{Read, Write};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// For how many milliseconds to leave the service alone. [`RETRY_AFTER`] itself knows whole seconds only.
pub(crate) const RETRY_AFTER_MS: &str = "retry-after-ms";

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum HttpError {
    /// The service answered with an error.
    Status { status: StatusCode, retry_after: Option<Duration> },
    /// There was no connection, or it was lost.
    Connection(io::Error),
}

impl HttpError {
    /// Whether the service has no more for this client now.
    pub(crate) fn is_too_many_requests(&self) -> bool {
        matches!(self, Self::Status { status: StatusCode::TOO_MANY_REQUESTS, .. })
    }

    /// The pause that the service asks for.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
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

/// A request over tokio.
pub(crate) async fn fetch(address: SocketAddr, path: &str) -> Result<Bytes, HttpError> {
    request(TcpStream::connect(address).await.map(TokioIo::new), address, path).await
}

/// In milliseconds where the service says them, or in seconds.
fn pause(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.parse().ok();
    let millis = number(RETRY_AFTER_MS).map(Duration::from_millis);
    millis.or_else(|| number(RETRY_AFTER.as_str()).map(Duration::from_secs))
}
