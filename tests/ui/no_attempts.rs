use aplomb_sim::prelude::*;

static RETRY: Retry = checked!(Retry::new().max_attempts(0));

fn main() {}
