use aplomb::{Judge, adaptive_limit, circuit_breaker, hedge};

use crate::refusal::{Reason, Refusal};

/// What the layer right below has let through is judged by `J`, who sees the service's own errors. What that layer has rejected says nothing of the service: for a breaker or an adaptive limit it counts as nothing, and a hedge or a retry ends with it (`web::Transient::errors`), since it would be rejected again. What took too long, or was lost, has failed, and is a sign of overload.
///
/// The layers of a [pipeline](crate::PipelineLayer) know that of each other. One by itself knows the error of the layer below as any other, and takes it for the service's. Of several layers below that may reject, there is one of these for each, as `LetThrough(LetThrough(ServerErrors))`.
///
/// # Examples
///
/// A limit of one's own does not open the circuit:
///
/// ```
/// use aplomb_tokio::circuit_breaker::AnyError;
/// use aplomb_tokio::prelude::*;
/// use aplomb_tower::{CircuitBreakerLayer, LetThrough, RateLimitLayer};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// static BREAKER: CircuitBreaker<Consecutive, Constant, LetThrough<AnyError>> =
///     CircuitBreaker::consecutive(1).judged_by(LetThrough(AnyError));
/// static QUOTA: RateLimiter = checked!(RateLimiter::with_burst(Rate::per_second(1), 1));
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let search = ServiceBuilder::new()
///     .layer(CircuitBreakerLayer::new(&BREAKER))
///     .layer(RateLimitLayer::new(&QUOTA).without_waiting())
///     .service(service_fn(async |_: &str| Ok::<_, std::io::Error>(7)));
/// assert_eq!(search.clone().oneshot("rust").await.unwrap(), 7);
/// let limited = search.oneshot("rust").await.unwrap_err();
/// assert!(limited.into_inner().unwrap().is_rejected());
/// assert!(!BREAKER.state().is_open());
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct LetThrough<J>(pub J);

/// What it says in the terms of each pattern: of what took too long or was lost, and of what was rejected.
macro_rules! let_through {
    ($($pattern:ident: $late:ident, $rejected:ident;)+) => { $(
        impl<T, X: Refusal, J: Judge<T, X::Inner, $pattern::Verdict>> Judge<T, X, $pattern::Verdict> for LetThrough<J> {
            fn judge(&self, outcome: Result<&T, &X>) -> $pattern::Verdict {
                match outcome {
                    Ok(value) => self.0.judge(Ok(value)),
                    Err(error) => match error.inner() {
                        Some(inner) => self.0.judge(Err(inner)),
                        None if matches!(error.reason(), Reason::TimedOut | Reason::Lost) => $pattern::Verdict::$late,
                        None => $pattern::Verdict::$rejected,
                    },
                }
            }
        }
    )+ };
}

let_through! {
    circuit_breaker: Failure, Ignored;
    adaptive_limit: Overload, Ignored;
    hedge: Failure, Fatal;
}
