//! The cache: calls, looks, and the task that fetches anew what is due.

use core::time::Duration;

use aplomb::{Cache, FlightError, time};
use aplomb_embassy::Embassy;
use wire::{Order, Request, Token, Verb, config};

use super::{Ending, Subject, numbers};
use crate::arena::place;
use crate::world::{Error, Failure, Output, World};

type Kept = Cache<Embassy, Token, Token, Failure>;

/// A cache, which its callers share.
pub struct Caching(&'static Kept);

impl Caching {
    pub fn new(config: config::Cache, world: &'static World) -> Self {
        numbers::know(world);
        // Counted from the end; what has none is refreshed by being served after one.
        let (ttl, refresh_after) = (time::duration(config.ttl), time::duration(config.refresh_after));
        let (ttl, stale) = if ttl == Duration::MAX && refresh_after < ttl {
            (refresh_after, Duration::MAX)
        } else {
            (ttl, time::duration(config.stale_while_revalidate))
        };
        let place = vacant();
        step(place, |cache| cache.ttl(ttl));
        step(place, |cache| cache.time_to_idle(time::duration(config.time_to_idle)));
        step(place, |cache| cache.refresh_ahead(ttl.saturating_sub(refresh_after)));
        step(place, |cache| cache.stale_while_revalidate(stale));
        step(place, |cache| cache.stale_if_error(time::duration(config.stale_if_error)));
        if let Some(ttl) = config.error_ttl {
            step(place, |cache| cache.error_ttl(time::duration(ttl)));
        }
        if config.ttl_by_value {
            step(place, |cache| cache.ttl_by(|_, value| numbers::time(*value)));
        }
        if let Some(most) = config.max_weight {
            step(place, |cache| cache.max_weight(most));
            step(place, |cache| cache.weigh_by(|_, value| numbers::weight(*value)));
        }
        if let Some(most) = config.capacity {
            step(place, |cache| cache.capacity(most as usize));
        }
        if let Some(most) = config.max_fetches {
            step(place, |cache| cache.max_fetches(most as usize));
        }
        if let Some(most) = config.max_waiting {
            step(place, |cache| cache.max_waiting(most));
        }
        Self(place.as_ref().unwrap_or_else(|| unreachable!("each step puts it back")))
    }
}

// In frames of their own, and where it lies: a cache is large, and the stack of a Cortex-M0 small.
#[inline(never)]
fn vacant() -> &'static mut Option<Kept> {
    place(Some(Kept::new()))
}

#[inline(never)]
fn step(place: &mut Option<Kept>, set: impl FnOnce(Kept) -> Kept) {
    *place = place.take().map(set);
}

impl Subject for Caching {
    fn call(&'static self, world: &'static World, Request { id, arg, key, waits, .. }: Request) -> Ending {
        Ending::new(async move {
            if waits {
                self.0.get(&key, || world.start(id, arg)).await.map(Output::One).map_err(explain)
            } else {
                Ok(Output::One(self.0.peek(&key).unwrap_or(Token::NULL)))
            }
        })
    }

    fn drive(&'static self, world: &'static World) {
        world.drive(async move {
            // It ends only if the configuration makes no sense, which callers learn too.
            let _ended = self.0.run(|key: Token| world.start(Token::DRIVER, Some(key))).await;
        });
    }

    fn act(&self, Order { verb, key, value, .. }: Order) {
        match verb {
            Verb::Insert => self.0.insert(key, value),
            Verb::Invalidate => _ = self.0.invalidate(&key),
            Verb::Clear => self.0.clear(),
            _ => {}
        }
    }
}

pub fn explain(error: FlightError<Failure>) -> Error {
    match error {
        FlightError::Full { .. } => Error::new("full"),
        FlightError::QueueFull { .. } => Error::new("queue_full"),
        FlightError::Failed(failure) => Error::operation(failure),
        FlightError::Config(error) => Error::config(error),
        _ => Error::unknown(),
    }
}
