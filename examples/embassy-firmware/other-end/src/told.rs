//! What the firmware has told.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The lines so far, and who waits for more of them.
#[derive(Default)]
pub struct Told {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    ended: bool,
}

impl Told {
    /// Takes the lines as they come, and prints them.
    pub fn listen(&self, output: impl Read) {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            println!("{line}");
            self.lock().lines.push(line);
            self.more.notify_all();
        }
        self.lock().ended = true;
        self.more.notify_all();
    }

    /// Whether a text was told so often, or more.
    pub fn has(&self, text: &str, times: usize) -> bool {
        self.lock().have(text, times)
    }

    /// Waits until a text was told so often, or nothing more will be told.
    pub fn wait_for(&self, text: &str, times: usize) {
        let waits = |lines: &mut Lines| !lines.ended && !lines.have(text, times);
        drop(self.more.wait_while(self.lock(), waits));
    }

    /// Waits until nothing more will be told, but no longer than that.
    pub fn wait_for_end(&self, longest: Duration) -> bool {
        let waited = self.more.wait_timeout_while(self.lock(), longest, |lines| !lines.ended);
        waited.unwrap_or_else(PoisonError::into_inner).0.ended
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn have(&self, text: &str, times: usize) -> bool {
        self.lines.iter().filter(|line| line.contains(text)).count() >= times
    }
}
