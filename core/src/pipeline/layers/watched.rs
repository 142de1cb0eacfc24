use core::cell::Cell;
use core::pin::Pin;
use core::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::operation::{Drive, Operation};

pin_project! {
    /// What a layer has started, and whether that has come to the operation within all layers.
    #[derive(Debug)]
    pub struct Watched<R> {
        #[pin]
        run: R,
        has_begun: bool,
    }
}

/// Lends an operation as [`Lent`](crate::operation::Lent) does, and says of what has ended whether it came to the one within all layers: what did not says nothing of it.
pub(super) struct Watching<'o, O> {
    pub(super) operation: &'o mut O,
    /// Of the run that has ended.
    pub(super) has_begun: &'o Cell<bool>,
}

impl<O: Operation> Drive<(), Watched<O::Run>> for Watching<'_, O> {
    type Output = O::Output;

    #[inline]
    fn start(&mut self, (): ()) -> Watched<O::Run> {
        let before = self.operation.begun();
        let run = self.operation.start();
        // Where nobody counts, it has for all that is known.
        Watched { run, has_begun: before.is_none() || self.operation.begun() != before }
    }

    #[inline]
    fn poll_run(&mut self, run: Pin<&mut Watched<O::Run>>, cx: &mut Context<'_>) -> Poll<O::Output> {
        let this = run.project();
        let before = self.operation.begun();
        let polled = self.operation.poll_run(this.run, cx);
        let has_begun = *this.has_begun || self.operation.begun() != before;
        // What ends at once need not remember it.
        match polled {
            Poll::Pending => *this.has_begun = has_begun,
            Poll::Ready(_) => self.has_begun.set(has_begun),
        }
        polled
    }

    #[inline]
    fn waits(&self, run: &Watched<O::Run>) -> bool {
        !run.has_begun
    }
}
