//! An array that lives on a device.

use std::sync::Arc;
use std::time::Duration;

use ndarray::{ArrayD, ArrayViewD};

use super::wait;
use super::{Device, HostArray, Kind, OperandError, Scalar};
use crate::error::Error;
use crate::planner::PlanOptions;
use crate::problem::{Element, Layout, TensorLayout};

#[cfg(feature = "gpu")]
use crate::gpu::GpuTensor;

/// An array on a device, from [`Device::upload`] or [`Plan::run_on`](super::Plan::run_on): chains of
/// convolutions pass it on without a copy to the host. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Tensor(pub(super) Place);

#[derive(Clone, Debug)]
pub(super) enum Place {
    /// Stands for no operand.
    Absent,
    #[cfg(feature = "gpu")]
    Gpu(GpuTensor),
    Cpu(Arc<HostArray>),
}

impl HostArray {
    pub(super) fn view(&self) -> super::HostView<'_> {
        match self {
            Self::F32(a) => super::HostView::F32(a.view()),
            Self::F64(a) => super::HostView::F64(a.view()),
            Self::F16(a) => super::HostView::F16(a.view()),
        }
    }
}

impl Tensor {
    pub(super) const ABSENT: Self = Self(Place::Absent);

    pub(super) async fn upload<T: Scalar>(
        device: &Device,
        view: ArrayViewD<'_, T>,
        layout: &Layout,
    ) -> Result<Self, Error> {
        match &device.0 {
            #[cfg(feature = "gpu")]
            Kind::Gpu(gpu) => {
                let layout = TensorLayout::new("tensor", view.shape(), layout)?;
                Ok(Self(Place::Gpu(gpu.upload("tensor", view, &layout, T::ELEMENT).await?)))
            }
            Kind::Cpu => {
                // Only the check: the CPU path reads any strides, so the order in memory is the host's.
                TensorLayout::new("tensor", view.shape(), layout)?;
                super::run::reserve("the tensor", (view.len() as u64).saturating_mul(size_of::<T>() as u64))?;
                Ok(Self(Place::Cpu(Arc::new(T::host_view(view).to_owned()))))
            }
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self.0, Place::Absent)
    }

    /// Its logical extents.
    pub fn shape(&self) -> Vec<usize> {
        match &self.0 {
            Place::Absent => Vec::new(),
            #[cfg(feature = "gpu")]
            Place::Gpu(tensor) => tensor.layout().shape(),
            Place::Cpu(array) => array.view().shape().to_vec(),
        }
    }

    /// Storage of its elements.
    pub fn element(&self) -> Element {
        match &self.0 {
            Place::Absent => Element::default(),
            #[cfg(feature = "gpu")]
            Place::Gpu(tensor) => tensor.element(),
            Place::Cpu(array) => array.view().element(),
        }
    }

    /// A copy on the host, in logical order.
    ///
    /// # Errors
    ///
    /// [`OperandError::Element`] if `T` is not [`Self::element`]; a lost or too slow device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn download<T: Scalar>(&self) -> Result<ArrayD<T>, Error> {
        wait::block_on(self.fetch(PlanOptions::default().timeout, wait::BLOCKING))
    }

    /// [`Self::download`] as a future; a borrowed device must be polled by its app meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Self::download`].
    pub async fn download_async<T: Scalar>(&self) -> Result<ArrayD<T>, Error> {
        self.fetch(PlanOptions::default().timeout, wait::ASYNC).await
    }

    pub(super) async fn fetch<T: Scalar>(
        &self,
        timeout: Duration,
        waiting: wait::Wait,
    ) -> Result<ArrayD<T>, Error> {
        let wrong = || OperandError::Element { role: "tensor", wanted: T::ELEMENT, got: self.element() };
        if self.element() != T::ELEMENT {
            return Err(wrong().into());
        }
        match &self.0 {
            Place::Absent => Err(OperandError::Missing { role: "tensor" }.into()),
            #[cfg(feature = "gpu")]
            Place::Gpu(tensor) => Ok(tensor.download(timeout, waiting).await?),
            Place::Cpu(array) => {
                let _ = (timeout, waiting);
                T::from_host((**array).clone()).ok_or_else(|| wrong().into())
            }
        }
    }

    /// [`Self::fetch`] of a tensor that nobody else may hold: on the CPU path without a copy.
    pub(super) async fn into_array<T: Scalar>(
        self,
        timeout: Duration,
        waiting: wait::Wait,
    ) -> Result<ArrayD<T>, Error> {
        let array = match self.0 {
            Place::Cpu(array) => Arc::unwrap_or_clone(array),
            other => return Self(other).fetch(timeout, waiting).await,
        };
        let got = array.view().element();
        T::from_host(array)
            .ok_or_else(|| OperandError::Element { role: "tensor", wanted: T::ELEMENT, got }.into())
    }
}
