//! What is to be seen while the clients call: on a terminal, a line for each customer that moves; else a line for each turn of events.

use std::io::{self, Write};
use std::time::Duration;

use console::{style, user_attended};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::sleep;

use super::service::Service;
use crate::figures::ratio;
use crate::levels::Levels;
use crate::outcome::Scene;
use crate::policy::Policy;
use crate::tally::Tally;

/// How often it is drawn.
const REFRESH: Duration = Duration::from_millis(100);
/// Over how many steps the load is taken.
const RECENT: usize = 2;

/// Shows it, and never ends but with an error.
///
/// # Errors
///
/// What the system says, if it cannot print.
pub(super) async fn show<T>(
    out: &mut dyn Write,
    service: &Service,
    scene: &Scene,
    customers: &[Policy],
    ascii: bool,
) -> io::Result<T> {
    if !user_attended() {
        return tell(out, service, scene).await;
    }
    let levels = Levels::new(ascii);
    let view = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
    let line = |template: &str| {
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
        view.add(
            ProgressBar::new(u64::try_from(scene.time.as_millis()).unwrap_or(u64::MAX)).with_style(style.progress_chars("=> ")),
        )
    };
    let clock = line("[{bar:60}] {msg}");
    let lines: Vec<ProgressBar> = customers.iter().map(|_| line("{msg}")).collect();
    loop {
        let now = service.elapsed();
        clock.set_position(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        clock.set_message(format!("{:4.1} s  the service {}", now.as_secs_f64(), doing(scene, now)));
        for (index, (line, policy)) in lines.iter().zip(customers).enumerate() {
            line.set_message(row(&service.tally(index), scene, now, policy, levels));
        }
        sleep(REFRESH).await;
    }
}

/// A line for each turn of events.
async fn tell<T>(out: &mut dyn Write, service: &Service, scene: &Scene) -> io::Result<T> {
    let mut told = String::new();
    loop {
        let now = service.elapsed();
        let doing = doing(scene, now);
        if doing != told && now < scene.time {
            writeln!(out, "{:5.1} s  the service {doing}", now.as_secs_f64())?;
            told = doing;
        }
        sleep(REFRESH).await;
    }
}

/// What the service does at that time.
fn doing(scene: &Scene, now: Duration) -> String {
    let trouble = scene.troubles.iter().find(|trouble| trouble.when.contains(&now));
    trouble.map_or_else(
        || if now < scene.trouble().start { "is well".into() } else { "is well again".into() },
        |trouble| trouble.what.to_string(),
    )
}

/// What was served so far, and how much load there is now.
fn row(tally: &Tally, scene: &Scene, now: Duration, policy: &Policy, levels: &Levels) -> String {
    let begun = tally.steps().len().min(usize::try_from(now.as_nanos() / tally.step().as_nanos().max(1)).unwrap_or(0));
    let steps = tally.steps().get(..begun).unwrap_or_default();
    let served: String = steps.iter().map(|step| levels.nearest(tally.rate(step.served()) / scene.rate)).collect();
    let recent = steps.get(begun.saturating_sub(RECENT)..).unwrap_or_default();
    let load = recent.iter().map(|step| tally.rate(step.requests())).sum::<f64>() / ratio(RECENT as u64, 1);
    let width = tally.steps().len();
    format!("{}  load {load:4.0}/s  {}", style(format!("{served:width$}")).green(), style(policy.text()).cyan())
}
