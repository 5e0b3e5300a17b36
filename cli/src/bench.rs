//! `wgconv bench`: how fast convolutions are, beside what the device does at most.
#![allow(clippy::doc_markdown, reason = "clap prints these comments as help, where backticks would show")]

mod group;
mod report;
mod row;
mod sample;
mod shape;
mod values;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use wgconv::half::f16;
use wgconv::{Algorithm, Device, Direction, Element, ErrorKind};

use crate::failure::Failure;
use crate::job::How;
use crate::{Outcome, output, unusable};
use group::Timed;
use report::Report;
use row::{Row, Status};
use shape::Shape;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What to time: core, fft (large kernels), all, another built-in set (see --list), or a JSON file of shapes
    ///
    /// A file is {"shapes":[..]} or a list of such objects:
    ///
    /// {"name":"mine","N":1,"C":64,"H":56,"W":56,"K":32,"kernel":[3,3],"stride":[2,2],"pad":[1,1]}
    ///
    /// C and K are the channels of input and output; an axis of rank 1 is W, those of rank 3 are D, H, W. stride, pad (the
    /// same at both ends), dilation and groups are 1, 0, 1 and 1 where they are left out, and a number stands for all
    /// axes. set is a word for the reader; rank and out (the output's extents) are checked; gflop and note are not read.
    #[arg(long, default_value = "core")]
    set: String,
    /// auto, all (every algorithm of the device but the reference), or names, separated by commas; the runs of several
    /// take turns
    #[arg(long, value_delimiter = ',', default_value = "auto")]
    algorithm: Vec<String>,
    /// Where to compute: auto (a hardware GPU, else the CPU), cpu, gpu, or part of an adapter's name
    #[arg(long)]
    device: Option<String>,
    /// forward, grad_input or grad_weight, several separated by commas, or all
    #[arg(long, value_delimiter = ',', default_value = "forward")]
    direction: Vec<String>,
    /// Element type: f32, f16 or f64
    #[arg(long, default_value = "f32")]
    dtype: String,
    /// About how long it may take in all. Shapes then have fewer runs, one at least, and the last ones none
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    budget: Option<f64>,
    /// Runs that are timed; the median counts
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    runs: u32,
    /// File to write every row to, as one JSON object; it is there, and valid, after every shape
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Commit to name in that file, where git cannot tell it
    #[arg(long)]
    commit: Option<String>,
    /// Print the built-in sets and how many shapes each has, and time nothing
    #[arg(long)]
    list: bool,
}

const DIRECTIONS: [(&str, Direction); 3] = [
    ("forward", Direction::Forward),
    ("grad_input", Direction::GradInput),
    ("grad_weight", Direction::GradWeight),
];

/// What the options ask for.
struct Request {
    shapes: Vec<Shape>,
    directions: Vec<(&'static str, Direction)>,
    how: How,
    element: Element,
    budget: Option<Duration>,
}

impl Request {
    fn new(options: &Options) -> Result<Self, Failure> {
        let how = How::new(&[("device", options.device.as_deref()), ("dtype", Some(&options.dtype))])?;
        let mut directions = Vec::new();
        for word in &options.direction {
            let name = word.replace('-', "_");
            let found: Vec<_> = DIRECTIONS.iter().filter(|(n, _)| *n == name || name == "all").collect();
            if found.is_empty() {
                let names = DIRECTIONS.map(|(name, _)| name).join(", ");
                return Err(Failure::bad_job(format!("`direction` is {word:?}, wanted all or {names}")));
            }
            directions.extend(
                found.into_iter().filter(|one| !directions.contains(*one)).copied().collect::<Vec<_>>(),
            );
        }
        let seconds = |s: f64| Duration::try_from_secs_f64(s).ok().filter(|budget| !budget.is_zero());
        let budget = match options.budget {
            Some(s) => {
                let wrong =
                    || Failure::bad_job(format!("`budget` is {s}, wanted a number of seconds above 0"));
                Some(seconds(s).ok_or_else(wrong)?)
            }
            None => None,
        };
        let shapes = shape::chosen(&options.set)?;
        // What --algorithm asks for depends on the device, but whether it is a name does not.
        asked(&options.algorithm, &[])?;
        Ok(Self { shapes, directions, element: how.dtype.unwrap_or_default(), how, budget })
    }
}

/// The algorithms that these words ask for, of those that a device has; `None` is the planner's choice.
fn asked(words: &[String], all: &[Algorithm]) -> Result<Vec<Option<Algorithm>>, Failure> {
    let mut asked = Vec::new();
    for word in words {
        let named = match word.replace('-', "_").as_str() {
            "auto" => vec![None],
            "all" => all.iter().filter(|a| **a != Algorithm::Reference).copied().map(Some).collect(),
            name => {
                let names = Algorithm::NAMES.map(Algorithm::name).join(", ");
                let wrong =
                    || Failure::bad_job(format!("`algorithm` is {word:?}, wanted auto, all, {names}"));
                vec![Some(Algorithm::from_name(name).ok_or_else(wrong)?)]
            }
        };
        named.into_iter().for_each(|one| {
            if !asked.contains(&one) {
                asked.push(one);
            }
        });
    }
    Ok(asked)
}

pub(crate) fn run(options: &Options) -> Result<Outcome, Failure> {
    if options.list {
        output::say(&shape::list()?)?;
        return Ok(Outcome::Succeeded);
    }
    let request = match Request::new(options) {
        Ok(request) => request,
        // No fault of the arguments.
        Err(failure) if failure.kind == ErrorKind::OutOfMemory => return Err(failure),
        Err(failure) => return Ok(unusable(&failure.message)),
    };
    let start = Instant::now();
    let device = Device::open(&request.how.device)?;
    let asked = asked(&options.algorithm, device.algorithms())?;
    let mut report = Report::new(options, &request, &device, &asked)?;
    output::say(&report.opening())?;
    let shapes = &request.shapes;
    let groups: Vec<_> =
        shapes.iter().flat_map(|s| request.directions.iter().map(move |d| (s, *d))).collect();
    let bar = output::progress(Some(groups.len() as u64), "shapes");
    for (done, (shape, direction)) in groups.iter().enumerate() {
        bar.set_message(shape.name.clone());
        let left = request.budget.map(|budget| budget.saturating_sub(start.elapsed()));
        let share = left.map(|left| left / u32::try_from(groups.len() - done).unwrap_or(u32::MAX));
        let how = Timed {
            device: &device,
            asked: &asked,
            runs: options.runs as usize,
            deadline: share.map(|share| Instant::now() + share),
        };
        let late = request.budget.filter(|_| left.is_some_and(|left| left.is_zero()));
        let rows = match request.element {
            Element::F32 => rows_of::<f32>(&how, shape, *direction, late),
            Element::F64 => rows_of::<f64>(&how, shape, *direction, late),
            Element::F16 => rows_of::<f16>(&how, shape, *direction, late),
        }?;
        for row in rows {
            bar.suspend(|| output::say(&report.line(&row)))?;
            report.rows.push(row);
        }
        report.save(done + 1 == groups.len())?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    output::say(&report.closing())?;
    let statuses: Vec<_> = report.rows.iter().map(|row| row.status).collect();
    Ok(outcome(&statuses))
}

/// What declined, or had no room or no time, is told and no failure; unless nothing ran at all.
fn outcome(statuses: &[Status]) -> Outcome {
    let failed = statuses.iter().any(|status| [Status::Wrong, Status::Failed].contains(status));
    if failed || !statuses.contains(&Status::Ok) { Outcome::Failed } else { Outcome::Succeeded }
}

fn rows_of<T: crate::operands::Number>(
    how: &Timed<'_>,
    shape: &Shape,
    direction: (&'static str, Direction),
    late: Option<Duration>,
) -> Result<Vec<Row>, Failure> {
    match late {
        Some(budget) => group::too_late::<T>(how, shape, direction, budget),
        None => group::rows::<T>(how, shape, direction),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_result_fails_the_whole() {
        use Status::{Declined, Failed, NoMemory, NoTime, Ok, Wrong};
        for (statuses, wanted) in [
            (&[Ok, Declined, NoMemory, NoTime][..], Outcome::Succeeded),
            (&[Ok, Wrong], Outcome::Failed),
            (&[Failed, Ok], Outcome::Failed),
            (&[Declined, NoTime], Outcome::Failed),
            (&[], Outcome::Failed),
        ] {
            assert_eq!(outcome(statuses), wanted, "{statuses:?}");
        }
    }
}
