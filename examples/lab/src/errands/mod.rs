//! What else a client does with a service: a search box, and a job that takes a while.

mod job;
mod search;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use console::style;
use tokio::runtime::Builder;

use crate::outage::Service;

/// Types into the search box, bare and debounced, and polls a job until it is done; prints what was measured.
///
/// # Errors
///
/// Whatever keeps it from that, in words.
pub(crate) fn run(service: &Service, out: &mut dyn Write) -> Result<(), String> {
    let cannot = |what: &'static str| move |error: io::Error| format!("cannot {what}: {error}");
    let runtime = Builder::new_current_thread().enable_all().build().map_err(cannot("start tokio"))?;
    let bare = runtime.block_on(search::bare(service));
    let debounced = runtime.block_on(search::debounced(service));
    tell_of_search(out, &[("bare", bare), ("debounced", debounced)]).map_err(cannot("print"))?;
    let job = runtime.block_on(job::until_done(service.address()))?;
    writeln!(
        out,
        "\nA job that takes {} ms, polled every {} ms: done after {} attempts.",
        job::TAKES.as_millis(),
        job::EVERY.as_millis(),
        job
    )
    .map_err(cannot("print"))
}

fn tell_of_search(out: &mut dyn Write, rounds: &[(&str, search::Measured)]) -> io::Result<()> {
    let title = "A search box. The same keystrokes, bare and debounced.";
    writeln!(out, "\n{}\n", style(title).bold())?;
    writeln!(out, "{:10}{:>12}{:>10}{:>22}{:>16}", "", "keystrokes", "requests", "results that were", "last result")?;
    writeln!(out, "{:10}{:>12}{:>10}{:>22}{:>16}", "", "", "sent", "stale on arrival", "after last key")?;
    for (name, measured) in rounds {
        let search::Measured { keystrokes, requests, stale, last } = measured;
        let last = format!("{} ms", last.as_millis());
        writeln!(out, "{name:10}{keystrokes:>12}{requests:>10}{stale:>22}{last:>16}")?;
    }
    Ok(())
}

/// A request to the service, over a connection of its own.
async fn fetch(address: SocketAddr, path: &str) -> Result<String, crate::outage::HttpError> {
    let connection = tokio::net::TcpStream::connect(address).await.map(hyper_util::rt::TokioIo::new);
    let body = crate::outage::request(connection, address, path).await?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// How long the service looks for a text: the shorter, the longer.
pub(crate) fn search_takes(text: &str) -> Duration {
    Duration::from_millis(30 + 300 / (text.len() as u64 + 1))
}

pub(crate) use job::TAKES as JOB_TAKES;
