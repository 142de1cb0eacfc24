use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aplomb_tokio::prelude::*;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::sleep;

use crate::http::fetch;

/// How many there are.
pub(super) const PAGES: usize = 1_000;

/// How many requests for pages the service has under way.
#[derive(Default)]
pub(super) struct Load {
    now: AtomicUsize,
    peak: AtomicUsize,
}

/// A request that is under way.
struct Request<'l>(&'l Load);

impl Load {
    fn begin(&self) -> Request<'_> {
        self.peak.fetch_max(self.now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        Request(self)
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The pages, by number.
pub(super) fn routes(load: Arc<Load>) -> Router {
    Router::new().route("/page/{number}", get(page)).with_state(load)
}

async fn page(State(load): State<Arc<Load>>, Path(number): Path<u64>) -> String {
    // It has ended before anybody can read the answer.
    let _under_way = load.begin();
    sleep(Duration::from_micros(500 + 613 * number % 2_000)).await;
    text(number)
}

fn text(number: impl std::fmt::Display) -> String {
    format!("This is page {number}.")
}

/// What came of fetching all pages.
pub(super) struct Measured {
    pub(super) at_once: usize,
    pub(super) took: Duration,
    /// The most requests that the service had under way.
    pub(super) peak: usize,
    /// How many pages lie where their URLs lay.
    pub(super) in_order: usize,
}

/// Fetches them, so many at once.
///
/// # Errors
///
/// The first error drops the other requests.
pub(super) async fn fetch_all(address: SocketAddr, load: &Load, at_once: usize) -> Result<Measured, String> {
    let urls: Vec<String> = (1..=PAGES).map(|number| format!("/page/{number}")).collect();
    let bar = ProgressBar::new(PAGES as u64).with_style(style()).with_prefix(format!("{at_once} at once"));
    load.peak.store(0, Ordering::Relaxed);

    let began = Instant::now();
    let pages = parallel(&urls, at_once, |url| fetch(address, url))
        .on_progress(|progress| bar.set_position(progress.done() as u64))
        .await;
    let took = began.elapsed();

    bar.finish_and_clear();
    let pages = pages.map_err(|error| format!("the pages: {error}"))?;
    let in_order = pages.iter().zip(1..).filter(|(page, number)| **page == text(number)).count();
    Ok(Measured { at_once, took, peak: load.peak.load(Ordering::Relaxed), in_order })
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:15} [{bar:30}] {pos:>4}/{len}  {per_sec}, {eta} to go")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
