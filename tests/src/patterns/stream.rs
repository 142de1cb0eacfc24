//! Debounce and throttle, as streams.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use aplomb::edge::{EdgeStream, PaceStream, Stream};
use aplomb::{Ambient, Platform};
use futures_lite::StreamExt;
use serde_json::{Value, json};

use super::{Ending, Subject, details};
use crate::config::StreamConfig;
use crate::interpreter::World;
use crate::scenario::{Order, Request};
use crate::stage::Stage;
use crate::trace::What;

/// The source of a stream, which the script feeds.
pub(super) struct Source {
    config: StreamConfig,
    feed: Rc<Feed>,
}

/// What the script has fed, and the pattern has not taken.
#[derive(Default)]
struct Feed {
    items: RefCell<VecDeque<Value>>,
    waker: Cell<Option<Waker>>,
    ended: Cell<bool>,
    drained: Cell<bool>,
}

impl Source {
    pub(super) fn new(config: &StreamConfig) -> Self {
        Self { config: *config, feed: Rc::default() }
    }
}

impl Feed {
    fn wake(&self) {
        self.waker.take().into_iter().for_each(Waker::wake);
    }
}

impl<S: Stage + 'static> Subject<S> for Source {
    /// Nobody calls a stream: the scenario has been read strictly.
    fn call(&self, _world: Rc<World<S>>, _request: Request) -> Ending {
        Box::pin(std::future::pending())
    }

    /// Records all that comes out of the pattern.
    fn drive(&self, world: &Rc<World<S>>) {
        let clock = <<S::Platform as Platform>::Clock as Ambient>::CLOCK;
        let items = Items(Rc::clone(&self.feed));
        let mut out: Pin<Box<dyn Stream<Item = Value>>> = match self.config.pace {
            Some(interval) => Box::pin(PaceStream::with_clock(clock, interval.duration(), items)),
            None => match EdgeStream::with_clock(clock, self.config.terms, items) {
                Ok(stream) => Box::pin(stream),
                Err(error) => {
                    let result = Err(("config", details(json!({ "value": error.to_string() }))));
                    world.record(What::End { id: "stream".to_owned(), result });
                    self.feed.drained.set(true);
                    return;
                }
            },
        };
        let (feed, recorder) = (Rc::clone(&self.feed), Rc::clone(world));
        world.stage.spawn(Box::pin(async move {
            while let Some(item) = out.next().await {
                recorder.record(What::Item { item });
            }
            recorder.record(What::EndOfStream);
            feed.drained.set(true);
        }));
    }

    fn act(&self, _end: Order) {
        self.feed.ended.set(true);
        self.feed.wake();
    }

    fn feed(&self, item: Value) {
        self.feed.items.borrow_mut().push_back(item);
        self.feed.wake();
    }

    fn is_busy(&self) -> bool {
        !self.feed.drained.get()
    }
}

/// The source, as the pattern sees it.
struct Items(Rc<Feed>);

impl Stream for Items {
    type Item = Value;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Value>> {
        if let Some(item) = self.0.items.borrow_mut().pop_front() {
            return Poll::Ready(Some(item));
        }
        if self.0.ended.get() {
            return Poll::Ready(None);
        }
        self.0.waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}
