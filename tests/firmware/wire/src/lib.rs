//! Scenarios in a form that a board with little memory can read: no text, and a number for each value.
//!
//! The host writes them, `conformance::firmware`; the board reads one at a time, and its script line by line.

#![no_std]

pub mod config;

use heapless::Vec;
use serde::{Deserialize, Serialize};

pub use config::Config;
pub use postcard;

/// A value of the scenario, of which the board knows only whether two are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Token(pub u16);

impl Token {
    /// `null`.
    pub const NULL: Self = Self(0);
    /// What stands for the argument, in a result.
    pub const ARG: Self = Self(1);
    /// The caller that is the pattern's own driver.
    pub const DRIVER: Self = Self(2);
    /// The key of a call that has none.
    pub const NO_KEY: Self = Self(u16::MAX);
}

/// Nanoseconds; `u64::MAX` is never.
pub type Nanos = u64;

/// The longest scenario, in bytes.
pub const LONGEST: usize = 2_304;

/// A scenario.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scenario<'a> {
    /// The pattern.
    pub config: Config,
    /// Which form of the call, of those that a retry has.
    pub form: Form,
    /// Whether the pattern's `run` loop is kept running.
    pub driver: bool,
    /// When it ends at the latest.
    pub end: Nanos,
    /// Whether the n-th start behaves as the n-th entry, or as that of its argument, key or caller.
    pub in_order: bool,
    /// Entries, of [`Start`].
    #[serde(borrow)]
    pub starts: &'a [u8],
    /// Which key a caller has, of [`Key`].
    pub keys: &'a [u8],
    /// What numbers some values are, of [`Number`].
    pub numbers: &'a [u8],
    /// What some values are lists of, of [`List`].
    pub lists: &'a [u8],
    /// The layers of a pipeline, of [`config::Layer`], the outermost first.
    pub layers: &'a [u8],
    /// The script, of [`Line`].
    pub lines: &'a [u8],
}

/// How a retry is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// `policy.call(op)`.
    Call,
    /// `policy.call_numbered(op)`.
    Numbered,
    /// `policy.run_with_between(&mut context, op, between)`.
    With,
}

/// How a start behaves.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Start {
    /// The argument, key or caller, unless they are in order.
    pub name: Token,
    /// How long it runs.
    pub takes: Nanos,
    /// What it ends with.
    pub result: Result<Token, Token>,
    /// The delay that the error asks for.
    pub retry_after: Option<Nanos>,
}

/// The key of a caller.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Key {
    /// Who.
    pub id: Token,
    /// Which.
    pub key: Token,
}

/// What number a value is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Number {
    /// The value.
    pub value: Token,
    /// As milliseconds.
    pub time: Nanos,
    /// As a weight.
    pub weight: Option<u32>,
}

/// What list a value is: of results, for an operation that has several arguments.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct List {
    /// The value.
    pub value: Token,
    /// A result for each argument.
    pub results: Vec<Result<Token, Token>, 16>,
}

/// A line of the script.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    /// When it acts.
    pub at: Nanos,
    /// Whether before the timers of its instant.
    pub first: bool,
    /// Whether nothing is polled between it and the next.
    pub together: bool,
    /// What it does.
    pub action: Action,
}

/// What a line does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Action {
    /// Calls the pattern.
    Call(Request),
    /// Drops the futures of callers.
    Drop(Vec<Token, 4>),
    /// Moves the clock.
    Jump(i64),
    /// Does something to the pattern.
    Do(Order),
    /// The source of a stream has an item.
    Item(Token),
}

/// A call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    /// The caller's name.
    pub id: Token,
    /// Whether it waits for its turn.
    pub waits: bool,
    /// The operation's input.
    pub arg: Option<Token>,
    /// Of patterns that tell callers apart.
    pub key: Token,
    /// How many permits it takes.
    pub permits: u32,
    /// How long it may wait.
    pub deadline: Option<Nanos>,
    /// Whether it takes its permits in advance.
    pub reserves: bool,
    /// What it goes through.
    pub items: Vec<Token, 16>,
    /// How urgent it is.
    pub priority: i32,
    /// Whether it only waits until there is nothing to do.
    pub drained: bool,
}

/// What is done to the pattern itself.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Order {
    /// What.
    pub verb: Verb,
    /// To what.
    pub key: Token,
    /// With what.
    pub value: Token,
    /// The same as a number; zero if it is none.
    pub number: u32,
    /// Of `set_rate`.
    pub rate: Option<config::Rate>,
}

/// What can be done to patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verb {
    /// `cancel`.
    Cancel,
    /// `flush`.
    Flush,
    /// `trigger`.
    Trigger,
    /// `set_rate`.
    SetRate,
    /// `end`.
    End,
    /// `pause`.
    Pause,
    /// `resume`.
    Resume,
    /// `close`.
    Close,
    /// `cancel_waiting`.
    CancelWaiting,
    /// `set_concurrency` or `set_max_concurrent`.
    SetConcurrency,
    /// `forget`.
    Forget,
    /// `invalidate`.
    Invalidate,
    /// `clear`.
    Clear,
    /// `insert`.
    Insert,
    /// `force_open`.
    ForceOpen,
    /// `force_closed`.
    ForceClosed,
    /// `disable`.
    Disable,
    /// `reset`.
    Reset,
}

/// Reads one after another.
#[derive(Debug, Clone)]
pub struct Entries<'a, T> {
    rest: &'a [u8],
    of: core::marker::PhantomData<T>,
}

impl<'a, T> Entries<'a, T> {
    /// Those that are written there.
    #[must_use]
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, of: core::marker::PhantomData }
    }
}

impl<'a, T: Deserialize<'a>> Iterator for Entries<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let (entry, rest) = postcard::take_from_bytes(self.rest).ok()?;
        self.rest = rest;
        Some(entry)
    }
}
