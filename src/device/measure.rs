//! The choice of an algorithm by time.

use std::time::Duration;

use half::f16;
use ndarray::ArrayD;

use super::wait;
use super::{Device, Operands, Plan, Scalar};
use crate::algorithm_name::Algorithm;
use crate::error::Error;
use crate::operation::Role;
use crate::planner::PlanOptions;
use crate::problem::{ConvProblem, Element};

/// Timed runs of an algorithm, of which the fastest counts.
const RUNS: usize = 3;
/// The reference computes one product after the other: past so many it is no candidate.
const REFERENCE_MACS: u64 = 1 << 22;
/// Largest difference from the first algorithm's result, relative to its largest element; integers as small as
/// these leave nothing near it to rounding.
const AGREEMENT: f64 = 1e-3;

/// The fastest of the algorithms that take `problem` and agree on its result.
pub(super) async fn fastest(
    device: &Device,
    problem: &ConvProblem,
    options: &PlanOptions,
) -> Result<Plan, Error> {
    let mut plans = Vec::new();
    for algorithm in options.asked(device.algorithms()) {
        if algorithm == Algorithm::Reference && problem.macs() > REFERENCE_MACS {
            continue;
        }
        let forced = PlanOptions { algorithm: Some(algorithm), ..options.clone() };
        match Plan::choose(device, problem, &forced).await {
            // What fell back to the CPU path is no candidate of the GPU.
            Ok(plan) if plan.fallback().is_none() => plans.push(plan),
            Ok(_) | Err(Error::Declined(_) | Error::Cpu(_)) => {}
            Err(e) => return Err(e),
        }
    }
    if plans.len() < 2 {
        return Plan::choose(device, problem, options).await;
    }
    match problem.element() {
        Element::F32 => fastest_of::<f32>(plans).await,
        Element::F64 => fastest_of::<f64>(plans).await,
        Element::F16 => fastest_of::<f16>(plans).await,
    }
}

async fn fastest_of<T: Scalar + Into<f64>>(plans: Vec<Plan>) -> Result<Plan, Error> {
    let first = plans[0].clone();
    let arrays = Arrays::<T>::of(first.problem())?;
    let mut expected: Option<Vec<f64>> = None;
    let mut timed: Vec<(Duration, Plan)> = Vec::new();
    for plan in plans {
        let result: Vec<f64> = arrays.run(&plan).await?.into_iter().map(Into::into).collect();
        let first = expected.get_or_insert_with(|| result.clone());
        let largest = first.iter().fold(1.0f64, |most, value| most.max(value.abs()));
        // NaN is no agreement.
        let agrees = first.iter().zip(&result).all(|(a, b)| (a - b).abs() <= AGREEMENT * largest);
        if !agrees {
            log::warn!("{} does not agree with the others and is left out", plan.explain().trim_end());
            continue;
        }
        let mut best = Duration::MAX;
        for _ in 0..RUNS {
            let start = std::time::Instant::now();
            arrays.run(&plan).await?;
            best = best.min(start.elapsed());
        }
        timed.push((best, plan));
    }
    let measured = timed.iter().map(|(time, plan)| (plan.algorithm(), *time)).collect();
    let mut fastest = timed.into_iter().min_by_key(|(time, _)| *time).map_or(first, |(_, plan)| plan);
    fastest.measured = measured;
    Ok(fastest)
}

/// Made-up operands of a problem: small integers.
struct Arrays<T> {
    operands: Vec<(Role, ArrayD<T>)>,
    residual: Option<ArrayD<T>>,
}

impl<T: Scalar> Arrays<T> {
    fn of(problem: &ConvProblem) -> Result<Self, Error> {
        let mut next = 0u32;
        let mut made = |shape: Vec<usize>| {
            let elements = shape.iter().product::<usize>() as u64;
            super::run::reserve("made-up operands", elements.saturating_mul(size_of::<T>() as u64))?;
            Ok::<_, Error>(ArrayD::from_shape_simple_fn(shape, || {
                next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                T::from_f64(f64::from(next >> 30) - 1.0)
            }))
        };
        let mut operands = Vec::new();
        for role in Role::ALL {
            if role.is_used(problem) {
                operands.push((role, made(role.shape(problem))?));
            }
        }
        let has_residual = problem.epilogue().beta.is_some();
        let residual = if has_residual { Some(made(problem.result().shape())?) } else { None };
        Ok(Self { operands, residual })
    }

    async fn run(&self, plan: &Plan) -> Result<ArrayD<T>, Error> {
        let mut given = Operands::default();
        for (role, array) in &self.operands {
            given = given.with(*role, array.view())?;
        }
        if let Some(residual) = &self.residual {
            given.residual = residual.view();
        }
        Ok(plan.result_of(given, false, wait::BLOCKING).await?.0)
    }
}
