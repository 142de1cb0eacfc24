/// What a share is drawn with, from none to all.
pub(crate) struct Levels([char; 9]);

impl Levels {
    /// For most terminals.
    const UNICODE: Self = Self([' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']);

    /// For all.
    const ASCII: Self = Self([' ', '.', ':', '-', '=', '+', '*', '%', '#']);

    pub(crate) fn new(ascii: bool) -> &'static Self {
        if ascii { &Self::ASCII } else { &Self::UNICODE }
    }

    /// Something is never drawn as nothing, and only all of it as all.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 8")]
    pub(crate) fn of(&self, share: f64) -> char {
        let level = (share.clamp(0.0, 1.0) * 8.0) as usize;
        self.0[if share > 0.0 { level.max(1) } else { 0 }]
    }

    /// Of a share that varies by chance: what is nearest, so that almost all is drawn as all, and almost nothing as nothing.
    pub(crate) fn nearest(&self, share: f64) -> char {
        self.of((share * 8.0).round() / 8.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_is_seen_and_less_than_all_too() {
        let drawn = [0.0, 0.001, 0.5, 0.999, 1.0, 2.0].map(|share| Levels::ASCII.of(share));
        assert_eq!(drawn, [' ', '.', '=', '%', '#', '#']);
        let nearest = [0.01, 0.5, 0.95, 1.05].map(|share| Levels::ASCII.nearest(share));
        assert_eq!(nearest, [' ', '=', '#', '#']);
    }
}
