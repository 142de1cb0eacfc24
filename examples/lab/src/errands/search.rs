use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use aplomb_tokio::prelude::*;
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use hyper::body::Bytes;
use tokio::task::spawn_local;
use tokio::time::{sleep, sleep_until};

use crate::http::{HttpError, fetch};

/// Somebody types: after so many milliseconds, that is in the box.
const KEYSTROKES: [(u64, &str); 22] = [
    (0, "d"),
    (95, "de"),
    (180, "deb"),
    (310, "debu"),
    (395, "debun"),
    (640, "debu"),
    (700, "deb"),
    (820, "debo"),
    (900, "debou"),
    (985, "deboun"),
    (1_060, "debounc"),
    (1_150, "debounce"),
    (1_600, "debounce "),
    (1_690, "debounce r"),
    (1_775, "debounce ru"),
    (1_850, "debounce rus"),
    (1_940, "debounce rust"),
    (2_350, "debounce rus"),
    (2_420, "debounce ru"),
    (2_490, "debounce r"),
    (2_560, "debounce "),
    (2_640, "debounce"),
];

/// How long the box waits for another keystroke.
const WAIT: Duration = ms(150);

/// What is searched for lies in the path.
pub(super) fn routes() -> Router {
    Router::new().route("/search/{text}", get(find))
}

async fn find(Path(text): Path<String>) -> String {
    // The shorter, the longer.
    sleep(Duration::from_millis(30 + 300 / (text.len() as u64 + 1))).await;
    format!("all about {text}")
}

/// What came of the keystrokes.
pub(super) struct Measured {
    pub(super) keystrokes: usize,
    pub(super) requests: u32,
    /// Results of a text that was no longer in the box when they came.
    pub(super) stale: u32,
    /// How long after the last keystroke its result came.
    pub(super) last: Duration,
}

/// The box, and what has been seen of it.
#[derive(Default)]
struct SearchBox {
    text: RefCell<&'static str>,
    requests: Cell<u32>,
    stale: Cell<u32>,
    last_result: Cell<Option<Instant>>,
}

impl SearchBox {
    async fn search(&self, address: SocketAddr, text: &str) -> Result<Bytes, HttpError> {
        self.requests.set(self.requests.get() + 1);
        fetch(address, &format!("/search/{}", text.replace(' ', "+"))).await
    }

    /// A result came.
    fn show(&self, text: &str) {
        if *self.text.borrow() == text {
            self.last_result.set(Some(Instant::now()));
        } else {
            self.stale.set(self.stale.get() + 1);
        }
    }
}

/// A request for each keystroke.
pub(super) async fn bare(address: SocketAddr) -> Measured {
    type_into(move |seen, text| async move {
        if seen.search(address, text).await.is_ok() {
            seen.show(text);
        }
    })
    .await
}

/// A request when the typing pauses.
pub(super) async fn debounced(address: SocketAddr) -> Measured {
    let searches = Rc::new(Debounce::new(WAIT));
    type_into(move |seen, text| {
        let searches: Rc<Debounce> = Rc::clone(&searches);
        async move {
            if searches.call(|| seen.search(address, text)).await.is_ok() {
                seen.show(text);
            }
        }
    })
    .await
}

/// Types, and hands each text to a task of its own.
async fn type_into<F, Fut>(keystroke: F) -> Measured
where
    F: Fn(Rc<SearchBox>, &'static str) -> Fut,
    Fut: Future<Output = ()> + 'static,
{
    let began = Instant::now();
    let seen = Rc::new(SearchBox::default());
    let mut tasks = Vec::new();
    for (at, text) in KEYSTROKES {
        sleep_until((began + ms(at)).into()).await;
        *seen.text.borrow_mut() = text;
        tasks.push(spawn_local(keystroke(Rc::clone(&seen), text)));
    }
    for task in tasks {
        // A task that panicked has told so itself.
        let _ = task.await;
    }
    let (last_key, _) = KEYSTROKES[KEYSTROKES.len() - 1];
    let last = seen.last_result.get().map_or(Duration::MAX, |came| came - (began + ms(last_key)));
    Measured { keystrokes: KEYSTROKES.len(), requests: seen.requests.get(), stale: seen.stale.get(), last }
}
