use core::time::Duration;

/// What polling tells of its progress.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PollEvent<'e, T, E> {
    /// Not yet; there will be another attempt.
    Pending {
        /// The number of the attempt that has ended; the first is 1.
        attempt: u32,
        /// What it ended with.
        outcome: &'e Result<T, E>,
        /// How long the pause is.
        delay: Duration,
    },
    /// The value has come.
    Done {
        /// How many attempts that took.
        attempts: u32,
    },
    /// There is no further attempt.
    Stopped {
        /// How many attempts were made.
        attempts: u32,
    },
}
