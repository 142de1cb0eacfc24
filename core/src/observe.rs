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
