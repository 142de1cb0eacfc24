//! Stacks of layers in random worlds: calls that take their time, fail and are dropped, and services that are ready and never called.
//!
//! Each layer keeps to tower's contract with the one around it, nobody waits for ever, and all that was taken is there again in the end.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use aplomb_sim::hedge::After;
use aplomb_sim::{Explore, Sim, prelude::*};
use aplomb_tower::{
    AdaptiveLimitLayer, BulkheadLayer, CircuitBreakerLayer, HedgeLayer, KeyedCircuitBreakerLayer, KeyedRateLimitLayer,
    PipelineLayer, RateLimitLayer, RetryLayer, TimeoutLayer,
};
use tower::{Service, ServiceBuilder, ServiceExt};

/// Fails where a service is asked that may not be, or is not ready any more.
#[derive(Debug)]
struct Contract<S> {
    inner: S,
    is_ready: bool,
}

impl<S> Contract<S> {
    const fn new(inner: S) -> Self {
        Self { inner, is_ready: false }
    }
}

impl<S: Clone> Clone for Contract<S> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone())
    }
}

impl<S: Service<u8>> Service<u8> for Contract<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let ready = self.inner.poll_ready(cx);
        assert!(ready.is_ready() || !self.is_ready, "who is ready is so until its call");
        self.is_ready = ready.is_ready();
        ready
    }

    fn call(&mut self, request: u8) -> S::Future {
        assert!(std::mem::take(&mut self.is_ready), "it was not ready");
        self.inner.call(request)
    }
}

/// What is within all layers: ready sooner or later, and it ends somehow.
#[derive(Debug, Clone)]
struct Backend;

impl Service<u8> for Backend {
    type Response = ();
    type Error = &'static str;
    type Future = Pin<Box<dyn Future<Output = Result<(), &'static str>>>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: u8) -> Self::Future {
        Box::pin(async {
            aplomb_sim::sleep(ms(Sim.choose(25))).await;
            if Sim.chance(1, 3) { Err("busy") } else { Ok(()) }
        })
    }
}

/// Whether it has ended before whoever asked lost patience, of which most have much.
async fn in_time<T, E>(call: impl Future<Output = Result<T, E>>) -> bool {
    let patience = if Sim.chance(1, 3) { ms(Sim.choose(40)) } else { secs(1_000) };
    let is_late = timeout(patience, call).await.is_err_and(|error| error.is_timeout());
    assert!(!is_late || patience < secs(1_000), "it waits for ever");
    !is_late
}

async fn client<S: Service<u8>>(mut service: S) {
    aplomb_sim::sleep(ms(Sim.choose(60))).await;
    for _ in 0..2 {
        if !in_time(service.ready()).await || Sim.chance(1, 8) {
            return;
        }
        aplomb_sim::sleep(ms(Sim.choose(3) * 10)).await;
        in_time(service.call(7)).await;
    }
}

/// What all clones share.
struct Patterns {
    quota: Rc<RateLimiter>,
    paced: RateLimitLayer<Rc<RateLimiter>>,
    tenant: Rc<Bulkhead>,
    database: Rc<Bulkhead>,
    limit: Rc<AdaptiveLimit>,
    breaker: Rc<CircuitBreaker>,
    hosts: Rc<KeyedCircuitBreaker<u8>>,
    clients: Rc<KeyedRateLimiter<u8>>,
    hedge: Rc<Hedge<After>>,
}

/// From 1 to 3.
fn few() -> u32 {
    1 + u32::try_from(Sim.choose(3)).expect("a small number")
}

impl Patterns {
    fn new() -> Self {
        let rate = |most| Rate::new(few(), ms(1 + Sim.choose(most)));
        let each = || CircuitBreaker::consecutive(few()).open_for(ms(Sim.choose(40))).half_open_for(ms(1 + Sim.choose(60)));
        let limit = AdaptiveLimit::new().initial_limit(few()).window(ms(0)).min_calls(1).max_waiting(few()).max_wait(ms(20));
        let quota = Rc::new(RateLimiter::new(rate(20)).max_concurrent(few()));
        let paced = RateLimitLayer::new(Rc::clone(&quota));
        Self {
            quota,
            paced: match Sim.choose(3) {
                0 => paced,
                1 => paced.max_wait(ms(10)),
                _ => paced.without_waiting(),
            },
            tenant: Rc::new(Bulkhead::new(few()).max_waiting(few() - 1).max_wait(ms(Sim.choose(30)))),
            database: Rc::new(Bulkhead::new(2)),
            limit: Rc::new(limit),
            breaker: Rc::new(each()),
            hosts: Rc::new(KeyedCircuitBreaker::new(each())),
            clients: Rc::new(KeyedRateLimiter::new(rate(20))),
            hedge: Rc::new(Hedge::after(ms(Sim.choose(10)))),
        }
    }

    /// Nobody holds anything any more, nor is anything closed for good.
    async fn check(&self) {
        for places in [&self.tenant, &self.database] {
            let now = places.snapshot();
            assert_eq!((now.running, now.waiting), (0, 0));
        }
        let (limit, quota) = (self.limit.snapshot(), self.quota.snapshot());
        assert_eq!((limit.in_flight, limit.waiting, quota.running, quota.waiting), (0, 0, Some(0), 0));
        assert_eq!((self.breaker.snapshot().probes, self.hosts.snapshot(&7).probes), (0, 0));
        aplomb_sim::sleep(secs(3_600)).await;
        assert!(self.breaker.permit().is_ok() && self.hosts.permit(&7).is_ok() && self.quota.try_acquire(1).is_ok());
    }
}

/// Twelve clients of each stack, in many worlds.
fn explore<S: Service<u8> + Clone + 'static>(stack: fn(&Patterns) -> S) {
    Explore::new().seeds(0..400).run(move |_| async move {
        let patterns = Patterns::new();
        let service = stack(&patterns);
        let clients: Vec<_> = (0..12).map(|_| aplomb_sim::spawn("client", client(service.clone()))).collect();
        drop(service);
        for client in clients {
            client.await.expect("it has not been aborted");
        }
        patterns.check().await;
    });
}

const RETRY: Retry = Retry::new().max_attempts(3).backoff(Exponential::from(ms(1)).max(ms(8))).attempt_timeout(ms(15));

#[test]
fn what_waits_further_out_than_what_refuses() {
    explore(|patterns| {
        ServiceBuilder::new()
            .layer_fn(Contract::new)
            .layer(patterns.paced.clone())
            .layer_fn(Contract::new)
            .layer(AdaptiveLimitLayer::new(Rc::clone(&patterns.limit)))
            .layer_fn(Contract::new)
            .layer(CircuitBreakerLayer::new(Rc::clone(&patterns.breaker)))
            .layer_fn(Contract::new)
            .layer(BulkheadLayer::new(Rc::clone(&patterns.tenant)))
            .layer_fn(Contract::new)
            .layer(BulkheadLayer::new(Rc::clone(&patterns.database)))
            .layer_fn(Contract::new)
            .service(Backend)
    });
}

#[test]
fn what_starts_more_than_once() {
    explore(|patterns| {
        ServiceBuilder::new()
            .layer_fn(Contract::new)
            .layer(TimeoutLayer::<Sim>::new(ms(80)))
            .layer_fn(Contract::new)
            .layer(RetryLayer::new(RETRY))
            .layer_fn(Contract::new)
            .layer(CircuitBreakerLayer::new(Rc::clone(&patterns.breaker)))
            .layer_fn(Contract::new)
            .layer(HedgeLayer::new(Rc::clone(&patterns.hedge)))
            .layer_fn(Contract::new)
            .layer(AdaptiveLimitLayer::new(Rc::clone(&patterns.limit)))
            .layer_fn(Contract::new)
            .layer(patterns.paced.clone())
            .layer_fn(Contract::new)
            .layer(BulkheadLayer::new(Rc::clone(&patterns.database)))
            .layer_fn(Contract::new)
            .service(Backend)
    });
}

#[test]
fn what_goes_by_key_or_through_a_pipeline() {
    static GUARDED: Pipeline<layers![Retry, TimeLimit]> = Pipeline::new().retry(RETRY).timeout(ms(20));
    explore(|patterns| {
        ServiceBuilder::new()
            .layer_fn(Contract::new)
            .layer(BulkheadLayer::new(Rc::clone(&patterns.tenant)))
            .layer_fn(Contract::new)
            .layer(KeyedRateLimitLayer::new(Rc::clone(&patterns.clients), |key: &u8| *key).max_wait(ms(30)))
            .layer_fn(Contract::new)
            .layer(KeyedCircuitBreakerLayer::new(Rc::clone(&patterns.hosts), |key: &u8| *key))
            .layer_fn(Contract::new)
            .layer(PipelineLayer::new(&GUARDED))
            .layer_fn(Contract::new)
            .layer(patterns.paced.clone())
            .layer_fn(Contract::new)
            .layer(CircuitBreakerLayer::new(Rc::clone(&patterns.breaker)))
            .layer_fn(Contract::new)
            .layer(BulkheadLayer::new(Rc::clone(&patterns.database)))
            .layer_fn(Contract::new)
            .service(Backend)
    });
}
