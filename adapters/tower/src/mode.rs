use crate::refusal::{Refusal, Rejection};

/// What becomes of a call that a pattern has ended: its typed error ([`Typed`]), or a response ([`Respond`]).
///
/// `T` is the service's response, `X` the pattern's error.
pub trait Mode<T, X: Refusal> {
    /// The error of the service that is made.
    type Error;

    /// The service within has failed.
    fn failed(&self, error: X::Inner) -> Self::Error;

    /// The call has ended so.
    ///
    /// # Errors
    ///
    /// What is no response.
    fn conclude(&self, outcome: Result<T, X>) -> Result<T, Self::Error>;

    /// Whether the client is told how many permits are left. Default: no.
    fn announces(&self) -> bool {
        false
    }

    /// A limiter has let the call through. `remaining` is how many permits are left, for whoever tells the client.
    fn admitted(&mut self, remaining: impl FnOnce() -> u32) {
        let _ = remaining;
    }
}

/// A rejection is an error, with its type: for clients, and for layers above that decide by it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Typed;

impl<T, X: Refusal> Mode<T, X> for Typed {
    type Error = X;

    fn failed(&self, error: X::Inner) -> X {
        X::failed(error)
    }

    fn conclude(&self, outcome: Result<T, X>) -> Result<T, X> {
        outcome
    }
}

/// A rejection becomes a response, and the service's own error stays what it is: for servers. So axum takes it without `HandleErrorLayer`.
#[derive(Debug, Clone, Copy)]
pub struct Respond<R> {
    responder: R,
    /// Permits left when the call was let through, if the client is to be told.
    remaining: Option<u32>,
}

impl<R> Respond<R> {
    pub(crate) const fn by(responder: R) -> Self {
        Self { responder, remaining: None }
    }
}

impl<T, X: Refusal, R: Responder<T>> Mode<T, X> for Respond<R> {
    type Error = X::Inner;

    fn failed(&self, error: X::Inner) -> X::Inner {
        error
    }

    fn conclude(&self, outcome: Result<T, X>) -> Result<T, X::Inner> {
        match outcome.map_err(X::rejection) {
            Ok(mut response) => {
                if let Some(remaining) = self.remaining {
                    self.responder.announce(&mut response, remaining);
                }
                Ok(response)
            }
            Err(Ok(rejection)) => Ok(self.responder.respond(&rejection)),
            Err(Err(error)) => Err(error),
        }
    }

    fn announces(&self) -> bool {
        self.responder.announces()
    }

    fn admitted(&mut self, remaining: impl FnOnce() -> u32) {
        if self.responder.announces() {
            self.remaining = Some(remaining());
        }
    }
}

/// Makes a response of a rejection. Every `Fn(&Rejection) -> T` is one; with the feature `http`, `HttpStatus` and `GrpcStatus` are.
///
/// # Examples
///
/// ```
/// use aplomb_tower::{Reason, Rejection, Responder};
///
/// let responder = |rejection: &Rejection| format!("sorry: {rejection}");
/// assert_eq!(responder.respond(&Rejection::new(Reason::Overloaded, None)), "sorry: overloaded");
/// ```
pub trait Responder<T> {
    /// The response to a call that was rejected.
    fn respond(&self, rejection: &Rejection) -> T;

    /// Whether responses of the service are told how many permits are left. Default: no, and nobody counts them.
    fn announces(&self) -> bool {
        false
    }

    /// Tells so.
    fn announce(&self, response: &mut T, remaining: u32) {
        let _ = (response, remaining);
    }
}

impl<T, F: Fn(&Rejection) -> T> Responder<T> for F {
    fn respond(&self, rejection: &Rejection) -> T {
        self(rejection)
    }
}
