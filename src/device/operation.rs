//! A named operation on a device: its convolutions planned one by one, and run in a row.

use std::borrow::Cow;

use ndarray::{ArrayD, ArrayViewD, CowArray, Dimension, IxDyn};

use super::memory::{bytes_of, copied, reserve};
use super::wait::{self, Wait};
use super::{Device, OperandError, Operands, Plan, Scalar};
use crate::algorithm_name::Algorithm;
use crate::classic::operation::{Argument, ArgumentSource, Operation, OperationError, Role, View};
use crate::error::Error;
use crate::planner::PlanOptions;
use crate::problem::Element;

/// An [`Operation`] with a [`Plan`] for each of its convolutions. `Send + Sync`.
#[derive(Clone, Debug)]
pub struct OperationPlan {
    operation: Operation,
    plans: Vec<Plan>,
}

/// An array of a run: the caller's, or computed.
type Array<'a, T> = CowArray<'a, T, IxDyn>;

impl Device {
    /// Plans `operation` for operands of `element`. The algorithm that a step prefers is asked first, after those that
    /// `options` prefer.
    ///
    /// # Errors
    ///
    /// As [`Self::plan`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn plan_operation(
        &self,
        operation: &Operation,
        element: Element,
        options: &PlanOptions,
    ) -> Result<OperationPlan, Error> {
        wait::block_on(self.plan_operation_async(operation, element, options))
    }

    /// [`Self::plan_operation`] as a future.
    ///
    /// # Errors
    ///
    /// As [`Self::plan`].
    pub async fn plan_operation_async(
        &self,
        operation: &Operation,
        element: Element,
        options: &PlanOptions,
    ) -> Result<OperationPlan, Error> {
        let mut plans = Vec::new();
        for step in operation.steps() {
            let mut options = Cow::Borrowed(options);
            if let Some(preferred) = step.prefers {
                // After what the caller prefers.
                options.to_mut().prefer.push(preferred);
            }
            plans.push(self.plan_async(&step.problem.with_element(element)?, &options).await?);
        }
        Ok(OperationPlan { operation: operation.clone(), plans })
    }
}

impl OperationPlan {
    /// What is computed.
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// The plans of its steps.
    pub fn plans(&self) -> &[Plan] {
        &self.plans
    }

    /// The plan with the most multiply-accumulates.
    fn main(&self) -> &Plan {
        // The first of equals, as `max_by_key` takes the last. No operation is without a step.
        self.plans.iter().rev().max_by_key(|plan| plan.problem().macs()).unwrap_or(&self.plans[0])
    }

    /// The algorithm of the step with the most multiply-accumulates.
    pub fn algorithm(&self) -> Algorithm {
        self.main().algorithm()
    }

    /// Where that step runs: the adapter's name, or `cpu`.
    pub fn device_name(&self) -> &str {
        self.main().device_name()
    }

    /// The most scratch memory that one of its convolutions takes, in bytes.
    pub fn workspace_bytes(&self) -> u64 {
        self.plans.iter().map(Plan::workspace_bytes).max().unwrap_or(0)
    }

    /// In words: each step with its device, algorithm, launches and workspace.
    pub fn explain(&self) -> String {
        let mut text = format!("{} -> {:?}\n", self.operation.name(), self.operation.shape());
        for plan in &self.plans {
            text += &plan.explain();
        }
        text
    }

    /// The result on the host.
    ///
    /// # Errors
    ///
    /// [`OperandError::Shape`] for operands that are not the operation's, and as [`Plan::run`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run<T: Scalar>(&self, operands: &[ArrayViewD<'_, T>]) -> Result<ArrayD<T>, Error> {
        wait::block_on(self.result_of(operands, wait::BLOCKING))
    }

    /// [`Self::run`] as a future. A borrowed device must be polled by its app meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Self::run`].
    pub async fn run_async<T: Scalar>(&self, operands: &[ArrayViewD<'_, T>]) -> Result<ArrayD<T>, Error> {
        self.result_of(operands, wait::ASYNC).await
    }

    async fn result_of<T: Scalar>(
        &self,
        operands: &[ArrayViewD<'_, T>],
        waiting: Wait,
    ) -> Result<ArrayD<T>, Error> {
        let named = self.operation.operands();
        if operands.len() != named.len() {
            let (wanted, got) = (named.len(), operands.len());
            return Err(OperationError::Count { wanted, got }.into());
        }
        for ((role, wanted), operand) in named.iter().zip(operands) {
            if operand.shape() != wanted {
                let (wanted, got) = (wanted.clone(), operand.shape().to_vec());
                return Err(OperandError::Shape { role, wanted, got }.into());
            }
        }
        let mut run = Run { operands, results: Vec::new() };
        for (at, (step, plan)) in self.operation.steps().iter().zip(&self.plans).enumerate() {
            let mut arrays = Vec::new();
            for (role, argument) in &step.operands {
                arrays.push((*role, run.array(argument, at)?));
            }
            let result = step_result(plan, &arrays, at, waiting).await?;
            drop(arrays);
            run.results.push(result);
        }
        let steps = run.results.len();
        // The last result is nobody else's: it need not be copied.
        match (&self.operation.result().source, run.results.pop()) {
            (ArgumentSource::Step(step), Some(last)) if *step + 1 == steps => {
                let seen = over(&self.operation.result().view, last.into(), steps)?;
                // A part of it that lies apart would keep the whole in memory.
                if seen.as_slice_memory_order().is_some() {
                    Ok(seen.into_owned())
                } else {
                    copied("the result", &seen.view())
                }
            }
            (_, last) => {
                run.results.extend(last);
                copied("the result", &run.array(self.operation.result(), steps)?.view())
            }
        }
    }
}

/// Plans `operation` on the [shared device](Device::shared) and runs it once.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn run_once<T: Scalar, D: Dimension>(
    operation: &Operation,
    operands: &[ArrayViewD<'_, T>],
) -> Result<ndarray::Array<T, D>, Error> {
    let plan = Device::shared()?.plan_operation(operation, T::ELEMENT, &PlanOptions::default())?;
    Ok(super::typed(plan.run(operands)?)?)
}

async fn step_result<T: Scalar>(
    plan: &Plan,
    arrays: &[(Role, Array<'_, T>)],
    at: usize,
    waiting: Wait,
) -> Result<ArrayD<T>, Error> {
    let mut given = Operands::default();
    for (role, array) in arrays {
        // A constant is repeated along the axes where it has an extent of 1.
        let view = array.broadcast(role.shape(plan.problem()));
        given = given.with(*role, view.ok_or(OperationError::View { step: at })?)?;
    }
    Ok(plan.result_of(given, false, waiting).await?.0)
}

/// The arrays that there are so far.
struct Run<'a, 'o, T> {
    operands: &'a [ArrayViewD<'o, T>],
    results: Vec<ArrayD<T>>,
}

impl<T: Scalar> Run<'_, '_, T> {
    fn array(&self, argument: &Argument, step: usize) -> Result<Array<'_, T>, Error> {
        let array: Array<'_, T> = match &argument.source {
            ArgumentSource::Operand(operand) => self.operands[*operand].view().into(),
            ArgumentSource::Step(step) => self.results[*step].view().into(),
            ArgumentSource::Constant(constant) => {
                let elements = constant.shape().iter().fold(1u64, |n, &e| n.saturating_mul(e as u64));
                reserve("a constant", bytes_of::<f64>(elements).saturating_add(bytes_of::<T>(elements)))?;
                constant.array().mapv(T::from_f64).into()
            }
        };
        over(&argument.view, array, step)
    }
}

/// The array as `view` sees it, as an argument of a step.
fn over<'a, T: Scalar>(view: &View, array: Array<'a, T>, step: usize) -> Result<Array<'a, T>, Error> {
    let seen = view.over(array, &|bytes| reserve("a view of an operand", bytes))?;
    seen.ok_or_else(|| OperationError::View { step }.into())
}
