//! Debounce and throttle, as streams.

use std::pin::Pin;
use std::rc::Rc;

use aplomb::edge::{EdgeStream, PaceStream, Stream};
use aplomb::{Ambient, Platform};
use futures_lite::StreamExt;
use serde_json::{Value, json};

use super::feed::{Feed, Items};
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

impl Source {
    pub(super) fn new(config: &StreamConfig) -> Self {
        Self { config: *config, feed: Rc::default() }
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
                    self.feed.drain();
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
            feed.drain();
        }));
    }

    fn act(&self, _end: Order) {
        self.feed.end();
    }

    fn feed(&self, item: Value) {
        self.feed.push(item);
    }

    fn is_busy(&self) -> bool {
        !self.feed.is_drained()
    }
}
