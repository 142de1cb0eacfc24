//! What the environment says about an exploration.

use std::ops::Range;
use std::path::Path;

use super::tape::Tape;
use super::trace::Trace;

#[derive(Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) seeds: Option<Range<u64>>,
    pub(crate) tape: Option<Tape>,
    trace: Option<String>,
}

impl Overrides {
    pub(crate) fn read() -> Self {
        Self::parse(|name| std::env::var(name).ok())
    }

    fn parse(variable: impl Fn(&str) -> Option<String>) -> Self {
        let seed = variable("APLOMB_SEED").map(|text| {
            let Ok(seed) = text.trim().parse::<u64>() else { panic!("APLOMB_SEED={text}: not a number") };
            seed..seed.saturating_add(1)
        });
        let seeds = || {
            variable("APLOMB_SEEDS").map(|text| {
                let Some(seeds) = parse_seeds(&text) else { panic!("APLOMB_SEEDS={text}: write 0..1000, or 1000") };
                seeds
            })
        };
        let tape = variable("APLOMB_TAPE").map(|text| match text.parse() {
            Ok(tape) => tape,
            Err(error) => panic!("APLOMB_TAPE: {error}"),
        });
        Self { seeds: seed.or_else(seeds), tape, trace: variable("APLOMB_TRACE") }
    }

    /// Writes the trace, if that was asked for.
    pub(crate) fn write(&self, trace: Option<&Trace>) {
        let (Some(file), Some(trace)) = (&self.trace, trace) else { return };
        let lines = Path::new(file).extension().is_some_and(|extension| extension == "jsonl");
        let text = if lines { trace.to_json_lines() } else { trace.to_chrome() };
        if let Err(error) = std::fs::write(file, text) {
            panic!("APLOMB_TRACE={file}: {error}");
        }
    }
}

fn parse_seeds(text: &str) -> Option<Range<u64>> {
    match text.split_once("..") {
        Some((from, to)) => Some(from.trim().parse().ok()?..to.trim().parse().ok()?),
        None => Some(0..text.trim().parse().ok()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(set: &'static [(&str, &str)]) -> Overrides {
        Overrides::parse(|name| set.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn seeds_are_a_range_a_count_or_one() {
        assert_eq!(with(&[]).seeds, None);
        assert_eq!(with(&[("APLOMB_SEEDS", "3..9")]).seeds, Some(3..9));
        assert_eq!(with(&[("APLOMB_SEEDS", "9")]).seeds, Some(0..9));
        assert_eq!(with(&[("APLOMB_SEEDS", "9"), ("APLOMB_SEED", "4")]).seeds, Some(4..5));
    }

    #[test]
    fn a_tape_is_read_as_it_is_printed() {
        assert_eq!(with(&[("APLOMB_TAPE", "0,5")]).tape, Some(Tape::new([0, 5])));
    }

    #[test]
    #[should_panic(expected = "APLOMB_TAPE: tape: choice 1 is no number")]
    fn nonsense_is_refused() {
        let _ = with(&[("APLOMB_TAPE", "0,five")]);
    }
}
