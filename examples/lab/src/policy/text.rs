//! The words of a policy, and what is wrong with one.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// A word, and where it stands: counted in characters.
#[derive(Debug, Clone)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) at: usize,
}

/// What a text is made of.
#[derive(Debug, Clone)]
pub(super) enum Token {
    Word(Word),
    Open(usize),
    Close(usize),
    Comma(usize),
    Bar(usize),
}

impl Token {
    pub(super) fn at(&self) -> usize {
        match self {
            Self::Word(word) => word.at,
            Self::Open(at) | Self::Close(at) | Self::Comma(at) | Self::Bar(at) => *at,
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Word(word) => &word.text,
            Self::Open(_) => "(",
            Self::Close(_) => ")",
            Self::Comma(_) => ",",
            Self::Bar(_) => "|",
        }
    }
}

/// Takes a text apart. Whatever is neither a mark nor blank belongs to a word.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut word: Option<Word> = None;
    for (at, character) in text.chars().enumerate() {
        let mark = match character {
            '(' => Some(Token::Open(at)),
            ')' => Some(Token::Close(at)),
            ',' => Some(Token::Comma(at)),
            '|' => Some(Token::Bar(at)),
            _ if character.is_whitespace() => None,
            _ => {
                word.get_or_insert_with(|| Word { text: String::new(), at }).text.push(character);
                continue;
            }
        };
        tokens.extend(word.take().map(Token::Word));
        tokens.extend(mark);
    }
    tokens.extend(word.map(Token::Word));
    tokens
}

/// What is wrong with a policy, and where.
///
/// Shown, it is the text with a mark below the place, and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PolicyError {
    text: String,
    at: usize,
    complaint: String,
}

impl PolicyError {
    pub(super) fn new(text: &str, at: usize, complaint: impl Into<String>) -> Self {
        Self { text: text.to_owned(), at, complaint: complaint.into() }
    }

    /// Something else stands there, or nothing.
    pub(super) fn expected(text: &str, what: &str, found: Option<&Token>) -> Self {
        match found {
            Some(token) => Self::new(text, token.at(), format!("expected {what}, found \"{}\"", token.text())),
            None => Self::new(text, text.chars().count(), format!("expected {what}, but the policy ends here")),
        }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "column {}: {}", self.at + 1, self.complaint)?;
        writeln!(f, "  {}", self.text.replace(char::is_whitespace, " "))?;
        write!(f, "  {:>width$}", "^", width = self.at + 1)
    }
}

impl Error for PolicyError {}

/// A time as it is written: `250ms`, `1.5s`, `2m`.
///
/// # Errors
///
/// Says what it should look like.
pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    let unit = text.find(|character: char| character.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let nanos: f64 = match unit {
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        _ => return Err("a time such as 250ms, 1.5s or 2m".into()),
    };
    let number: f64 = number.parse().map_err(|_| "a time such as 250ms, 1.5s or 2m")?;
    Duration::try_from_secs_f64(number * nanos / 1e9).map_err(|_| "a time that can be counted".into())
}

/// Two times, the first not above the second: `10s..15s`.
///
/// # Errors
///
/// Says what they should look like.
pub(crate) fn parse_times(text: &str) -> Result<Range<Duration>, String> {
    let (from, to) = text.split_once("..").ok_or("two times such as 10s..15s")?;
    let (from, to) = (parse_time(from)?, parse_time(to)?);
    if from <= to { Ok(from..to) } else { Err("two times, the first not above the second".into()) }
}

/// As it is read.
pub(crate) fn write_time(time: Duration) -> String {
    format!("{time:?}").replace("µs", "us")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        for (text, millis) in [("250ms", 250), ("1.5s", 1_500), ("2m", 120_000), ("0s", 0)] {
            assert_eq!(parse_time(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "s", "5 s", "-1s", "1e300s", "5sec"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
        assert_eq!(parse_times("1s..1500ms"), Ok(Duration::from_secs(1)..Duration::from_millis(1_500)));
        assert!(parse_times("2s..1s").is_err() && parse_times("2s").is_err());
        assert_eq!(write_time(Duration::from_millis(1_500)), "1.5s");
    }
}
