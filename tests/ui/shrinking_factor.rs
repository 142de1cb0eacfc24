use aplomb_sim::prelude::*;

const BACKOFF: Exponential = checked!(Exponential::from(ms(1)).factor(percent(50)));

fn main() {}
