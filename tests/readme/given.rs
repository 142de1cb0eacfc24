// What the examples of the READMEs take for granted.

use std::convert::Infallible;
use std::fmt;
pub use std::net::{IpAddr, SocketAddr};
pub use std::sync::Arc;
use std::time::Duration;

pub use aplomb_tokio::circuit_breaker::{Consecutive, LastTime};
use aplomb_tokio::prelude::*;
pub use aplomb_tower::web::{HttpStatus, Idempotent};
pub use aplomb_tower::{BulkheadLayer, CircuitBreakerLayer, KeyedRateLimitLayer, RetryLayer};
use axum::body::Body;
pub use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
pub use axum::routing::get;
pub use tokio::spawn;
use tower::util::BoxCloneSyncService;
pub use tower::{ServiceBuilder, ServiceExt};

pub struct Given {
    pub id: u64,
    pub urls: Vec<String>,
    pub file: File,
    pub report: File,
    pub text: String,
    pub position: u16,
    pub address: IpAddr,
    pub host: &'static str,
    pub client: BoxCloneSyncService<Request<Body>, Response<Body>, ApiError>,
    pub users: BoxCloneSyncService<u64, Arc<User>, Arc<Error>>,
    pub peer: fn(&Request<Body>) -> IpAddr,
    pub modem: Modem,
    pub frame: [u8; 64],
    pub i2c: I2c,
}

pub static BUDGET: RetryBudget = RetryBudget::new(500);
pub static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(5);
pub static GITHUB: RateLimiter = RateLimiter::new(Rate::per_minute(100));
pub static CLIENTS: KeyedRateLimiter<IpAddr> = KeyedRateLimiter::new(Rate::per_second(5));
pub static DATABASE: Bulkhead = Bulkhead::new(10);
pub const RETRY: Retry = Retry::standard(&BUDGET);

#[derive(Debug, Clone)]
pub struct ApiError;

impl ApiError {
    pub fn is_server_error(&self) -> bool {
        true
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the API failed")
    }
}

impl std::error::Error for ApiError {}

pub type Router = axum::Router;
pub type Error = ApiError;
type Answer<T> = Result<T, ApiError>;

#[derive(Debug, Clone)]
pub struct User;
#[derive(Debug)]
pub struct Job;
#[derive(Debug)]
pub struct Page;
#[derive(Debug)]
pub struct File;

impl Job {
    pub fn is_done(&self) -> bool {
        true
    }
}

pub async fn fetch_user(_id: u64) -> Answer<User> {
    Ok(User)
}

pub async fn fetch_orders(_user: User) -> Answer<Vec<u32>> {
    Ok(Vec::new())
}

pub async fn total(_orders: Vec<u32>) -> Answer<u32> {
    Ok(0)
}

pub async fn job_status(_id: u64) -> Answer<Job> {
    Ok(Job)
}

pub async fn fetch(_url: impl AsRef<str>) -> Answer<Page> {
    Ok(Page)
}

pub async fn upload(_file: &File) -> Answer<u32> {
    Ok(0)
}

pub async fn search(_text: &str) -> Answer<Vec<Page>> {
    Ok(Vec::new())
}

pub fn replica(start: u32) -> u32 {
    start
}

pub async fn search_at(_replica: u32, text: &str) -> Answer<Vec<Page>> {
    search(text).await
}

pub fn show<T>(_shown: T) {}

pub async fn dim(_position: u16) {}

pub async fn fetch_price(_id: u64) -> Result<u32, TimeoutError<ApiError>> {
    Ok(0)
}

pub async fn last_known_price(_id: u64) -> Result<u32, TimeoutError<ApiError>> {
    Ok(0)
}

pub async fn query(_id: u64) -> Answer<Vec<User>> {
    Ok(Vec::new())
}

pub async fn survey(_city: String) -> Answer<f64> {
    Ok(0.0)
}

pub fn retry_later(_after: Option<Duration>) {}

pub async fn user() -> &'static str {
    "ann"
}

pub struct Modem;

impl Modem {
    pub async fn send(&mut self, _frame: &mut [u8; 64]) -> Answer<()> {
        Ok(())
    }
}

/// A driver.
pub struct I2c;

impl I2c {
    pub async fn reset(&mut self) {}
}

impl embedded_hal_async::i2c::ErrorType for I2c {
    type Error = Infallible;
}

impl embedded_hal_async::i2c::I2c for I2c {
    async fn transaction(
        &mut self,
        _address: u8,
        _operations: &mut [embedded_hal_async::i2c::Operation<'_>],
    ) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A driver above it.
pub struct Thermometer<B>(B);

impl<B: embedded_hal_async::i2c::I2c> Thermometer<B> {
    pub fn new(bus: B) -> Self {
        Self(bus)
    }

    pub async fn temperature(&mut self) -> Answer<f32> {
        self.0.write(0x48, &[0]).await.map_err(|_| ApiError)?;
        Ok(21.0)
    }
}
