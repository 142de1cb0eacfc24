//! tonic routes by the name of a service: a layer around one has that too.

use core::ops::Deref;

use aplomb::Platform;
use aplomb::adaptive_limit::Settle;
use aplomb::rate_limiter::Lines;
use aplomb::sync::Lender;
use tonic::server::NamedService;

use crate::services::{
    AdaptiveLimit, Batch, Bulkhead, CircuitBreaker, Fallback, Hedge, KeyedCircuitBreaker, KeyedRateLimit, Pipeline, RateLimit,
    Retry, Timeout,
};
use crate::web::Deadlines;

macro_rules! named {
    ($([$($parameter:tt)*] $service:ty;)+) => { $(
        impl<S: NamedService, $($parameter)*> NamedService for $service {
            const NAME: &'static str = S::NAME;
        }
    )+ };
}

named! {
    [L: Deref<Target: Lines<Spot = ()>>, M] RateLimit<S, L, M>;
    [L, K, M] KeyedRateLimit<S, L, K, M>;
    [L: Deref<Target: Lender>, M] Bulkhead<S, L, M>;
    [L: Deref<Target: Settle>, M] AdaptiveLimit<S, L, M>;
    [L, M] CircuitBreaker<S, L, M>;
    [L, K, M] KeyedCircuitBreaker<S, L, K, M>;
    [L, Y, M] Hedge<S, L, Y, M>;
    [L, K, M] Batch<S, L, K, M>;
    [P: Platform + 'static, N: 'static, Y, M] Pipeline<S, P, N, Y, M>;
    [A, C] Fallback<S, A, C>;
    [P: Platform, D, M] Timeout<S, P, D, M>;
    [P: Platform + 'static, B, R, Y, D, M] Retry<S, P, B, R, Y, D, M>;
    [P: Platform, F] Deadlines<S, P, F>;
}
