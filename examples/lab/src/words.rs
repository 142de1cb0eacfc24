use std::io;
use std::time::Duration;

/// A time with three digits, more or less.
pub(crate) fn time(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    match millis {
        1_000.0.. => format!("{} s", (millis / 10.0).round() / 100.0),
        10.0.. => format!("{millis:.0} ms"),
        0.1.. => format!("{millis:.1} ms"),
        _ => format!("{:.0} us", millis * 1e3),
    }
}

/// What the lab could not do, and why.
pub(crate) fn cannot(what: &'static str) -> impl Fn(io::Error) -> String {
    move |error| format!("cannot {what}: {error}")
}
