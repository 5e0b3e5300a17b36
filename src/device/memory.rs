//! Memory that is asked for before it is taken: a hopeless size is an error and no abort.

use ndarray::{Array, ArrayD, ArrayViewD};

use crate::error::Error;

/// Bytes that are asked for besides. They are left for all that is small and not asked for.
const BESIDES: u64 = 4 << 20;

/// Asks the allocator for `bytes` of memory and 4 MiB more, and gives them back: a hopeless size is an error, where taking it
/// would end the process. Plans ask so for their results and copies; an application can for its own arrays. What is taken next
/// must be no more, all of it together, and nobody else may take much meanwhile.
///
/// ```
/// assert!(wgconv::reserve("a frame", 1920 * 1080 * 4).is_ok());
/// let error = wgconv::reserve("a universe", u64::MAX).unwrap_err();
/// assert_eq!(error.kind(), wgconv::ErrorKind::OutOfMemory);
/// ```
///
/// # Errors
///
/// [`Error::OutOfMemory`] with both arguments.
pub fn reserve(what: &'static str, bytes: u64) -> Result<(), Error> {
    let mut probe: Vec<u8> = Vec::new();
    let room = usize::try_from(bytes.saturating_add(BESIDES))
        .is_ok_and(|bytes| probe.try_reserve_exact(bytes).is_ok());
    // An allocation that nobody looks at may be left out.
    std::hint::black_box(&mut probe);
    if room { Ok(()) } else { Err(Error::OutOfMemory { what, bytes }) }
}

/// Bytes of so many elements of `T`.
pub(super) fn bytes_of<T>(elements: u64) -> u64 {
    elements.saturating_mul(size_of::<T>() as u64)
}

/// A copy in logical order.
pub(super) fn copied<T: Clone>(what: &'static str, view: &ArrayViewD<'_, T>) -> Result<ArrayD<T>, Error> {
    let bytes = bytes_of::<T>(view.len() as u64);
    reserve(what, bytes)?;
    let mut values = Vec::new();
    values.try_reserve_exact(view.len()).map_err(|_| Error::OutOfMemory { what, bytes })?;
    values.extend(view.iter().cloned());
    // As many values as there are elements: no error.
    Ok(Array::from_shape_vec(view.raw_dim(), values).unwrap_or_else(|_| view.to_owned()))
}
