use aplomb::Deadline;

/// When nobody wants the response any more. Every `Fn(&Request) -> Deadline` is one; with the feature `http`, `web::InExtensions` is, for what a `web::DeadlineLayer` has read from a header.
///
/// # Examples
///
/// ```
/// use aplomb_tokio::{Deadline, Tokio, prelude::*};
/// use aplomb_tower::TimeoutLayer;
///
/// struct Query { is_report: bool }
///
/// let layer = TimeoutLayer::<Tokio>::new(secs(300))
///     .deadline(|query: &Query| if query.is_report { Deadline::NEVER } else { deadline(secs(2)) });
/// # let _ = layer;
/// ```
pub trait DeadlineOf<Q> {
    /// The deadline of that request; [`Deadline::NEVER`] if it has none.
    fn deadline(&self, request: &Q) -> Deadline;
}

impl<Q, F: Fn(&Q) -> Deadline> DeadlineOf<Q> for F {
    fn deadline(&self, request: &Q) -> Deadline {
        self(request)
    }
}

/// Requests have no deadlines of their own.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoDeadline;

impl<Q> DeadlineOf<Q> for NoDeadline {
    fn deadline(&self, _request: &Q) -> Deadline {
        Deadline::NEVER
    }
}
