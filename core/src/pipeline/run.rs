use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::operation::{Operation, end};
use crate::panicking::clear_at_panic;

pin_project! {
    /// A call through a pipeline; made by [`Pipeline::run`](super::Pipeline::run).
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the operation, and whatever the layers hold for it: places in queues, permits, timers. An operation that panics is dropped at once.
    /// Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<O: Operation> {
        operation: O,
        #[pin]
        stage: Stage<O::Run>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<R> {
        Start,
        Running { #[pin] run: R },
        Ended,
    }
}

impl<O: Operation> Run<O> {
    pub(super) const fn new(operation: O) -> Self {
        Self { operation, stage: Stage::Start }
    }
}

impl<O: Operation<Output = Result<T, E>>, T, E> Future for Run<O> {
    type Output = O::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<O::Output> {
        let this = self.project();
        let (operation, mut stage) = (this.operation, this.stage);
        let polled = clear_at_panic(
            stage.as_mut(),
            |mut stage| stage.set(Stage::Ended),
            |mut stage| {
                if let Stage::Start = *stage {
                    let run = operation.start();
                    stage.set(Stage::Running { run });
                }
                match stage.project() {
                    StageProjection::Running { run } => operation.poll_run(run, cx),
                    StageProjection::Start | StageProjection::Ended => Poll::Pending,
                }
            },
        );
        end(polled, |_| stage.set(Stage::Ended), |error| error)
    }
}

impl<O: Operation> fmt::Debug for Run<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Start => "not yet polled",
            Stage::Running { .. } => "running",
            Stage::Ended => "ended",
        };
        f.debug_struct("Run").field("stage", &stage).finish_non_exhaustive()
    }
}
