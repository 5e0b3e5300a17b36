//! What the command line reports when something goes wrong: a kind and a message.

use std::fmt;
use std::path::Path;

use wgconv::{Error, ErrorKind, OperandError, OperationError, ProblemError};

use crate::npy::{NpyError, NpyErrorClass};
use crate::output::shown;

/// A failure of one job or of one subcommand.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

impl Failure {
    /// What is not to be seen as it is, in names of files for instance, is escaped in the message.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: shown(&message.into()) }
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
        Self::new(npy_kind(&error), error.to_string())
    }
}

/// The kind of what is wrong with a file.
pub(crate) fn npy_kind(error: &NpyError) -> ErrorKind {
    match error.class() {
        NpyErrorClass::BadFile => ErrorKind::BadFile,
        NpyErrorClass::Io => ErrorKind::Io,
        NpyErrorClass::OutOfMemory => ErrorKind::OutOfMemory,
        NpyErrorClass::NonFinite => ErrorKind::NonFinite,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npy::{self, Limits};

    #[test]
    fn names_cannot_forge_lines() {
        let path = Path::new("x\nerror[io]: forged \u{1b}[31m\u{202e}\u{e9}");
        let failure = Failure::io("open", path, &std::io::Error::other("gone"));
        let wanted = "error[io]: cannot open x\\nerror[io]: forged \\u{1b}[31m\\u{202e}\u{e9}: gone";
        assert_eq!(failure.to_string(), wanted);
    }

    #[test]
    fn files_that_are_refused_have_kinds_and_messages() {
        let none = Failure::from(NpyError::OutOfMemory { bytes: 7 });
        assert_eq!(none.to_string(), "error[out_of_memory]: no memory for 7 bytes of data");
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }\n";
        let start = [b"\x93NUMPY\x01\0", &[header.len() as u8, 0][..], header.as_bytes()].concat();
        let read = |data: &[u8]| {
            let bytes = [&start[..], data].concat();
            npy::read_from(&bytes[..], bytes.len() as u64, &Limits::default())
        };
        let short = Failure::from(read(&[0; 8]).expect_err("cut short"));
        assert_eq!(short.to_string(), "error[bad_file]: wanted 12 bytes of data for the shape, found 8");
        let infinite = npy::NpyArray::F64(wgconv::ndarray::arr1(&[1e300]).into_dyn()).to_f32();
        let infinite = Failure::from(infinite.expect_err("past f32"));
        let wanted = "error[non_finite]: wanted numbers that stay finite in f32, found 1e300 (f64) at [0]";
        assert_eq!(infinite.to_string(), wanted);
        let nowhere = npy::read("/nowhere/at.npy", &Limits::default()).expect_err("no file");
        let message = Failure::from(nowhere).to_string();
        assert!(message.starts_with("error[io]: /nowhere/at.npy: cannot open: "), "{message}");
    }
}
