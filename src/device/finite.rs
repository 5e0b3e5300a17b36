//! Infinities and NaNs in operands that are about to be transformed.

use half::f16;
use ndarray::{ArrayViewD, Dimension};

use super::operands::{OperandPlace, by_element};
use super::plan::Plan;
use super::run::OperandPlaces;
use super::wait::Wait;
use super::{Backend, HostView, OperandError, Scalar, Tensor};
use crate::algorithm_name::Algorithm;
use crate::error::Error;
use crate::problem::{Element, Role};

impl Plan {
    /// If it was asked for and the plan transforms its operands: every number of them. A tensor on a GPU is copied to the host
    /// for it.
    pub(super) async fn check_finite(&self, given: &OperandPlaces<'_>, waiting: Wait) -> Result<(), Error> {
        if !self.is_to_be_finite() {
            return Ok(());
        }
        for role in [Role::Input, Role::GradOutput, Role::Weight] {
            match &given[role] {
                OperandPlace::Host(view) => self.check_finite_view(role.name(), view)?,
                OperandPlace::Device(tensor) => {
                    self.check_finite_tensor(role.name(), tensor, waiting).await?;
                }
                // Prepared weights were checked when they were prepared.
                OperandPlace::Absent | OperandPlace::Prepared(_) => {}
            }
        }
        Ok(())
    }

    async fn check_finite_tensor(
        &self,
        role: &'static str,
        tensor: &Tensor,
        waiting: Wait,
    ) -> Result<(), Error> {
        if let Some(Backend::Cpu(array)) = &tensor.0 {
            return self.check_finite_view(role, &array.view());
        }
        if tensor.is_absent() {
            return Ok(());
        }
        match tensor.element() {
            Element::F16 => self.check_copy::<f16>(role, tensor, waiting).await,
            Element::F32 => self.check_copy::<f32>(role, tensor, waiting).await,
            Element::F64 => self.check_copy::<f64>(role, tensor, waiting).await,
        }
    }

    async fn check_copy<T: Scalar>(
        &self,
        role: &'static str,
        tensor: &Tensor,
        waiting: Wait,
    ) -> Result<(), Error> {
        let copy = tensor.fetch::<T>(self.timeout, waiting).await?;
        self.check_finite_view(role, &T::host_view(copy.view()))
    }

    fn is_to_be_finite(&self) -> bool {
        self.check_finite && self.algorithm() == Algorithm::Fft
    }

    pub(super) fn check_finite_view(&self, role: &'static str, view: &HostView<'_>) -> Result<(), Error> {
        if !self.is_to_be_finite() {
            return Ok(());
        }
        let place = by_element!(HostView, view, view => first(view, |value| value.is_finite()));
        place.map_or(Ok(()), |at| Err(OperandError::NonFinite { role, at }.into()))
    }
}

/// The first number that is not finite.
fn first<T>(view: &ArrayViewD<'_, T>, is_finite: impl Fn(&T) -> bool) -> Option<Vec<usize>> {
    let (at, _) = view.indexed_iter().find(|(_, value)| !is_finite(value))?;
    Some(at.as_array_view().to_vec())
}
