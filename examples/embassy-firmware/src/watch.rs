//! Tells what the patterns do, as it happens.

use core::fmt::Display;

use aplomb_embassy::observe::SharedObserver;
use aplomb_embassy::retry::Rules;
use aplomb_embassy::{cache, circuit_breaker, rate_limiter, retry};

use crate::console::tell;

/// Prints what the pattern of that name decides. Of a retry it makes the rules too: every error is retried, as without it.
#[derive(Debug, Clone, Copy)]
pub struct Watch(pub &'static str);

impl<T, E: Display> Rules<T, E> for Watch {
    fn retries(&mut self, outcome: Result<&T, &E>) -> bool {
        outcome.is_err()
    }

    fn observe(&mut self, event: &retry::Event<'_, E>) {
        match event {
            retry::Event::Retrying { attempt, delay, cause } => {
                tell(self.0, format_args!("attempt {attempt}: {cause}; again in {} ms", delay.as_millis()));
            }
            retry::Event::Succeeded { attempts: 2.. } => tell(self.0, "it worked after all"),
            retry::Event::Stopped { attempts, .. } => tell(self.0, format_args!("gives up after {attempts} attempts")),
            _ => {}
        }
    }
}

impl SharedObserver<circuit_breaker::Event> for Watch {
    fn observe(&self, event: &circuit_breaker::Event) {
        match event {
            circuit_breaker::Event::Changed { from, to } => tell(self.0, format_args!("{from} -> {to}")),
            circuit_breaker::Event::Rejected { retry_after: Some(after) } => {
                tell(self.0, format_args!("rejected, for another {} ms", after.as_millis()));
            }
            _ => {}
        }
    }
}

impl SharedObserver<rate_limiter::Event> for Watch {
    fn observe(&self, event: &rate_limiter::Event) {
        if let rate_limiter::Event::Admitted { waited } = event {
            tell(self.0, format_args!("had to wait for {} ms", waited.as_millis()));
        }
    }
}

impl<K, V> SharedObserver<cache::Event<'_, K, V>> for Watch {
    fn observe(&self, event: &cache::Event<'_, K, V>) {
        match event {
            cache::Event::Hit => tell(self.0, "kept"),
            cache::Event::Missed => tell(self.0, "not there"),
            cache::Event::Fetched { took } => tell(self.0, format_args!("read anew, in {} ms", took.as_millis())),
            cache::Event::Removed { cause: cache::Removal::Expired, .. } => tell(self.0, "expired"),
            _ => {}
        }
    }
}
