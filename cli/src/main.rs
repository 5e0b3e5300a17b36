//! `wgconv`: convolutions of `.npy` files from the command line.

mod bench;
mod conv;
mod execute;
mod failure;
mod filter;
mod info;
mod interrupted;
mod job;
mod json;
mod kernels;
mod npy;
mod operands;
mod output;
mod run;
mod shaders;
mod verify;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use rayon::{ThreadBuilder, ThreadPoolBuilder};
use wgconv::ErrorKind;

use failure::Failure;

/// Convolution on any Vulkan, Metal or DX12 GPU, with a CPU path that verifies it.
///
/// Exit status: 0 all succeeded, 1 something failed, 2 unusable arguments.
#[derive(Debug, Parser)]
#[command(name = "wgconv", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::doc_markdown, reason = "clap prints these comments as help, where backticks would show")]
enum Command {
    /// Convolve an input with a weight
    Conv(conv::ConvOptions),
    /// Transposed convolution of an input with a weight
    #[command(alias = "conv_transpose")]
    ConvTranspose(conv::TransposeOptions),
    /// Gradient of a convolution by its input
    #[command(alias = "grad_input")]
    GradInput(conv::GradInputOptions),
    /// Gradient of a convolution by its weight
    #[command(alias = "grad_weight")]
    GradWeight(conv::GradWeightOptions),
    /// Run the jobs of a file, one JSON object per line; one line of JSON is printed for each
    ///
    /// The fields of a job are op (conv, conv_transpose, grad_input or grad_weight) and the options of that
    /// command, with _ for -. Theano's and scipy's operations are ops too, with the operands and attributes of
    /// their originals; "wgconv info --ops" lists them. A job beats the options given here; null stands for a field left out:
    ///
    /// {"op":"conv","input":"x.npy","weight":"w.npy","output":"y.npy","stride":[2,1],"padding":"same"}
    ///
    /// A field that no operation has is refused, even if it is null; so is a line of more than 1 MiB.
    ///
    /// An output file is written only if its job succeeds, and a failed job does not stop the next. Every answer names the algorithm,
    /// the device and the dtype that were taken. What auto, the default of all three, takes:
    ///
    /// device: a hardware GPU if there is one, otherwise the CPU, which also takes over what the GPU does not support.
    ///
    /// algorithm: the fastest by estimate of those that keep every element within (2*sqrt(K)+8)*u*mag, a sum of K products. fft, whose
    /// error is relative to the largest results nearby and not to each, is taken in three cases only: 16 or more channels of a group
    /// are summed (16 or more images for the gradient of the weight); the name of the operation asks for it (signal.fftconvolve,
    /// signal.oaconvolve, theano.conv2d_fft, theano.conv3d_fft; signal.convolve and correlate decide as SciPy does); or the job does,
    /// by "precision":"fast", "prefer":["fft"] or "algorithm":"fft". "precision":"accurate" never takes it, unless "algorithm" names
    /// it.
    ///
    /// dtype: f64 if a file holds f64, and then on the CPU, unless a GPU or an algorithm that only a GPU has was named: these
    /// compute in f32. Where all files hold integers, f32 or f64, whichever keeps every sum exact, and never fft; integers too large
    /// for both are refused. Otherwise f32, for files of f16 too.
    Run(run::Options),
    /// Run a kernel over a PNG or JPEG picture
    ///
    /// Grey or colour; colour channels are filtered one by one, transparency stays as it is. Pictures of
    /// more than 8 bits per channel are reduced to 8.
    Filter(filter::Options),
    /// Compare every algorithm with the f64 reference
    Verify(verify::Options),
    /// Time published convolutions, or those of a file, on one device
    ///
    /// A line per shape, direction and algorithm: the median time of a run on the device's own clock, operations and
    /// bytes per second, and what shares they are of the peaks that two probe kernels measured in the same process. Results
    /// are compared with sums in f64, cell by cell, in a sample. What does not run is a line with its reason.
    Bench(bench::Options),
    /// Show the adapters and the CPU path, or with --ops what runs which operation
    Info(info::Options),
    /// Write every kernel in every configuration as plain WGSL
    Shaders(shaders::Options),
}

/// How a subcommand ended when it could say what it had to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Succeeded,
    /// Part of the work failed, and that was reported.
    Failed,
    /// The arguments were refused, and that was reported.
    Unusable,
}

/// Refuses the arguments as clap does.
pub(crate) fn unusable(message: &str) -> Outcome {
    let error = Cli::command().error(clap::error::ErrorKind::ValueValidation, message);
    // Nothing is left to be done where standard error is closed.
    let _ = error.print();
    Outcome::Unusable
}

fn dispatch(command: Command) -> Result<Outcome, Failure> {
    match command {
        Command::Conv(options) => conv::run("conv", options.into()),
        Command::ConvTranspose(options) => conv::run("conv_transpose", options.into()),
        Command::GradInput(options) => conv::run("grad_input", options.into()),
        Command::GradWeight(options) => conv::run("grad_weight", options.into()),
        Command::Run(options) => run::run(&options),
        Command::Filter(options) => filter::run(&options),
        Command::Verify(options) => verify::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Info(options) => info::run(&options),
        Command::Shaders(options) => shaders::run(&options),
    }
}

/// The arguments, or the end of the program with what is wrong with them.
fn arguments() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| {
        let mut text = error.render().to_string();
        let given: Vec<_> = std::env::args_os().map(|given| given.to_string_lossy().into_owned()).collect();
        let escaped = given.iter().flat_map(|given| given.split('=').chain([given.as_str()]));
        let mut escaped: Vec<_> = escaped.filter(|part| output::shown(part) != **part).collect();
        if !error.use_stderr() || escaped.is_empty() {
            error.exit();
        }
        escaped.sort_by_key(|part| std::cmp::Reverse(part.len()));
        for part in escaped {
            // Which comes with its escapes, or without.
            let plain = clap::builder::StyledStr::from(part.to_owned()).to_string();
            for part in [part, &plain] {
                if output::shown(part) != part {
                    text = text.replace(part, &output::shown(part));
                }
            }
        }
        output::complain(text.trim_end());
        std::process::exit(2);
    })
}

/// Starts the threads of the CPU path before anything large is in memory. What they take of the address space, stacks and heaps of
/// their own, is then taken, and no job that was promised memory finds it gone. Where they cannot be started, this thread does
/// everything.
fn start_threads() -> Result<(), Failure> {
    // Asked with a pool of which nothing is left: of the global one there is one chance.
    let asked = ThreadPoolBuilder::new().build_scoped(ThreadBuilder::run, |_| ());
    let global = match asked {
        Ok(()) => ThreadPoolBuilder::new(),
        Err(error) => {
            log::warn!("computing on one thread: {error}");
            ThreadPoolBuilder::new().num_threads(1).use_current_thread()
        }
    };
    let none = |error| Failure::new(ErrorKind::OutOfMemory, format!("cannot start threads: {error}"));
    global.build_global().map_err(none)?;
    // Each has its heap by its first allocation.
    rayon::broadcast(|_| std::hint::black_box(vec![0u8; 1 << 10]));
    // With nothing left there would be no way to say so later.
    Ok(wgconv::reserve("the program", 1 << 20)?)
}

fn main() -> ExitCode {
    // The graphics stack warns of much that is none of the user's business; RUST_LOG shows it.
    let filter = env_logger::Env::default().default_filter_or("off,wgconv=warn");
    env_logger::Builder::from_env(filter)
        .format(|to, record| {
            let (level, target) = (record.level(), record.target());
            writeln!(to, "[{level} {target}] {}", output::shown(&record.args().to_string()))
        })
        .init();
    interrupted::watch();
    let command = arguments().command;
    let outcome = start_threads().and_then(|()| dispatch(command)).unwrap_or_else(|failure| {
        output::complain(&failure.to_string());
        Outcome::Failed
    });
    match outcome {
        Outcome::Succeeded => ExitCode::SUCCESS,
        Outcome::Failed => ExitCode::from(1),
        Outcome::Unusable => ExitCode::from(2),
    }
}
