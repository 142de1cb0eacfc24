use core::error::Error;
use core::fmt;
use core::time::Duration;

/// An error that stopped a waterfall, and where.
///
/// # Examples
///
/// ```
/// use aplomb::waterfall::waterfall;
///
/// let chain = waterfall(async |id: u32| Ok(id + 1)).then(async |_: u32| Err::<u32, _>("no orders")).named("orders");
/// let stopped = aplomb_sim::block_on(chain.run(7)).unwrap_err();
/// assert_eq!((stopped.step, stopped.name, stopped.error), (1, Some("orders"), "no orders"));
/// assert_eq!(stopped.to_string(), "step 1 (orders): no orders");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WaterfallError<E> {
    /// Which step it was; the first is 0.
    pub step: usize,
    /// Its name, if it has one.
    pub name: Option<&'static str>,
    /// What it ended with.
    pub error: E,
}

impl<E> WaterfallError<E> {
    /// Whether a step was refused, which is not what a waterfall does; its [error](WaterfallError::error) knows of its own.
    pub const fn is_rejected(&self) -> bool {
        false
    }

    /// Whether time ran out, which a waterfall does not look at; its [error](WaterfallError::error) knows of its own.
    pub const fn is_timeout(&self) -> bool {
        false
    }

    /// How long to wait before it is worth another try, where that is known: its [error](WaterfallError::error) may know.
    pub const fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// The step's own error.
    pub fn into_inner(self) -> E {
        self.error
    }
}

impl<E: fmt::Display> fmt::Display for WaterfallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, name, error } = self;
        match name {
            Some(name) => write!(f, "step {step} ({name}): {error}"),
            None => write!(f, "step {step}: {error}"),
        }
    }
}

impl<E: Error + 'static> Error for WaterfallError<E> {
    /// That of the step's error, whose text is in this one's already.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}
