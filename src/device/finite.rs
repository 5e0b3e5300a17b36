//! Infinities and NaNs in operands that are about to be transformed.

use ndarray::{ArrayViewD, Dimension};

use super::operands::Source;
use super::plan::Plan;
use super::run::Given;
use super::tensor::Place;
use super::{HostView, OperandError, Tensor, Weight};
use crate::algorithm_name::Algorithm;
use crate::error::Error;

impl Plan {
    /// If it was asked for and the plan transforms its operands: every number of those that lie on the host.
    pub(super) fn check_finite(&self, given: &Given<'_>) -> Result<(), Error> {
        for (role, source) in [("input", &given.input), ("grad_output", &given.grad_output)] {
            match source {
                Source::Host(view) => self.check_finite_view(role, view)?,
                Source::Device(tensor) => self.check_finite_tensor(role, tensor)?,
                Source::Absent => {}
            }
        }
        match &given.weight {
            Weight::View(view) => self.check_finite_view("weight", view),
            Weight::Tensor(tensor) => self.check_finite_tensor("weight", tensor),
            // When they were prepared.
            Weight::Absent | Weight::Prepared(_) => Ok(()),
        }
    }

    fn check_finite_tensor(&self, role: &'static str, tensor: &Tensor) -> Result<(), Error> {
        match &tensor.0 {
            Place::Cpu(array) => self.check_finite_view(role, &array.view()),
            _ => Ok(()),
        }
    }

    pub(super) fn check_finite_view(&self, role: &'static str, view: &HostView<'_>) -> Result<(), Error> {
        if !self.check_finite || self.algorithm() != Algorithm::Fft {
            return Ok(());
        }
        let place = match view {
            HostView::F32(view) => first(view, |value| value.is_finite()),
            HostView::F64(view) => first(view, |value| value.is_finite()),
            HostView::F16(view) => first(view, |value| value.is_finite()),
        };
        place.map_or(Ok(()), |at| Err(OperandError::NonFinite { role, at }.into()))
    }
}

/// The first number that is not finite.
fn first<T>(view: &ArrayViewD<'_, T>, is_finite: impl Fn(&T) -> bool) -> Option<Vec<usize>> {
    let (at, _) = view.indexed_iter().find(|(_, value)| !is_finite(value))?;
    Some(at.as_array_view().to_vec())
}
