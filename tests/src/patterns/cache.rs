//! The cache: calls, looks, and the task that fetches anew what is due.

use std::rc::Rc;
use std::time::Duration;

use aplomb::{Ambient, Cache, FlightError, Platform};
use serde_json::{Map, Value, json};

use super::{Ending, Subject, details};
use crate::config::CacheConfig;
use crate::interpreter::World;
use crate::millis::Millis;
use crate::operation::Failure;
use crate::scenario::{Order, Request};
use crate::stage::Stage;

/// A cache, which its callers share.
pub(super) struct Caching<P: Platform>(Rc<Kept<P>>);

type Kept<P> = Cache<P, String, Value, Failure>;

impl<P: Platform<Clock: Ambient>> Caching<P> {
    pub(super) fn new(config: &CacheConfig) -> Self {
        // Counted from the end; what has none is refreshed by being served after one.
        let (ttl, refresh_after) = (config.ttl.duration(), config.refresh_after.duration());
        let (ttl, stale) = if ttl == Duration::MAX && refresh_after < ttl {
            (refresh_after, Duration::MAX)
        } else {
            (ttl, config.stale_while_revalidate.duration())
        };
        let cache = Kept::new()
            .ttl(ttl)
            .time_to_idle(config.time_to_idle.duration())
            .refresh_ahead(ttl.saturating_sub(refresh_after))
            .stale_while_revalidate(stale)
            .stale_if_error(config.stale_if_error.duration());
        let cache = config.error_ttl.into_iter().fold(cache, |cache, ttl| cache.error_ttl(ttl.duration()));
        let cache = config.ttl_by.into_iter().fold(cache, |cache, _by_value| cache.ttl_by(its_millis));
        let cache = config.max_weight.into_iter().fold(cache, |cache, most| cache.max_weight(most).weigh_by(its_number));
        let cache = config.capacity.into_iter().fold(cache, Kept::capacity);
        let cache = config.max_fetches.into_iter().fold(cache, Kept::max_fetches);
        Self(Rc::new(config.max_waiting.into_iter().fold(cache, Kept::max_waiting)))
    }
}

fn its_millis(_key: &String, value: &Value) -> Duration {
    value.as_f64().map_or(Duration::MAX, |millis| Millis::from_f64(millis).duration())
}

fn its_number(_key: &String, value: &Value) -> u32 {
    value.as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or(1)
}

impl<S: Stage + 'static> Subject<S> for Caching<S::Platform> {
    fn call(&self, world: Rc<World<S>>, Request { id, arg, key, waits, .. }: Request) -> Ending {
        let cache = Rc::clone(&self.0);
        Box::pin(async move {
            let key = written(key.as_ref());
            if waits {
                cache.get(&*key, || world.start(&id, arg.as_ref())).await.map_err(explain)
            } else {
                Ok(cache.peek(&*key).unwrap_or_default())
            }
        })
    }

    fn drive(&self, world: &Rc<World<S>>) {
        let (cache, starts) = (Rc::clone(&self.0), Rc::clone(world));
        world.stage.spawn(Box::pin(async move {
            let fetch = |key: String| starts.start("driver", serde_json::from_str(&key).ok().as_ref());
            // It ends only if the configuration makes no sense, which callers learn too.
            let _ended = cache.run(fetch).await;
        }));
    }

    fn act(&self, Order { verb, key, value }: Order) {
        let key = written(key.as_ref());
        match &*verb {
            "insert" => self.0.insert(key, value.unwrap_or_default()),
            "invalidate" => _ = self.0.invalidate(&*key),
            "clear" => self.0.clear(),
            _ => {}
        }
    }
}

/// A key as it is written; that of a call without one is none other's.
pub(super) fn written(key: Option<&Value>) -> String {
    key.map_or_else(String::new, Value::to_string)
}

pub(super) fn explain(error: FlightError<Failure>) -> (&'static str, Map<String, Value>) {
    match error {
        FlightError::Full { .. } => ("full", Map::new()),
        FlightError::QueueFull { .. } => ("queue_full", Map::new()),
        FlightError::Failed(failure) => ("operation", details(json!({ "value": failure.value }))),
        FlightError::Config(error) => ("config", details(json!({ "value": error.to_string() }))),
        // The enum may grow; a scenario then says which kind it expects.
        _ => ("unknown", Map::new()),
    }
}
