//! s
use std::process::ExitCode;
#[derive(clap::Args)]
pub(crate) struct Options {}
pub(crate) fn run(_: &Options) -> ExitCode {
    ExitCode::SUCCESS
}
