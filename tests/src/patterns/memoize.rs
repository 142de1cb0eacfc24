//! A memoized function: one for all callers, so that whoever is polled makes the call of it.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;

use aplomb::{Ambient, Memoize, Platform};
use serde_json::Value;

use super::cache::{explain, written};
use super::{Ending, Subject};
use crate::config::MemoizeConfig;
use crate::interpreter::World;
use crate::operation::{Failure, Running};
use crate::scenario::{Order, Request};
use crate::stage::Stage;

/// A function that is kept, which its callers share.
pub(super) struct Memoizing<S: Stage> {
    function: Rc<Kept<S>>,
    polled: Rc<RefCell<Option<Caller<S>>>>,
}

type Kept<S> = Memoize<<S as Stage>::Platform, Function<S>, String, Value, Failure>;
type Function<S> = Box<dyn Fn(String) -> Running<S>>;

/// Who calls, and with which input.
struct Caller<S> {
    world: Rc<World<S>>,
    id: String,
    arg: Option<Value>,
}

impl<S> Clone for Caller<S> {
    fn clone(&self) -> Self {
        Self { world: Rc::clone(&self.world), id: self.id.clone(), arg: self.arg.clone() }
    }
}

impl<S: Stage + 'static> Memoizing<S>
where
    <S::Platform as Platform>::Clock: Ambient,
{
    pub(super) fn new(config: &MemoizeConfig) -> Self {
        let polled: Rc<RefCell<Option<Caller<S>>>> = Rc::default();
        let caller = Rc::clone(&polled);
        let function: Function<S> = Box::new(move |key| {
            let Some(Caller { world, id, arg }) = caller.borrow().clone() else { unreachable!("only who is polled calls") };
            world.start(&id, arg.or_else(|| serde_json::from_str(&key).ok()).as_ref())
        });
        let function = config.capacity.into_iter().fold(Kept::<S>::new(function), Memoize::capacity);
        Self { function: Rc::new(config.max_waiting.into_iter().fold(function, Memoize::max_waiting)), polled }
    }
}

impl<S: Stage + 'static> Subject<S> for Memoizing<S> {
    fn call(&self, world: Rc<World<S>>, Request { id, arg, key, waits, .. }: Request) -> Ending {
        let (function, polled) = (Rc::clone(&self.function), Rc::clone(&self.polled));
        Box::pin(async move {
            let key = written(key.as_ref());
            if !waits {
                return Ok(function.peek(&*key).unwrap_or_default());
            }
            let caller = Caller { world, id, arg };
            let mut call = pin!(function.call(&*key));
            let ended = poll_fn(|cx| {
                polled.replace(Some(caller.clone()));
                call.as_mut().poll(cx)
            });
            ended.await.map_err(explain)
        })
    }

    fn act(&self, Order { verb, key, .. }: Order) {
        match &*verb {
            "forget" => _ = self.function.forget(&*written(key.as_ref())),
            "clear" => self.function.clear(),
            _ => {}
        }
    }
}
