//! The forms of a call: what a hedge is given an operation by.

use core::future::Future;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::delay::Delay;
use super::event::Event;
use super::judge::Verdict;
use super::run::Run;
use super::settings::Hedge;
use crate::children::PinnedStorage;
use crate::judge::Judge;
use crate::observe::SharedObserver;
use crate::operation::Operation;
use crate::platform::Platform;

impl<P: Platform, D: Delay, S: PinnedStorage, J, O: SharedObserver<Event>> Hedge<P, D, S, J, O> {
    /// Starts the operation, and starts it again beside that when it is late or has failed. Ends with what succeeds first.
    ///
    /// One start goes on while another does, so that none can borrow mutably what the closure has captured.
    ///
    /// # Errors
    ///
    /// [`HedgeError::Failed`](super::HedgeError::Failed) with the last error when all have failed; [`HedgeError::Fatal`](super::HedgeError::Fatal) at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static HEDGE: Hedge = checked!(Hedge::after(ms(50)));
    ///
    /// async fn fetch_user(id: u32) -> Result<String, std::io::Error> { Ok(format!("user {id}")) }
    ///
    /// aplomb_sim::block_on(async {
    ///     let id = 7;
    ///     let user = HEDGE.run(|| fetch_user(id)).await?;
    ///     assert_eq!(user, "user 7");
    ///     Ok::<_, HedgeError<std::io::Error>>(())
    /// })?;
    /// # Ok::<_, HedgeError<std::io::Error>>(())
    /// ```
    #[inline]
    pub fn run<F, Fut, T, E>(&self, operation: F) -> Run<&Self, F>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        J: Judge<T, E, Verdict>,
    {
        Run::new(self, operation)
    }

    /// As [`run`](Hedge::run), with an operation that is told which start it is, the first being 1: to ask another replica each time.
    ///
    /// # Errors
    ///
    /// As [`run`](Hedge::run).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static HEDGE: Hedge = checked!(Hedge::after(ms(50)));
    ///
    /// async fn fetch(host: &str) -> Result<usize, std::io::Error> { Ok(host.len()) }
    ///
    /// aplomb_sim::block_on(async {
    ///     let hosts = ["eu.example.org", "us.example.org"];
    ///     let length = HEDGE.run_numbered(|start| fetch(hosts[start as usize - 1])).await?;
    ///     # assert_eq!(length, 14);
    ///     Ok::<_, HedgeError<std::io::Error>>(())
    /// })?;
    /// # Ok::<_, HedgeError<std::io::Error>>(())
    /// ```
    pub fn run_numbered<F, Fut, T, E>(&self, operation: F) -> Run<&Self, Numbered<F>>
    where
        F: FnMut(u32) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        J: Judge<T, E, Verdict>,
    {
        Run::new(self, Numbered { operation, started: 0 })
    }

    /// As [`run`](Hedge::run), with an [`Operation`] that is no closure, of a hedge that `this` points to: a reference, or an `Arc` or `Rc` of it, which the call keeps. So its future has a name, and goes wherever its owner goes.
    ///
    /// # Errors
    ///
    /// As [`run`](Hedge::run).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use std::sync::Arc;
    ///
    /// async fn fetch() -> Result<u32, std::io::Error> { Ok(42) }
    ///
    /// aplomb_sim::block_on(async {
    ///     let hedge: Arc<Hedge> = Arc::new(Hedge::after(ms(50)));
    ///     let call = Hedge::run_operation(Arc::clone(&hedge), fetch);
    ///     assert_eq!(aplomb_sim::spawn("call", call).await.unwrap().ok(), Some(42));
    /// });
    /// ```
    pub fn run_operation<B, F, T, E>(this: B, operation: F) -> Run<B, F>
    where
        B: Deref<Target = Self>,
        F: Operation<Output = Result<T, E>>,
        J: Judge<T, E, Verdict>,
    {
        Run::new(this, operation)
    }
}

/// An operation that is told which start it is; of [`Hedge::run_numbered`].
#[derive(Debug, Clone, Copy)]
pub struct Numbered<F> {
    operation: F,
    started: u32,
}

impl<F, Fut> Operation for Numbered<F>
where
    F: FnMut(u32) -> Fut,
    Fut: Future,
{
    type Output = Fut::Output;
    type Run = Fut;

    fn start(&mut self) -> Fut {
        self.started = self.started.saturating_add(1);
        (self.operation)(self.started)
    }

    #[inline]
    fn poll_run(&mut self, run: Pin<&mut Fut>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        run.poll(cx)
    }

    #[inline]
    fn may_repeat(&self) -> bool {
        true
    }
}
