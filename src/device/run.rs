//! From operands to a result: checked against the plan, then handed to the GPU or the CPU path.

use std::sync::Arc;
use std::time::Duration;

use ndarray::{ArrayBase, ArrayD, ArrayView, ArrayViewD, ArrayViewMut, Data, Dimension, Ix1};

use super::memory::{bytes_of, reserve};
use super::operands::Source;
use super::plan::{Plan, Runner};
use super::prepared::{PreparedOn, PreparedWeights};
use super::tensor::Place;
use super::wait::{self, Boxed, Wait};
use super::{HostArray, HostView, Operand, OperandError, Operands, Scalar, Tensor, Weight};
use crate::cpu::{CpuOperands, CpuPlan, CpuWeight, Real};
use crate::error::Error;
use crate::problem::{Direction, Element, TensorLayout};

#[cfg(feature = "gpu")]
use crate::gpu::{GpuOperands, GpuPlan, GpuTensor};

/// Bytes of rows that the threads of the CPU path have at hand.
const ROWS: u64 = 4 << 20;

/// Operands by role, checked against the plan.
pub(super) struct Given<'a> {
    pub(super) input: Source<'a>,
    pub(super) weight: Weight<'a>,
    pub(super) grad_output: Source<'a>,
    bias: Source<'a>,
    residual: Source<'a>,
}

impl<'a> Given<'a> {
    pub(super) fn new<V: Operand<'a>>(operands: Operands<'a, V>) -> Self {
        Self {
            input: operands.input.source(),
            weight: operands.weight,
            grad_output: operands.grad_output.source(),
            bias: V::vector_source(operands.bias),
            residual: operands.residual.source(),
        }
    }
}

impl Plan {
    /// Brings weights into the plan's form, for any number of runs.
    ///
    /// # Errors
    ///
    /// [`OperandError`] for weights of another shape or type, [`OperandError::NothingToPrepare`] for
    /// the gradient of the weight; what the device refuses.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn prepare<T: Scalar, S: Data<Elem = T>, D: Dimension>(
        &self,
        weight: &ArrayBase<S, D>,
    ) -> Result<PreparedWeights, Error> {
        wait::block_on(self.prepare_async(weight))
    }

    /// [`Self::prepare`] as a future.
    ///
    /// # Errors
    ///
    /// As [`Self::prepare`].
    pub async fn prepare_async<T: Scalar, S: Data<Elem = T>, D: Dimension>(
        &self,
        weight: &ArrayBase<S, D>,
    ) -> Result<PreparedWeights, Error> {
        let problem = self.problem();
        if problem.direction() == Direction::GradWeight {
            return Err(OperandError::NothingToPrepare.into());
        }
        let view = T::host_view(weight.view().into_dyn());
        check_view("weight", view.shape(), view.element(), problem.weight(), problem.element())?;
        self.check_finite_view("weight", &view)?;
        self.prepared(view).await
    }

    fn prepared<'a>(&'a self, view: HostView<'a>) -> Boxed<'a, Result<PreparedWeights, Error>> {
        Box::pin(async move { self.prepare_view(&view).await })
    }

    async fn prepare_view(&self, view: &HostView<'_>) -> Result<PreparedWeights, Error> {
        Ok(PreparedWeights(match &self.runner {
            #[cfg(feature = "gpu")]
            Runner::Gpu(plan) => PreparedOn::Gpu(match view {
                HostView::F32(v) => plan.prepare(v.view()).await?,
                HostView::F64(v) => plan.prepare(v.view()).await?,
                HostView::F16(v) => plan.prepare(v.view()).await?,
            }),
            Runner::Cpu(plan) => {
                // Once in logical order, and once shared.
                let bytes = self.problem().weight().len().saturating_mul(view.element().bytes());
                reserve("the prepared weights", bytes.saturating_add(plan.prepared_bytes()))?;
                match view {
                    HostView::F32(v) => PreparedOn::CpuF32(plan.prepare(v.view())?, Arc::clone(plan)),
                    HostView::F64(v) => PreparedOn::CpuF64(plan.prepare(v.view())?, Arc::clone(plan)),
                    // No panic: the CPU has no plan for f16, and the view is of the plan's element.
                    HostView::F16(_) => unreachable!("a plan for f16 on the CPU"),
                }
            }
        }))
    }

    /// The result on the host, in logical order.
    ///
    /// # Errors
    ///
    /// [`OperandError`] for operands that are not the plan's; a device that is lost, full or too slow.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run<'a, T: Scalar, D: Dimension>(
        &self,
        operands: Operands<'a, ArrayView<'a, T, D>>,
    ) -> Result<ArrayD<T>, Error> {
        wait::block_on(self.result_of(operands, false, wait::BLOCKING)).map(|(result, _)| result)
    }

    /// [`Self::run`] as a future. A borrowed device must be polled by its app meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Self::run`].
    pub async fn run_async<'a, T: Scalar, D: Dimension>(
        &self,
        operands: Operands<'a, ArrayView<'a, T, D>>,
    ) -> Result<ArrayD<T>, Error> {
        self.result_of(operands, false, wait::ASYNC).await.map(|(result, _)| result)
    }

    /// [`Self::run`] into an array of the caller's, of any strides.
    ///
    /// # Errors
    ///
    /// As [`Self::run`], and [`OperandError::Shape`] for an `out` of another shape than the result.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_into<'a, T: Scalar, D: Dimension, E: Dimension>(
        &self,
        operands: Operands<'a, ArrayView<'a, T, D>>,
        out: ArrayViewMut<'_, T, E>,
    ) -> Result<(), Error> {
        let wanted = self.problem().result().shape();
        if out.shape() != wanted {
            let got = out.shape().to_vec();
            return Err(OperandError::Shape { role: "output", wanted, got }.into());
        }
        out.into_dyn().assign(&self.run(operands)?);
        Ok(())
    }

    /// Runs on tensors of the plan's device; the result stays there, and may still be under way.
    ///
    /// # Errors
    ///
    /// As [`Self::run`]; [`OperandError::Layout`] for a tensor in another layout than the plan's,
    /// [`OperandError::OtherDevice`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_on<'a>(&self, operands: &Operands<'a, &'a Tensor>) -> Result<Tensor, Error> {
        let given = Given::new(operands.clone());
        self.check(&given)?;
        wait::block_on(self.execute(&given, false, wait::BLOCKING)).map(|(result, _)| result)
    }

    /// A future of [`Self::run_on`].
    ///
    /// # Errors
    ///
    /// As [`Self::run_on`].
    pub async fn run_on_async<'a>(&self, operands: &Operands<'a, &'a Tensor>) -> Result<Tensor, Error> {
        let given = Given::new(operands.clone());
        self.check(&given)?;
        self.execute(&given, false, wait::ASYNC).await.map(|(result, _)| result)
    }

    pub(super) async fn result_of<'a, T: Scalar, D: Dimension>(
        &self,
        operands: Operands<'a, ArrayView<'a, T, D>>,
        timed: bool,
        waiting: Wait,
    ) -> Result<(ArrayD<T>, Option<Duration>), Error> {
        let given = Given::new(operands);
        // First, because it names the operand that is of another type.
        self.check(&given)?;
        let wanted = self.problem().element();
        if T::ELEMENT != wanted {
            return Err(OperandError::Element { role: "result", wanted, got: T::ELEMENT }.into());
        }
        let (tensor, took) = self.execute(&given, timed, waiting).await?;
        Ok((tensor.into_array(self.timeout, waiting).await?, took))
    }

    /// The operands were checked.
    pub(super) fn execute<'a>(
        &'a self,
        given: &'a Given<'_>,
        timed: bool,
        waiting: Wait,
    ) -> Boxed<'a, Result<(Tensor, Option<Duration>), Error>> {
        Box::pin(self.executed(given, timed, waiting))
    }

    async fn executed(
        &self,
        given: &Given<'_>,
        timed: bool,
        waiting: Wait,
    ) -> Result<(Tensor, Option<Duration>), Error> {
        self.check_finite(given, waiting).await?;
        match &self.runner {
            #[cfg(feature = "gpu")]
            Runner::Gpu(plan) => {
                let (tensor, took) = self.execute_on_gpu(plan, given, timed, waiting).await?;
                Ok((Tensor(Place::Gpu(tensor)), took))
            }
            Runner::Cpu(plan) => {
                let _ = (timed, waiting);
                let array = match self.problem().element() {
                    Element::F64 => self.execute_on_cpu::<f64>(plan, given)?,
                    // `CpuPlan::new` refused F16.
                    Element::F32 | Element::F16 => self.execute_on_cpu::<f32>(plan, given)?,
                };
                Ok((Tensor(Place::Cpu(Arc::new(array))), None))
            }
        }
    }

    /// Presence, shape and element of every operand.
    pub(super) fn check(&self, given: &Given<'_>) -> Result<(), Error> {
        let problem = self.problem();
        let direction = problem.direction();
        let bias = TensorLayout::new("bias", &[problem.bias_shape()], &Default::default())?;
        let has_bias = problem.epilogue().bias && !bias.is_empty();
        for (role, source, used, layout) in [
            ("input", &given.input, direction != Direction::GradInput, problem.input()),
            ("grad_output", &given.grad_output, direction != Direction::Forward, problem.output()),
            ("bias", &given.bias, has_bias, &bias),
            ("residual", &given.residual, problem.epilogue().beta.is_some(), problem.result()),
        ] {
            self.check_source(role, source, used, layout)?;
        }
        let source = match &given.weight {
            Weight::Absent => Source::Absent,
            Weight::View(view) => Source::Host(view.clone()),
            Weight::Tensor(tensor) => Operand::source(*tensor),
            Weight::Prepared(weights) if direction != Direction::GradWeight => {
                return self.check_prepared(weights);
            }
            Weight::Prepared(_) => return Err(OperandError::Superfluous { role: "weight" }.into()),
        };
        self.check_source("weight", &source, direction != Direction::GradWeight, problem.weight())
    }

    fn check_source(
        &self,
        role: &'static str,
        source: &Source<'_>,
        used: bool,
        layout: &TensorLayout,
    ) -> Result<(), Error> {
        let element = self.problem().element();
        match source {
            Source::Absent if used => Err(OperandError::Missing { role }.into()),
            Source::Absent => Ok(()),
            _ if !used => Err(OperandError::Superfluous { role }.into()),
            Source::Host(view) => check_view(role, view.shape(), view.element(), layout, element),
            Source::Device(tensor) => {
                check_view(role, &tensor.shape(), tensor.element(), layout, element)?;
                self.check_place(role, tensor, layout)
            }
        }
    }

    /// A tensor must be on the plan's device, and on a GPU in the plan's layout.
    fn check_place(&self, role: &'static str, tensor: &Tensor, layout: &TensorLayout) -> Result<(), Error> {
        match (&self.runner, &tensor.0) {
            #[cfg(feature = "gpu")]
            (Runner::Gpu(plan), Place::Gpu(there)) if plan.gpu().same_device(there.gpu()) => {
                let stepped = |l: &TensorLayout| -> Vec<u64> {
                    l.strides.iter().zip(&l.extents).map(|(&s, &e)| if e > 1 { s } else { 0 }).collect()
                };
                if stepped(there.layout()) != stepped(layout) && !layout.is_empty() {
                    let (wanted, got) = (layout.strides.clone(), there.layout().strides.clone());
                    return Err(OperandError::Layout { role, wanted, got }.into());
                }
                Ok(())
            }
            (Runner::Cpu(_), Place::Cpu(_)) => {
                let _ = layout;
                Ok(())
            }
            _ => Err(OperandError::OtherDevice { role }.into()),
        }
    }

    fn check_prepared(&self, weights: &PreparedWeights) -> Result<(), Error> {
        let ours = match (&self.runner, &weights.0) {
            #[cfg(feature = "gpu")]
            (Runner::Gpu(plan), PreparedOn::Gpu(weights)) => weights.are_of(plan),
            (Runner::Cpu(plan), PreparedOn::CpuF32(_, of) | PreparedOn::CpuF64(_, of)) => {
                Arc::ptr_eq(plan, of)
            }
            #[cfg(feature = "gpu")]
            _ => false,
        };
        if ours { Ok(()) } else { Err(OperandError::OtherPlan.into()) }
    }

    #[cfg(feature = "gpu")]
    async fn execute_on_gpu(
        &self,
        plan: &GpuPlan,
        given: &Given<'_>,
        timed: bool,
        waiting: Wait,
    ) -> Result<(GpuTensor, Option<Duration>), Error> {
        let problem = self.problem();
        let bias = TensorLayout::new("bias", &[problem.bias_shape()], &Default::default())?;
        let input = upload("input", plan, &given.input, problem.input()).await?;
        let grad_output = upload("grad_output", plan, &given.grad_output, problem.output()).await?;
        // A bias of no channels is none: nothing reads it, but the launch has a place for it.
        let bias = match &given.bias {
            Source::Absent if problem.epilogue().bias => {
                Some(plan.gpu().tensor(&bias, problem.element()).await?)
            }
            given => upload("bias", plan, given, &bias).await?,
        };
        let residual = upload("residual", plan, &given.residual, problem.result()).await?;
        let fresh;
        let weight = match &given.weight {
            Weight::Absent => None,
            Weight::View(view) => {
                fresh = self.prepare_view(view).await?;
                fresh.gpu()
            }
            Weight::Tensor(Tensor(Place::Gpu(tensor))) => {
                fresh = PreparedWeights(PreparedOn::Gpu(plan.prepare_tensor(tensor.clone()).await?));
                fresh.gpu()
            }
            Weight::Tensor(_) => return Err(OperandError::OtherDevice { role: "weight" }.into()),
            Weight::Prepared(weights) => weights.gpu(),
        };
        let operands = GpuOperands {
            input: input.as_ref(),
            weight,
            grad_output: grad_output.as_ref(),
            bias: bias.as_ref(),
            residual: residual.as_ref(),
        };
        Ok(plan.run(&operands, timed, waiting).await?)
    }

    fn execute_on_cpu<T: Scalar + Real>(
        &self,
        plan: &CpuPlan,
        given: &Given<'_>,
    ) -> Result<HostArray, Error> {
        let result = bytes_of::<T>(plan.problem().result().len());
        // By itself first: of a hopeless result the message says how large it is.
        reserve("the result", result)?;
        let prepared;
        let weight = match &given.weight {
            Weight::Absent => None,
            Weight::View(view) => T::pick(view.clone()).map(CpuWeight::View),
            Weight::Tensor(tensor) => view_of::<T>(&Source::Device(tensor)).map(CpuWeight::View),
            Weight::Prepared(weights) => {
                prepared = weights.cpu::<T>();
                prepared.as_ref().map(CpuWeight::Prepared)
            }
        };
        let bias = view_of::<T>(&given.bias).and_then(|b| b.into_dimensionality::<Ix1>().ok());
        let operands = CpuOperands {
            input: view_of(&given.input),
            weight,
            grad_output: view_of(&given.grad_output),
            residual: view_of(&given.residual),
            bias,
        };
        // And for the rows that each thread has at hand: little where the result is small.
        let rows = result.min(ROWS);
        reserve(
            "the result and copies of the operands",
            result.saturating_add(plan.scratch_bytes(&operands)).saturating_add(rows),
        )?;
        Ok(T::into_host(plan.run(&operands)?))
    }
}

/// The view of an operand that is on the host.
fn view_of<'a, T: Scalar>(source: &Source<'a>) -> Option<ArrayViewD<'a, T>> {
    match source {
        Source::Host(view) => T::pick(view.clone()),
        Source::Device(Tensor(Place::Cpu(array))) => T::pick(array.view()),
        _ => None,
    }
}

#[cfg(feature = "gpu")]
async fn upload(
    role: &'static str,
    plan: &GpuPlan,
    source: &Source<'_>,
    layout: &TensorLayout,
) -> Result<Option<GpuTensor>, Error> {
    let gpu = plan.gpu();
    Ok(Some(match source {
        Source::Host(HostView::F32(v)) => gpu.upload(role, v.view(), layout, Element::F32).await?,
        Source::Host(HostView::F64(v)) => gpu.upload(role, v.view(), layout, Element::F64).await?,
        Source::Host(HostView::F16(v)) => gpu.upload(role, v.view(), layout, Element::F16).await?,
        Source::Device(Tensor(Place::Gpu(tensor))) => tensor.clone(),
        Source::Absent | Source::Device(_) => return Ok(None),
    }))
}

fn check_view(
    role: &'static str,
    shape: &[usize],
    got: Element,
    layout: &TensorLayout,
    wanted: Element,
) -> Result<(), Error> {
    if got != wanted {
        return Err(OperandError::Element { role, wanted, got }.into());
    }
    if shape != layout.shape() {
        return Err(OperandError::Shape { role, wanted: layout.shape(), got: shape.to_vec() }.into());
    }
    Ok(())
}
