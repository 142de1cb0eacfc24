use std::io::{self, Write};
use std::net::SocketAddr;

use console::style;

use super::guard::{ATTEMPT_TIMEOUT, BUDGET, FIRST_PAUSE, MAX_ATTEMPTS, Mode, RETRY_COST};
use super::plan::{ASKING, FAILING, Phase, Plan, RETRY_AFTER};
use super::round::Measured;
use crate::words::time;

/// Says what is going to happen.
pub(super) fn introduce(out: &mut dyn Write, address: SocketAddr, plan: &Plan, calls: u32) -> io::Result<()> {
    writeln!(out, "{}", style("A service has an outage. The same calls, bare and guarded, on two runtimes.").bold())?;
    writeln!(out, "\nThe service: http://{address}/answer, and in every round")?;
    for (hundredth, phase) in Phase::ALL {
        let how = match phase {
            Phase::Healthy | Phase::Recovered => "answers in 2 to 8 ms".into(),
            Phase::Failing => {
                format!("{FAILING} % of the answers are 503, {ASKING} % of those ask for a pause of {}", time(RETRY_AFTER))
            }
            Phase::Stalling => format!("answers take {}", time(plan.stall())),
        };
        writeln!(out, "  from {:>5.2} s  it {:14} {how}", plan.hundredth(hundredth).as_secs_f64(), phase.name())?;
    }
    writeln!(out, "\nThe calls: {calls} a round, evenly over {}, whether or not earlier ones have ended", time(plan.round))?;
    writeln!(
        out,
        "  {:9} one request, which waits for its answer: a stall is not an error here, but latency",
        Mode::Bare.name()
    )?;
    writeln!(
        out,
        "  {:9} retry(|| timeout({}, request)), at most {MAX_ATTEMPTS} attempts; pauses from {} on, doubling, full jitter, or as long",
        Mode::Guarded.name(),
        time(ATTEMPT_TIMEOUT),
        time(FIRST_PAUSE),
    )?;
    writeln!(
        out,
        "  {:9} as the service asks; one budget for all: {BUDGET} retries, and one more for every {RETRY_COST} successes\n",
        ""
    )
}

/// The cells side by side, each to the right of its column.
fn row<'c>(cells: impl Iterator<Item = &'c str>) -> String {
    cells.zip(WIDTHS).map(|(cell, width)| format!("{cell:>width$}")).collect::<Vec<_>>().concat()
}

/// Prints the table, and what follows from it.
pub(super) fn conclude(out: &mut dyn Write, rounds: &[Measured]) -> io::Result<()> {
    let heads = [["", ""], ["", ""], ["calls that", "succeeded"], ["attempts", "per call"], ["latency", "p50"], ["", "p99"]];
    let tail = [["requests to", "the service"], ["refused by", "the budget"]];
    for line in 0..2 {
        let heads = row(heads.iter().chain(&tail).map(|head| head[line]));
        writeln!(out, "{}", style(heads).bold())?;
    }
    for round in rounds {
        let cells = [
            format!("{:5}", round.runtime),
            format!("{:8}", round.mode.name()),
            format!("{:.1} %", round.success() * 100.0),
            format!("{:.2}", round.attempts_per_call()),
            time(round.percentile(50)),
            time(round.percentile(99)),
            round.requests.to_string(),
            if round.mode == Mode::Bare { "-".into() } else { round.refused.to_string() },
        ];
        writeln!(out, "{}", row(cells.iter().map(String::as_str)))?;
    }
    writeln!(out)?;
    for pair in rounds.chunks_exact(2) {
        if let [bare, guarded] = pair {
            writeln!(
                out,
                "On {}, guarding took the calls that failed from {} to {}, p99 from {} to {}, and the load on the service from {} to {} requests.",
                bare.runtime,
                bare.calls - bare.succeeded,
                guarded.calls - guarded.succeeded,
                time(bare.percentile(99)),
                time(guarded.percentile(99)),
                bare.requests,
                guarded.requests,
            )?;
        }
    }
    Ok(())
}

const WIDTHS: [usize; 8] = [5, 9, 12, 10, 10, 10, 13, 12];
