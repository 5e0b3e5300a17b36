//! The table of operations that a job may name.

use super::{Build, basic, scipy, theano};
use crate::failure::Failure;
use crate::json::Object;

/// An operation as a job names it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobOperation {
    /// The job's `op`.
    pub(crate) name: &'static str,
    /// What it is called where it comes from.
    pub(crate) original: &'static str,
    /// The fields that are paths of operands.
    pub(crate) operands: &'static [&'static str],
    /// One more, which may be left out.
    pub(crate) optional: Option<&'static str>,
    /// All other fields of its own.
    pub(crate) attributes: &'static [&'static str],
    /// Reads those fields.
    pub(crate) parse: fn(&Object) -> Result<Build, Failure>,
    /// Attributes, in JSON, and shapes of an example: what `info --ops` asks the devices about.
    pub(crate) example: (&'static str, &'static [&'static [usize]]),
}

impl JobOperation {
    /// Name, original name, operands, attributes, what reads them, example.
    pub(super) const fn new(
        name: &'static str,
        original: &'static str,
        operands: &'static [&'static str],
        attributes: &'static [&'static str],
        parse: fn(&Object) -> Result<Build, Failure>,
        example: (&'static str, &'static [&'static [usize]]),
    ) -> Self {
        Self { name, original, operands, optional: None, attributes, parse, example }
    }

    /// Whether it has a field of this name.
    pub(super) fn has(&self, field: &str) -> bool {
        self.operands.contains(&field) || self.optional == Some(field) || self.attributes.contains(&field)
    }
}

/// Every operation of a job.
pub(crate) static OPERATIONS: std::sync::LazyLock<Vec<JobOperation>> =
    std::sync::LazyLock::new(|| [basic::OPERATIONS, theano::OPERATIONS, scipy::OPERATIONS].concat());
