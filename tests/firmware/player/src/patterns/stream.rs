//! Debounce and throttle, as streams.

use core::pin::pin;

use aplomb::edge::{EdgeStream, PaceStream, Stream, Terms};
use aplomb::time;
use aplomb_embassy::EmbassyClock;
use wire::{Order, Request, Token, config};

use super::edges::terms;
use super::feed::{Feed, Items, next};
use super::{Ending, Subject};
use crate::world::{Error, Output, World};

/// The source of a stream, which the script feeds.
pub struct Source {
    config: config::Stream,
    feed: Feed,
}

impl Source {
    pub fn new(config: config::Stream) -> Self {
        Self { config, feed: Feed::default() }
    }

    fn edges(&'static self, terms: Terms, world: &'static World) {
        match EdgeStream::with_clock(EmbassyClock, terms, Items(&self.feed)) {
            Ok(stream) => world.drive(self.record(stream, world)),
            Err(error) => {
                world.end_stream(Some(Error::config(error)));
                self.feed.drain();
            }
        }
    }

    /// Records all that comes out of the pattern.
    async fn record<S: Stream<Item = Token>>(&'static self, stream: S, world: &'static World) {
        let mut stream = pin!(stream);
        while let Some(item) = next(stream.as_mut()).await {
            world.item(&Output::One(item));
        }
        world.end_stream(None);
        self.feed.drain();
    }
}

impl Subject for Source {
    /// Nobody calls a stream: the scenario has been read strictly.
    fn call(&'static self, _world: &'static World, _request: Request) -> Ending {
        Ending::new(core::future::pending())
    }

    fn drive(&'static self, world: &'static World) {
        match self.config {
            config::Stream::Edges(edges) => self.edges(terms(edges), world),
            config::Stream::Audit { interval } => self.edges(Terms::audit(time::duration(interval)), world),
            config::Stream::Pace { interval } => {
                let items = Items(&self.feed);
                world.drive(self.record(PaceStream::with_clock(EmbassyClock, time::duration(interval), items), world));
            }
        }
    }

    fn act(&self, _end: Order) {
        self.feed.end();
    }

    fn feed(&self, item: Token) {
        self.feed.push(item);
    }

    fn is_busy(&self) -> bool {
        !self.feed.is_drained()
    }
}
