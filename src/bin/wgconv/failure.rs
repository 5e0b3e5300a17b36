//! What the command line reports when something goes wrong: a kind and a message.

use std::fmt;
use std::path::Path;

use wgconv::npy::NpyError;
use wgconv::{Error, ErrorKind, OperandError, OperationError, ProblemError};

/// A failure of one job or of one subcommand.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn bad_job(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadJob, message)
    }

    pub(crate) fn io(action: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::new(ErrorKind::Io, format!("cannot {action} {}: {error}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.kind, self.message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<NpyError> for Failure {
    fn from(error: NpyError) -> Self {
        Error::from(error).into()
    }
}

impl From<ProblemError> for Failure {
    fn from(error: ProblemError) -> Self {
        Error::from(error).into()
    }
}

impl From<OperationError> for Failure {
    fn from(error: OperationError) -> Self {
        Error::from(error).into()
    }
}

impl From<OperandError> for Failure {
    fn from(error: OperandError) -> Self {
        Error::from(error).into()
    }
}
