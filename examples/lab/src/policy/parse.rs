use std::iter::Peekable;
use std::str::FromStr;
use std::time::Duration;
use std::vec::IntoIter;

use aplomb::backoff::{Exponential, Jitter};
use aplomb::rate_limiter::Rate;
use aplomb::ratio::{Ratio, percent};
use aplomb_sim::Sim;

use super::layer::{Adapting, Breaking, Budgeting, Hedging, Housing, Late, Layer, Limiting, Retrying, Rule, Trip};
use super::stack::Built;
use super::text::{PolicyError, Token, Word, parse_time, parse_times, tokens};
use super::{NONE, Policy};

const LAYERS: &str = "one of deadline, timeout, retry, hedge, budget, breaker, limiter, bulkhead, adaptive, none";
const OPEN_FOR: Duration = Duration::from_mins(1);

impl FromStr for Policy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        Parser { text, tokens: tokens(text).into_iter().peekable() }.policy()
    }
}

struct Parser<'t> {
    text: &'t str,
    tokens: Peekable<IntoIter<Token>>,
}

/// A layer's name, and what stands in its parentheses: between commas, words.
struct Written {
    name: Word,
    arguments: IntoIter<Vec<Word>>,
    /// Where it ends.
    end: Option<Token>,
}

impl Parser<'_> {
    fn policy(mut self) -> Result<Policy, PolicyError> {
        let mut layers = Vec::new();
        loop {
            let written = self.written()?;
            let at = written.name.at;
            if written.name.text == NONE && layers.is_empty() && self.tokens.peek().is_none() {
                self.finish(written)?;
                break;
            }
            self.layer(written, &mut layers)?;
            if let Some(Err(error)) = layers.last().map(Built::<Sim>::new) {
                return Err(PolicyError::new(self.text, at, error.to_string()));
            }
            match self.tokens.next() {
                None => break,
                Some(Token::Bar(_)) => {}
                other => return Err(self.expected("\"|\" or the end", other.as_ref())),
            }
        }
        Ok(Policy { text: self.text.trim().to_owned(), layers })
    }

    fn written(&mut self) -> Result<Written, PolicyError> {
        let name = match self.tokens.next() {
            Some(Token::Word(word)) => word,
            other => return Err(self.expected(LAYERS, other.as_ref())),
        };
        let mut arguments = Vec::new();
        let mut end = self.tokens.peek().cloned();
        if let Some(Token::Open(_)) = end {
            self.tokens.next();
            let mut words = Vec::new();
            loop {
                let token = self.tokens.next();
                match token {
                    Some(Token::Word(word)) => words.push(word),
                    Some(Token::Comma(_)) if !words.is_empty() => arguments.push(std::mem::take(&mut words)),
                    Some(Token::Close(_)) if !words.is_empty() => {
                        end = token;
                        break;
                    }
                    other if words.is_empty() => return Err(self.expected("an argument", other.as_ref())),
                    other => return Err(self.expected("\",\" or \")\"", other.as_ref())),
                }
            }
            arguments.push(words);
        }
        Ok(Written { name, arguments: arguments.into_iter(), end })
    }

    /// Adds a layer, or adds to the one before.
    fn layer(&self, mut written: Written, layers: &mut Vec<Layer>) -> Result<(), PolicyError> {
        let layer = match &*written.name.text {
            "deadline" => Layer::Deadline(self.time(&mut written)?),
            "timeout" => Layer::Timeout(self.time(&mut written)?),
            "retry" => self.retry(&mut written)?,
            "hedge" => self.hedge(&mut written)?,
            "breaker" => self.breaker(&mut written)?,
            "limiter" => self.limiter(&mut written)?,
            "bulkhead" => self.bulkhead(&mut written)?,
            "adaptive" => self.adaptive(&mut written)?,
            "budget" => {
                let budget = self.budget(&mut written)?;
                let place = match layers.last_mut() {
                    Some(Layer::Retry(retrying)) => Some(&mut retrying.budget),
                    Some(Layer::Hedge(hedging)) => Some(&mut hedging.budget),
                    _ => None,
                };
                match place {
                    Some(place @ None) => *place = Some(budget),
                    _ => return Err(self.wrong(written.name.at, "a budget stands behind the retry or hedge that it is for")),
                }
                return self.finish(written);
            }
            NONE => return Err(self.wrong(written.name.at, "\"none\" stands alone")),
            _ => return Err(self.expected(LAYERS, Some(&Token::Word(written.name)))),
        };
        layers.push(layer);
        self.finish(written)
    }

    fn time(&self, written: &mut Written) -> Result<Duration, PolicyError> {
        self.one(written, "a time such as 500ms", parse_time)
    }

    fn retry(&self, written: &mut Written) -> Result<Layer, PolicyError> {
        let attempts = self.one(written, "how many attempts, the first included", number)?;
        let mut backoff = None;
        let mut jitter = None;
        for argument in written.arguments.by_ref() {
            match words(&argument)[..] {
                ["exp", times] if backoff.is_none() => {
                    let times = parse_times(times).map_err(|expected| self.not(&argument[1], &expected))?;
                    backoff = Some(Exponential::from(times.start).max(times.end));
                }
                ["every", time] if backoff.is_none() => {
                    let time = parse_time(time).map_err(|expected| self.not(&argument[1], &expected))?;
                    backoff = Some(Exponential::from(time).max(time));
                }
                ["none"] if jitter.is_none() => jitter = Some(Jitter::None),
                ["full"] if jitter.is_none() => jitter = Some(Jitter::Full),
                ["equal"] if jitter.is_none() => jitter = Some(Jitter::Equal),
                ["decorrelated"] if jitter.is_none() => jitter = Some(Jitter::Decorrelated),
                _ => {
                    let expected =
                        "\"exp FROM..MAX\" or \"every PAUSE\", and a jitter (none, full, equal, decorrelated), each once";
                    return Err(self.not(&argument[0], expected));
                }
            }
        }
        let standard = Exponential::from(Duration::from_millis(100)).max(Duration::from_secs(20)).jitter(Jitter::Full);
        let backoff = match (backoff, jitter) {
            (Some(backoff), Some(jitter)) => backoff.jitter(jitter),
            (Some(backoff), None) => backoff,
            (None, Some(jitter)) => standard.jitter(jitter),
            (None, None) => standard,
        };
        Ok(Layer::Retry(Retrying { attempts, backoff, budget: None }))
    }

    fn budget(&self, written: &mut Written) -> Result<Budgeting, PolicyError> {
        let percent = self.one(written, "a share such as 10%", share)?;
        let burst = written.arguments.next().map(|argument| self.single(&argument, "how many at once", number));
        Ok(Budgeting { percent, burst: burst.transpose()? })
    }

    fn hedge(&self, written: &mut Written) -> Result<Layer, PolicyError> {
        let late = self.one(written, "after which time, such as 50ms, or at which percentile, such as p95", |text| {
            let hundredths = text.strip_prefix('p').map(number).transpose()?;
            Ok(match hundredths {
                Some(hundredths) => Late::Percentile(percent(hundredths)),
                None => Late::After(parse_time(text)?),
            })
        })?;
        Ok(Layer::Hedge(Hedging { late, budget: None }))
    }

    fn breaker(&self, written: &mut Written) -> Result<Layer, PolicyError> {
        let expected = "how many failures in a row, or \"50% of 100\" calls, or \"50% in 10s\"";
        let Some(argument) = written.arguments.next() else { return Err(self.missing(written, expected)) };
        let trip = match words(&argument)[..] {
            [failures] => Trip::Consecutive(number(failures).map_err(|_| self.not(&argument[0], expected))?),
            [part, "of", calls] => Trip::LastCalls {
                share: self.share(&argument[0], part)?,
                calls: number(calls).map_err(|expected| self.not(&argument[2], &expected))?,
            },
            [part, "in", time] => Trip::LastTime {
                share: self.share(&argument[0], part)?,
                time: parse_time(time).map_err(|expected| self.not(&argument[2], &expected))?,
            },
            _ => return Err(self.not(&argument[0], expected)),
        };
        let mut breaking = Breaking { trip, open_for: OPEN_FOR, probes: 1 };
        self.settings(written, "\"open TIME\" or \"probes CALLS\"", |name, value| {
            match name {
                "open" => breaking.open_for = parse_time(value)?,
                "probes" => breaking.probes = number(value)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Layer::Breaker(breaking))
    }

    fn limiter(&self, written: &mut Written) -> Result<Layer, PolicyError> {
        let rate = self.one(written, "a rate such as 300/s", rate)?;
        let mut limiting = Limiting { rate, burst: None, wait: None };
        self.settings(written, "\"burst CALLS\" or \"wait TIME\"", |name, value| {
            match name {
                "burst" => limiting.burst = Some(number(value)?),
                "wait" => limiting.wait = Some(parse_time(value)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Layer::Limiter(limiting))
    }

    fn bulkhead(&self, written: &mut Written) -> Result<Layer, PolicyError> {
        let places = self.one(written, "how many calls at once", number)?;
        let mut housing = Housing { places, queue: None, wait: None };
        self.settings(written, "\"queue CALLS\" or \"wait TIME\"", |name, value| {
            match name {
                "queue" => housing.queue = Some(number(value)?),
                "wait" => housing.wait = Some(parse_time(value)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Layer::Bulkhead(housing))
    }

    fn adaptive(&self, written: &mut Written) -> Result<Layer, PolicyError> {
        let expected = "gradient, vegas, or \"aimd TIME\", the latency that is too long";
        let Some(argument) = written.arguments.next() else { return Err(self.missing(written, expected)) };
        let rule = match words(&argument)[..] {
            ["gradient"] => Rule::Gradient,
            ["vegas"] => Rule::Vegas,
            ["aimd", time] => Rule::Aimd(parse_time(time).map_err(|expected| self.not(&argument[1], &expected))?),
            _ => return Err(self.not(&argument[0], expected)),
        };
        let mut adapting = Adapting { rule, initial: None, queue: None, wait: None };
        self.settings(written, "\"initial CALLS\", \"queue CALLS\" or \"wait TIME\"", |name, value| {
            match name {
                "initial" => adapting.initial = Some(number(value)?),
                "queue" => adapting.queue = Some(number(value)?),
                "wait" => adapting.wait = Some(parse_time(value)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Layer::Adaptive(adapting))
    }

    /// Reads the rest of the arguments, each a name and a value. `set` says whether it knows the name, or what the value should be.
    fn settings(
        &self,
        written: &mut Written,
        expected: &str,
        mut set: impl FnMut(&str, &str) -> Result<bool, String>,
    ) -> Result<(), PolicyError> {
        for argument in written.arguments.by_ref() {
            let [name, value] = &argument[..] else { return Err(self.not(&argument[0], expected)) };
            match set(&name.text, &value.text) {
                Ok(true) => {}
                Ok(false) => return Err(self.not(name, expected)),
                Err(expected) => return Err(self.not(value, &expected)),
            }
        }
        Ok(())
    }

    /// The next argument, which is one word.
    fn one<T>(
        &self,
        written: &mut Written,
        expected: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, PolicyError> {
        match written.arguments.next() {
            Some(argument) => self.single(&argument, expected, read),
            None => Err(self.missing(written, expected)),
        }
    }

    fn single<T>(
        &self,
        argument: &[Word],
        expected: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, PolicyError> {
        match argument {
            [word] => read(&word.text).map_err(|_| self.not(word, expected)),
            [first, ..] => Err(self.not(first, expected)),
            [] => Err(self.expected(expected, None)),
        }
    }

    fn share(&self, word: &Word, text: &str) -> Result<Ratio, PolicyError> {
        share(text).map(percent).map_err(|expected| self.not(word, &expected))
    }

    /// No argument may be left.
    fn finish(&self, mut written: Written) -> Result<(), PolicyError> {
        match written.arguments.next().and_then(|argument| argument.into_iter().next()) {
            Some(word) => Err(self.expected("\")\"", Some(&Token::Word(word)))),
            None => Ok(()),
        }
    }

    fn not(&self, word: &Word, expected: &str) -> PolicyError {
        self.expected(expected, Some(&Token::Word(word.clone())))
    }

    fn missing(&self, written: &Written, expected: &str) -> PolicyError {
        self.expected(&format!("{}({expected})", written.name.text), written.end.as_ref())
    }

    fn expected(&self, what: &str, found: Option<&Token>) -> PolicyError {
        PolicyError::expected(self.text, what, found)
    }

    fn wrong(&self, at: usize, complaint: &str) -> PolicyError {
        PolicyError::new(self.text, at, complaint)
    }
}

fn words(argument: &[Word]) -> Vec<&str> {
    argument.iter().map(|word| &*word.text).collect()
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "a whole number".into())
}

fn share(text: &str) -> Result<u32, String> {
    let hundredths = text.strip_suffix('%').and_then(|number| number.parse().ok());
    hundredths.filter(|hundredths| *hundredths <= 100).ok_or_else(|| "a share such as 10%".into())
}

fn rate(text: &str) -> Result<Rate, String> {
    let expected = || "a rate such as 300/s".to_owned();
    let (permits, per) = text.split_once('/').ok_or_else(expected)?;
    let permits = permits.parse().map_err(|_| expected())?;
    match per {
        "s" => Ok(Rate::per_second(permits)),
        "m" => Ok(Rate::per_minute(permits)),
        "h" => Ok(Rate::per_hour(permits)),
        _ => Err(expected()),
    }
}
