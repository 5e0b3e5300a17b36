//! `wgconv run`: many jobs on one device.
#![allow(clippy::doc_markdown, reason = "clap prints these comments as help, where backticks would show")]

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use crate::npy::Limits;
use serde_json::{Value, json};

use crate::execute::{Devices, Done, execute};
use crate::failure::Failure;
use crate::job::{How, Job, id};
use crate::{Outcome, output, unusable};

/// Defaults for what a job does not say itself.
#[derive(Debug, clap::Args)]
pub(crate) struct Defaults {
    /// Where to compute: auto (a hardware GPU, else the CPU), cpu, gpu, or part of an adapter's name
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// auto (fft only under --precision's rule), reference, direct, im2col_gemm, implicit_gemm, depthwise, fft or winograd
    #[arg(long)]
    pub(crate) algorithm: Option<String>,
    /// Element type to compute in: auto (f64 for f64 files unless a GPU is named, what keeps integers exact, else f32), f32, f16 or
    /// f64
    #[arg(long)]
    pub(crate) dtype: Option<String>,
    /// Whether auto may choose fft, which transforms its operands: auto (where 16 or more channels of a group are summed, or where
    /// the operation or the job asks for it), accurate (never) or fast (wherever it is estimated to be faster)
    #[arg(long)]
    pub(crate) precision: Option<String>,
    /// Largest data of a file or a result, in bytes
    #[arg(long, alias = "max_bytes", default_value_t = Limits::default().max_bytes)]
    pub(crate) max_bytes: u64,
}

impl Defaults {
    pub(crate) fn how(&self) -> Result<How, Failure> {
        let algorithm = self.algorithm.as_ref().map(|name| name.replace('-', "_"));
        How::new(&[
            ("device", self.device.as_deref()),
            ("algorithm", algorithm.as_deref()),
            ("dtype", self.dtype.as_deref()),
            ("precision", self.precision.as_deref()),
        ])
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits { max_bytes: self.max_bytes, ..Limits::default() }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// File with one JSON object per line; - is standard input
    jobs: PathBuf,
    #[command(flatten)]
    defaults: Defaults,
}

pub(crate) fn run(options: &Options) -> Result<Outcome, Failure> {
    let how = match options.defaults.how() {
        Ok(how) => how,
        Err(failure) => return Ok(unusable(&failure.message)),
    };
    let limits = options.defaults.limits();
    let mut lines = match Lines::open(&options.jobs) {
        Ok(lines) => lines,
        Err(failure) => return Ok(unusable(&failure.message)),
    };
    let (mut devices, mut outcome) = (Devices::default(), Outcome::Succeeded);
    let bar = output::progress(None, "jobs");
    while let Some((number, line)) = lines.next()? {
        let fields = line.and_then(|line| Job::fields(&line));
        // Also of a job that is wrong otherwise.
        let id = fields.as_ref().map_or(Ok(None), id);
        let job = fields.and_then(|fields| {
            id.as_ref().map_err(Clone::clone)?;
            Job::new(&fields, &how)
        });
        let result = job.and_then(|job| execute(&job, &mut devices, &limits));
        if result.is_err() {
            outcome = Outcome::Failed;
        }
        bar.suspend(|| output::say(&answer(number, id.ok().flatten(), &result)))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(outcome)
}

fn answer(number: u64, id: Option<Value>, result: &Result<Done, Failure>) -> String {
    let mut answer = match result {
        Ok(done) => json!({
            "job": number,
            "ok": true,
            "algorithm": done.algorithm.name(),
            "device": done.device,
            "dtype": done.dtype.name(),
            "output_shape": done.output_shape,
            "ms": done.ms,
        }),
        Err(Failure { kind, message }) => json!({
            "job": number,
            "ok": false,
            "error": { "kind": kind.word(), "message": message },
        }),
    };
    if let Some(id) = id {
        answer["id"] = id;
    }
    answer.to_string()
}

/// A line with its number from 1, or why it is no job.
type Line = (u64, Result<Vec<u8>, Failure>);

/// The lines of a job file that are not blank.
pub(crate) struct Lines {
    reader: Box<dyn BufRead>,
    name: PathBuf,
    number: u64,
}

impl Lines {
    /// Far more than any job; a line without an end is not kept in memory.
    const LONGEST: u64 = 1 << 20;
    /// What goes on as long is no list of jobs.
    const ENDLESS: u64 = 1 << 28;

    pub(crate) fn open(path: &PathBuf) -> Result<Self, Failure> {
        let reader: Box<dyn BufRead> = if path.as_os_str() == "-" {
            Box::new(BufReader::new(std::io::stdin()))
        } else {
            let file = File::open(path).map_err(|e| Failure::io("open", path, &e))?;
            // A directory opens and then cannot be read.
            let mut reader = BufReader::new(file);
            reader.fill_buf().map_err(|e| Failure::io("read", path, &e))?;
            Box::new(reader)
        };
        Ok(Self { reader, name: path.clone(), number: 0 })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Line>, Failure> {
        loop {
            let mut line = Vec::new();
            let read = (&mut self.reader).take(Self::LONGEST).read_until(b'\n', &mut line);
            let read = read.map_err(|e| Failure::io("read", &self.name, &e))?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if read as u64 == Self::LONGEST && line.last() != Some(&b'\n') {
                self.skip_line().map_err(|e| Failure::io("read", &self.name, &e))?;
                let message = format!("no job: the line is longer than {} bytes", Self::LONGEST);
                return Ok(Some((self.number, Err(Failure::bad_job(message)))));
            }
            if !line.trim_ascii().is_empty() {
                return Ok(Some((self.number, Ok(line))));
            }
        }
    }

    /// To the end of the line; of one without an end, such as a device's, no further than [`Self::ENDLESS`].
    fn skip_line(&mut self) -> std::io::Result<()> {
        let skipped = (&mut self.reader).take(Self::ENDLESS).skip_until(b'\n')?;
        if skipped as u64 == Self::ENDLESS {
            return Err(std::io::Error::other(format!("a line goes on past {} bytes", Self::ENDLESS)));
        }
        Ok(())
    }
}
