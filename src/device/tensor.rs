//! An array that lives on a device.

use std::sync::Arc;
use std::time::Duration;

use ndarray::{ArrayD, ArrayViewD};

use super::operands::by_element;
use super::wait::{self, Boxed};
use super::{Backend, Device, HostArray, HostView, OperandError, PerBackend, Scalar};
use crate::error::Error;
use crate::planner::PlanOptions;
use crate::problem::{Element, Layout, TensorLayout};

#[cfg(feature = "gpu")]
use crate::gpu::GpuTensor;

/// An array on a device, from [`Device::upload`] or [`Plan::run_on`](super::Plan::run_on): chains of
/// convolutions pass it on without a copy to the host. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Tensor(pub(super) Option<Backend<TensorKind>>);

/// What a tensor is.
pub(super) struct TensorKind;

impl PerBackend for TensorKind {
    #[cfg(feature = "gpu")]
    type Gpu = GpuTensor;
    type Cpu = Arc<HostArray>;
}

impl HostArray {
    pub(super) fn view(&self) -> HostView<'_> {
        by_element!(Self, self, array => Scalar::host_view(array.view()))
    }
}

impl Tensor {
    /// Stands for no operand.
    pub(super) const ABSENT: Self = Self(None);

    pub(super) fn upload<'a, T: Scalar>(
        device: &'a Device,
        view: ArrayViewD<'a, T>,
        layout: &'a Layout,
    ) -> Boxed<'a, Result<Self, Error>> {
        Self::upload_view(device, T::host_view(view), layout)
    }

    fn upload_view<'a>(
        device: &'a Device,
        view: HostView<'a>,
        layout: &'a Layout,
    ) -> Boxed<'a, Result<Self, Error>> {
        Box::pin(async move {
            let layout = TensorLayout::new("tensor", view.shape(), layout)?;
            match &device.0 {
                #[cfg(feature = "gpu")]
                Backend::Gpu(gpu) => {
                    let element = view.element();
                    let tensor =
                        by_element!(HostView, view, v => gpu.upload("tensor", v, &layout, element).await?);
                    Ok(Self(Some(Backend::Gpu(tensor))))
                }
                // The CPU path reads any strides, so the order in memory is the host's.
                Backend::Cpu(()) => {
                    super::reserve("the tensor", layout.len().saturating_mul(view.element().bytes()))?;
                    Ok(Self(Some(Backend::Cpu(Arc::new(view.to_owned())))))
                }
            }
        })
    }

    pub(super) fn is_absent(&self) -> bool {
        self.0.is_none()
    }

    /// Its logical extents.
    pub fn shape(&self) -> Vec<usize> {
        match &self.0 {
            None => Vec::new(),
            #[cfg(feature = "gpu")]
            Some(Backend::Gpu(tensor)) => tensor.layout().shape(),
            Some(Backend::Cpu(array)) => array.view().shape().to_vec(),
        }
    }

    /// Storage of its elements.
    pub fn element(&self) -> Element {
        match &self.0 {
            None => Element::default(),
            #[cfg(feature = "gpu")]
            Some(Backend::Gpu(tensor)) => tensor.element(),
            Some(Backend::Cpu(array)) => array.view().element(),
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
        T::from_host(self.copy(timeout, waiting).await?).ok_or_else(|| wrong().into())
    }

    /// A copy on the host.
    fn copy(&self, timeout: Duration, waiting: wait::Wait) -> Boxed<'_, Result<HostArray, Error>> {
        Box::pin(async move {
            let _ = (timeout, waiting);
            Ok(match &self.0 {
                None => return Err(OperandError::Missing { role: "tensor" }.into()),
                #[cfg(feature = "gpu")]
                Some(Backend::Gpu(tensor)) => match tensor.element() {
                    Element::F32 => HostArray::F32(tensor.download(timeout, waiting).await?),
                    Element::F64 => HostArray::F64(tensor.download(timeout, waiting).await?),
                    Element::F16 => HostArray::F16(tensor.download(timeout, waiting).await?),
                },
                Some(Backend::Cpu(array)) => {
                    let view = array.view();
                    let elements = view.shape().iter().fold(1u64, |n, &e| n.saturating_mul(e as u64));
                    super::reserve("a copy of the tensor", elements.saturating_mul(view.element().bytes()))?;
                    (**array).clone()
                }
            })
        })
    }

    /// [`Self::fetch`] of a tensor that nobody else may hold: on the CPU path without a copy.
    pub(super) async fn into_array<T: Scalar>(
        self,
        timeout: Duration,
        waiting: wait::Wait,
    ) -> Result<ArrayD<T>, Error> {
        let array = match self.0 {
            Some(Backend::Cpu(array)) => Arc::unwrap_or_clone(array),
            other => return Self(other).fetch(timeout, waiting).await,
        };
        let got = array.view().element();
        T::from_host(array)
            .ok_or_else(|| OperandError::Element { role: "tensor", wanted: T::ELEMENT, got }.into())
    }
}
