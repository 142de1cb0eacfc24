//! What else a client does with a service: a search box, a job that takes a while, and a thousand pages.

mod job;
mod pages;
mod search;

use std::io::{self, Write};
use std::sync::Arc;

use console::style;
use futures_lite::future::zip;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use crate::server::Server;
use crate::words::{cannot, time};

/// How many pages are fetched at once.
const AT_ONCE: [usize; 2] = [1, 10];

/// Types into search boxes, bare and debounced, polls a job until it is done, and fetches pages; prints what was measured.
///
/// # Errors
///
/// Whatever keeps it from that, in words.
pub(crate) fn run(out: &mut dyn Write) -> Result<(), String> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(cannot("start tokio"))?;
    let load = Arc::default();
    let routes = search::routes().merge(job::routes()).merge(pages::routes(Arc::clone(&load)));
    let server = Server::start(routes).map_err(cannot("start the service"))?;
    let address = server.address();

    let typing = zip(search::bare(address), search::debounced(address));
    let (bare, debounced) = LocalSet::new().block_on(&runtime, typing);
    tell_of_search(out, &[("bare", bare), ("debounced", debounced)]).map_err(cannot("print"))?;

    let job = runtime.block_on(job::until_done(address))?;
    tell_of_job(out, job).map_err(cannot("print"))?;

    let fetched = AT_ONCE.map(|at_once| runtime.block_on(pages::fetch_all(address, &load, at_once)));
    let fetched = fetched.into_iter().collect::<Result<Vec<_>, _>>()?;
    tell_of_pages(out, &fetched).map_err(cannot("print"))
}

fn tell_of_search(out: &mut dyn Write, rounds: &[(&str, search::Measured)]) -> io::Result<()> {
    let title = "A search box. The same keystrokes, bare and debounced.";
    writeln!(out, "{}\n", style(title).bold())?;
    writeln!(out, "{:10}{:>12}{:>10}{:>22}{:>16}", "", "keystrokes", "requests", "results that were", "last result")?;
    writeln!(out, "{:10}{:>12}{:>10}{:>22}{:>16}", "", "", "sent", "stale on arrival", "after last key")?;
    for (name, measured) in rounds {
        let search::Measured { keystrokes, requests, stale, last } = measured;
        let last = format!("{} ms", last.as_millis());
        writeln!(out, "{name:10}{keystrokes:>12}{requests:>10}{stale:>22}{last:>16}")?;
    }
    Ok(())
}

fn tell_of_job(out: &mut dyn Write, attempts: u32) -> io::Result<()> {
    let (takes, every) = (time(job::TAKES), time(job::EVERY));
    writeln!(out, "\nA job that takes {takes}, polled every {every}: done after {attempts} attempts.")
}

fn tell_of_pages(out: &mut dyn Write, rounds: &[pages::Measured]) -> io::Result<()> {
    let title = format!("{} pages. The same URLs, so many at once.", pages::PAGES);
    writeln!(out, "\n{}\n", style(title).bold())?;
    writeln!(out, "{:10}{:>12}{:>22}{:>18}", "", "time", "most requests under", "pages that lie")?;
    writeln!(out, "{:10}{:>12}{:>22}{:>18}", "", "", "way at the service", "where their URLs")?;
    for pages::Measured { at_once, took, peak, in_order } in rounds {
        writeln!(out, "{:10}{:>12}{peak:>22}{in_order:>18}", format!("{at_once} at once"), time(*took))?;
    }
    Ok(())
}
