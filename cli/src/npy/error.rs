//! What can go wrong with a `.npy` file.

use std::io;
use std::path::PathBuf;

/// Why a `.npy` file could not be read, converted or written.
///
/// Each message is complete: no error has a [`source`](std::error::Error::source) to print after it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpyError {
    /// Another error, with the file it concerns.
    #[error("{}: {error}", path.display())]
    At {
        /// The file as the caller named it.
        path: PathBuf,
        /// What is wrong with it.
        error: Box<Self>,
    },
    /// The operating system refused.
    #[error("cannot {action}: {error}")]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// The system's reason.
        error: io::Error,
    },
    /// There is no memory for data the file does hold.
    #[error("no memory for {bytes} bytes of data")]
    OutOfMemory {
        /// How much was wanted.
        bytes: u64,
    },
    /// The path leads to something other than a regular file.
    #[error("wanted a regular file, found {found}")]
    NotRegular {
        /// What it is instead.
        found: &'static str,
    },
    /// The file ends too early.
    #[error("file ends in the {part}: wanted {wanted} bytes, found {found}")]
    Truncated {
        /// The part it ends in.
        part: &'static str,
        /// How many bytes that part has.
        wanted: u64,
        /// How many of them are there.
        found: u64,
    },
    /// The file does not start as a `.npy` file does.
    #[error("wanted the magic string \\x93NUMPY, found {}", found.escape_ascii())]
    BadMagic {
        /// The first six bytes.
        found: [u8; 6],
    },
    /// The format version is unknown.
    #[error("wanted format version 1.0, 2.0 or 3.0, found {major}.{minor}")]
    BadVersion {
        /// The first version byte.
        major: u8,
        /// The second version byte.
        minor: u8,
    },
    /// The header is longer than any that describes a supported array.
    #[error("wanted a header of at most {max} bytes, found {len}")]
    HeaderTooLong {
        /// The length it has.
        len: u64,
        /// The most accepted.
        max: u64,
    },
    /// The header is not the dictionary that the format prescribes.
    #[error("bad header at byte {position} of the file: wanted {wanted}, found {found}")]
    BadHeader {
        /// Where, counted from the start of the file.
        position: usize,
        /// What should be there.
        wanted: &'static str,
        /// What is there.
        found: String,
    },
    /// The element type is not one of the eight supported.
    #[error("wanted dtype f2, f4, f8, i1, i2, i4, u1 or u2 with a byte order, found {descr} ({meaning})")]
    UnsupportedDtype {
        /// The type as the header gives it, shortened if long.
        descr: String,
        /// What that stands for.
        meaning: &'static str,
    },
    /// The array has more axes than [`Limits::max_axes`](super::Limits::max_axes).
    #[error("wanted at most {max} axes, found {axes}")]
    TooManyAxes {
        /// How many it has.
        axes: usize,
        /// The most accepted.
        max: usize,
    },
    /// The shape describes more bytes than memory can address, counting an extent of 0 as 1.
    #[error("wanted a shape that memory can address, found {shape:?}")]
    ShapeOverflow {
        /// The shape as the header gives it.
        shape: Vec<u64>,
    },
    /// The data are shorter or longer than the header says.
    #[error("wanted {wanted} bytes of data for the shape, found {found}")]
    WrongLength {
        /// What shape and type come to.
        wanted: u64,
        /// What the file holds after its header.
        found: u64,
    },
    /// The shape spans more bytes than [`Limits::max_bytes`](super::Limits::max_bytes).
    #[error("wanted at most {max} bytes of data, found a shape of {bytes}")]
    TooLarge {
        /// The bytes it spans, counting an extent of 0 as 1.
        bytes: u64,
        /// The most accepted.
        max: u64,
    },
    /// An integer has no exact counterpart in the floating-point type wanted.
    #[error("wanted integers that {wanted} holds exactly, found {value} ({found}) at {index:?}")]
    Inexact {
        /// The integer, which `f64` does hold.
        value: f64,
        /// Where it is.
        index: Vec<usize>,
        /// The type it has.
        found: &'static str,
        /// The type asked for.
        wanted: &'static str,
    },
    /// A finite number would become infinite in the floating-point type wanted.
    #[error("wanted numbers that stay finite in {wanted}, found {value:e} ({found}) at {index:?}")]
    NonFinite {
        /// The number.
        value: f64,
        /// Where it is.
        index: Vec<usize>,
        /// The type it has.
        found: &'static str,
        /// The type asked for.
        wanted: &'static str,
    },
}

/// Where the blame for an [`NpyError`] lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NpyErrorClass {
    /// The file's contents.
    BadFile,
    /// The operating system: a missing file, a permission, a full disk.
    Io,
    /// No memory for what a good file holds.
    OutOfMemory,
    /// A number beyond the range of the type computed in.
    NonFinite,
}

impl NpyError {
    /// The class of this error, whatever path it carries.
    pub fn class(&self) -> NpyErrorClass {
        match self {
            Self::At { error, .. } => error.class(),
            Self::Io { .. } => NpyErrorClass::Io,
            Self::OutOfMemory { .. } => NpyErrorClass::OutOfMemory,
            Self::NonFinite { .. } => NpyErrorClass::NonFinite,
            _ => NpyErrorClass::BadFile,
        }
    }

    /// This error with `path` in front, unless it carries a path already.
    #[must_use]
    pub fn at(self, path: impl Into<PathBuf>) -> Self {
        match self {
            Self::At { .. } => self,
            error => Self::At { path: path.into(), error: Box::new(error) },
        }
    }
}
