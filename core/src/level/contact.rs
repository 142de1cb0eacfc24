use core::fmt;
use core::future::Future;

use embedded_hal::digital::InputPin;
use embedded_hal_async::digital::Wait;

use super::watch::Watch;
use super::{Edge, Gesture, GestureError, Gestures, LevelDebouncer};
use crate::fused::Fused;
use crate::platform::Ambient;
use crate::time::Clock;

/// A pin with a contact that bounces, and the machine that is told its level: of a [`LevelDebouncer`] come edges, of [`Gestures`] gestures.
///
/// A pin is whatever is both `InputPin` and `Wait` of `embedded-hal`; of one that is needed elsewhere too, a `&mut` will do.
///
/// The pin is read, and then waited for to have its *other* level: a change in between is not lost, as it would be to a wait for an edge. A pin that had the other level, and is back by the time its task runs, has bounced. If
/// both have come by then, that the pin changed and that the machine's time is up, the pin changed first.
///
/// Beside its clock, its pin and its machine it takes 24 bytes; a contact is 56 with a pin and a clock that take none, a [`Button`] 112. Nothing allocates. There is a timer only while the machine asks for one.
///
/// # Examples
///
/// ```
/// use aplomb_sim::level::{Contact, Edge, LevelDebouncer}; // or aplomb_embassy
/// use aplomb_sim::prelude::*;
/// use embedded_hal::digital::InputPin;
/// use embedded_hal_async::digital::Wait;
///
/// async fn watch_door(reed: impl InputPin + Wait) {
///     let mut door = Contact::new(reed, LevelDebouncer::new(ms(20)).fall(ms(50))).active_low();
///     while let Ok(edge) = door.edge().await {
///         match edge {
///             Edge::Rise => println!("shut"),
///             Edge::Fall => println!("open"),
///         }
///     }
/// }
/// ```
#[must_use = "nothing reads the pin unless asked"]
pub struct Contact<C, I, M = LevelDebouncer> {
    watch: Watch<C, I, M>,
}

/// A button at a pin, that tells [`Gesture`]s.
///
/// # Examples
///
/// ```
/// use aplomb_sim::level::{Button, Gesture, Gestures, LevelDebouncer}; // or aplomb_embassy
/// use aplomb_sim::prelude::*;
/// # use core::convert::Infallible;
/// # use embedded_hal::digital::{ErrorType, InputPin};
/// # use embedded_hal_async::digital::Wait;
///
/// const GESTURES: Gestures = checked!(Gestures::new(LevelDebouncer::new(ms(20))).long_press(ms(600)));
///
/// # /// Low from 100 to 110 ms, from 200 ms to a second, and never again.
/// # struct Input;
/// # impl Input { fn level() -> bool { !matches!(aplomb_sim::now().as_nanos() / 1_000_000, 100..110 | 200..1_000) } }
/// # impl ErrorType for Input { type Error = Infallible; }
/// # impl InputPin for Input {
/// #     fn is_high(&mut self) -> Result<bool, Infallible> { Ok(Self::level()) }
/// #     fn is_low(&mut self) -> Result<bool, Infallible> { Ok(!Self::level()) }
/// # }
/// # impl Wait for Input {
/// #     async fn wait_for_high(&mut self) -> Result<(), Infallible> { while !Self::level() { aplomb_sim::sleep(ms(1)).await; } Ok(()) }
/// #     async fn wait_for_low(&mut self) -> Result<(), Infallible> { while Self::level() { aplomb_sim::sleep(ms(1)).await; } Ok(()) }
/// #     async fn wait_for_rising_edge(&mut self) -> Result<(), Infallible> { self.wait_for_low().await?; self.wait_for_high().await }
/// #     async fn wait_for_falling_edge(&mut self) -> Result<(), Infallible> { self.wait_for_high().await?; self.wait_for_low().await }
/// #     async fn wait_for_any_edge(&mut self) -> Result<(), Infallible> { if Self::level() { self.wait_for_low().await } else { self.wait_for_high().await } }
/// # }
/// # let (mut lamp, mut power) = (false, true);
/// # aplomb_sim::block_on(async {
/// # let pin = Input;
/// let mut button = Button::new(pin, GESTURES).active_low();
/// while let Ok(gesture) = button.gesture().await {
///     match gesture {
///         Gesture::Press => lamp = !lamp,
///         Gesture::LongPress => power = false,
///         Gesture::Release if !power => break,
///         _ => {}
///     }
/// }
/// # assert_eq!((lamp, power), (true, false));
/// # assert_eq!(aplomb_sim::now().as_nanos(), 1_020_000_000);
/// # });
/// ```
pub type Button<C, I> = Contact<C, I, Gestures>;

impl<C: Ambient, I, M> Contact<C, I, M> {
    /// A pin that `machine` is to read. High is `true`, and pressed.
    pub const fn new(pin: I, machine: M) -> Self {
        Self::with_clock(C::CLOCK, pin, machine)
    }
}

impl<C, I, M> Contact<C, I, M> {
    /// As [`new`](Contact::new), on a clock of its own.
    pub const fn with_clock(clock: C, pin: I, machine: M) -> Self {
        Self { watch: Watch::new(clock, pin, machine) }
    }

    /// Low is `true`, and pressed: for a contact to ground with a pull-up.
    pub const fn active_low(mut self) -> Self {
        self.watch.active_low = true;
        self
    }

    /// Gives the pin back.
    pub fn release(self) -> I {
        self.watch.pin
    }
}

impl<C, I> Contact<C, I> {
    /// The debounced level, as of the last [`edge`](Contact::edge).
    #[must_use]
    pub const fn level(&self) -> bool {
        self.watch.machine.level()
    }
}

impl<C, I> Button<C, I> {
    /// Whether the button is down, by its debounced level, as of the last [`gesture`](Contact::gesture).
    #[must_use]
    pub const fn is_pressed(&self) -> bool {
        self.watch.machine.is_pressed()
    }
}

impl<C: Clock, I: InputPin + Wait> Contact<C, I> {
    /// Waits for the next edge of the debounced level.
    ///
    /// The future has no name, since those of `embedded-hal-async` have none.
    ///
    /// # Cancel safety
    ///
    /// What the contact was told it keeps, and the next call reads the pin anew: no edge is lost whose level lasts until then. Nobody looks between two calls, so that a pulse that comes and goes there is not seen. Polled after its end, it is pending for ever.
    ///
    /// # Errors
    ///
    /// Those of the pin. The contact can be asked again.
    pub fn edge(&mut self) -> impl Future<Output = Result<Edge, I::Error>> {
        Fused::new(self.watch.next())
    }
}

impl<C: Clock, I: InputPin + Wait> Button<C, I> {
    /// Waits for the next gesture. Of several at one time each has a call of its own, in the order in which they were due.
    ///
    /// The future has no name, since those of `embedded-hal-async` have none.
    ///
    /// # Cancel safety
    ///
    /// What the button was told it keeps, and the next call reads the pin anew: no gesture is lost, nor told twice. Nobody looks between two calls: a press that comes and goes there is not seen, and one that is released there counts
    /// as held until the next call. Where work takes long, let a task of its own wait for gestures, and hand them on. Polled after its end, it is pending for ever.
    ///
    /// # Errors
    ///
    /// [`GestureError::Config`] as of [`Gestures::check`], if that was not asked; [`GestureError::Pin`] with the pin's error, after which the button can be asked again.
    pub fn gesture(&mut self) -> impl Future<Output = Result<Gesture, GestureError<I::Error>>> {
        Fused::new(async {
            if let Some(error) = self.watch.machine.config_error() {
                return Err(GestureError::Config(error));
            }
            self.watch.next().await.map_err(GestureError::Pin)
        })
    }
}

impl<C, I, M: fmt::Debug> fmt::Debug for Contact<C, I, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contact")
            .field("machine", &self.watch.machine)
            .field("active_low", &self.watch.active_low)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<C, I, M: defmt::Format> defmt::Format for Contact<C, I, M> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Contact {{ machine: {}, active_low: {}, .. }}", self.watch.machine, self.watch.active_low);
    }
}
