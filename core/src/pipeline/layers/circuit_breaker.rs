use core::cell::Cell;
use core::hash::Hash;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::backoff::Backoff;
use crate::circuit_breaker::{Circuit, CircuitBreaker, Event, KeyedCircuitBreaker, OfKey, Run, Trip, Verdict};
use crate::judge::Judge;
use crate::key::KeyHash;
use crate::observe::SharedObserver;
use crate::operation::Operation;
use crate::pipeline::error::{LayerId, PipelineError};
use crate::pipeline::layer::{Layer, Layered};
use crate::pipeline::layers::verdict;
use crate::pipeline::layers::watched::{Watched, Watching};
use crate::platform::Platform;
use crate::storage::Storage;

/// A breaker, or that of one key; made by [`Pipeline::keyed_circuit_breaker`](crate::pipeline::Pipeline::keyed_circuit_breaker).
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CircuitOf<C> {
    circuit: C,
}

impl<C> CircuitOf<C> {
    pub(in crate::pipeline) const fn new(circuit: C) -> Self {
        Self { circuit }
    }
}

impl<'b, P, K, T, B, J, S, H, V, Q, const SHARDS: usize>
    CircuitOf<OfKey<'b, KeyedCircuitBreaker<P, K, T, B, J, S, H, SHARDS, V>, Q>>
where
    P: Platform,
    T: Trip,
    B: Backoff<State: Copy>,
    S: Storage,
    H: KeyHash,
    Q: Hash + ?Sized,
{
    /// That of this key.
    pub fn of_key(breakers: &'b KeyedCircuitBreaker<P, K, T, B, J, S, H, SHARDS, V>, key: &'b Q) -> Self {
        Self::new(breakers.of(key))
    }
}

impl<C, O> Layer<'_, O> for CircuitOf<C>
where
    C: Copy,
    O: Operation,
    Layered<Self, O>: Operation,
{
    type Operation = Layered<Self, O>;

    #[inline]
    fn wrap(&self, index: usize, operation: O) -> Layered<Self, O> {
        Layered { layer: *self, index, operation }
    }
}

impl<P, T, B, J, S, V, O> Layer<'_, O> for &CircuitBreaker<P, T, B, J, S, V>
where
    P: Platform,
    T: Trip,
    B: Backoff<State: Copy>,
    S: Storage,
    V: SharedObserver<Event>,
    O: Operation,
    Layered<CircuitOf<Self>, O>: Operation,
{
    type Operation = Layered<CircuitOf<Self>, O>;

    #[inline]
    fn wrap(&self, index: usize, operation: O) -> Self::Operation {
        Layered { layer: CircuitOf::new(*self), index, operation }
    }
}

impl<C, O, T, E> Operation for Layered<CircuitOf<C>, O>
where
    C: Circuit<Judge: Judge<T, E, Verdict>> + Copy,
    O: Operation<Output = Result<T, PipelineError<E>>>,
{
    type Output = O::Output;
    type Run = Run<C, (), Watched<O::Run>>;

    #[inline]
    fn start(&mut self) -> Self::Run {
        Run::new(self.layer.circuit, ())
    }

    #[inline]
    fn poll_run(&mut self, run: Pin<&mut Self::Run>, cx: &mut Context<'_>) -> Poll<O::Output> {
        let has_begun = Cell::new(true);
        // What took too long has failed; what a layer within has not let through says nothing of the service.
        let judged = |judge: &C::Judge, outcome: Result<&T, &PipelineError<E>>| {
            verdict(judge, outcome, has_begun.get(), Verdict::Failure, Verdict::Ignored)
        };
        let mut operation = Watching { operation: &mut self.operation, has_begun: &has_begun };
        run.poll_driven(&mut operation, judged, cx)
            .map_err(|error| PipelineError::of_circuit_breaker(error, LayerId { index: self.index, name: "circuit breaker" }))
    }

    #[inline]
    fn may_repeat(&self) -> bool {
        self.operation.may_repeat()
    }

    #[inline]
    fn begun(&self) -> Option<u32> {
        self.operation.begun()
    }
}
