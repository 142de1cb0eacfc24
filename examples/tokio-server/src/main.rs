//! A service on axum that is guarded by layers, and clients on hyper beside it, bare and guarded: `cargo run -p tokio-server`. It takes some three seconds, and ends by itself.

mod client;
mod server;

use std::io;

use axum::http::StatusCode;

use crate::client::{Ending, burst, guarded, one_after_another};

#[tokio::main]
async fn main() -> io::Result<()> {
    let report = run().await?;
    println!("{:<36}{:>6}{:>6}{:>6}{:>9}", "", "200", "429", "503", "others");
    for (name, endings) in [("30 requests at once, bare", &report.bare), ("the same, retried and paced", &report.guarded)] {
        let count = |status: StatusCode| endings.iter().filter(|ending| **ending == Ending::Status(status)).count();
        let told = [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].map(count);
        let others = endings.len() - told.iter().sum::<usize>();
        println!("{name:<36}{:>6}{:>6}{:>6}{others:>9}", told[0], told[1], told[2]);
    }
    let rejected = report.down.iter().filter(|ending| **ending == Ending::Rejected).count();
    println!(
        "\n{} requests to what is down, by a breaker: {} reached it, {rejected} were rejected",
        report.down.len(),
        report.reached
    );
    Ok(())
}

/// How requests ended.
struct Report {
    bare: Vec<Ending>,
    guarded: Vec<Ending>,
    down: Vec<Ending>,
    /// How many requests reached what is down.
    reached: u32,
}

async fn run() -> io::Result<Report> {
    let address = server::start().await?;
    let bare = burst(client::bare(), address, 30).await;
    let guarded_burst = burst(guarded(), address, 30).await;
    let down = one_after_another(guarded(), address, 20).await;
    Ok(Report { bare, guarded: guarded_burst, down, reached: server::reports() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_guarded_comes_through() {
        let report = run().await.expect("a server");
        let served = |endings: &[Ending]| endings.iter().filter(|ending| **ending == Ending::Status(StatusCode::OK)).count();
        assert!(served(&report.bare) < 30, "{:?}", report.bare);
        assert_eq!(served(&report.guarded), 30, "{:?}", report.guarded);
        assert_eq!(report.reached, 3);
        let (last, first) = (report.down.last(), report.down.first());
        assert_eq!((first, last), (Some(&Ending::Status(StatusCode::INTERNAL_SERVER_ERROR)), Some(&Ending::Rejected)));
    }
}
