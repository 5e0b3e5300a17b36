//! The job format: one JSON object to one typed job. The options of `wgconv conv` come this way too.
//!
//! What a job that cannot be understood gets is `bad_job`: invalid JSON, an unknown, misplaced, missing or
//! repeated field, a value of the wrong type (`2.0` and numbers past 64 bits are no integers), an unknown
//! word. What is understood and cannot be computed gets the kind of what is wrong with it, such as `stride`
//! for a stride of 0 or a list of the wrong length. A field of another operation may be there as `null`.

mod basic;
mod operation;
mod padding;
mod scipy;
mod theano;

use std::fmt;
use std::path::PathBuf;

use serde_json::Value;
use wgconv::{Algorithm, DeviceChoice, Element, Fallback, Operation, PlanOptions, Precision};

use crate::failure::Failure;
use crate::json::{Object, quoted, reserve, wrong_type};
pub(crate) use operation::{JobOperation, OPERATIONS};

/// One operation on files.
#[derive(Debug)]
pub(crate) struct Job {
    /// The operands that are there, in the operation's order.
    pub(crate) operands: Vec<(&'static str, PathBuf)>,
    pub(crate) output: PathBuf,
    pub(crate) how: How,
    pub(crate) build: Build,
}

type Make = dyn Fn(&[Vec<usize>]) -> Result<Operation, Failure>;

/// Makes the operation of the shapes of the operands that are there.
pub(crate) struct Build(Box<Make>);

impl Build {
    pub(crate) fn new<E: Into<Failure>>(
        build: impl Fn(&[Vec<usize>]) -> Result<Operation, E> + 'static,
    ) -> Result<Self, Failure> {
        Ok(Self(Box::new(move |shapes| build(shapes).map_err(Into::into))))
    }

    pub(crate) fn operation(&self, shapes: &[Vec<usize>]) -> Result<Operation, Failure> {
        (self.0)(shapes)
    }
}

impl fmt::Debug for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Build")
    }
}

/// Where and how a job is computed; `None` leaves the choice to us.
#[derive(Clone, Debug, Default)]
pub(crate) struct How {
    pub(crate) device: DeviceChoice,
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) dtype: Option<Element>,
    pub(crate) precision: Precision,
    /// Algorithms to take first, in this order.
    pub(crate) prefer: Vec<Algorithm>,
    /// Whether operands that are not finite are an error of algorithms that would spread them.
    pub(crate) check_finite: bool,
}

/// What every operation has.
const COMMON: &[&str] =
    &["op", "output", "id", "device", "algorithm", "dtype", "precision", "prefer", "check_finite"];

impl How {
    /// Only `auto` may fall back to the CPU path.
    pub(crate) fn options(&self) -> PlanOptions {
        let fallback = if self.device == DeviceChoice::Auto { Fallback::Cpu } else { Fallback::Error };
        PlanOptions {
            algorithm: self.algorithm,
            prefer: self.prefer.clone(),
            precision: self.precision,
            check_finite: self.check_finite,
            fallback,
            ..PlanOptions::default()
        }
    }

    /// The defaults of a command line.
    pub(crate) fn new(options: &[(&str, Option<&str>)]) -> Result<Self, Failure> {
        let mut object = Object::default();
        for (name, text) in options {
            object.0.push(((*name).to_owned(), text.map_or(Value::Null, Value::from)));
        }
        Self::default().with(&object)
    }

    /// These, except for what the job says itself.
    fn with(&self, job: &Object) -> Result<Self, Failure> {
        // No adapter's name is as long: what a message repeats stays short.
        let is_name = |text: &str| !text.trim().is_empty() && text.len() <= 256;
        let device = |text: &str| is_name(text).then(|| DeviceChoice::from_name(text));
        let algorithms = Algorithm::NAMES.map(Algorithm::name).join(", ");
        let algorithm = |text: &str| match text {
            "auto" => Some(None),
            name => Algorithm::from_name(name).map(Some),
        };
        let dtype = |text: &str| match text {
            "auto" => Some(None),
            name => Element::from_name(name).map(Some),
        };
        Ok(Self {
            device: job
                .named("device", "auto, cpu, gpu or part of an adapter's name", device)?
                .unwrap_or_else(|| self.device.clone()),
            algorithm: job
                .named("algorithm", &format!("auto, {algorithms}"), algorithm)?
                .unwrap_or(self.algorithm),
            dtype: job.named("dtype", "auto, f32, f16, f64", dtype)?.unwrap_or(self.dtype),
            precision: job
                .named("precision", "auto, accurate, fast", Precision::from_name)?
                .unwrap_or(self.precision),
            prefer: job
                .names("prefer", &format!("a list of {algorithms}"), Algorithm::from_name)?
                .unwrap_or_else(|| self.prefer.clone()),
            check_finite: job.boolean("check_finite")?.unwrap_or(self.check_finite),
        })
    }
}

impl Job {
    /// The fields of a job in one line of JSON.
    pub(crate) fn fields(line: &[u8]) -> Result<Object, Failure> {
        reserve("a job", line)?;
        serde_json::from_slice(line.trim_ascii_end()).map_err(|e| Failure::bad_job(format!("no job: {e}")))
    }

    pub(crate) fn new(object: &Object, defaults: &How) -> Result<Self, Failure> {
        let op = object.text("op")?.ok_or_else(|| Failure::bad_job("`op` is missing"))?;
        let operation = OPERATIONS.iter().find(|operation| operation.name == op).ok_or_else(|| {
            let known: Vec<_> = OPERATIONS.iter().map(|operation| operation.name).collect();
            Failure::bad_job(format!("`op` is {}, wanted one of {}", quoted(op), known.join(", ")))
        })?;
        check_names(object, operation)?;
        let build = (operation.parse)(object)?;
        let mut operands = Vec::new();
        for &name in operation.operands {
            operands.push((name, object.required_path(name)?));
        }
        if let Some(name) = operation.optional {
            operands.extend(object.path(name)?.map(|path| (name, path)));
        }
        Ok(Self { operands, output: object.required_path("output")?, how: defaults.with(object)?, build })
    }
}

/// What the caller calls the job, which the answer repeats: a string or a number, no longer than anybody needs.
pub(crate) fn id(job: &Object) -> Result<Option<Value>, Failure> {
    const LONGEST: usize = 1000;
    let Some(value) = job.get("id") else { return Ok(None) };
    let short = match value {
        Value::String(text) => text.len() <= LONGEST,
        value => value.is_number(),
    };
    let wanted = format!("a number, or a string of at most {LONGEST} bytes");
    if short { Ok(Some(value.clone())) } else { Err(wrong_type("id", value, &wanted)) }
}

/// Refuses names that no job has, and values for those that another operation has.
fn check_names(object: &Object, operation: &JobOperation) -> Result<(), Failure> {
    for (name, value) in &object.0 {
        let common = COMMON.contains(&name.as_str());
        if !common && !OPERATIONS.iter().any(|other| other.has(name)) {
            return Err(Failure::bad_job(format!("unknown field {}", quoted(name))));
        }
        if !common && !operation.has(name) && !value.is_null() {
            return Err(Failure::bad_job(format!("`{}` has no field `{name}`", operation.name)));
        }
    }
    Ok(())
}
