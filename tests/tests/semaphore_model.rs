//! The semaphore beside a model of it that is slow and obvious: whatever is done to both, they do the same.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod locks;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use aplomb::storage::Storage;
use aplomb::sync::{Acquire, AcquireError, NoWord, Permit, Semaphore, TryAcquireError};
use aplomb::{Heap, Inline, Platform};
use aplomb_sim::Sim;
use locks::ByHand;

/// What a waiter is told.
type Answer = Result<u32, AcquireError>;

struct Model {
    permits: u32,
    taken: u32,
    closed: bool,
    queue: VecDeque<(usize, u32)>,
    /// Those who have an answer, and do not know it yet.
    told: Vec<(usize, Answer)>,
    /// How many may wait.
    max_waiting: u32,
    /// For how many there is room, those included who have an answer.
    places: usize,
}

impl Model {
    fn free(&self) -> u32 {
        self.permits.saturating_sub(self.taken)
    }

    fn refusal(&self, n: u32) -> Option<AcquireError> {
        if self.closed {
            Some(AcquireError::Closed)
        } else if n > self.permits {
            Some(AcquireError::TooMany { requested: n, permits: self.permits })
        } else {
            None
        }
    }

    /// `None`: it waits.
    fn acquire(&mut self, id: usize, n: u32) -> Option<Answer> {
        if let Some(refusal) = self.refusal(n) {
            return Some(Err(refusal));
        }
        if self.queue.is_empty() && n <= self.free() {
            self.taken += n;
            return Some(Ok(n));
        }
        let waiting = u32::try_from(self.queue.len()).unwrap();
        if waiting == self.max_waiting {
            return Some(Err(AcquireError::QueueFull { waiting }));
        }
        if self.queue.len() + self.told.len() == self.places {
            return Some(Err(AcquireError::QueueFull { waiting: u32::try_from(self.places).unwrap() }));
        }
        self.queue.push_back((id, n));
        None
    }

    fn try_acquire(&mut self, n: u32) -> Result<u32, TryAcquireError> {
        match self.refusal(n) {
            Some(AcquireError::Closed) => return Err(TryAcquireError::Closed),
            Some(_) => return Err(TryAcquireError::TooMany { requested: n, permits: self.permits }),
            None => {}
        }
        let free = if self.queue.is_empty() { self.free() } else { 0 };
        if !self.queue.is_empty() || n > free {
            return Err(TryAcquireError::NoPermits { requested: n, free });
        }
        self.taken += n;
        Ok(n)
    }

    fn settle(&mut self) {
        while let Some(&(id, n)) = self.queue.front() {
            let answer = match self.refusal(n) {
                Some(refusal) => Err(refusal),
                None if n <= self.free() => Ok(n),
                None => break,
            };
            self.queue.pop_front();
            self.taken += answer.unwrap_or(0);
            self.told.push((id, answer));
        }
    }

    fn answer(&mut self, id: usize) -> Option<Answer> {
        let at = self.told.iter().position(|(told, _)| *told == id)?;
        Some(self.told.remove(at).1)
    }

    fn leave(&mut self, id: usize) {
        if let Some(Ok(n)) = self.answer(id) {
            self.taken -= n;
        }
        self.queue.retain(|(waiting, _)| *waiting != id);
    }
}

/// A waker that notes that it was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        assert!(!self.0.swap(true, Ordering::Relaxed), "woken twice");
    }
}

type Held<'s, P, S> = Permit<&'s Semaphore<P, S>>;

struct Waiter<'s, P: Platform, S: Storage> {
    id: usize,
    future: Pin<Box<Acquire<&'s Semaphore<P, S>>>>,
    woken: Arc<Woken>,
}

impl<'s, P: Platform, S: Storage> Waiter<'s, P, S> {
    fn poll(&mut self) -> Poll<Result<Held<'s, P, S>, AcquireError>> {
        self.future.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&self.woken))))
    }
}

/// A semaphore and its model, and what has been got out of the semaphore.
struct Play<'s, P: Platform, S: Storage> {
    semaphore: &'s Semaphore<P, S>,
    model: Model,
    waiting: Vec<Waiter<'s, P, S>>,
    held: Vec<Held<'s, P, S>>,
    rng: fastrand::Rng,
}

impl<'s, P: Platform, S: Storage> Play<'s, P, S> {
    fn step(&mut self, id: usize) {
        let permits = self.rng.u32(0..=5);
        match self.rng.u32(0..100) {
            0..30 => self.acquire(id, permits),
            30..40 => match (self.semaphore.try_acquire(permits), self.model.try_acquire(permits)) {
                (Ok(permit), Ok(_)) => self.held.push(permit),
                (got, expected) => assert_eq!(got.unwrap_err(), expected.unwrap_err()),
            },
            40..60 => {
                if let Some(permit) = self.any_held() {
                    self.model.taken -= permit.count();
                }
            }
            60..70 => {
                if let Some(waiter) = self.any_waiter() {
                    self.model.leave(waiter.id);
                }
            }
            70..82 => self.ask(),
            82..87 => {
                self.semaphore.set_permits(permits);
                self.model.permits = permits;
            }
            87..91 => {
                if let Some(mut permit) = self.any_held() {
                    let part = permit.split(permits);
                    assert_eq!(part.is_some(), permit.count() + part.as_ref().map_or(0, Permit::count) >= permits);
                    self.held.extend(part.into_iter().chain([permit]));
                }
            }
            91..95 => {
                let Some(mut permit) = self.any_held() else { return };
                if let Some(other) = self.any_held() {
                    let both = permit.count() + other.count();
                    permit.merge(other).unwrap();
                    assert_eq!(permit.count(), both);
                }
                self.held.push(permit);
            }
            95..99 => {
                if let Some(permit) = self.any_held() {
                    let n = permit.count();
                    permit.forget();
                    self.model.taken -= n;
                    self.model.permits = self.model.permits.saturating_sub(n);
                }
            }
            // Rare, since little happens after it.
            _ if self.rng.u32(0..4) == 0 => {
                self.semaphore.close();
                self.model.closed = true;
            }
            _ => {}
        }
        self.model.settle();
        self.compare();
    }

    fn acquire(&mut self, id: usize, n: u32) {
        let mut waiter = Waiter { id, future: Box::pin(self.semaphore.acquire(n)), woken: Arc::default() };
        match (waiter.poll(), self.model.acquire(id, n)) {
            (Poll::Pending, None) => self.waiting.push(waiter),
            (Poll::Ready(got), Some(expected)) => self.end(got, expected),
            (got, expected) => panic!("{got:?}, not {expected:?}"),
        }
    }

    fn ask(&mut self) {
        let Some(mut waiter) = self.any_waiter() else { return };
        match (waiter.poll(), self.model.answer(waiter.id)) {
            (Poll::Pending, None) => self.waiting.push(waiter),
            (Poll::Ready(got), Some(expected)) => self.end(got, expected),
            (got, expected) => panic!("{got:?}, not {expected:?}"),
        }
    }

    fn end(&mut self, got: Result<Held<'s, P, S>, AcquireError>, expected: Answer) {
        assert_eq!(got.as_ref().map(Permit::count).map_err(|error| *error), expected);
        self.held.extend(got);
    }

    fn any_held(&mut self) -> Option<Held<'s, P, S>> {
        let at = self.rng.usize(0..self.held.len().max(1));
        (at < self.held.len()).then(|| self.held.swap_remove(at))
    }

    fn any_waiter(&mut self) -> Option<Waiter<'s, P, S>> {
        let at = self.rng.usize(0..self.waiting.len().max(1));
        (at < self.waiting.len()).then(|| self.waiting.swap_remove(at))
    }

    fn compare(&self) {
        let Self { semaphore, model, .. } = self;
        assert_eq!((semaphore.permits(), semaphore.available()), (model.permits, model.free()));
        assert_eq!((semaphore.waiting() as usize, semaphore.is_closed()), (model.queue.len(), model.closed));
        for waiter in &self.waiting {
            let told = model.told.iter().any(|(told, _)| *told == waiter.id);
            assert_eq!(waiter.woken.0.load(Ordering::Relaxed), told, "who was told was woken, and no other");
        }
    }
}

/// Does the same things to a semaphore and to the model, as a seed says.
fn play<P: Platform, S: Storage>(seed: u64, max_waiting: u32, places: usize) {
    const PERMITS: u32 = 4;
    let semaphore: Semaphore<P, S> = Semaphore::with_storage(PERMITS).max_waiting(max_waiting);
    let (queue, told) = (VecDeque::new(), Vec::new());
    let model = Model { permits: PERMITS, taken: 0, closed: false, queue, told, max_waiting, places };
    let rng = fastrand::Rng::with_seed(seed);
    let mut play = Play { semaphore: &semaphore, model, waiting: Vec::new(), held: Vec::new(), rng };
    for id in 0..200 {
        play.step(id);
    }
    let permits = play.model.permits;
    drop(play);
    assert_eq!((semaphore.available(), semaphore.waiting()), (permits, 0), "permits are neither lost nor made");
}

#[test]
fn it_does_what_the_model_does() {
    let only = std::env::var("APLOMB_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in only.map_or(0..2_000, |seed: u64| seed..seed + 1) {
        let played = std::panic::catch_unwind(|| {
            play::<Sim, Heap>(seed, u32::MAX, usize::MAX);
            play::<Sim, Heap>(seed, 2, usize::MAX);
            play::<Sim, Inline<3>>(seed, u32::MAX, 3);
            play::<ByHand<NoWord>, Heap>(seed, 2, usize::MAX);
        });
        played.unwrap_or_else(|_| panic!("with APLOMB_SEED={seed}"));
    }
}
