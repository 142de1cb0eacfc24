//! The observer seam: patterns tell what they decide, and it costs nothing when nobody listens.

/// Is told of a pattern's events.
///
/// Every `FnMut(&Event)` is an observer, [`Silent`] is the default, and `Tracing` (feature `tracing`) writes them to the `tracing` subscriber. An observer is called
/// outside every lock, where the decision has been made and before it is acted on; it cannot change it.
///
/// # Examples
///
/// ```
/// use aplomb::observe::Observer;
///
/// fn decide(mut observer: impl Observer<u32>) { observer.observe(&7); }
///
/// let mut seen = 0;
/// decide(|event: &u32| seen = *event);
/// assert_eq!(seen, 7);
/// ```
pub trait Observer<Event> {
    /// Is told of one event.
    fn observe(&mut self, event: &Event);
}

impl<Event, F: FnMut(&Event)> Observer<Event> for F {
    fn observe(&mut self, event: &Event) {
        self(event);
    }
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl<Event> Observer<Event> for Silent {
    fn observe(&mut self, _event: &Event) {}
}

/// An observer that many callers tell at once, as they do that of a `static`. Every `Fn(&Event)` is one, and [`Silent`].
///
/// # Examples
///
/// ```
/// use aplomb::circuit_breaker::Event;
/// use aplomb_sim::prelude::*;
///
/// static API: CircuitBreaker<Consecutive, Constant, AnyError, Heap, fn(&Event)> =
///     CircuitBreaker::consecutive(5).observed_by(|event| eprintln!("api: {event:?}"));
/// # use aplomb::{Heap, circuit_breaker::AnyError};
/// ```
pub trait SharedObserver<Event> {
    /// Is told of one event.
    fn observe(&self, event: &Event);
}

impl<Event, F: Fn(&Event)> SharedObserver<Event> for F {
    fn observe(&self, event: &Event) {
        self(event);
    }
}

impl<Event> SharedObserver<Event> for Silent {
    #[inline]
    fn observe(&self, _event: &Event) {}
}

#[cfg(feature = "tracing")]
pub use self::tracing::Tracing;

#[cfg(feature = "tracing")]
mod tracing {
    use core::fmt;

    use super::Observer;
    use crate::retry::Event;

    /// Writes events to the `tracing` subscriber: what goes on by itself at DEBUG, what the caller gets to feel at WARN, success at the first attempt not at all.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::observe::Tracing;
    /// use aplomb_sim::prelude::*;
    ///
    /// # aplomb_sim::block_on(async {
    /// let answer = retry(|| async { Ok::<_, String>(42) }).observed_by(Tracing::named("billing")).await;
    /// # assert_eq!(answer, Ok(42)); });
    /// ```
    #[derive(Debug, Clone, Copy)]
    pub struct Tracing {
        name: &'static str,
    }

    impl Tracing {
        /// Events carry this name.
        #[must_use]
        pub const fn named(name: &'static str) -> Self {
            Self { name }
        }
    }

    impl<E: fmt::Display> Observer<Event<'_, E>> for Tracing {
        fn observe(&mut self, event: &Event<'_, E>) {
            let name = self.name;
            match event {
                Event::Retrying { attempt, delay, cause } => {
                    tracing::debug!(name, attempt, ?delay, %cause, "retrying");
                }
                Event::Succeeded { attempts: 1 } => {}
                Event::Succeeded { attempts } => tracing::debug!(name, attempts, "succeeded after retrying"),
                Event::Stopped { attempts, reason } => tracing::warn!(name, attempts, ?reason, "gave up"),
            }
        }
    }
}
