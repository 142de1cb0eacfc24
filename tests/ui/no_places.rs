use aplomb_sim::prelude::*;

static DB: Bulkhead = checked!(Bulkhead::new(0));

fn main() {}
