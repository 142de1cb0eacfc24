use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

pin_project! {
    /// A call that is made as soon as the service is ready, which it has for itself until then; made by those layers that are ready at once, and for each attempt of a retry or a hedge.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the call, or the service with its place in whatever queue that has. Polled after its end, it is as the call.
    #[must_use = "futures do nothing unless polled"]
    pub struct WhenReady<S: Service<Q>, Q> {
        #[pin]
        stage: Stage<S, Q, S::Future>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<S, Q, F> {
        Waiting { service: S, request: Option<Q> },
        Called { #[pin] call: F },
        Never,
    }
}

impl<S: Service<Q>, Q> WhenReady<S, Q> {
    pub(crate) const fn new(service: S, request: Q) -> Self {
        Self { stage: Stage::Waiting { service, request: Some(request) } }
    }

    /// Of a request that there is no more.
    pub(crate) const fn never() -> Self {
        Self { stage: Stage::Never }
    }

    /// Whether the service has been called.
    pub(crate) const fn is_called(&self) -> bool {
        matches!(self.stage, Stage::Called { .. })
    }
}

impl<S: Service<Q>, Q> Future for WhenReady<S, Q> {
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut stage = self.project().stage;
        if let StageProjection::Waiting { service, request } = stage.as_mut().project() {
            ready!(service.poll_ready(cx))?;
            let Some(request) = request.take() else { return Poll::Pending };
            let call = service.call(request);
            stage.set(Stage::Called { call });
        }
        match stage.project() {
            StageProjection::Called { call } => call.poll(cx),
            StageProjection::Waiting { .. } | StageProjection::Never => Poll::Pending,
        }
    }
}

impl<S: Service<Q>, Q> fmt::Debug for WhenReady<S, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Waiting { .. } => "waiting",
            Stage::Called { .. } => "called",
            Stage::Never => "never",
        };
        f.debug_struct("WhenReady").field("stage", &stage).finish_non_exhaustive()
    }
}
