use aplomb_sim::prelude::*;

const BACKOFF: Linear = checked!(Linear::from(ms(1)).jitter(Jitter::Proportional(percent(150))));

fn main() {}
