use core::pin::Pin;
use core::task::{Context, Poll};

use super::error::PipelineError;
use crate::operation::Operation;

/// A layer of a pipeline: it wraps an operation into another.
///
/// The patterns of this crate are layers, and so is what implements this. Operations in a pipeline end with a `Result` whose error is a [`PipelineError`]; a layer that ends a call by itself makes one by [`PipelineError::rejected`].
/// A layer is `Copy`: what its calls share lies elsewhere, and is referred to.
///
/// # Examples
///
/// One that counts the calls under way:
///
/// ```
/// use aplomb::{Operation, pipeline::Layer};
/// use aplomb_sim::prelude::*;
/// use std::pin::Pin;
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use std::task::{Context, Poll, ready};
///
/// #[derive(Clone, Copy)]
/// struct CountedBy<'c>(&'c AtomicU32);
///
/// struct Counted<'c, O> { started: &'c AtomicU32, operation: O }
///
/// impl<'c, O: Operation> Layer<'_, O> for CountedBy<'c> {
///     type Operation = Counted<'c, O>;
///
///     fn wrap(&self, _index: usize, operation: O) -> Counted<'c, O> {
///         Counted { started: self.0, operation }
///     }
/// }
///
/// impl<O: Operation> Operation for Counted<'_, O> {
///     type Output = O::Output;
///     type Run = O::Run;
///
///     fn start(&mut self) -> O::Run {
///         self.started.fetch_add(1, Ordering::Relaxed);
///         self.operation.start()
///     }
///
///     fn poll_run(&mut self, run: Pin<&mut O::Run>, cx: &mut Context<'_>) -> Poll<O::Output> {
///         self.operation.poll_run(run, cx)
///     }
///
///     fn may_repeat(&self) -> bool {
///         self.operation.may_repeat()
///     }
///
///     fn begun(&self) -> Option<u32> {
///         self.operation.begun()
///     }
/// }
///
/// static ATTEMPTS: AtomicU32 = AtomicU32::new(0);
///
/// let guarded = Pipeline::new().retry(Retry::new().max_attempts(3)).layer(CountedBy(&ATTEMPTS));
/// assert!(aplomb_sim::block_on(guarded.run(|| async { Err::<(), _>("refused") })).is_err());
/// assert_eq!(ATTEMPTS.load(Ordering::Relaxed), 3);
/// ```
pub trait Layer<'p, O: Operation> {
    /// The operation with this layer around it.
    type Operation: Operation;

    /// How many layers it is. Default: one.
    const LAYERS: usize = 1;

    /// Wraps an operation. So many layers are around this one.
    fn wrap(&'p self, index: usize, operation: O) -> Self::Operation;
}

/// No layer at all.
impl<O: Operation> Layer<'_, O> for () {
    type Operation = O;

    const LAYERS: usize = 0;

    #[inline]
    fn wrap(&self, _index: usize, operation: O) -> O {
        operation
    }
}

/// Layers `A`, and layer `B` within. [`layers!`](crate::layers) spells such a type.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Stack<A, B> {
    pub(super) outer: A,
    pub(super) inner: B,
}

impl<'p, O, A, B> Layer<'p, O> for Stack<A, B>
where
    O: Operation,
    B: Layer<'p, O>,
    A: Layer<'p, B::Operation>,
{
    type Operation = A::Operation;

    const LAYERS: usize = A::LAYERS + B::LAYERS;

    #[inline]
    fn wrap(&'p self, index: usize, operation: O) -> A::Operation {
        self.outer.wrap(index, self.inner.wrap(index + A::LAYERS, operation))
    }
}

/// The type of a pipeline's layers, the outermost first; for a pipeline in a `static`. A timeout is an adapter's `TimeLimit`, or a [`TimeoutLayer`](crate::pipeline::TimeoutLayer) of a platform; what is shared is a reference; a policy is itself; others have types in [`pipeline`](crate::pipeline).
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// static BREAKER: CircuitBreaker = CircuitBreaker::consecutive(5);
/// type Layers = layers![TimeLimit, Retry, &'static CircuitBreaker];
/// static GUARDED: Pipeline<Layers> =
///     Pipeline::new().timeout(secs(10)).retry(Retry::new()).circuit_breaker(&BREAKER);
///
/// let answer = aplomb_sim::block_on(GUARDED.run(|| async { Ok::<_, ()>(42) }));
/// assert_eq!(answer, Ok(42));
/// ```
#[macro_export]
macro_rules! layers {
    ($($layer:ty),* $(,)?) => { $crate::__layers!([()] $($layer),*) };
}

/// Puts one more layer into those that are there.
#[doc(hidden)]
#[macro_export]
macro_rules! __layers {
    ([$($outer:tt)*]) => { $($outer)* };
    ([$($outer:tt)*] $inner:ty $(, $rest:ty)*) => { $crate::__layers!([$crate::pipeline::Stack<$($outer)*, $inner>] $($rest),*) };
}

/// An operation with one of this crate's layers around it.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Layered<L, O> {
    pub(super) layer: L,
    pub(super) index: usize,
    pub(super) operation: O,
}

/// The operation itself. Its error becomes that of the pipeline.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Innermost<O> {
    operation: O,
    /// How often it has been started: what that comes to, where it does not count itself.
    begun: u32,
}

impl<O> Innermost<O> {
    pub(super) const fn new(operation: O) -> Self {
        Self { operation, begun: 0 }
    }
}

impl<O, T, E> Operation for Innermost<O>
where
    O: Operation<Output = Result<T, E>>,
{
    type Output = Result<T, PipelineError<E>>;
    type Run = O::Run;

    #[inline]
    fn start(&mut self) -> O::Run {
        self.begun = self.begun.wrapping_add(1);
        self.operation.start()
    }

    #[inline]
    fn poll_run(&mut self, run: Pin<&mut O::Run>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.operation.poll_run(run, cx).map_err(PipelineError::failed)
    }

    #[inline]
    fn may_repeat(&self) -> bool {
        self.operation.may_repeat()
    }

    #[inline]
    fn begun(&self) -> Option<u32> {
        self.operation.begun().or(Some(self.begun))
    }
}
