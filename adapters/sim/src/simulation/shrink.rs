//! Makes a tape that fails as plain as it can be.
//!
//! It knows nothing of what the choices mean: it deletes some, makes zeroes of some, lowers some, and keeps what
//! still fails. (The idea is Hypothesis'.)

use super::tape::Tape;

/// Shrinks `tape` with at most `budget` tries. `fails` gives the tape that was really drawn, if the candidate still
/// fails; the second result is the number of tries.
pub(crate) fn shrink(tape: Tape, budget: u32, fails: impl FnMut(&Tape) -> Option<Tape>) -> (Tape, u32) {
    let mut search = Search { best: tape, tries: 0, budget, fails };
    loop {
        let before = search.best.clone();
        search.chunks(|choices, from, to| drop(choices.drain(from..to)));
        search.chunks(|choices, from, to| choices.iter_mut().take(to).skip(from).for_each(|choice| *choice = 0));
        search.lower();
        if search.best == before || search.tries >= budget {
            return (search.best, search.tries);
        }
    }
}

struct Search<F> {
    best: Tape,
    tries: u32,
    budget: u32,
    fails: F,
}

impl<F: FnMut(&Tape) -> Option<Tape>> Search<F> {
    /// Takes the candidate if it is plainer and still fails.
    fn attempt(&mut self, candidate: &Tape) -> bool {
        if self.tries >= self.budget || !is_plainer(candidate, &self.best) {
            return false;
        }
        self.tries += 1;
        match (self.fails)(candidate) {
            Some(drawn) if is_plainer(&drawn, &self.best) => {
                self.best = drawn;
                true
            }
            _ => false,
        }
    }

    /// Tries an edit on chunks of all sizes, the largest first, and from the end, where it disturbs least.
    fn chunks(&mut self, edit: impl Fn(&mut Vec<u64>, usize, usize)) {
        let mut size = self.best.choices().len();
        while size > 0 {
            let mut to = self.best.choices().len();
            while to > 0 {
                let from = to.saturating_sub(size);
                let mut choices = self.best.choices().to_vec();
                edit(&mut choices, from, to);
                self.attempt(&Tape::new(choices));
                to = from.min(self.best.choices().len());
            }
            size /= 2;
        }
    }

    /// Brings each choice down to the lowest that fails, by halving the distance.
    fn lower(&mut self) {
        for index in 0..self.best.choices().len() {
            let mut low = 0;
            while let Some(&choice) = self.best.choices().get(index) {
                // Everything below `low` was tried.
                if low >= choice {
                    break;
                }
                let middle = low + (choice - low) / 2;
                let mut choices = self.best.choices().to_vec();
                if let Some(choice) = choices.get_mut(index) {
                    *choice = middle;
                }
                if !self.attempt(&Tape::new(choices)) {
                    low = middle + 1;
                }
            }
        }
    }
}

/// Fewer choices that matter, then fewer choices, then lower ones.
fn is_plainer(one: &Tape, other: &Tape) -> bool {
    let rank = |tape: &Tape| (tape.deviations(), tape.choices().len());
    (rank(one), one.choices()) < (rank(other), other.choices())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn least(tape: &[u64], fails: impl Fn(&[u64]) -> bool) -> Vec<u64> {
        let (tape, _) = shrink(Tape::new(tape), 10_000, |tape| fails(tape.choices()).then(|| tape.clone()));
        tape.choices().to_vec()
    }

    #[test]
    fn what_does_not_matter_goes() {
        assert_eq!(least(&[3, 1, 4, 1, 5, 9, 2, 6], |choices| choices.contains(&9)), [9]);
        assert!(least(&[3, 1, 4, 1, 5], |_| true).is_empty());
    }

    #[test]
    fn what_matters_becomes_as_low_as_it_can() {
        assert_eq!(least(&[0, 200, 7], |choices| choices.iter().any(|&choice| choice > 100)), [101]);
    }

    #[test]
    fn places_that_matter_stay() {
        let fails = |choices: &[u64]| choices.get(3).is_some_and(|&choice| choice >= 2);
        assert_eq!(least(&[9, 9, 9, 9, 9], fails), [0, 0, 0, 2]);
    }

    #[test]
    fn the_budget_is_kept() {
        let (_, tries) = shrink(Tape::new(vec![1; 1_000]), 50, |_| None);
        assert_eq!(tries, 50);
    }
}
