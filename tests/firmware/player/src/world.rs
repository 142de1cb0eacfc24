//! A scenario that is played: its operation, and what is told of it.

use core::cell::Cell;
use core::fmt::{self, Write};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use aplomb::{Clock, ConfigError, time};
use aplomb_embassy::{EmbassyClock, EmbassySleep};
use board::{Executor, hprint};
use embassy_time_driver::TICK_HZ;
use heapless::{String, Vec};
use wire::{Entries, Key, List, Nanos, Number, Scenario, Start, Token};

pub const NANOS_PER_TICK: u64 = 1_000_000_000 / TICK_HZ;

/// A scenario being played.
pub struct World {
    pub scenario: Scenario<'static>,
    pub executor: &'static Executor,
    pub starts: Cell<u32>,
    /// How many operations are under way.
    pub running: Cell<u32>,
    /// What is dropped now doesn't count.
    pub over: Cell<bool>,
    /// By how many ticks the script is behind.
    pub behind: Cell<u64>,
}

/// The operation's own error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Failure {
    pub value: Token,
    pub retry_after: Option<Duration>,
}

/// What a caller's future ends with.
pub enum Output {
    One(Token),
    Shared(Token, bool),
    List(Vec<Token, 16>),
    Either(Result<Token, Token>),
    Results(Vec<Result<Token, Token>, 16>),
}

/// A kind of error, and what it carries.
#[derive(Default)]
pub struct Error {
    pub kind: &'static str,
    pub value: Option<Value>,
    pub last: Option<Token>,
    pub attempts: Option<u32>,
    pub step: Option<usize>,
    /// Whether the step has a name.
    pub named: bool,
    pub index: Option<usize>,
    pub layer: Option<usize>,
    pub retry_after: Option<Option<Duration>>,
}

/// What an error carries.
pub enum Value {
    Token(Token),
    Kind(&'static str),
    WrongLength { items: u32, results: usize },
    Config(ConfigError),
}

pub type Outcome = Result<Output, Error>;

impl Error {
    pub fn new(kind: &'static str) -> Self {
        Self { kind, ..Self::default() }
    }

    pub fn operation(failure: Failure) -> Self {
        Self::of("operation", failure.value)
    }

    pub fn of(kind: &'static str, value: Token) -> Self {
        Self { kind, value: Some(Value::Token(value)), ..Self::default() }
    }

    pub fn config(error: ConfigError) -> Self {
        Self { kind: "config", value: Some(Value::Config(error)), ..Self::default() }
    }

    /// Kinds that the enum has grown since.
    pub fn unknown() -> Self {
        Self::new("unknown")
    }
}

impl World {
    /// The present instant.
    pub fn now(&self) -> Nanos {
        board::time::now().saturating_mul(NANOS_PER_TICK)
    }

    /// A start of the operation, for that caller's call.
    pub fn start(&'static self, by: Token, arg: Option<Token>) -> Running {
        let number = self.next_number();
        match arg {
            Some(arg) => self.tell(format_args!(r#""start":{number},"by":{},"arg":{}"#, by.0, Told(arg))),
            None => self.tell(format_args!(r#""start":{number},"by":{}"#, by.0)),
        }
        self.run(number, by, arg, arg.unwrap_or(Token::NULL))
    }

    /// A start for several arguments at once; one that ends with `Token::ARG` ends with all of them.
    pub fn start_for(&'static self, by: Token, args: &[Token]) -> Running {
        let number = self.next_number();
        self.tell(format_args!(r#""start":{number},"by":{},"arg":{}"#, by.0, Listed(args)));
        self.run(number, by, None, Token::ARG)
    }

    fn next_number(&self) -> u32 {
        let number = self.starts.get() + 1;
        self.starts.set(number);
        number
    }

    fn run(&'static self, number: u32, by: Token, arg: Option<Token>, echoed: Token) -> Running {
        self.running.set(self.running.get() + 1);
        let start = self.behaviour(number, by, arg);
        let echo = |value: Token| if value == Token::ARG { echoed } else { value };
        let result = match start.result {
            Ok(value) => Ok(echo(value)),
            Err(value) => Err(Failure { value: echo(value), retry_after: start.retry_after.map(time::duration) }),
        };
        Running { world: self, number, takes: start.takes, result: Some(result), sleep: None }
    }

    #[inline(never)]
    fn behaviour(&self, number: u32, by: Token, arg: Option<Token>) -> Start {
        let starts = || Entries::<Start>::of(self.scenario.starts);
        let named = |name: Token| starts().find(|start| start.name == name);
        let found = if self.scenario.in_order {
            starts().nth(number as usize - 1).or_else(|| starts().last())
        } else {
            let by_key = || Entries::<Key>::of(self.scenario.keys).find(|key| key.id == by).and_then(|key| named(key.key));
            arg.and_then(named).or_else(by_key).or_else(|| named(by))
        };
        found.unwrap_or(Start { name: Token::NULL, takes: 0, result: Ok(Token::NULL), retry_after: None })
    }

    /// What number a value is.
    pub fn number(&self, value: Token) -> Option<Number> {
        Entries::<Number>::of(self.scenario.numbers).find(|number| number.value == value)
    }

    /// What list a value is.
    pub fn list(&self, value: Token) -> Option<List> {
        Entries::<List>::of(self.scenario.lists).find(|list| list.value == value)
    }

    pub fn end(&self, id: Token, outcome: &Outcome) {
        match outcome {
            Ok(output) => self.tell(format_args!(r#""end":{},"ok":{output}"#, id.0)),
            Err(error) => self.tell(format_args!(r#""end":{},{error}"#, id.0)),
        }
    }

    pub fn end_stream(&self, error: Option<Error>) {
        match error {
            None => self.tell(format_args!(r#""over":true"#)),
            Some(error) => self.tell(format_args!(r#""broken":true,{error}"#)),
        }
    }

    pub fn item(&self, item: &Output) {
        self.tell(format_args!(r#""item":{item}"#));
    }

    pub fn state(&self, state: &str) {
        self.tell(format_args!(r#""state":"{state}""#));
    }

    pub fn limit(&self, limit: u32) {
        self.tell(format_args!(r#""limit":{limit}"#));
    }

    /// A line of the trace.
    #[inline(never)]
    fn tell(&self, what: fmt::Arguments<'_>) {
        if !self.over.get() {
            let mut line: String<512> = String::new();
            // What is too long is cut off, which the host does not take for a line.
            let _ = writeln!(line, r#"{{"at":{},{what}}}"#, self.now());
            hprint!("{}", line);
        }
    }
}

/// A value, which the host knows.
struct Told(Token);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r#"{{"$":{}}}"#, self.0.0)
    }
}

/// Several of them.
struct Listed<'a>(&'a [Token]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, self.0, |f, value| Told(*value).fmt(f))
    }
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    mut one: impl FnMut(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    f.write_str("[")?;
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(",")?;
        }
        one(f, item)?;
    }
    f.write_str("]")
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(value) => Told(*value).fmt(f),
            Self::Shared(value, shared) => write!(f, r#"{{"value":{},"shared":{shared}}}"#, Told(*value)),
            Self::List(values) => Listed(values).fmt(f),
            Self::Either(result) => either(f, *result),
            Self::Results(results) => list(f, results, |f, result| either(f, *result)),
        }
    }
}

fn either(f: &mut fmt::Formatter<'_>, result: Result<Token, Token>) -> fmt::Result {
    match result {
        Ok(value) => write!(f, r#"{{"ok":{}}}"#, Told(value)),
        Err(value) => write!(f, r#"{{"err":{}}}"#, Told(value)),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r#""err":"{}""#, self.kind)?;
        match &self.value {
            None => {}
            Some(Value::Token(value)) => write!(f, r#","value":{}"#, Told(*value))?,
            Some(Value::Kind(kind)) => write!(f, r#","value":"{kind}""#)?,
            Some(Value::WrongLength { items, results }) => write!(f, r#","value":"{results} results for {items} items""#)?,
            Some(Value::Config(error)) => {
                let mut text: String<256> = String::new();
                let _ = write!(text, "{error}");
                write!(f, r#","value":{text:?}"#)?;
            }
        }
        if let Some(last) = self.last {
            write!(f, r#","last":{}"#, Told(last))?;
        }
        if let Some(attempts) = self.attempts {
            write!(f, r#","attempts":{attempts}"#)?;
        }
        if let Some(step) = self.step {
            write!(f, r#","step":{step}"#)?;
        }
        if self.named {
            f.write_str(r#","named":true"#)?;
        }
        if let Some(index) = self.index {
            write!(f, r#","index":{index}"#)?;
        }
        if let Some(layer) = self.layer {
            write!(f, r#","layer":{layer}"#)?;
        }
        match self.retry_after {
            None => Ok(()),
            Some(None) => f.write_str(r#","retry_after":null"#),
            Some(Some(after)) => write!(f, r#","retry_after":{{"ns":{}}}"#, time::nanos(after)),
        }
    }
}

/// A sleep that is over after exactly so long: it takes a tick more than it is told.
pub fn sleep_for(time: Nanos) -> EmbassySleep {
    EmbassyClock.sleep_until(EmbassyClock.now().saturating_add_nanos(time.saturating_sub(NANOS_PER_TICK)))
}

/// A start of the operation. It sleeps by embassy's own timer queue, and not by what is under test.
pub struct Running {
    world: &'static World,
    number: u32,
    takes: Nanos,
    result: Option<Result<Token, Failure>>,
    sleep: Option<EmbassySleep>,
}

impl Future for Running {
    type Output = Result<Token, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.takes == Nanos::MAX {
            return Poll::Pending;
        }
        if self.takes != 0 {
            let takes = self.takes;
            let sleep = self.sleep.get_or_insert_with(|| sleep_for(takes));
            if Pin::new(sleep).poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        // An operation that was polled after its end would be a bug of the pattern: it hangs, and the trace shows it.
        self.result.take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.world.running.set(self.world.running.get() - 1);
        if self.result.is_some() {
            self.world.tell(format_args!(r#""drop":{}"#, self.number));
        }
    }
}
