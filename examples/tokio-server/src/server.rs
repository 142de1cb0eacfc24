//! The service: a database that bears four queries at once, behind a limit for each client; and reports, which are down.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use aplomb_tokio::{Tokio, prelude::*};
use aplomb_tower::web::{HttpStatus, PeerAddress};
use aplomb_tower::{BulkheadLayer, KeyedRateLimitLayer, TimeoutLayer};
use axum::Router;
use axum::extract::{ConnectInfo, Path};
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

const RATE: Rate = Rate::per_second(40);

static CLIENTS: KeyedRateLimiter<Option<IpAddr>> = checked!(KeyedRateLimiter::with_burst(RATE, 20).capacity(100_000));
static DATABASE: Bulkhead = checked!(Bulkhead::new(4).max_waiting(4).max_wait(ms(200)));
static REPORTS: AtomicU32 = AtomicU32::new(0);

/// Serves on a port of its own, for as long as the program runs.
pub(crate) async fn start() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = app().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

/// The last layer is the outermost: what turns away at no cost comes first.
fn app() -> Router {
    let peer = PeerAddress::new(|ConnectInfo(address): &ConnectInfo<SocketAddr>| *address);
    Router::new()
        .route("/users/{id}", get(user))
        .layer(BulkheadLayer::new(&DATABASE).respond(HttpStatus::new()))
        .layer(TimeoutLayer::<Tokio>::new(secs(2)).respond(HttpStatus::new()))
        .layer(KeyedRateLimitLayer::new(&CLIENTS, peer).respond(HttpStatus::new().policy("client", RATE)))
        .route("/reports", get(report))
}

async fn user(Path(id): Path<u32>) -> String {
    tokio::time::sleep(ms(20)).await; // a query
    format!("user {id}\n")
}

async fn report() -> StatusCode {
    REPORTS.fetch_add(1, Ordering::Relaxed);
    StatusCode::INTERNAL_SERVER_ERROR
}

/// How often a report was asked for.
pub(crate) fn reports() -> u32 {
    REPORTS.load(Ordering::Relaxed)
}
