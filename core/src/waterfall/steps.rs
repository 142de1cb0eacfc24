use core::fmt;
use core::future::Future;
use core::marker::PhantomData;

use super::future::{After, Fed, Run};
use super::name::{Name, Unnamed};

/// Begins a chain of steps; see [`Waterfall`].
pub const fn waterfall<F, I, Fut, T, E>(step: F) -> EndingWith<F, Start, I, Fed<I>, I, Fut, T, E>
where
    F: FnOnce(I) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    Waterfall::new(Then { before: Start, step, name: Unnamed })
}

/// A chain whose last step is `F`, which is fed a `V` by the steps `S`, under way `G`.
type EndingWith<F, S, I, G, V, Fut, T, E, N = Unnamed> = Waterfall<Then<S, F, N>, I, Run<After<G, F, V, Fut, N>, T, E>>;

/// Steps `S` one after another, each fed what the one before ended with; the first is fed an `I`, and `R` is the future of them all.
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
/// With an input that is borrowed, and steps that borrow from it:
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// async fn read(path: &str) -> Result<&str, std::io::Error> { Ok(path) }
/// async fn count(text: &str) -> Result<usize, std::io::Error> { Ok(text.len()) }
///
/// # aplomb_sim::block_on(async {
/// let path = String::from("/etc/hostname");
/// let length = waterfall(read).named("read").then(count).named("count").run(&path).await?;
/// assert_eq!(length, 13);
/// # Ok::<_, aplomb::waterfall::WaterfallError<std::io::Error>>(()) }).unwrap();
/// ```
///
/// With state that the steps hand on:
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// #[derive(Default)]
/// struct Radio { log: Vec<&'static str> }
///
/// async fn power_up(radio: &mut Radio) -> Result<&mut Radio, &'static str> { radio.log.push("up"); Ok(radio) }
/// async fn join(radio: &mut Radio) -> Result<&mut Radio, &'static str> { radio.log.push("joined"); Ok(radio) }
///
/// let mut radio = Radio::default();
/// let entries = aplomb_sim::block_on(waterfall(power_up).then(join).then(async |radio| Ok(radio.log.len())).run(&mut radio));
/// assert_eq!((entries, radio.log), (Ok(2), vec!["up", "joined"]));
/// ```
#[must_use = "a waterfall does nothing unless it is run"]
pub struct Waterfall<S, I, R> {
    steps: S,
    runs: PhantomData<fn(I) -> R>,
}

impl<S, I, R> Waterfall<S, I, R> {
    const fn new(steps: S) -> Self {
        Self { steps, runs: PhantomData }
    }
}

impl<S, I, G, T, E> Waterfall<S, I, Run<G, T, E>> {
    /// Adds a step, which is fed what the last one ended with.
    pub fn then<F, Fut, U>(self, step: F) -> EndingWith<F, S, I, G, T, Fut, U, E>
    where
        F: FnOnce(T) -> Fut,
        Fut: Future<Output = Result<U, E>>,
    {
        Waterfall::new(Then { before: self.steps, step, name: Unnamed })
    }

    /// Runs the steps, beginning with this input.
    ///
    /// # Errors
    ///
    /// [`WaterfallError`](super::WaterfallError) has the error of the step that failed, and says which it was.
    pub fn run(self, input: I) -> Run<G, T, E>
    where
        S: Steps<I, G>,
    {
        Run::new(self.steps.begin(input))
    }
}

impl<F, S, I, G, V, Fut, T, E, N> EndingWith<F, S, I, G, V, Fut, T, E, N> {
    /// Gives the last step a name, for its error to tell: a text, or a closure that returns one.
    ///
    /// A text is kept in the future, two words, until its step has ended; a closure such as `|| "orders"` takes no room at all.
    pub fn named<M: Name>(self, name: M) -> EndingWith<F, S, I, G, V, Fut, T, E, M> {
        let Then { before, step, .. } = self.steps;
        Waterfall::new(Then { before, step, name })
    }
}

impl<S: Clone, I, R> Clone for Waterfall<S, I, R> {
    fn clone(&self) -> Self {
        Self::new(self.steps.clone())
    }
}

impl<S: Copy, I, R> Copy for Waterfall<S, I, R> {}

impl<S, I, R> fmt::Debug for Waterfall<S, I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waterfall").finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<S, I, R> defmt::Format for Waterfall<S, I, R> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Waterfall");
    }
}

/// Before the first step.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Start;

/// A step after others.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Then<S, F, N = Unnamed> {
    before: S,
    step: F,
    name: N,
}

/// Steps that an input `I` sets going as `G`.
///
/// `G` is no associated type on purpose: each level would repeat those of the levels before it, and the compiler's work would double with every step.
pub trait Steps<I, G> {
    /// Feeds the first. Nothing happens before it is polled.
    fn begin(self, input: I) -> G;
}

impl<I> Steps<I, Fed<I>> for Start {
    fn begin(self, input: I) -> Fed<I> {
        Fed::new(input)
    }
}

impl<S, F, N, I, G, V, Fut> Steps<I, After<G, F, V, Fut, N>> for Then<S, F, N>
where
    S: Steps<I, G>,
{
    fn begin(self, input: I) -> After<G, F, V, Fut, N> {
        After::new(self.before.begin(input), self.step, self.name)
    }
}
