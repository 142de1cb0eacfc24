/// How far it has come.
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// let mut line = String::new();
/// aplomb_sim::block_on(async {
///     parallel(1..=3, 2, |n: u64| async move { aplomb_sim::sleep(ms(n)).await; Ok::<_, std::io::Error>(n) })
///         .on_progress(|progress| line += &format!("{} of {}, {} running; ", progress.done(), progress.total.unwrap(), progress.running()))
///         .await
///         .unwrap();
/// });
/// assert_eq!(line, "0 of 3, 1 running; 0 of 3, 2 running; 1 of 3, 1 running; 1 of 3, 2 running; 2 of 3, 1 running; 3 of 3, 0 running; ");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Progress {
    /// How many items were started.
    pub started: usize,
    /// How many of them ended well.
    pub succeeded: usize,
    /// How many of them failed.
    pub failed: usize,
    /// How many items there are, where the iterator or stream says so exactly, or has ended.
    pub total: Option<usize>,
}

impl Progress {
    /// How many items have ended, well or not.
    #[must_use]
    pub const fn done(&self) -> usize {
        self.succeeded.saturating_add(self.failed)
    }

    /// How many are under way.
    #[must_use]
    pub const fn running(&self) -> usize {
        self.started.saturating_sub(self.done())
    }
}
