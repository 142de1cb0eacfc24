use fastrand::Rng;

/// Numbers from 0 on, the first the most likely: the n-th is drawn 1/n as often.
pub(super) struct Zipf {
    /// Of each number, what it and those before it are drawn.
    sums: Vec<f64>,
}

impl Zipf {
    pub(super) fn new(numbers: u32) -> Self {
        let mut sum = 0.0;
        let sums = (1..=numbers).map(|rank| {
            sum += 1.0 / f64::from(rank);
            sum
        });
        Self { sums: sums.collect() }
    }

    pub(super) fn draw(&self, random: &mut Rng) -> u32 {
        let at = random.f64() * self.sums.last().copied().unwrap_or_default();
        u32::try_from(self.sums.partition_point(|sum| *sum <= at)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_comes_twice_as_often_as_the_second() {
        let (zipf, mut random) = (Zipf::new(100), Rng::with_seed(1));
        let mut drawn = [0_u32; 100];
        for _ in 0..100_000 {
            drawn[zipf.draw(&mut random) as usize] += 1;
        }
        // The sum of 1/n is 5.187.
        for (number, expected) in [(0, 19_278), (1, 9_639), (9, 1_928), (99, 193)] {
            assert!(drawn[number].abs_diff(expected) < expected / 4, "{number} came {} times", drawn[number]);
        }
    }
}
