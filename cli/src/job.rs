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
use wgconv::{Algorithm, DeviceChoice, Element, Fallback, Operation, PlanOptions};

use crate::failure::Failure;
use crate::json::{Object, quoted};
pub(crate) use operation::{JobOperation, OPERATIONS};

/// One operation on files.
#[derive(Debug)]
pub(crate) struct Job {
    /// The operands that are there, in the operation's order.
    pub(crate) operands: Vec<(&'static str, PathBuf)>,
    pub(crate) output: PathBuf,
    pub(crate) how: How,
    pub(crate) build: Build,
    /// Of integers, an algorithm that is not exact is none.
    pub(crate) exact_integers: bool,
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
}

/// What every operation has.
const COMMON: &[&str] = &["op", "output", "device", "algorithm", "dtype"];

impl How {
    /// Only `auto` may fall back to the CPU path.
    pub(crate) fn options(&self) -> PlanOptions {
        let fallback = if self.device == DeviceChoice::Auto { Fallback::Cpu } else { Fallback::Error };
        PlanOptions { algorithm: self.algorithm, fallback, ..PlanOptions::default() }
    }

    /// The defaults of a command line.
    pub(crate) fn new(
        device: Option<&str>,
        algorithm: Option<&str>,
        dtype: Option<&str>,
    ) -> Result<Self, Failure> {
        let mut object = Object::default();
        for (name, text) in [("device", device), ("algorithm", algorithm), ("dtype", dtype)] {
            object.0.push((name.to_owned(), text.map_or(Value::Null, Value::from)));
        }
        Self::default().with(&object)
    }

    /// These, except for what the job says itself.
    fn with(&self, job: &Object) -> Result<Self, Failure> {
        let device = |text: &str| (!text.trim().is_empty()).then(|| DeviceChoice::from_name(text));
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
        })
    }
}

impl Job {
    /// The job in one line of JSON.
    pub(crate) fn from_line(line: &[u8], defaults: &How) -> Result<Self, Failure> {
        let object = serde_json::from_slice(line.trim_ascii_end())
            .map_err(|e| Failure::bad_job(format!("no job: {e}")))?;
        Self::new(&object, defaults)
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
        Ok(Self {
            operands,
            output: object.required_path("output")?,
            how: defaults.with(object)?,
            build,
            exact_integers: operation.exact_integers,
        })
    }
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
