//! The choice of an algorithm by time.

use std::time::Duration;

use half::f16;
use ndarray::ArrayD;

use super::wait;
use super::{Device, Operands, Plan, Scalar};
use crate::algorithm_name::Algorithm;
use crate::error::Error;
use crate::planner::{Fallback, PlanOptions};
use crate::problem::{ConvProblem, Element, Role};

/// Timed runs of an algorithm, of which the fastest counts.
const RUNS: usize = 3;
/// The reference computes one product after the other: past so many it is no candidate.
const REFERENCE_MACS: u64 = 1 << 22;
/// Largest difference from what is expected, relative to its largest element; integers as small as
/// these leave nothing near it to rounding.
const AGREEMENT: f64 = 1e-3;

/// The fastest of the algorithms that take `problem` and agree on its result.
pub(super) async fn fastest(
    device: &Device,
    problem: &ConvProblem,
    options: &PlanOptions,
) -> Result<Plan, Error> {
    let small = problem.macs() <= REFERENCE_MACS;
    let by = |algorithm| PlanOptions {
        algorithm: Some(algorithm),
        // What would fall back to the CPU path is no candidate of the GPU.
        fallback: Fallback::Error,
        ..options.clone()
    };
    let mut plans = Vec::new();
    for algorithm in options.considered(device.algorithms(), problem) {
        if algorithm == Algorithm::Reference && !small {
            continue;
        }
        match Plan::choose(device, problem, &by(algorithm)).await {
            Ok(plan) => plans.push(plan),
            Err(why) => log::debug!("{algorithm} is not measured: {why}"),
        }
    }
    if plans.len() < 2 {
        return Plan::choose(device, problem, options).await;
    }
    // The oracle, where it computes with this element in reasonable time.
    let oracle =
        Plan::choose(&Device::cpu(), problem, &by(Algorithm::Reference)).await.ok().filter(|_| small);
    match problem.element() {
        Element::F32 => fastest_of::<f32>(plans, oracle).await,
        Element::F64 => fastest_of::<f64>(plans, oracle).await,
        Element::F16 => fastest_of::<f16>(plans, oracle).await,
    }
}

async fn fastest_of<T: Scalar + Into<f64>>(plans: Vec<Plan>, oracle: Option<Plan>) -> Result<Plan, Error> {
    let first = plans[0].clone();
    let arrays = Arrays::<T>::of(first.problem())?;
    let mut expected = match &oracle {
        Some(oracle) => Some(arrays.run(oracle).await?),
        None => None,
    };
    let mut timed: Vec<(Duration, Plan)> = Vec::new();
    for plan in plans {
        match time(&arrays, &plan, &mut expected).await {
            Ok(time) => timed.push((time, plan)),
            Err(why) => log::warn!("{} is no candidate: {why}", plan.algorithm()),
        }
    }
    let measured = timed.iter().map(|(time, plan)| (plan.algorithm(), *time)).collect();
    let mut fastest = timed.into_iter().min_by_key(|(time, _)| *time).map_or(first, |(_, plan)| plan);
    fastest.measured = measured;
    Ok(fastest)
}

/// The time of a run whose result is as expected; of the first plan it is what is expected from then on.
async fn time<T: Scalar + Into<f64>>(
    arrays: &Arrays<T>,
    plan: &Plan,
    expected: &mut Option<ArrayD<T>>,
) -> Result<Duration, String> {
    let result = arrays.run(plan).await.map_err(|e| e.to_string())?;
    let wanted = expected.get_or_insert_with(|| result.clone());
    if !agree(wanted, &result) {
        return Err("its result is another one".into());
    }
    let mut best = Duration::MAX;
    for _ in 0..RUNS {
        let start = std::time::Instant::now();
        arrays.run(plan).await.map_err(|e| e.to_string())?;
        best = best.min(start.elapsed());
    }
    Ok(best)
}

/// Whether no element is farther off than [`AGREEMENT`]. NaN is no agreement.
fn agree<T: Scalar + Into<f64>>(wanted: &ArrayD<T>, got: &ArrayD<T>) -> bool {
    let wide = |value: &T| -> f64 { (*value).into() };
    let largest = wanted.iter().fold(1.0f64, |most, value| most.max(wide(value).abs()));
    wanted.shape() == got.shape()
        && wanted.iter().zip(got).all(|(a, b)| (wide(a) - wide(b)).abs() <= AGREEMENT * largest)
}

/// Made-up operands of a problem: small integers.
struct Arrays<T> {
    operands: Vec<(Role, ArrayD<T>)>,
}

impl<T: Scalar> Arrays<T> {
    fn of(problem: &ConvProblem) -> Result<Self, Error> {
        let mut next = 0u32;
        let mut made = |shape: Vec<usize>| {
            let elements = shape.iter().product::<usize>() as u64;
            super::memory::reserve("made-up operands", super::memory::bytes_of::<T>(elements))?;
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
        Ok(Self { operands })
    }

    async fn run(&self, plan: &Plan) -> Result<ArrayD<T>, Error> {
        let mut given = Operands::default();
        for (role, array) in &self.operands {
            given = given.with(*role, array.view())?;
        }
        Ok(plan.result_of(given, false, wait::BLOCKING).await?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr1;

    #[test]
    fn a_wrong_result_is_no_candidate() {
        let right = arr1(&[1f32, -200., 3.]).into_dyn();
        assert!(agree(&right, &right));
        assert!(agree(&right, &arr1(&[1.1, -200., 3.]).into_dyn()), "within a thousandth of the largest");
        for wrong in [[2f32, -200., 3.], [1., 200., 3.], [f32::NAN, -200., 3.], [1., f32::INFINITY, 3.]] {
            assert!(!agree(&right, &arr1(&wrong).into_dyn()), "{wrong:?}");
        }
        assert!(!agree(&right, &arr1(&[1f32, -200.]).into_dyn()));
    }
}
