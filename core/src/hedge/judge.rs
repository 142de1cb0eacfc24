use crate::judge::Judge;

/// What the end of a start counts as, for a hedge. [`NoneFatal`] is the default [`Judge`]; [`fatal_if`](super::Hedge::fatal_if) takes a closure over errors, [`judged_by`](super::Hedge::judged_by) whatever judges.
///
/// # Examples
///
/// ```
/// use aplomb::hedge::{After, Verdict};
/// use aplomb_sim::prelude::*;
///
/// struct Response { status: u16 }
///
/// type ByStatus = fn(Result<&Response, &std::io::Error>) -> Verdict;
///
/// fn by_status(outcome: Result<&Response, &std::io::Error>) -> Verdict {
///     if outcome.is_ok_and(|response| response.status < 500) { Verdict::Success } else { Verdict::Failure }
/// }
///
/// static HEDGE: Hedge<After, Inline<1>, ByStatus> = checked!(Hedge::after(ms(50)).judged_by(by_status as ByStatus));
///
/// # aplomb_sim::block_on(async {
/// let answer = HEDGE.run_numbered(|start| async move { Ok(Response { status: if start == 1 { 503 } else { 200 } }) }).await;
/// assert_eq!(answer.unwrap().status, 200);
/// # });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Verdict {
    /// It is what the call ends with, and how long it took is measured.
    Success,
    /// Another start takes its place; if there is to be none, and nothing runs any more, the call ends with it.
    Failure,
    /// The call ends with it at once: the other starts would end so too.
    Fatal,
}

/// Every value is a success, and no error is fatal: as long as there is another start, it may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoneFatal;

impl<T, E> Judge<T, E, Verdict> for NoneFatal {
    #[inline]
    fn judge(&self, outcome: Result<&T, &E>) -> Verdict {
        if outcome.is_ok() { Verdict::Success } else { Verdict::Failure }
    }
}

/// Made by [`Hedge::fatal_if`](super::Hedge::fatal_if).
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FatalIf<F> {
    pub(super) predicate: F,
}

impl<T, E, F: Fn(&E) -> bool> Judge<T, E, Verdict> for FatalIf<F> {
    fn judge(&self, outcome: Result<&T, &E>) -> Verdict {
        match outcome {
            Ok(_) => Verdict::Success,
            Err(error) if (self.predicate)(error) => Verdict::Fatal,
            Err(_) => Verdict::Failure,
        }
    }
}
