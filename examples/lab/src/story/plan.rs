use std::net::SocketAddr;
use std::time::Duration;

use crate::backend::{Ability, Trouble, What};
use crate::outcome::Scene;
use crate::policy::Policy;
use crate::words::time;

/// Calls of a customer, a second.
pub(super) const RATE: f64 = 60.0;
/// Requests of a customer that the service is able to serve, a second.
const CAPACITY: f64 = 100.0;
/// How long it works on a request.
const TAKES: Duration = Duration::from_millis(20);
/// After which time a request is given up.
pub(super) const PATIENCE: Duration = Duration::from_millis(250);
/// Of so many answers in a hundred, how late they are.
const HICCUPS: (f64, Duration) = (2.0, Duration::from_millis(150));

/// What goes wrong, from which hundredth of the time to which.
const TROUBLES: [(u32, u32, What); 3] = [(15, 30, What::Slows(30.0)), (30, 38, What::Fails), (38, 50, What::Stalls)];

/// Who calls.
const CUSTOMERS: [&str; 6] = [
    "none",
    "retry(4, exp 25ms..250ms, full)",
    "retry(4, exp 25ms..250ms, full) | budget(10%, 20)",
    "retry(4, exp 25ms..250ms, full) | breaker(5, open 500ms)",
    "hedge(60ms)",
    "adaptive(gradient, wait 100ms)",
];

/// The policies of those who call.
///
/// # Errors
///
/// Never, as a test shows.
pub(super) fn customers() -> Result<Vec<Policy>, String> {
    CUSTOMERS.iter().map(|text| text.parse().map_err(|error| format!("{error}"))).collect()
}

/// What happens, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) time: Duration,
    pub(super) seed: u64,
}

impl Plan {
    pub(super) fn ability(&self) -> Ability {
        let troubles = TROUBLES.map(|(from, to, what)| Trouble { when: self.time * from / 100..self.time * to / 100, what });
        Ability { capacity: CAPACITY, takes: TAKES, queue: None, hiccups: HICCUPS, troubles: troubles.into() }
    }

    pub(super) fn scene(&self, address: SocketAddr) -> Scene {
        let Ability { capacity, takes, hiccups: (percent, late), troubles, .. } = self.ability();
        let mut told = vec![format!(
            "The service: http://{address}, {capacity} requests a second of each customer, {} for each, {percent} % answered {} late",
            time(takes),
            time(late)
        )];
        told.extend(troubles.iter().map(|trouble| {
            let [from, to] = [trouble.when.start, trouble.when.end].map(|at| at.as_secs_f64());
            format!("  from {from:.1} s to {to:.1} s it {}", trouble.what)
        }));
        told.push("  it does not notice when a client has gone, and works for nobody then".into());
        told.push(format!(
            "The customers: {RATE} calls a second each, for {}, whether or not earlier ones have ended; a request is given up after {}",
            time(self.time),
            time(PATIENCE)
        ));
        Scene { told, rate: RATE, capacity, troubles, time: self.time }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_customers_have_a_policy() {
        assert_eq!(customers().unwrap().len(), CUSTOMERS.len());
    }
}
