//! The elements of signals: floating-point numbers, and integers, which are computed exactly or not at all.

use half::f16;
use ndarray::{ArrayD, ArrayViewD};

use crate::algorithm_name::Algorithm;
use crate::classic::operation::{Operation, OperationError};
use crate::device::{Device, Scalar, run_once};
use crate::error::Error;
use crate::planner::PlanOptions;
use crate::problem::Element;

mod sealed {
    pub trait SealedSample {}
}

/// An element of [`signal`](super) and [`ndimage`](crate::ndimage): `f32`, `f64`, [`half::f16`], or an integer of 8 to 64 bits.
///
/// Integers are computed in floating point where the largest possible sum is exact: on the shared device up to 2²⁴, on
/// the CPU in double precision below 2⁵³. Past that, and where a sum does not fit the type, there is an error.
pub trait Sample: sealed::SealedSample + Copy + 'static {
    #[doc(hidden)]
    fn run(operation: &Operation, operands: [ArrayViewD<'_, Self>; 2]) -> Result<ArrayD<Self>, Error>;
}

macro_rules! floats {
    ($($ty:ty),*) => {$(
        impl sealed::SealedSample for $ty {}
        impl Sample for $ty {
            fn run(operation: &Operation, operands: [ArrayViewD<'_, Self>; 2]) -> Result<ArrayD<Self>, Error> {
                run_once(operation, &operands)
            }
        }
    )*};
}
floats!(f32, f64, f16);

macro_rules! integers {
    ($($ty:ty),*) => {$(
        impl sealed::SealedSample for $ty {}
        impl Sample for $ty {
            fn run(operation: &Operation, operands: [ArrayViewD<'_, Self>; 2]) -> Result<ArrayD<Self>, Error> {
                // Numbers past 2^53 are rounded here; the products that such a number leads to are refused.
                let wide = operands.map(|operand| operand.mapv(|value| value as f64));
                let exact = exact(operation, &wide)?;
                let refused = exact.iter().find(|&&value| value as Self as f64 != value);
                if let Some(&value) = refused {
                    let wanted = stringify!($ty);
                    return Err(OperationError::OutOfRange { value, wanted }.into());
                }
                Ok(exact.mapv(|value| value as Self))
            }
        }
    )*};
}
#[allow(clippy::cast_possible_truncation, reason = "a value that the cast changes is refused")]
mod integers {
    use super::*;
    integers!(i8, i16, i32, i64, u8, u16, u32, u64);
}

/// The result of an operation on integers, exactly.
fn exact(operation: &Operation, operands: &[ArrayD<f64>; 2]) -> Result<ArrayD<f64>, Error> {
    for step in operation.steps() {
        let fill = step.problem.boundary().fill();
        if fill.fract() != 0.0 {
            let (wanted, got) = ("a whole number between integers".into(), fill.to_string());
            return Err(OperationError::Parameter { what: "the constant boundary", wanted, got }.into());
        }
    }
    let magnitude = |array: &ArrayD<f64>| array.iter().fold(0.0f64, |most, value| most.max(value.abs()));
    let largest = operation.largest_sum(&operands.each_ref().map(magnitude));
    let options = PlanOptions { exclude: Algorithm::inexact().collect(), ..PlanOptions::default() };
    match Element::of_exact_integers(largest) {
        Some(Element::F32) => {
            let narrow = operands.each_ref().map(|operand| operand.mapv(<f32 as Scalar>::from_f64));
            let plan = Device::shared()?.plan_operation(operation, Element::F32, &options)?;
            Ok(plan.run(&narrow.each_ref().map(|operand| operand.view()))?.mapv(f64::from))
        }
        Some(_) => {
            let plan = Device::cpu().plan_operation(operation, Element::F64, &options)?;
            plan.run(&operands.each_ref().map(|operand| operand.view()))
        }
        None => Err(OperationError::Inexact { largest, wanted: "less than 2^53" }.into()),
    }
}
