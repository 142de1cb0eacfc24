use core::future::Future;

use super::future as stage;
use super::future::{Run, Step};

/// Begins a chain of steps; see [`Waterfall`].
pub const fn waterfall<F>(step: F) -> Waterfall<First<F>> {
    Waterfall { steps: First { step } }
}

/// Steps one after another, each fed what the one before ended with.
///
/// A step is a closure, or a function, from a value to a future that ends with a `Result`; all have one type of error. A step's input is moved into it.
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// struct User { id: u32 }
///
/// async fn fetch_user(id: u32) -> Result<User, std::io::Error> { Ok(User { id }) }
/// async fn fetch_orders(user: User) -> Result<Vec<u32>, std::io::Error> { Ok(vec![user.id, 35]) }
/// async fn total(orders: Vec<u32>) -> Result<u32, std::io::Error> { Ok(orders.iter().sum()) }
///
/// # aplomb_sim::block_on(async {
/// # let id = 7;
/// let total = waterfall(|id| fetch_user(id)).then(|user| fetch_orders(user)).then(|orders| total(orders)).run(id).await?;
/// assert_eq!(total, 42);
/// # Ok::<_, aplomb::waterfall::WaterfallError<std::io::Error>>(()) }).unwrap();
/// ```
///
/// With an input that is borrowed:
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// async fn read(path: &str) -> Result<&str, std::io::Error> { Ok(path) }
/// async fn count(text: &str) -> Result<usize, std::io::Error> { Ok(text.len()) }
///
/// # aplomb_sim::block_on(async {
/// let path = String::from("/etc/hostname");
/// let length = waterfall(|path| read(path)).named("read").then(|text| count(text)).named("count").run(&path).await?;
/// assert_eq!(length, 13);
/// # Ok::<_, aplomb::waterfall::WaterfallError<std::io::Error>>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "a waterfall does nothing unless it is run"]
pub struct Waterfall<S> {
    steps: S,
}

impl<S> Waterfall<S> {
    /// Adds a step, which is fed what the last one ended with.
    pub fn then<F>(self, step: F) -> Waterfall<Then<S, F>> {
        Waterfall { steps: Then { before: self.steps, step } }
    }

    /// Gives the last step a name, for its error to tell.
    pub fn named(self, name: &'static str) -> Waterfall<Named<S>> {
        Waterfall { steps: Named { steps: self.steps, name } }
    }

    /// Runs the steps, beginning with this input.
    ///
    /// # Errors
    ///
    /// [`WaterfallError`](super::WaterfallError) has the error of the step that failed, and says which it was.
    pub fn run<I, T, E>(self, input: I) -> Run<S::Stage>
    where
        S: Step<I, Value = T, Error = E>,
    {
        Run::new(self.steps.begin(input))
    }
}

/// The first step.
#[derive(Debug, Clone, Copy)]
pub struct First<F> {
    step: F,
}

/// A step after others.
#[derive(Debug, Clone, Copy)]
pub struct Then<S, F> {
    before: S,
    step: F,
}

/// Steps of which the last has a name.
#[derive(Debug, Clone, Copy)]
pub struct Named<S> {
    steps: S,
    name: &'static str,
}

impl<I, F, Fut, T, E> Step<I> for First<F>
where
    F: FnOnce(I) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Value = T;
    type Error = E;
    type Stage = stage::First<I, F, Fut>;

    fn begin(self, input: I) -> Self::Stage {
        stage::First::new(self.step, input)
    }
}

impl<I, S, F, Fut, T> Step<I> for Then<S, F>
where
    S: Step<I>,
    F: FnOnce(S::Value) -> Fut,
    Fut: Future<Output = Result<T, S::Error>>,
{
    type Value = T;
    type Error = S::Error;
    type Stage = stage::Then<S::Stage, F, Fut>;

    fn begin(self, input: I) -> Self::Stage {
        stage::Then::new(self.before.begin(input), self.step)
    }
}

impl<I, S: Step<I>> Step<I> for Named<S> {
    type Value = S::Value;
    type Error = S::Error;
    type Stage = stage::Named<S::Stage>;

    fn begin(self, input: I) -> Self::Stage {
        stage::Named::new(self.steps.begin(input), self.name)
    }
}
