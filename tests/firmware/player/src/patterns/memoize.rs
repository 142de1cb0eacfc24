//! A memoized function: one for all callers, so that whoever is polled makes the call of it.

use core::cell::Cell;
use core::future::{Future, poll_fn};
use core::pin::pin;

use aplomb::Memoize;
use aplomb_embassy::Embassy;
use wire::{Order, Request, Token, Verb};

use super::cache::explain;
use super::{Ending, Subject};
use crate::arena::place;
use crate::world::{Failure, Output, Running, World};

type Memoized = Memoize<Embassy, fn(Token) -> Running, Token, Token, Failure>;

/// A function that is kept, which its callers share.
pub struct Memoizing(&'static Memoized);

/// Who is polled.
#[derive(Clone, Copy)]
struct Caller {
    world: &'static World,
    id: Token,
    arg: Option<Token>,
}

struct Polled(Cell<Option<Caller>>);

// SAFETY: a board has one thread, and interrupts don't know it.
unsafe impl Sync for Polled {}

static POLLED: Polled = Polled(Cell::new(None));

fn function(key: Token) -> Running {
    let Some(Caller { world, id, arg }) = POLLED.0.get() else { unreachable!("only who is polled calls") };
    let key = (key != Token::NO_KEY).then_some(key);
    world.start(id, arg.or(key))
}

impl Memoizing {
    pub fn new(capacity: Option<u32>, max_waiting: Option<u32>) -> Self {
        let place = vacant();
        if let Some(most) = capacity {
            step(place, |memoized| memoized.capacity(most as usize));
        }
        if let Some(most) = max_waiting {
            step(place, |memoized| memoized.max_waiting(most));
        }
        Self(place.as_ref().unwrap_or_else(|| unreachable!("each step puts it back")))
    }
}

// In frames of their own, and where it lies: it is large, and the stack of a Cortex-M0 small.
#[inline(never)]
fn vacant() -> &'static mut Option<Memoized> {
    place(Some(Memoize::new(function as fn(Token) -> Running)))
}

#[inline(never)]
fn step(place: &mut Option<Memoized>, set: impl FnOnce(Memoized) -> Memoized) {
    *place = place.take().map(set);
}

impl Subject for Memoizing {
    fn call(&'static self, world: &'static World, Request { id, arg, key, waits, .. }: Request) -> Ending {
        Ending::new(async move {
            if !waits {
                return Ok(Output::One(self.0.peek(&key).unwrap_or(Token::NULL)));
            }
            let mut call = pin!(self.0.call(&key));
            let ended = poll_fn(|cx| {
                POLLED.0.set(Some(Caller { world, id, arg }));
                call.as_mut().poll(cx)
            });
            ended.await.map(Output::One).map_err(explain)
        })
    }

    fn act(&self, Order { verb, key, .. }: Order) {
        match verb {
            Verb::Forget => _ = self.0.forget(&key),
            Verb::Clear => self.0.clear(),
            _ => {}
        }
    }
}
