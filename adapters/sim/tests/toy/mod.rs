//! A semaphore with a bug: a waiter that is dropped after it was granted takes its permit along.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[derive(Default)]
struct State {
    free: u32,
    granted: Vec<u32>,
    queue: VecDeque<(u32, Waker)>,
    names: u32,
}

impl State {
    fn release(&mut self) {
        match self.queue.pop_front() {
            Some((name, waker)) => {
                self.granted.push(name);
                waker.wake();
            }
            None => self.free += 1,
        }
    }
}

#[derive(Clone, Default)]
pub(crate) struct Semaphore(Rc<RefCell<State>>);

impl Semaphore {
    pub(crate) fn new(permits: u32) -> Self {
        let semaphore = Self::default();
        semaphore.0.borrow_mut().free = permits;
        semaphore
    }

    pub(crate) fn acquire(&self) -> Acquire {
        Acquire { semaphore: self.clone(), name: None }
    }
}

pub(crate) struct Acquire {
    semaphore: Semaphore,
    name: Option<u32>,
}

impl Future for Acquire {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit> {
        let this = &mut *self;
        let mut state = this.semaphore.0.borrow_mut();
        if let Some(name) = this.name {
            let Some(place) = state.granted.iter().position(|granted| *granted == name) else { return Poll::Pending };
            state.granted.remove(place);
            this.name = None;
        } else if state.free > 0 {
            state.free -= 1;
        } else {
            state.names += 1;
            let name = state.names;
            state.queue.push_back((name, cx.waker().clone()));
            this.name = Some(name);
            return Poll::Pending;
        }
        Poll::Ready(Permit(this.semaphore.clone()))
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        // The bug: `granted` may hold this waiter, whose permit should go on to the next.
        if let Some(name) = self.name {
            self.semaphore.0.borrow_mut().queue.retain(|(other, _)| *other != name);
        }
    }
}

pub(crate) struct Permit(Semaphore);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.0.borrow_mut().release();
    }
}
