/// What a step can be named with: a text, or a closure that returns one.
#[diagnostic::on_unimplemented(
    message = "a step cannot be named with `{Self}`",
    label = "neither a `&'static str` nor a closure that returns one"
)]
pub trait Name {
    /// The name, if it is one.
    fn name(self) -> Option<&'static str>;
}

/// The name of a step that has none.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Unnamed;

impl Name for Unnamed {
    fn name(self) -> Option<&'static str> {
        None
    }
}

impl Name for &'static str {
    fn name(self) -> Option<&'static str> {
        Some(self)
    }
}

impl<F: FnOnce() -> &'static str> Name for F {
    fn name(self) -> Option<&'static str> {
        Some(self())
    }
}
