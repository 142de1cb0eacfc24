use std::time::Duration;

use crate::backend::Ability;
use crate::outcome::Scene;
use crate::policy::write_time;
use crate::words::time;

/// What is simulated, whatever the policy.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) ability: Ability,
    /// Calls a second.
    pub(super) rate: f64,
    pub(super) calls: Calls,
    /// How many processes they come from, each with patterns of its own.
    pub(super) processes: usize,
    /// After which time a client gives up a request.
    pub(super) patience: Duration,
    pub(super) time: Duration,
    pub(super) seeds: u64,
}

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Calls {
    /// An open loop: calls come at random, whether or not earlier ones have ended.
    Open,
    /// A closed loop: so many clients, each of which calls, waits, thinks, and calls again.
    Closed { clients: u32 },
}

impl Plan {
    pub(super) fn scene(&self) -> Scene {
        let Ability { capacity, takes, queue, hiccups: (percent, late), troubles } = &self.ability;
        let calls = match self.calls {
            Calls::Open => "whether or not earlier ones have ended".into(),
            Calls::Closed { clients } => {
                format!("if {clients} clients need not wait, each of which calls, and thinks, and calls again")
            }
        };
        let queue = queue.map_or_else(String::new, |queue| format!(", of which {queue} may wait"));
        let mut told = vec![
            format!(
                "The calls: {} a second for {}, {calls}; from {} with patterns of its own",
                self.rate,
                time(self.time),
                processes(self.processes)
            ),
            format!(
                "  a request is given up after {}, by an innermost timeout({})",
                time(self.patience),
                write_time(self.patience)
            ),
            format!(
                "The service: {capacity} requests a second{queue}, {} for each, {percent} % answered {} late; it works on for clients that have gone",
                time(*takes),
                time(*late),
            ),
        ];
        told.extend(troubles.iter().map(|trouble| {
            let [from, to] = [trouble.when.start, trouble.when.end].map(|at| at.as_secs_f64());
            format!("  from {from} s to {to} s it {}", trouble.what)
        }));
        told.push(match self.seeds {
            1 => "One seed: to see what is chance, take more.".into(),
            seeds => format!("{seeds} seeds: the median, and in parentheses the range."),
        });
        Scene { told, rate: self.rate, capacity: *capacity, troubles: troubles.clone(), time: self.time }
    }
}

fn processes(number: usize) -> String {
    if number == 1 { "one process".into() } else { format!("{number} processes, each") }
}
