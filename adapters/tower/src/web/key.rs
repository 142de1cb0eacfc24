use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};

use http::{HeaderName, HeaderValue, Request};

use crate::KeyOf;

/// The address of the peer, as the server has put it among the extensions. `None`, for all that come without, is a key too.
///
/// `T` is what the server puts there, and [`new`](PeerAddress::new) is told how to read it: axum's `ConnectInfo<SocketAddr>`, tonic's `TcpConnectInfo`. Behind a proxy, that is the proxy: see [`ForwardedFor`].
///
/// Each IPv6 address is a key of its own; whoever has a whole network has many.
///
/// # Examples
///
/// ```
/// use aplomb_tokio::prelude::*;
/// use aplomb_tower::KeyedRateLimitLayer;
/// use aplomb_tower::web::{HttpStatus, PeerAddress};
/// use axum::extract::ConnectInfo;
/// use axum::{Router, routing::get};
/// use std::net::{IpAddr, SocketAddr};
///
/// static CLIENTS: KeyedRateLimiter<Option<IpAddr>> = checked!(KeyedRateLimiter::new(Rate::per_second(5)).capacity(100_000));
///
/// let peer = PeerAddress::new(|ConnectInfo(address): &ConnectInfo<SocketAddr>| *address);
/// let app: Router = Router::new()
///     .route("/", get(async || "hello"))
///     .layer(KeyedRateLimitLayer::new(&CLIENTS, peer).respond(HttpStatus::new()));
/// # let _ = app; // axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
/// ```
#[derive(Debug)]
pub struct PeerAddress<T, F> {
    address: F,
    info: PhantomData<fn(&T)>,
}

impl<T, F: Fn(&T) -> SocketAddr> PeerAddress<T, F> {
    /// Reads the address out of the extension `T`.
    pub const fn new(address: F) -> Self {
        Self { address, info: PhantomData }
    }
}

impl<T, F: Clone> Clone for PeerAddress<T, F> {
    fn clone(&self) -> Self {
        Self { address: self.address.clone(), info: PhantomData }
    }
}

impl<T: Send + Sync + 'static, F: Fn(&T) -> SocketAddr, B> KeyOf<Request<B>> for PeerAddress<T, F> {
    type Key = Option<IpAddr>;

    fn key(&self, request: &Request<B>) -> Option<IpAddr> {
        request.extensions().get().map(|info| (self.address)(info).ip().to_canonical())
    }
}

/// The address of the client, as one's own proxies tell it by `X-Forwarded-For`. `None`, for requests that did not come through them, is a key too.
///
/// Each proxy appends whom it has the request from. So with one proxy in front of this server the last address is the client's, with two the last but one; all before that was sent by the client, who can make it up.
///
/// # Examples
///
/// ```
/// use aplomb_tower::KeyOf;
/// use aplomb_tower::web::ForwardedFor;
/// use http::Request;
///
/// let request = Request::get("/").header("x-forwarded-for", "10.6.6.6, 203.0.113.7").body(()).unwrap();
/// assert_eq!(ForwardedFor::proxies(1).key(&request), Some([203, 0, 113, 7].into()));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ForwardedFor {
    proxies: usize,
}

impl ForwardedFor {
    /// With so many proxies of one's own in front of this server. With none, no address can be trusted, and all requests have the key `None`.
    #[must_use]
    pub const fn proxies(number: usize) -> Self {
        Self { proxies: number }
    }
}

impl<B> KeyOf<Request<B>> for ForwardedFor {
    type Key = Option<IpAddr>;

    fn key(&self, request: &Request<B>) -> Option<IpAddr> {
        let fields = request.headers().get_all("x-forwarded-for");
        // Values of one name are one list, in the order in which they came.
        let mut hops = fields.iter().rev().flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
        let hop = hops.nth(self.proxies.checked_sub(1)?)?;
        address(str::from_utf8(hop).ok()?.trim())
    }
}

/// An address, which may come with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let parsed = bare.parse().or_else(|_| text.parse().map(|address: SocketAddr| address.ip()));
    parsed.ok().map(|address: IpAddr| address.to_canonical())
}

/// The value of a header: an API key, a tenant. `None`, for requests without, is a key too.
///
/// # Examples
///
/// ```
/// use aplomb_tower::KeyOf;
/// use aplomb_tower::web::Header;
/// use http::{HeaderName, HeaderValue, Request};
///
/// static TENANT: Header = Header::new(HeaderName::from_static("x-tenant"));
///
/// let request = Request::get("/").header("x-tenant", "acme").body(()).unwrap();
/// assert_eq!(TENANT.key(&request), Some(HeaderValue::from_static("acme")));
/// ```
#[derive(Debug, Clone)]
pub struct Header {
    name: HeaderName,
}

impl Header {
    /// That of this name.
    #[must_use]
    pub const fn new(name: HeaderName) -> Self {
        Self { name }
    }
}

impl<B> KeyOf<Request<B>> for Header {
    type Key = Option<HeaderValue>;

    fn key(&self, request: &Request<B>) -> Option<HeaderValue> {
        request.headers().get(&self.name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_cannot_choose_its_address() {
        let seen = |proxies, fields: &[&str]| {
            let mut request = Request::new(());
            for field in fields {
                request.headers_mut().append("x-forwarded-for", field.parse().expect("a value"));
            }
            ForwardedFor::proxies(proxies).key(&request).map(|address| address.to_string())
        };
        assert_eq!(seen(1, &[]), None);
        assert_eq!(seen(0, &["203.0.113.7"]), None);
        assert_eq!(seen(1, &["203.0.113.7"]).as_deref(), Some("203.0.113.7"));
        assert_eq!(seen(1, &["1.1.1.1, 203.0.113.7"]).as_deref(), Some("203.0.113.7"));
        assert_eq!(seen(1, &["1.1.1.1", "203.0.113.7"]).as_deref(), Some("203.0.113.7"));
        assert_eq!(seen(2, &["1.1.1.1, 203.0.113.7", "10.0.0.1"]).as_deref(), Some("203.0.113.7"));
        assert_eq!(seen(3, &["203.0.113.7, 10.0.0.1"]), None);
        assert_eq!(seen(1, &["203.0.113.7:4711"]).as_deref(), Some("203.0.113.7"));
        assert_eq!(seen(1, &["[2001:db8::1]:4711"]).as_deref(), Some("2001:db8::1"));
        assert_eq!(seen(1, &["[2001:db8::1]"]).as_deref(), Some("2001:db8::1"));
        assert_eq!(seen(1, &["::ffff:203.0.113.7"]).as_deref(), Some("203.0.113.7"), "the same client by the other protocol");
        assert_eq!(seen(1, &["unknown"]), None);
    }
}
