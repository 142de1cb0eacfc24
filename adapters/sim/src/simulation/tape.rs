//! The tape: every choice of a world in the order in which it was made.

use std::fmt;
use std::str::FromStr;

use fastrand::Rng;

/// The choices of one world, in order; zero is the plainest, and past the end all are zero.
///
/// A tape is what a seed becomes and what a failure is replayed from: it is printed as numbers between commas, and
/// read back from them (which is how `APLOMB_TAPE` is given). Zeroes at its end say nothing and are left out.
///
/// # Examples
///
/// ```
/// use aplomb_sim::Tape;
///
/// let tape: Tape = "0,3,1,0,0".parse()?;
/// assert_eq!(tape.choices(), [0, 3, 1]);
/// assert_eq!(tape.to_string(), "0,3,1");
/// # Ok::<(), aplomb_sim::ParseTapeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Tape(Vec<u64>);

impl Tape {
    /// The tape of these choices.
    #[must_use]
    pub fn new(choices: impl Into<Vec<u64>>) -> Self {
        let mut choices = choices.into();
        let spoken = choices.iter().rposition(|&choice| choice != 0).map_or(0, |last| last + 1);
        choices.truncate(spoken);
        Self(choices)
    }

    /// The choices up to the last that is not zero.
    #[must_use]
    pub fn choices(&self) -> &[u64] {
        &self.0
    }

    /// How many choices are not the plainest.
    #[must_use]
    pub fn deviations(&self) -> usize {
        self.0.iter().filter(|&&choice| choice != 0).count()
    }
}

impl fmt::Display for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, choice) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{choice}")?;
        }
        Ok(())
    }
}

impl FromStr for Tape {
    type Err = ParseTapeError;

    fn from_str(text: &str) -> Result<Self, ParseTapeError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        text.split(',')
            .enumerate()
            .map(|(index, choice)| choice.trim().parse().map_err(|_| ParseTapeError { index }))
            .collect::<Result<Vec<u64>, _>>()
            .map(Self::new)
    }
}

/// Something on a tape was not a number.
///
/// # Examples
///
/// ```
/// let error = "0,one".parse::<aplomb_sim::Tape>().unwrap_err();
/// assert_eq!(error.index(), 1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseTapeError {
    index: usize,
}

impl ParseTapeError {
    /// Which of the choices it was, counted from zero.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }
}

impl fmt::Display for ParseTapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tape: choice {} is no number from 0 to {}", self.index, u64::MAX)
    }
}

impl std::error::Error for ParseTapeError {}

/// Where a world's choices come from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// All are zero.
    Plain,
    /// A seed makes them up.
    Seed(Rng),
    /// They were made before.
    Replay { choices: Vec<u64>, next: usize },
}

impl Source {
    pub(crate) fn seed(seed: u64) -> Self {
        Self::Seed(Rng::with_seed(seed))
    }

    pub(crate) fn replay(tape: Tape) -> Self {
        Self::Replay { choices: tape.0, next: 0 }
    }
}

/// Draws choices, and writes down what was drawn.
#[derive(Debug)]
pub(crate) struct Draws {
    source: Source,
    drawn: Vec<u64>,
}

impl Draws {
    pub(crate) fn new(source: Source) -> Self {
        Self { source, drawn: Vec::new() }
    }

    /// A number below `n`. Where there is nothing to choose, nothing is drawn.
    pub(crate) fn choose(&mut self, n: u64) -> u64 {
        if n <= 1 {
            return 0;
        }
        let choice = match &mut self.source {
            Source::Plain => return 0,
            Source::Seed(rng) => rng.u64(..n),
            Source::Replay { .. } => self.read() % n,
        };
        self.drawn.push(choice);
        choice
    }

    /// Any number.
    pub(crate) fn any(&mut self) -> u64 {
        let choice = match &mut self.source {
            Source::Plain => return 0,
            Source::Seed(rng) => rng.u64(..),
            Source::Replay { .. } => self.read(),
        };
        self.drawn.push(choice);
        choice
    }

    /// What was drawn so far. It may differ from the tape that was read: a choice among three cannot be the fifth.
    pub(crate) fn tape(&self) -> Tape {
        Tape::new(self.drawn.as_slice())
    }

    fn read(&mut self) -> u64 {
        let Source::Replay { choices, next } = &mut self.source else { return 0 };
        let choice = choices.get(*next).copied().unwrap_or(0);
        *next += 1;
        choice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_writes_what_a_replay_reads() {
        let mut written = Draws::new(Source::seed(7));
        let first: Vec<u64> = (1..50).map(|n| written.choose(n)).collect();
        let mut read = Draws::new(Source::replay(written.tape()));
        let second: Vec<u64> = (1..50).map(|n| read.choose(n)).collect();
        assert_eq!(first, second);
        assert_eq!(written.tape(), read.tape());
    }

    #[test]
    fn past_its_end_a_tape_is_plain_and_a_choice_fits_its_range() {
        let mut draws = Draws::new(Source::replay(Tape::new([5])));
        assert_eq!(draws.choose(3), 2);
        assert_eq!(draws.choose(3), 0);
        assert_eq!(draws.any(), 0);
        assert_eq!(draws.tape(), Tape::new([2]));
    }

    #[test]
    fn nonsense_is_refused_by_its_place() {
        assert_eq!("1,x".parse::<Tape>().map_err(|error| error.index()), Err(1));
        assert_eq!("".parse::<Tape>(), Ok(Tape::default()));
    }
}
