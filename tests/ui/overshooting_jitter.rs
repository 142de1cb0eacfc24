use aplomb_sim::prelude::*;

const BACKOFF: Constant = checked!(Constant::every(ms(1)).jitter(Jitter::Proportional(percent(150))));

fn main() {}
