use core::time::Duration;

/// What polling tells of its progress.
///
/// # Examples
///
/// A bar that follows a job:
///
/// ```
/// use aplomb::polling::PollEvent;
/// use aplomb_sim::prelude::*;
///
/// let mut bar = String::new();
/// let mut percent = 0;
/// let job = || { percent += 40; let percent = percent.min(100); async move { Ok::<u8, std::io::Error>(percent) } };
/// let draw = |event: &PollEvent<'_, u8, std::io::Error>| match event {
///     PollEvent::Pending { outcome: Ok(percent), delay, .. } => bar.push_str(&format!("{percent} %, again in {delay:?}; ")),
///     PollEvent::Pending { outcome: Err(error), .. } => bar.push_str(&format!("{error}; ")),
///     PollEvent::Done { attempts } => bar.push_str(&format!("done after {attempts}")),
///     _ => bar.push_str("given up"),
/// };
/// aplomb_sim::block_on(async { poll_until(job, |percent| *percent == 100).every(secs(2)).notify(draw).await.unwrap() });
/// assert_eq!(bar, "40 %, again in 2s; 80 %, again in 2s; done after 3");
/// ```
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
