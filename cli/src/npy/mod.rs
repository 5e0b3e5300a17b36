//! Reads and writes `NumPy` `.npy` files, treating every file as hostile.
//!
//! A file is refused, never guessed at: the header must be exactly the dictionary `NumPy` writes,
//! and the data must be exactly as long as the header says *before* memory is reserved for it.

mod convert;
mod error;
mod header;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use bytemuck::Pod;
use half::f16;
use ndarray::{ArrayD, ArrayView, Dimension, IxDyn, ShapeBuilder};

use self::header::{Dtype, Header};
use crate::interrupted::Temporary;

pub use self::error::{NpyError, NpyErrorClass};

/// What [`read`] accepts beyond the format itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of data, 4 GiB by default. An extent of 0 is measured as 1 here, so that an
    /// empty array cannot smuggle in an enormous axis. Converting to a wider type afterwards
    /// takes up to eight times as much memory.
    pub max_bytes: u64,
    /// The most axes, 9 by default. The format itself allowed 32 before `NumPy` 2.
    pub max_axes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 4 << 30, max_axes: 9 }
    }
}

/// An array as the file stored it, in native byte order.
///
/// Indexing follows the file's logical shape; the memory layout is the file's own, so a Fortran
/// file gives a Fortran-ordered array.
#[derive(Debug, Clone, PartialEq)]
pub enum NpyArray {
    /// 32-bit floats, `f4`.
    F32(ArrayD<f32>),
    /// 64-bit floats, `f8`.
    F64(ArrayD<f64>),
    /// 16-bit floats, `f2`.
    F16(ArrayD<f16>),
    /// Signed bytes, `i1`.
    I8(ArrayD<i8>),
    /// Unsigned bytes, `u1`.
    U8(ArrayD<u8>),
    /// Signed 16-bit integers, `i2`.
    I16(ArrayD<i16>),
    /// Unsigned 16-bit integers, `u2`.
    U16(ArrayD<u16>),
    /// Signed 32-bit integers, `i4`.
    I32(ArrayD<i32>),
}

/// Evaluates one expression on whichever typed array a [`NpyArray`] holds.
macro_rules! on_inner {
    ($array:expr, $inner:ident => $body:expr) => {
        match $array {
            NpyArray::F32($inner) => $body,
            NpyArray::F64($inner) => $body,
            NpyArray::F16($inner) => $body,
            NpyArray::I8($inner) => $body,
            NpyArray::U8($inner) => $body,
            NpyArray::I16($inner) => $body,
            NpyArray::U16($inner) => $body,
            NpyArray::I32($inner) => $body,
        }
    };
}

impl NpyArray {
    /// The extent of each axis; empty for a single value.
    pub fn shape(&self) -> &[usize] {
        on_inner!(self, array => array.shape())
    }

    /// The element type by its Rust name, such as `"f32"`.
    pub fn dtype(&self) -> &'static str {
        match self {
            Self::F32(_) => "f32",
            Self::F64(_) => "f64",
            Self::F16(_) => "f16",
            Self::I8(_) => "i8",
            Self::U8(_) => "u8",
            Self::I16(_) => "i16",
            Self::U16(_) => "u16",
            Self::I32(_) => "i32",
        }
    }

    /// Widens every element to `f64`, which holds each supported type exactly.
    ///
    /// # Errors
    ///
    /// [`NpyError::OutOfMemory`].
    pub fn to_f64(&self) -> Result<ArrayD<f64>, NpyError> {
        on_inner!(self, array => convert::reserve::<f64>(array.len()).map(|()| array.mapv(Into::into)))
    }

    /// Converts to `f32`: floats round to nearest, integers must fit exactly.
    ///
    /// Infinities and NaN pass through.
    ///
    /// # Errors
    ///
    /// [`NpyError::Inexact`] for an integer that `f32` cannot hold, [`NpyError::NonFinite`] for a
    /// finite float that would become infinite; both name the first such element.
    /// [`NpyError::OutOfMemory`].
    pub fn to_f32(&self) -> Result<ArrayD<f32>, NpyError> {
        on_inner!(self, array => convert::narrow(array, self.dtype(), "f32", convert::to_f32))
    }

    /// Converts to `f16` under the rules of [`to_f32`](Self::to_f32).
    ///
    /// # Errors
    ///
    /// As for [`to_f32`](Self::to_f32), with `f16` for `f32`.
    pub fn to_f16(&self) -> Result<ArrayD<f16>, NpyError> {
        on_inner!(self, array => convert::narrow(array, self.dtype(), "f16", convert::to_f16))
    }
}

/// Reads the `.npy` file at `path`.
///
/// Format versions 1.0, 2.0 and 3.0, either byte order, C or Fortran order.
///
/// # Errors
///
/// Anything but a regular file holding one well-formed array of a supported type within `limits`
/// is refused, and so is trailing data. The error carries the path.
pub fn read(path: impl AsRef<Path>, limits: &Limits) -> Result<NpyArray, NpyError> {
    let path = path.as_ref();
    read_file(path, limits).map_err(|error| error.at(path))
}

fn read_file(path: &Path, limits: &Limits) -> Result<NpyArray, NpyError> {
    // Asked before opening, because opening a named pipe waits for its other end.
    regular_len(fs::metadata(path))?;
    let file = File::open(path).map_err(io_error("open"))?;
    let len = regular_len(file.metadata())?;
    read_from(file, len, limits)
}

fn regular_len(metadata: io::Result<fs::Metadata>) -> Result<u64, NpyError> {
    let metadata = metadata.map_err(io_error("open"))?;
    if metadata.is_file() {
        return Ok(metadata.len());
    }
    let found = if metadata.is_dir() { "a directory" } else { "a special file" };
    Err(NpyError::NotRegular { found })
}

/// Reads one array from `reader`, of which exactly `len` bytes belong to it.
///
/// # Errors
///
/// As for [`read`], without a path; a reader that ends before `len` bytes is refused too.
pub fn read_from(reader: impl Read, len: u64, limits: &Limits) -> Result<NpyArray, NpyError> {
    let mut source = Source { reader, left: len };
    let header = Header::read(&mut source)?;
    let shape = header.checked_shape(source.left, limits)?;
    Ok(match header.dtype {
        Dtype::F32 => NpyArray::F32(read_data(&mut source, &header, &shape)?),
        Dtype::F64 => NpyArray::F64(read_data(&mut source, &header, &shape)?),
        Dtype::F16 => NpyArray::F16(read_data(&mut source, &header, &shape)?),
        Dtype::I8 => NpyArray::I8(read_data(&mut source, &header, &shape)?),
        Dtype::U8 => NpyArray::U8(read_data(&mut source, &header, &shape)?),
        Dtype::I16 => NpyArray::I16(read_data(&mut source, &header, &shape)?),
        Dtype::U16 => NpyArray::U16(read_data(&mut source, &header, &shape)?),
        Dtype::I32 => NpyArray::I32(read_data(&mut source, &header, &shape)?),
    })
}

/// `shape` has passed [`Header::checked_shape`]: its product neither overflows nor exceeds what
/// the source has left.
fn read_data<T: Pod>(
    source: &mut Source<impl Read>,
    header: &Header,
    shape: &[usize],
) -> Result<ArrayD<T>, NpyError> {
    let count = shape.iter().product();
    let mut values: Vec<T> = convert::with_room(count)?;
    values.resize(count, T::zeroed());
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut values);
    source.fill(bytes, "data")?;
    if header.swapped {
        bytes.chunks_exact_mut(size_of::<T>()).for_each(<[u8]>::reverse);
    }
    ArrayD::from_shape_vec(IxDyn(shape).set_f(header.fortran), values)
        .map_err(|_| NpyError::ShapeOverflow { shape: header.shape.clone() })
}

/// A reader and how many of its bytes are still the file's.
struct Source<R> {
    reader: R,
    left: u64,
}

impl<R: Read> Source<R> {
    fn fill(&mut self, buffer: &mut [u8], part: &'static str) -> Result<(), NpyError> {
        let wanted = buffer.len() as u64;
        if wanted > self.left {
            return Err(NpyError::Truncated { part, wanted, found: self.left });
        }
        let mut done = 0;
        while done < buffer.len() {
            match self.reader.read(&mut buffer[done..]) {
                Ok(0) => {
                    return Err(NpyError::Truncated { part, wanted, found: done as u64 });
                }
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(NpyError::Io { action: "read", error });
                }
            }
        }
        self.left -= wanted;
        Ok(())
    }
}

mod sealed {
    pub trait Sealed: bytemuck::Pod {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
    impl Sealed for half::f16 {}
}

/// An element type that [`write()`] can store: `f32`, `f64` or `f16`.
pub trait NpyElement: sealed::Sealed {
    /// The type as the header names it, little-endian.
    const DESCR: &'static str;
}

impl NpyElement for f32 {
    const DESCR: &'static str = "<f4";
}

impl NpyElement for f64 {
    const DESCR: &'static str = "<f8";
}

impl NpyElement for f16 {
    const DESCR: &'static str = "<f2";
}

/// Writes `array`, of any memory layout, to `path` in one step: whole or not at all.
///
/// The bytes go to a temporary file beside `path`, which then takes its name; a regular file
/// already there is replaced (with the permissions of a new file), a symbolic link to one followed.
///
/// # Errors
///
/// [`NpyError::At`] with the path, around what [`write_to`] returns or an [`NpyError::Io`] if the
/// temporary file cannot be created or renamed, or `path` is there and not a regular file. The
/// temporary file is gone and `path` as it was.
pub fn write<T: NpyElement, D: Dimension>(
    path: impl AsRef<Path>,
    array: ArrayView<'_, T, D>,
) -> Result<(), NpyError> {
    let path = path.as_ref();
    replace(path, |file| write_to(file, array)).map_err(|error| error.at(path))
}

/// Writes any file as [`write()`] does, whole or not at all.
///
/// # Errors
///
/// As for [`write()`], around what `contents` returns.
pub fn write_whole(
    path: impl AsRef<Path>,
    contents: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), NpyError> {
    let path = path.as_ref();
    replace(path, |file| contents(file).map_err(io_error("write"))).map_err(|error| error.at(path))
}

fn replace(path: &Path, contents: impl FnOnce(&mut File) -> Result<(), NpyError>) -> Result<(), NpyError> {
    // A link stays one: what it leads to is replaced. A path that leads nowhere is what it says.
    let target = fs::canonicalize(path);
    let path = target.as_deref().unwrap_or(path);
    // A rename would put a plain file where a device such as /dev/null was.
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        let error = io::Error::new(io::ErrorKind::AlreadyExists, "not a regular file");
        return Err(NpyError::Io { action: "replace", error });
    }
    let (temporary, mut file) = create_beside(path).map_err(io_error("create a file beside"))?;
    contents(&mut file)?;
    temporary.keep(path).map_err(io_error("rename into place"))
}

fn create_beside(path: &Path) -> io::Result<(Temporary, File)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        // Short and not made from `path`'s own name, which may be as long as the system allows.
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!(".wgconv-{}-{serial}.tmp", std::process::id());
        let temporary = path.with_file_name(name);
        let create = |path: &Path| OpenOptions::new().write(true).create_new(true).open(path);
        match Temporary::new(temporary, create) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made,
        }
    }
}

/// Writes `array`, of any memory layout, as format 1.0 in C order and little-endian.
///
/// # Errors
///
/// [`NpyError::Io`] if `writer` fails, [`NpyError::HeaderTooLong`] for thousands of axes.
pub fn write_to<T: NpyElement, D: Dimension>(
    mut writer: impl Write,
    array: ArrayView<'_, T, D>,
) -> Result<(), NpyError> {
    const CHUNK: usize = 1 << 16;
    let mut buffer = header::encode(T::DESCR, array.shape())?;
    for value in &array {
        let start = buffer.len();
        buffer.extend_from_slice(bytemuck::bytes_of(value));
        if cfg!(target_endian = "big") {
            buffer[start..].reverse();
        }
        if buffer.len() >= CHUNK {
            writer.write_all(&buffer).map_err(io_error("write"))?;
            buffer.clear();
        }
    }
    writer.write_all(&buffer).and_then(|()| writer.flush()).map_err(io_error("write"))
}

fn io_error(action: &'static str) -> impl FnOnce(io::Error) -> NpyError {
    move |error| NpyError::Io { action, error }
}
