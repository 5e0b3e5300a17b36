//! The operations of [`wgconv::signal`] and [`wgconv::ndimage`], operands and attributes under scipy's names.

use wgconv::ndimage::Filter;
use wgconv::signal::{Convolve, Convolve2d, Method, Mode};
use wgconv::{Boundary, Operation, OperationError};

use super::{Build, JobOperation};
use crate::failure::Failure;
use crate::json::Object;

pub(super) const OPERATIONS: &[JobOperation] = &[
    JobOperation::new(
        "signal.convolve",
        "scipy.signal.convolve",
        &["in1", "in2"],
        &["mode", "method", "axes"],
        |object| convolve(object, Convolve::convolve),
        (r#"{}"#, &[&[9], &[3]]),
    ),
    JobOperation::new(
        "signal.correlate",
        "scipy.signal.correlate",
        &["in1", "in2"],
        &["mode", "method", "axes"],
        |object| convolve(object, Convolve::correlate),
        (r#"{}"#, &[&[9], &[3]]),
    ),
    JobOperation::new(
        "signal.fftconvolve",
        "scipy.signal.fftconvolve",
        &["in1", "in2"],
        &["mode", "method", "axes"],
        |object| convolve(object, Convolve::fftconvolve),
        (r#"{}"#, &[&[9], &[3]]),
    ),
    JobOperation::new(
        "signal.oaconvolve",
        "scipy.signal.oaconvolve",
        &["in1", "in2"],
        &["mode", "method", "axes"],
        |object| convolve(object, Convolve::oaconvolve),
        (r#"{}"#, &[&[9], &[3]]),
    ),
    JobOperation::new(
        "signal.convolve2d",
        "scipy.signal.convolve2d",
        &["in1", "in2"],
        &["mode", "boundary", "fillvalue"],
        |object| convolve2d(object, Convolve2d::convolve),
        (r#"{}"#, &[&[5, 5], &[3, 3]]),
    ),
    JobOperation::new(
        "signal.correlate2d",
        "scipy.signal.correlate2d",
        &["in1", "in2"],
        &["mode", "boundary", "fillvalue"],
        |object| convolve2d(object, Convolve2d::correlate),
        (r#"{}"#, &[&[5, 5], &[3, 3]]),
    ),
    JobOperation::new(
        "ndimage.convolve",
        "scipy.ndimage.convolve",
        &["input", "weights"],
        &["mode", "cval", "origin"],
        |object| filter(object, Filter::convolve),
        (r#"{}"#, &[&[5, 5], &[3, 3]]),
    ),
    JobOperation::new(
        "ndimage.correlate",
        "scipy.ndimage.correlate",
        &["input", "weights"],
        &["mode", "cval", "origin"],
        |object| filter(object, Filter::correlate),
        (r#"{}"#, &[&[5, 5], &[3, 3]]),
    ),
];

/// The operation that parameters make of the shapes of two operands.
type Make<P> = fn(&P, &[usize], &[usize]) -> Result<Operation, OperationError>;

fn mode(object: &Object) -> Result<Mode, Failure> {
    Ok(object.named("mode", "full, same, valid", Mode::from_name)?.unwrap_or_default())
}

fn convolve(object: &Object, make: Make<Convolve>) -> Result<Build, Failure> {
    let how = Convolve {
        mode: mode(object)?,
        method: object.named("method", "auto, direct, fft", Method::from_name)?.unwrap_or_default(),
        axes: object.signed("axes")?,
    };
    Build::new(move |shapes| make(&how, &shapes[0], &shapes[1]))
}

fn convolve2d(object: &Object, make: Make<Convolve2d>) -> Result<Build, Failure> {
    let fill = Boundary::Constant(object.number("fillvalue")?.unwrap_or(0.0));
    let named = |name: &str| match name {
        "fill" | "pad" => Some(fill),
        "wrap" | "circular" => Some(Boundary::Wrap),
        "symm" | "symmetric" => Some(Boundary::Reflect),
        _ => None,
    };
    let boundary = object.named("boundary", "fill, wrap, symm", named)?.unwrap_or(fill);
    let how = Convolve2d { mode: mode(object)?, boundary };
    Build::new(move |shapes| make(&how, &shapes[0], &shapes[1]))
}

fn filter(object: &Object, make: Make<Filter>) -> Result<Build, Failure> {
    let cval = Boundary::Constant(object.number("cval")?.unwrap_or(0.0));
    // scipy has a second name for three of them.
    let named = |name: &str| match name {
        "constant" | "grid-constant" => Some(cval),
        "reflect" | "grid-mirror" => Some(Boundary::Reflect),
        "wrap" | "grid-wrap" => Some(Boundary::Wrap),
        "mirror" => Some(Boundary::Mirror),
        "nearest" => Some(Boundary::Nearest),
        _ => None,
    };
    let modes = "reflect, mirror, nearest, wrap, constant";
    let how = Filter::from(object.named("mode", modes, named)?.unwrap_or(Boundary::Reflect));
    let how = match (object.signed("origin")?, object.get("origin")) {
        (Some(origins), Some(value)) if value.is_array() => how.origins(origins),
        (Some(origins), _) => how.origin(origins.first().copied().unwrap_or(0)),
        (None, _) => how,
    };
    Build::new(move |shapes| make(&how, &shapes[0], &shapes[1]))
}
