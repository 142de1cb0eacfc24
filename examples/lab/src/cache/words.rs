use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use console::style;

use super::customers::{GRACE, Manner, Measured, REFRESHERS, ROOM, TTL};
use super::plan::{ABILITY, DEMAND, OUTAGE, PAGES, Phase};
use super::service::Ability;
use super::stampede;
use crate::words::time;

/// Says what asks for the report.
pub(super) fn introduce_stampede(out: &mut dyn Write, address: SocketAddr) -> io::Result<()> {
    let callers = stampede::CALLERS;
    writeln!(out, "{}", style(format!("A stampede. {callers} callers ask at once for a report that nobody has yet.")).bold())?;
    let Ability { takes, at_once, .. } = &stampede::ABILITY;
    writeln!(out, "\nThe service: http://{address}, which works for {} on each request, on {at_once} at once", time(*takes))?;
    writeln!(out, "The callers: a task each; and when all have an answer, as many again\n")
}

pub(super) fn conclude_stampede(
    out: &mut dyn Write,
    measured: &[stampede::Measured; stampede::Way::ALL.len()],
) -> io::Result<()> {
    let heads = [
        ["", "requests to", "callers with", "latency", "", "requests for", "latency"],
        ["", "the service", "an answer", "p50", "p99", "as many again", "p50"],
    ];
    for [name, requests, answered, p50, p99, again, p50_again] in heads {
        let head = format!("{name:14}{requests:>13}{answered:>14}{p50:>10}{p99:>10}{again:>15}{p50_again:>10}");
        writeln!(out, "{}", style(head).bold())?;
    }
    for stampede::Measured { way, first, second } in measured {
        let [p50, p99] = [50, 99].map(|percent| time(first.percentile(percent)));
        let (requests, answered) = (first.requests, first.answered());
        let (name, again, p50_again) = (way.name(), second.requests, time(second.percentile(50)));
        writeln!(out, "{name:14}{requests:>13}{answered:>14}{p50:>10}{p99:>10}{again:>15}{p50_again:>10}")?;
    }
    let [bare, shared, kept, _] = measured;
    writeln!(
        out,
        "\nSharing took the load on the service from {} requests to {}, and p99 from {} to {}; keeping took that of as many again from {} to {}.",
        bare.first.requests,
        shared.first.requests,
        time(bare.first.percentile(99)),
        time(shared.first.percentile(99)),
        shared.second.requests,
        kept.second.requests,
    )
}

/// Says what asks for pages.
pub(super) fn introduce_outage(out: &mut dyn Write, address: SocketAddr) -> io::Result<()> {
    let title =
        format!("An outage. {DEMAND} callers a second ask for {PAGES} pages, some of them often (Zipf), most of them rarely.");
    writeln!(out, "\n{}\n", style(title).bold())?;
    let (takes, gives_up_after) = (time(ABILITY.takes), time(ABILITY.gives_up_after));
    writeln!(
        out,
        "The service: http://{address}, which works for {takes} on each request, on {} at once; {} more wait, the others get a 503",
        ABILITY.at_once, ABILITY.waiting
    )?;
    let [from, to] = [OUTAGE.start, OUTAGE.end].map(|at| at.as_secs_f64());
    writeln!(out, "  from {from} s to {to} s it is down: each request gets a 503 after {gives_up_after}")?;
    writeln!(out, "The customers: the same callers each, at the same time, and as much of the service")?;
    let [ttl, grace] = [TTL, GRACE].map(time);
    writeln!(out, "  {:11} each sends a request", Manner::Bare.name())?;
    writeln!(out, "  {:11} all share Cache::new().capacity({ROOM}).ttl({ttl})", Manner::Cached.name())?;
    writeln!(out, "  {:11} the same with stale_if_error({grace})", Manner::IfError.name())?;
    writeln!(
        out,
        "  {:11} the same with stale_while_revalidate({grace}) too, and {REFRESHERS} tasks that refresh, by Cache::run\n",
        Manner::Revalidated.name()
    )
}

pub(super) fn conclude_outage(out: &mut dyn Write, measured: &[Measured; Manner::ALL.len()]) -> io::Result<()> {
    let heads = [
        ["", "", "callers with", "latency", "", "oldest", "served from", "requests a second"],
        ["", "", "an answer", "p50", "p99", "answer", "the cache", "to the service"],
    ];
    for [phase, name, answered, p50, p99, oldest, hits, requests] in heads {
        let head = format!("{phase:8}{name:11}{answered:>13}{p50:>10}{p99:>10}{oldest:>10}{hits:>13}{requests:>19}");
        writeln!(out, "{}", style(head).bold())?;
    }
    for (phase, times) in Phase::ALL.iter().filter(|(phase, _)| *phase != Phase::Start) {
        for (index, customer) in measured.iter().enumerate() {
            let part = customer.within(times.clone());
            let [p50, p99] = part.percentiles([50, 99]).map(time_if_any);
            let (answered, oldest) = (percent(part.answered()), time_if_any(part.oldest()));
            let hits = if customer.manner == Manner::Bare { "-".into() } else { percent(customer.hit_ratio(*phase)) };
            let requests = format!("{:.0}", part.requests_per_second());
            let (phase, name) = (if index == 0 { phase.name() } else { "" }, customer.manner.name());
            writeln!(out, "{phase:8}{name:11}{answered:>13}{p50:>10}{p99:>10}{oldest:>10}{hits:>13}{requests:>19}")?;
        }
    }
    writeln!(
        out,
        "\nLatency is that of callers with an answer. The first second, in which the caches fill, counts in the timeline only.\n"
    )?;
    let [bare, cached, if_error, revalidated] = measured.each_ref().map(|customer| customer.within(OUTAGE));
    let [bare, cached, waited, at_once] =
        [bare, cached, if_error, revalidated].map(|part| (percent(part.answered()), part.percentiles([99])));
    writeln!(
        out,
        "While the service was down, {} of the callers had an answer without a cache, {} from one that keeps to its TTL, and {} from one that",
        bare.0, cached.0, at_once.0
    )?;
    writeln!(
        out,
        "serves what is out of date: within {} where each waits for the service to fail (p99), within {} where it is served at once. The others",
        time_if_any(waited.1[0]),
        time_if_any(at_once.1[0])
    )?;
    writeln!(out, "asked for pages that were not there: the cache has room for {ROOM} of {PAGES}.\n")
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn time_if_any(duration: Option<Duration>) -> String {
    duration.map_or_else(|| "-".into(), time)
}
