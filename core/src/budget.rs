//! The machine of every budget: tokens that calls put in, and that extra attempts take out.

/// What is missing from a full bucket: nothing at first, however large it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent(u32);

impl Spent {
    /// A full bucket.
    pub(crate) const NOTHING: Self = Self(0);

    /// How many tokens there are in a bucket of that size.
    pub(crate) const fn left(self, capacity: u32) -> u32 {
        capacity.saturating_sub(self.0)
    }

    /// Takes so many tokens out, if they are there.
    #[must_use]
    pub(crate) const fn withdraw(&mut self, tokens: u32, capacity: u32) -> bool {
        let is_there = self.left(capacity) >= tokens;
        if is_there {
            self.0 = self.0.saturating_add(tokens);
        }
        is_there
    }

    /// Puts so many tokens in, as far as there is room.
    pub(crate) const fn put_back(&mut self, tokens: u32) {
        self.0 = self.0.saturating_sub(tokens);
    }
}
