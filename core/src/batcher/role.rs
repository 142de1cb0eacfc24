use core::mem::replace;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};

use super::answer::Answer;
use super::error::BatchError;
use super::event::Event;
use super::keep::CloneOf;
use super::machine::{Full, Left, News, Started, Ticket};
use super::settings::Batcher;
use crate::alarm::Alarm;
use crate::observe::SharedObserver;
use crate::panicking::wake_all;
use crate::platform::Platform;
use crate::storage::{Slots, Storage};
use crate::sync::wait_list::Key;
use crate::time::{Clock, Instant};

/// What a caller is to the batcher, which is given up when this is dropped.
pub(super) struct Role<B, P, I, T, E, S, O>
where
    B: Deref<Target = Batcher<P, I, T, E, S, O>>,
    P: Platform,
    S: Storage,
    O: SharedObserver<Event>,
{
    batcher: B,
    stands: Stands<S::Link>,
    /// Of a leader: clones of the items of its batch, without its own, if any may be started again.
    kept: Kept<I, S>,
}

#[derive(Clone, Copy)]
enum Stands<L> {
    Outside,
    Waits(Key<L>),
    Leads(Ticket<L>),
}

/// What a caller has waited for.
pub(super) enum Turn<B, T, E> {
    /// It leads a batch of these.
    Leads(B),
    Ended(Result<T, BatchError<E>>),
}

type Kept<I, S> = <S as Storage>::Slots<Option<I>>;
type NewsOf<I, T, E, S> = News<I, Result<T, BatchError<E>>, <S as Storage>::Slots<I>, <S as Storage>::Link>;
type PolledTurn<I, T, E, S> = Poll<Turn<<S as Storage>::Slots<I>, T, E>>;

impl<B, P, I, T, E, S, O> Role<B, P, I, T, E, S, O>
where
    B: Deref<Target = Batcher<P, I, T, E, S, O>>,
    P: Platform,
    S: Storage,
    O: SharedObserver<Event>,
{
    const NOTHING: Kept<I, S> = <Kept<I, S> as Slots<Option<I>>>::EMPTY;

    pub(super) const fn new(batcher: B) -> Self {
        Self { batcher, stands: Stands::Outside, kept: Self::NOTHING }
    }

    /// For `Debug`.
    pub(super) const fn stage(&self) -> &'static str {
        match self.stands {
            Stands::Outside => "outside",
            Stands::Waits(_) => "waiting",
            Stands::Leads(_) => "leading",
        }
    }

    /// Waits for its turn to lead, or for its result. If the item may be started again, `clone` makes clones of it.
    pub(super) fn poll_turn(
        &mut self,
        item: &mut Option<I>,
        clone: Option<CloneOf<I>>,
        alarm: Pin<&mut Alarm<<P::Clock as Clock>::Sleep>>,
        cx: &mut Context<'_>,
    ) -> PolledTurn<I, T, E, S> {
        let Batcher { terms, state, .. } = &*self.batcher;
        match self.stands {
            Stands::Leads(_) => Poll::Pending,
            Stands::Outside => self.enter(item, clone, alarm, cx),
            Stands::Waits(key) => {
                let waker = cx.waker().clone();
                let (news, _unused, looks) = state.with(|machine| machine.ask(terms, key, waker));
                wake(looks);
                self.hear(key, news, None, alarm, cx)
            }
        }
    }

    /// Comes, at its first poll.
    fn enter(
        &mut self,
        item: &mut Option<I>,
        clone: Option<CloneOf<I>>,
        alarm: Pin<&mut Alarm<<P::Clock as Clock>::Sleep>>,
        cx: &mut Context<'_>,
    ) -> PolledTurn<I, T, E, S> {
        let Batcher { clock, terms, weigh_by, observer, state } = &*self.batcher;
        if let Some(error) = self.batcher.settings_error() {
            return Poll::Ready(Turn::Ended(Err(BatchError::Config(error))));
        }
        let weight = weigh_by.zip(item.as_ref()).map_or(1, |(weigh, item)| weigh(item));
        let is_timed = terms.max_wait > 0 && terms.max_wait < u64::MAX;
        let (now, waker) = (if is_timed { clock.now() } else { Instant::ORIGIN }, cx.waker().clone());
        match state.with(|machine| machine.enter(terms, item, weight, clone, now, waker)) {
            Ok((key, news, looks)) => {
                self.stands = Stands::Waits(key);
                wake(looks);
                if terms.max_wait == 0 && matches!(news, News::Looks) {
                    // Others come in the same turn.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                self.hear(key, news, Some(now), alarm, cx)
            }
            Err(Full(waiting, _unused)) => {
                observer.observe(&Event::Rejected { waiting });
                Poll::Ready(Turn::Ended(Err(BatchError::QueueFull { waiting })))
            }
        }
    }

    fn hear(
        &mut self,
        key: Key<S::Link>,
        news: NewsOf<I, T, E, S>,
        now: Option<Instant>,
        mut alarm: Pin<&mut Alarm<<P::Clock as Clock>::Sleep>>,
        cx: &mut Context<'_>,
    ) -> PolledTurn<I, T, E, S> {
        let Batcher { clock, terms, state, .. } = &*self.batcher;
        match news {
            News::Waits => return Poll::Pending,
            News::Ended(outcome) => {
                self.stands = Stands::Outside;
                return Poll::Ready(Turn::Ended(outcome));
            }
            News::Starts(started) => return Poll::Ready(Turn::Leads(self.lead(started))),
            // Only its size starts it, or a flush.
            News::Looks if terms.max_wait == u64::MAX => return Poll::Pending,
            News::Looks => {}
        }
        let mut now = now.unwrap_or_else(|| clock.now());
        loop {
            let (looked, looks) = state.with(|machine| machine.look(terms, key, now));
            wake(looks);
            match looked {
                Err(started) => return Poll::Ready(Turn::Leads(self.lead(started))),
                Ok(until) => {
                    ready!(alarm.as_mut().poll_until(clock, until, cx));
                    now = now.max(until);
                }
            }
        }
    }

    fn lead(&mut self, started: Started<I, S::Slots<I>, S::Link>) -> S::Slots<I> {
        let Started { ticket, items, clone, cause, .. } = started;
        self.stands = Stands::Leads(ticket);
        self.batcher.observer.observe(&Event::Started { items: ticket.items, cause });
        if let Some(clone) = clone {
            self.kept.reserve(items.as_slice().len());
            for (index, item) in (0..).zip(items.as_slice()) {
                // There is as much room as for the items themselves.
                let _full = self.kept.try_push((index != ticket.index).then(|| clone(item)));
            }
        }
        items
    }

    /// The operation has ended: gives all who are in the batch their results, and returns its own.
    pub(super) fn settle<R, X>(&mut self, output: Result<R, E>) -> Result<T, BatchError<E>>
    where
        R: AsRef<[X]> + IntoIterator<Item = X>,
        X: Answer<T, E>,
        E: Clone,
    {
        let Stands::Leads(ticket) = self.stands else { return Err(BatchError::Abandoned) };
        self.kept = Self::NOTHING;
        let items = ticket.items;
        let (own, event) = match output {
            Ok(results) => {
                let length = results.as_ref().len();
                if usize::try_from(items) == Ok(length) {
                    let results = results.into_iter().map(|result| result.into_result().map_err(BatchError::Failed));
                    (self.deliver(ticket, results), Event::Completed { items })
                } else {
                    let wrong = || Err(BatchError::WrongLength { items, results: length });
                    (self.deliver(ticket, core::iter::repeat_with(wrong)), Event::Failed { items })
                }
            }
            Err(error) => {
                let failed = || Err(BatchError::Failed(error.clone()));
                (self.deliver(ticket, core::iter::repeat_with(failed)), Event::Failed { items })
            }
        };
        self.end(ticket);
        self.batcher.observer.observe(&event);
        own
    }

    fn deliver(
        &mut self,
        ticket: Ticket<S::Link>,
        outcomes: impl Iterator<Item = Result<T, BatchError<E>>>,
    ) -> Result<T, BatchError<E>> {
        // What lies on the stack at a time is not to be large.
        if size_of::<Result<T, BatchError<E>>>() <= 64 {
            self.deliver_by::<8>(ticket, outcomes)
        } else {
            self.deliver_by::<1>(ticket, outcomes)
        }
    }

    /// Gives each caller its outcome, so many at a time, and returns its own.
    fn deliver_by<const N: usize>(
        &mut self,
        ticket: Ticket<S::Link>,
        mut outcomes: impl Iterator<Item = Result<T, BatchError<E>>>,
    ) -> Result<T, BatchError<E>> {
        let mut own = None;
        let mut given: u32 = 0;
        while given < ticket.items {
            let (mut some, mut wakers) = (heapless::Vec::<_, N>::new(), heapless::Vec::<_, N>::new());
            let first = given;
            // They are made outside the lock, as all that is not ours.
            while given < ticket.items && !some.is_full() {
                // Fewer come than it said there were.
                let short = || {
                    Err(BatchError::WrongLength { items: ticket.items, results: usize::try_from(given).unwrap_or(usize::MAX) })
                };
                let outcome = Some(outcomes.next().unwrap_or_else(short));
                let is_own = given == ticket.index;
                let _full = some.push(if is_own {
                    own = outcome;
                    None
                } else {
                    outcome
                });
                given = given.saturating_add(1);
            }
            self.batcher.state.with(|machine| machine.give(ticket, first, &mut some, &mut wakers));
            let mut wakers = wakers.into_iter();
            wake_all(&mut || wakers.next());
        }
        own.unwrap_or(Err(BatchError::Abandoned))
    }

    fn end(&mut self, ticket: Ticket<S::Link>) {
        self.stands = Stands::Outside;
        let Batcher { terms, state, .. } = &*self.batcher;
        wake(state.with(|machine| machine.end(terms, ticket)));
    }

    /// Something of the caller's has panicked: whoever is in the batch ends.
    pub(super) fn abandon(&mut self) {
        self.kept = Self::NOTHING;
        self.give_up();
    }

    fn give_up(&mut self) {
        let Batcher { state, .. } = &*self.batcher;
        match self.stands {
            Stands::Outside => {}
            Stands::Waits(key) => {
                self.stands = Stands::Outside;
                let Left { looks, .. } = state.with(|machine| machine.leave(key));
                wake(looks);
            }
            Stands::Leads(ticket) => {
                let mut kept = replace(&mut self.kept, Self::NOTHING);
                let take = |index| kept.as_mut_slice().get_mut(usize::try_from(index).ok()?)?.take();
                let again = state.with(|machine| machine.hand_back(ticket, take));
                let given_up = state.with(|machine| machine.remaining(ticket));
                for _ in 0..given_up {
                    let (waker, _unused) = state.with(|machine| machine.give_up(ticket, Err(BatchError::Abandoned)));
                    wake(waker);
                }
                self.end(ticket);
                if again > 0 {
                    self.batcher.observer.observe(&Event::HandedOver { items: again });
                }
                if given_up > 0 {
                    self.batcher.observer.observe(&Event::Abandoned { items: given_up });
                }
            }
        }
    }
}

impl<B, P, I, T, E, S, O> Drop for Role<B, P, I, T, E, S, O>
where
    B: Deref<Target = Batcher<P, I, T, E, S, O>>,
    P: Platform,
    S: Storage,
    O: SharedObserver<Event>,
{
    fn drop(&mut self) {
        self.give_up();
    }
}

/// Outside the lock, as all wakers.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
