//! The lab: aplomb at work on a real service, and its scenarios replayed.

fn main() {}
