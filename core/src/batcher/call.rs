use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::answer::Answer;
use super::error::BatchError;
use super::event::Event;
use super::keep::{Again, Keep, Once};
use super::role::{Role, Turn};
use super::settings::Batcher;
use crate::alarm::Alarm;
use crate::observe::SharedObserver;
use crate::panicking::clear_at_panic;
use crate::platform::Platform;
use crate::storage::Storage;
use crate::time::Clock;

impl<P: Platform, I, T, E, S: Storage, O: SharedObserver<Event>> Batcher<P, I, T, E, S, O> {
    /// Brings an item, and ends with its result. If this caller comes to lead its batch, it calls the operation, with the items of all; it ends with as many results, in the same order, or with an error for all.
    ///
    /// If the caller that leads is dropped while its operation runs, that is dropped, and this item is started again, with those of others, by the one that has waited longest with its own operation: for what may be done twice, as whatever reads. [`call_once`](Batcher::call_once) is for the rest.
    ///
    /// Results are values, or each a `Result` of its own: see [`Answer`].
    ///
    /// # Errors
    ///
    /// [`BatchError::QueueFull`], at once; [`BatchError::WrongLength`]; [`BatchError::Abandoned`]; or the operation's own, as [`BatchError::Failed`]: a clone of the one for all, or the item's.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use std::collections::HashMap;
    ///
    /// static NAMES: Batcher<u32, Option<String>, &str> = checked!(Batcher::new(100).max_wait(ms(5)));
    ///
    /// async fn select(ids: &[u32]) -> Result<HashMap<u32, String>, &'static str> {
    ///     Ok(ids.iter().filter(|id| **id < 100).map(|id| (*id, format!("user {id}"))).collect())
    /// }
    ///
    /// aplomb_sim::block_on(async {
    ///     let name = NAMES.call(7, async |ids: Vec<u32>| {
    ///         // Rows come in any order, and not for each.
    ///         let mut rows = select(&ids).await?;
    ///         Ok(ids.iter().map(|id| rows.remove(id)).collect::<Vec<_>>())
    ///     });
    ///     assert_eq!(name.await, Ok(Some("user 7".into())));
    /// });
    /// ```
    pub const fn call<F, Fut, R, X>(&self, item: I, operation: F) -> Call<&Self, P, I, T, E, S, O, Again, F, Fut>
    where
        F: FnOnce(S::Slots<I>) -> Fut,
        Fut: Future<Output = Result<R, E>>,
        R: AsRef<[X]> + IntoIterator<Item = X>,
        X: Answer<T, E>,
        I: Clone,
        E: Clone,
    {
        Call::new(self, item, operation)
    }

    /// As [`call`](Batcher::call), for what must not be done twice, and for items that cannot be cloned: if the caller that leads is dropped while its operation runs, this one ends with [`BatchError::Abandoned`]. Both may meet in one batch.
    ///
    /// # Errors
    ///
    /// As [`call`](Batcher::call).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// struct Payment { cents: u64 }
    ///
    /// static PAYMENTS: Batcher<Payment, u64, &str> = checked!(Batcher::new(50).max_wait(ms(20)));
    ///
    /// async fn book(payments: Vec<Payment>) -> Result<Vec<u64>, &'static str> {
    ///     Ok(payments.iter().map(|payment| payment.cents).collect())
    /// }
    ///
    /// aplomb_sim::block_on(async {
    ///     assert_eq!(PAYMENTS.call_once(Payment { cents: 990 }, book).await, Ok(990));
    /// });
    /// ```
    pub const fn call_once<F, Fut, R, X>(&self, item: I, operation: F) -> Call<&Self, P, I, T, E, S, O, Once, F, Fut>
    where
        F: FnOnce(S::Slots<I>) -> Fut,
        Fut: Future<Output = Result<R, E>>,
        R: AsRef<[X]> + IntoIterator<Item = X>,
        X: Answer<T, E>,
        E: Clone,
    {
        Call::new(self, item, operation)
    }

    /// As [`call`](Batcher::call) or [`call_once`](Batcher::call_once), by `K`, of a batcher that `this` points to, and with a [`BatchOperation`] that is no closure: the call's future has a name then.
    ///
    /// # Errors
    ///
    /// As [`call`](Batcher::call).
    pub const fn call_operation<B, K, F, R, X>(this: B, item: I, operation: F) -> Call<B, P, I, T, E, S, O, K, F, F::Future>
    where
        B: Deref<Target = Self>,
        K: Keep<I>,
        F: BatchOperation<S::Slots<I>, Future: Future<Output = Result<R, E>>>,
        R: AsRef<[X]> + IntoIterator<Item = X>,
        X: Answer<T, E>,
        E: Clone,
    {
        Call::new(this, item, operation)
    }
}

/// What is done with a batch, once, by the caller that leads it: every `FnOnce(items) -> impl Future`.
///
/// # Examples
///
/// ```
/// use aplomb::batcher::{Again, BatchOperation};
/// use aplomb_sim::prelude::*;
/// use std::future::{Ready, ready};
///
/// struct Doubles;
///
/// impl BatchOperation<Vec<u32>> for Doubles {
///     type Future = Ready<Result<Vec<u32>, &'static str>>;
///
///     fn begin(self, items: Vec<u32>) -> Self::Future {
///         ready(Ok(items.iter().map(|item| item * 2).collect()))
///     }
/// }
///
/// static DOUBLES: Batcher<u32, u32, &str> = checked!(Batcher::new(8));
/// let doubled = aplomb_sim::block_on(async { Batcher::call_operation::<_, Again, _, _, _>(&DOUBLES, 4, Doubles).await });
/// assert_eq!(doubled, Ok(8));
/// ```
pub trait BatchOperation<B> {
    /// One run of it.
    type Future: Future;

    /// Starts it.
    fn begin(self, items: B) -> Self::Future;
}

impl<F, Fut, B> BatchOperation<B> for F
where
    F: FnOnce(B) -> Fut,
    Fut: Future,
{
    type Future = Fut;

    #[inline]
    fn begin(self, items: B) -> Fut {
        self(items)
    }
}

pin_project! {
    /// A call whose item goes with those of others; made by [`Batcher::call`] and its likes.
    ///
    /// # Cancel safety
    ///
    /// Dropping it before its batch has started takes its item out of it. Dropping it later drops its result, or, if it leads, the operation; then the items of the others are started again, or [end](BatchError::Abandoned), by how each was brought. If the operation panics, the others
    /// end. Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Call<B, P, I, T, E, S, O, K, F, Fut>
    where
        B: Deref<Target = Batcher<P, I, T, E, S, O>>,
        P: Platform,
        S: Storage,
        O: SharedObserver<Event>,
        K: Keep<I>,
    {
        // None once it waits, or has ended.
        item: Option<I>,
        // None once it has started, or has ended.
        operation: Option<F>,
        #[pin]
        running: Option<Fut>,
        #[pin]
        alarm: Alarm<<P::Clock as Clock>::Sleep>,
        keep: PhantomData<fn() -> K>,
        // The last to be dropped: whoever is woken by that finds what this held free.
        role: Role<B, P, I, T, E, S, O>,
    }
}

impl<B, P, I, T, E, S, O, K, F, Fut> Call<B, P, I, T, E, S, O, K, F, Fut>
where
    B: Deref<Target = Batcher<P, I, T, E, S, O>>,
    P: Platform,
    S: Storage,
    O: SharedObserver<Event>,
    K: Keep<I>,
{
    const fn new(batcher: B, item: I, operation: F) -> Self {
        let role = Role::new(batcher);
        Self { item: Some(item), operation: Some(operation), running: None, alarm: Alarm::new(), keep: PhantomData, role }
    }

    fn give_up(self: Pin<&mut Self>) {
        let mut this = self.project();
        *this.item = None;
        *this.operation = None;
        this.running.set(None);
        this.role.abandon();
    }
}

impl<B, P, I, T, E, S, O, K, F, Fut, R, X> Future for Call<B, P, I, T, E, S, O, K, F, Fut>
where
    B: Deref<Target = Batcher<P, I, T, E, S, O>>,
    P: Platform,
    S: Storage,
    O: SharedObserver<Event>,
    K: Keep<I>,
    F: BatchOperation<S::Slots<I>, Future = Fut>,
    Fut: Future<Output = Result<R, E>>,
    R: AsRef<[X]> + IntoIterator<Item = X>,
    X: Answer<T, E>,
    E: Clone,
{
    type Output = Result<T, BatchError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        clear_at_panic(self, Self::give_up, |call| {
            let mut this = call.project();
            if this.running.is_none() {
                if this.operation.is_none() {
                    return Poll::Pending;
                }
                let turn = ready!(this.role.poll_turn(this.item, K::CLONE, this.alarm.as_mut(), cx));
                let Some(operation) = this.operation.take() else { return Poll::Pending };
                this.alarm.disarm();
                match turn {
                    Turn::Leads(items) => this.running.set(Some(operation.begin(items))),
                    Turn::Ended(outcome) => {
                        *this.item = None;
                        return Poll::Ready(outcome);
                    }
                }
            }
            let Some(running) = this.running.as_mut().as_pin_mut() else { return Poll::Pending };
            let output = ready!(running.poll(cx));
            this.running.set(None);
            Poll::Ready(this.role.settle(output))
        })
    }
}

impl<B, P, I, T, E, S, O, K, F, Fut> fmt::Debug for Call<B, P, I, T, E, S, O, K, F, Fut>
where
    B: Deref<Target = Batcher<P, I, T, E, S, O>>,
    P: Platform,
    S: Storage,
    O: SharedObserver<Event>,
    K: Keep<I>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("stage", &self.role.stage()).finish_non_exhaustive()
    }
}
