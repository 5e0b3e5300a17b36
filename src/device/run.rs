//! From operands to a result: checked against the plan, then handed to the GPU or the CPU path.

use std::sync::Arc;
use std::time::Duration;

use ndarray::{ArrayBase, ArrayD, ArrayView, ArrayViewD, ArrayViewMut, Data, Dimension};

use super::memory::{bytes_of, reserve};
use super::operands::OperandPlace;
#[cfg(feature = "gpu")]
use super::operands::by_element;
use super::plan::Plan;
use super::prepared::{PreparedOnCpu, PreparedWeights};
use super::wait::{self, Boxed, Wait};
use super::{Backend, HostArray, HostView, OperandError, Operands, Scalar, Tensor};
use crate::cpu::{CpuOperands, CpuPlan, Real};
use crate::error::Error;
use crate::problem::{Direction, Element, PerRole, Role, TensorLayout};

#[cfg(feature = "gpu")]
use crate::gpu::{GpuPlan, GpuTensor};

/// Bytes of rows that the threads of the CPU path have at hand.
const ROWS: u64 = 4 << 20;

/// Where the operands of a run are.
pub(super) type OperandPlaces<'a> = PerRole<OperandPlace<'a>>;

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
            Backend::Gpu(plan) => {
                Backend::Gpu(by_element!(HostView, view, v => plan.prepare(v.view()).await?))
            }
            Backend::Cpu(plan) => {
                // Once in logical order, and once shared.
                let bytes = self.problem().weight().len().saturating_mul(view.element().bytes());
                reserve("the prepared weights", bytes.saturating_add(plan.prepared_bytes()))?;
                Backend::Cpu(match view {
                    HostView::F32(v) => PreparedOnCpu::F32(plan.prepare(v.view())?, Arc::clone(plan)),
                    HostView::F64(v) => PreparedOnCpu::F64(plan.prepare(v.view())?, Arc::clone(plan)),
                    HostView::F16(_) => {
                        let (role, wanted) = (Role::Weight.name(), self.problem().element());
                        return Err(OperandError::Element { role, wanted, got: Element::F16 }.into());
                    }
                })
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
        let given = operands.clone().places();
        self.check(&given)?;
        wait::block_on(self.execute(&given, false, wait::BLOCKING)).map(|(result, _)| result)
    }

    /// A future of [`Self::run_on`].
    ///
    /// # Errors
    ///
    /// As [`Self::run_on`].
    pub async fn run_on_async<'a>(&self, operands: &Operands<'a, &'a Tensor>) -> Result<Tensor, Error> {
        let given = operands.clone().places();
        self.check(&given)?;
        self.execute(&given, false, wait::ASYNC).await.map(|(result, _)| result)
    }

    pub(super) async fn result_of<'a, T: Scalar, D: Dimension>(
        &self,
        operands: Operands<'a, ArrayView<'a, T, D>>,
        timed: bool,
        waiting: Wait,
    ) -> Result<(ArrayD<T>, Option<Duration>), Error> {
        let given = operands.places();
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
        given: &'a OperandPlaces<'_>,
        timed: bool,
        waiting: Wait,
    ) -> Boxed<'a, Result<(Tensor, Option<Duration>), Error>> {
        Box::pin(self.executed(given, timed, waiting))
    }

    async fn executed(
        &self,
        given: &OperandPlaces<'_>,
        timed: bool,
        waiting: Wait,
    ) -> Result<(Tensor, Option<Duration>), Error> {
        self.check_finite(given, waiting).await?;
        match &self.runner {
            #[cfg(feature = "gpu")]
            Backend::Gpu(plan) => {
                let (tensor, took) = self.execute_on_gpu(plan, given, timed, waiting).await?;
                Ok((Tensor(Some(Backend::Gpu(tensor))), took))
            }
            Backend::Cpu(plan) => {
                let _ = (timed, waiting);
                let array = match self.problem().element() {
                    Element::F64 => self.execute_on_cpu::<f64>(plan, given)?,
                    // `CpuPlan::new` refused F16.
                    Element::F32 | Element::F16 => self.execute_on_cpu::<f32>(plan, given)?,
                };
                Ok((Tensor(Some(Backend::Cpu(Arc::new(array)))), None))
            }
        }
    }

    /// Presence, shape and element of every operand.
    pub(super) fn check(&self, given: &OperandPlaces<'_>) -> Result<(), Error> {
        // What was prepared is compared with the plan, not with the problem: after all else.
        for role in [Role::Input, Role::GradOutput, Role::Bias, Role::Residual, Role::Weight] {
            self.check_operand(role, &given[role])?;
        }
        Ok(())
    }

    fn check_operand(&self, role: Role, place: &OperandPlace<'_>) -> Result<(), Error> {
        let (problem, name) = (self.problem(), role.name());
        let (layout, element) = (role.layout(problem), problem.element());
        // A bias of no channels is none.
        let used = role.is_used(problem) && !(role == Role::Bias && layout.is_empty());
        match place {
            OperandPlace::Absent if used => Err(OperandError::Missing { role: name }.into()),
            OperandPlace::Absent => Ok(()),
            _ if !used => Err(OperandError::Superfluous { role: name }.into()),
            OperandPlace::Host(view) => check_view(name, view.shape(), view.element(), &layout, element),
            OperandPlace::Device(tensor) => {
                check_view(name, &tensor.shape(), tensor.element(), &layout, element)?;
                self.check_place(name, tensor, &layout)
            }
            OperandPlace::Prepared(weights) => self.check_prepared(weights),
        }
    }

    /// A tensor must be on the plan's device, and on a GPU in the plan's layout.
    fn check_place(&self, role: &'static str, tensor: &Tensor, layout: &TensorLayout) -> Result<(), Error> {
        match (&self.runner, &tensor.0) {
            #[cfg(feature = "gpu")]
            (Backend::Gpu(plan), Some(Backend::Gpu(there))) if plan.gpu().same_device(there.gpu()) => {
                let stepped = |l: &TensorLayout| -> Vec<u64> {
                    l.strides.iter().zip(&l.extents).map(|(&s, &e)| if e > 1 { s } else { 0 }).collect()
                };
                if stepped(there.layout()) != stepped(layout) && !layout.is_empty() {
                    let (wanted, got) = (layout.strides.clone(), there.layout().strides.clone());
                    return Err(OperandError::Layout { role, wanted, got }.into());
                }
                Ok(())
            }
            (Backend::Cpu(_), Some(Backend::Cpu(_))) => {
                let _ = layout;
                Ok(())
            }
            _ => Err(OperandError::OtherDevice { role }.into()),
        }
    }

    fn check_prepared(&self, weights: &PreparedWeights) -> Result<(), Error> {
        let ours = match (&self.runner, &weights.0) {
            #[cfg(feature = "gpu")]
            (Backend::Gpu(plan), Backend::Gpu(weights)) => weights.are_of(plan),
            (Backend::Cpu(plan), Backend::Cpu(weights)) => weights.are_of(plan),
            #[cfg(feature = "gpu")]
            _ => false,
        };
        if ours { Ok(()) } else { Err(OperandError::OtherPlan.into()) }
    }

    #[cfg(feature = "gpu")]
    async fn execute_on_gpu(
        &self,
        plan: &GpuPlan,
        given: &OperandPlaces<'_>,
        timed: bool,
        waiting: Wait,
    ) -> Result<(GpuTensor, Option<Duration>), Error> {
        let mut operands = PerRole::<Option<GpuTensor>>::default();
        for (role, place) in given.iter() {
            operands[role] = self.on_gpu(plan, role, place).await?;
        }
        Ok(plan.run(&operands, timed, waiting).await?)
    }

    /// An operand as the launches read it: weights prepared.
    #[cfg(feature = "gpu")]
    async fn on_gpu(
        &self,
        plan: &GpuPlan,
        role: Role,
        place: &OperandPlace<'_>,
    ) -> Result<Option<GpuTensor>, Error> {
        let (gpu, problem) = (plan.gpu(), self.problem());
        let layout = role.layout(problem);
        let elsewhere = OperandError::OtherDevice { role: role.name() };
        let weights = match place {
            // A bias of no channels is none: nothing reads it, but the launch has a place for it.
            OperandPlace::Absent if role == Role::Bias && problem.epilogue().bias => {
                return Ok(Some(gpu.tensor(&layout, problem.element()).await?));
            }
            OperandPlace::Absent => return Ok(None),
            OperandPlace::Host(view) if role == Role::Weight => self.prepare_view(view).await?,
            OperandPlace::Host(view) => {
                let element = view.element();
                return Ok(Some(by_element!(HostView, view, view => {
                    gpu.upload(role.name(), view.view(), &layout, element).await?
                })));
            }
            OperandPlace::Device(Tensor(Some(Backend::Gpu(tensor)))) if role == Role::Weight => {
                PreparedWeights(Backend::Gpu(plan.prepare_tensor(tensor.clone()).await?))
            }
            OperandPlace::Device(Tensor(Some(Backend::Gpu(tensor)))) => return Ok(Some(tensor.clone())),
            OperandPlace::Device(_) => return Err(elsewhere.into()),
            OperandPlace::Prepared(weights) => (*weights).clone(),
        };
        Ok(Some(weights.gpu().ok_or(elsewhere)?.tensor().clone()))
    }

    fn execute_on_cpu<T: Scalar + Real>(
        &self,
        plan: &CpuPlan,
        given: &OperandPlaces<'_>,
    ) -> Result<HostArray, Error> {
        let result = bytes_of::<T>(plan.problem().result().len());
        // By itself first: of a hopeless result the message says how large it is.
        reserve("the result", result)?;
        let operands: CpuOperands<'_, T> = given.map(view_of);
        let prepared = match &given.weight {
            OperandPlace::Prepared(weights) => weights.cpu::<T>(),
            _ => None,
        };
        // And for the rows that each thread has at hand: little where the result is small.
        let rows = result.min(ROWS);
        reserve(
            "the result and copies of the operands",
            result.saturating_add(plan.scratch_bytes(&operands)).saturating_add(rows),
        )?;
        Ok(T::into_host(plan.run(&operands, prepared)?))
    }
}

/// The view of an operand that is on the host.
fn view_of<'a, T: Scalar>(place: &OperandPlace<'a>) -> Option<ArrayViewD<'a, T>> {
    match place {
        OperandPlace::Host(view) => T::pick(view.clone()),
        OperandPlace::Device(Tensor(Some(Backend::Cpu(array)))) => T::pick(array.view()),
        _ => None,
    }
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
