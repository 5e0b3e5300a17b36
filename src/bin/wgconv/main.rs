//! Throw-away.
mod filter;
use clap::Parser;

#[derive(clap::Parser)]
enum Cli {
    Filter(filter::FilterArgs),
}

fn main() -> std::process::ExitCode {
    env_logger::init();
    let Cli::Filter(args) = Cli::parse();
    match filter::run(&args) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error[{}]: {e}", e.kind());
            std::process::ExitCode::from(1)
        }
    }
}
