//! What each algorithm is: slow, obvious, and in fractions that are exact.

/// So many permits in so many nanoseconds, and as many at once as `burst` says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) permits: u32,
    pub(crate) per: u64,
    pub(crate) burst: u32,
}

impl Terms {
    /// The same rate, in the smallest numbers.
    fn reduced(self) -> Self {
        let divides_both = |by: &u32| self.permits.is_multiple_of(*by) && self.per.is_multiple_of(u64::from(*by));
        let divisor = (1..=self.permits).rev().find(divides_both).unwrap_or(1);
        Self { permits: self.permits / divisor, per: self.per / u64::from(divisor), ..self }
    }
}

/// An algorithm, as its docs tell it. When something is there is found by looking at one instant after another, in ever longer steps.
pub(crate) trait Model: Clone {
    fn new(terms: Terms) -> Self;

    fn most(&self) -> u32;

    /// Whether `n` more are there at that instant, if nothing is taken before.
    fn admits(&self, at: u64, n: u32) -> bool;

    /// At `now`, `n` are taken for `at`.
    fn put(&mut self, now: u64, at: u64, n: u32);

    /// Of `n` that were reserved for `at`.
    fn give_back(&mut self, now: u64, at: u64, n: u32);

    fn available(&self, now: u64) -> u32 {
        (1..=self.most()).take_while(|&n| self.admits(now, n)).last().unwrap_or(0)
    }

    fn renewed_at(&self) -> u64;

    fn change(&mut self, now: u64, terms: Terms);

    /// The first instant at which `n` are there.
    fn earliest(&self, now: u64, n: u32) -> u64 {
        if self.admits(now, n) {
            return now;
        }
        let mut step = 1;
        while !self.admits(now + step, n) {
            step *= 2;
        }
        let (mut before, mut there) = (now + step / 2, now + step);
        while before + 1 < there {
            let middle = before + (there - before) / 2;
            if self.admits(middle, n) { there = middle } else { before = middle }
        }
        there
    }
}

/// Permits are counted in parts, of which `per` are one, and `permits` drip in each nanosecond.
#[derive(Debug, Clone)]
pub(crate) struct TokenBucket {
    terms: Terms,
    now: u64,
    parts: i128,
    /// Permits given back from under reservations that keep their instants.
    given_back: i128,
    /// Of each reservation: the rounded instant, and the exact one, in parts of a nanosecond.
    reserved: Vec<(u64, i128)>,
}

impl TokenBucket {
    fn parts_at(&self, at: u64) -> i128 {
        let full = i128::from(self.terms.burst) * i128::from(self.terms.per);
        (self.parts + i128::from(at - self.now) * i128::from(self.terms.permits)).min(full)
    }

    /// When what has been reserved last is there.
    fn last(&self) -> i128 {
        i128::from(self.now) * i128::from(self.terms.permits) - self.parts
    }
}

impl Model for TokenBucket {
    fn new(terms: Terms) -> Self {
        let terms = terms.reduced();
        let parts = i128::from(terms.burst) * i128::from(terms.per);
        Self { terms, now: 0, parts, given_back: 0, reserved: vec![] }
    }

    fn most(&self) -> u32 {
        self.terms.burst
    }

    fn admits(&self, at: u64, n: u32) -> bool {
        self.parts_at(at) >= i128::from(n) * i128::from(self.terms.per)
    }

    fn put(&mut self, now: u64, at: u64, n: u32) {
        let full = i128::from(self.terms.burst) * i128::from(self.terms.per);
        let there = self.parts_at(now);
        // Of a full one, nothing is outstanding.
        self.given_back = if there == full { 0 } else { (self.given_back - i128::from(n)).max(0) };
        self.parts = there - i128::from(n) * i128::from(self.terms.per);
        self.now = now;
        if at > now {
            self.reserved.push((at, self.last()));
        }
    }

    /// Less what later ones have taken from behind it; and if something was given back before from under what is still reserved, only as much that the bucket cannot overflow with it.
    fn give_back(&mut self, now: u64, at: u64, n: u32) {
        let Some(index) = self.reserved.iter().rposition(|reserved| reserved.0 == at) else { return };
        let (_, exact) = self.reserved.remove(index);
        (self.parts, self.now) = (self.parts_at(now), now);
        let per = i128::from(self.terms.per);
        let later = (self.last() - exact).max(0).div_euclid(per) + i128::from((self.last() - exact).max(0).rem_euclid(per) > 0);
        let room = if later == 0 { i128::from(n) } else { i128::from(self.terms.burst) - later - 2 * self.given_back };
        let back = (i128::from(n) - later).min(room).max(0);
        self.parts += back * per;
        self.given_back += back;
    }

    fn renewed_at(&self) -> u64 {
        let missing = i128::from(self.terms.burst) * i128::from(self.terms.per) - self.parts;
        let permits = i128::from(self.terms.permits);
        self.now + u64::try_from((missing + permits - 1) / permits).unwrap()
    }

    /// The permits that are there stay there, as far as there can be so many; a part is rounded down.
    fn change(&mut self, now: u64, terms: Terms) {
        let terms = terms.reduced();
        let (old, new) = (i128::from(self.terms.per), i128::from(terms.per));
        let parts = self.parts_at(now).min(i128::from(terms.burst) * old);
        self.parts = (parts * new).div_euclid(old);
        (self.now, self.terms) = (now, terms);
        self.reserved.clear();
    }
}

/// A window, and what is taken of it.
#[derive(Debug, Clone)]
pub(crate) struct FixedWindow {
    terms: Terms,
    begins: u64,
    taken: u32,
}

impl FixedWindow {
    /// One of which nothing is taken has not begun.
    fn lasts_at(&self, at: u64) -> bool {
        self.taken > 0 && at < self.begins + self.terms.per
    }
}

impl Model for FixedWindow {
    fn new(terms: Terms) -> Self {
        Self { terms, begins: 0, taken: 0 }
    }

    fn most(&self) -> u32 {
        self.terms.permits
    }

    fn admits(&self, at: u64, n: u32) -> bool {
        at >= self.begins && (!self.lasts_at(at) || self.taken + n <= self.terms.permits)
    }

    fn put(&mut self, _now: u64, at: u64, n: u32) {
        if self.lasts_at(at) { self.taken += n } else { (self.begins, self.taken) = (at, n) }
    }

    fn give_back(&mut self, _now: u64, at: u64, n: u32) {
        if at >= self.begins {
            self.taken -= n;
        }
    }

    fn renewed_at(&self) -> u64 {
        if self.taken > 0 { self.begins + self.terms.per } else { self.begins }
    }

    fn change(&mut self, _now: u64, terms: Terms) {
        self.terms = terms;
    }
}

/// Each permit that was taken; and for when the last one was, given back or not.
#[derive(Debug, Clone)]
pub(crate) struct SlidingWindow {
    terms: Terms,
    taken: Vec<(u64, u32)>,
    last: u64,
}

impl Model for SlidingWindow {
    fn new(terms: Terms) -> Self {
        Self { terms, taken: vec![], last: 0 }
    }

    fn most(&self) -> u32 {
        self.terms.permits
    }

    fn admits(&self, at: u64, n: u32) -> bool {
        let counted = self.taken.iter().filter(|(taken, _)| taken + self.terms.per > at).map(|(_, n)| n).sum::<u32>();
        at >= self.last && (counted + n <= self.terms.permits)
    }

    fn put(&mut self, _now: u64, at: u64, n: u32) {
        self.taken.retain(|(taken, _)| taken + self.terms.per > at);
        self.taken.push((at, n));
        self.last = at;
    }

    fn give_back(&mut self, _now: u64, at: u64, n: u32) {
        if let Some(index) = self.taken.iter().rposition(|taken| *taken == (at, n)) {
            self.taken.remove(index);
        }
    }

    fn renewed_at(&self) -> u64 {
        let counted = self.taken.iter().filter(|(_, n)| *n > 0).map(|(taken, _)| taken + self.terms.per);
        counted.max().unwrap_or(0).max(self.last)
    }

    /// What has slid out is gone at any rate.
    fn change(&mut self, now: u64, terms: Terms) {
        self.taken.retain(|(taken, _)| taken + self.terms.per > now);
        self.terms = terms;
    }
}

/// A grid of windows, of which two are counted.
#[derive(Debug, Clone)]
pub(crate) struct SlidingCounter {
    terms: Terms,
    begins: u64,
    newest: u32,
    previous: u32,
}

impl SlidingCounter {
    /// When the window of that instant begins, and what was taken in it and in the one before.
    fn at(&self, at: u64) -> (u64, u32, u32) {
        let windows = (at - self.begins) / self.terms.per;
        match windows {
            _ if (self.newest, self.previous) == (0, 0) => (at, 0, 0),
            0 => (self.begins, self.newest, self.previous),
            1 => (self.begins + self.terms.per, 0, self.newest),
            _ => (at, 0, 0),
        }
    }
}

impl Model for SlidingCounter {
    fn new(terms: Terms) -> Self {
        Self { terms, begins: 0, newest: 0, previous: 0 }
    }

    fn most(&self) -> u32 {
        self.terms.permits
    }

    fn admits(&self, at: u64, n: u32) -> bool {
        if at < self.begins {
            return false;
        }
        let (begins, newest, previous) = self.at(at);
        let per = i128::from(self.terms.per);
        // As if it had been taken evenly.
        let still = i128::from(previous) * (per - i128::from(at - begins));
        still + i128::from(newest + n) * per <= i128::from(self.terms.permits) * per
    }

    fn put(&mut self, _now: u64, at: u64, n: u32) {
        (self.begins, self.newest, self.previous) = self.at(at);
        self.newest += n;
    }

    fn give_back(&mut self, _now: u64, at: u64, n: u32) {
        if at >= self.begins {
            self.newest -= n;
        }
    }

    fn renewed_at(&self) -> u64 {
        match (self.newest, self.previous) {
            (0, 0) => self.begins,
            (0, _) => self.begins + self.terms.per,
            _ => self.begins + 2 * self.terms.per,
        }
    }

    fn change(&mut self, _now: u64, terms: Terms) {
        self.terms = terms;
    }
}
