//! A small integer convolution, computed exactly by any driver that compiles what it is given.

use ndarray::{ArrayD, ArrayViewD};

use super::{Gpu, GpuError, GpuPlan, Waiting};
use crate::planner::{PlanOptions, Planner};
use crate::problem::{Conv, ConvProblem, Element, PerRole};

const X: [usize; 4] = [1, 3, 6, 7];
const W: [usize; 4] = [5, 3, 3, 2];
const STRIDE: [usize; 2] = [1, 2];
const PAD: usize = 1;

/// Integers in -4..=4, with no pattern that a wrong index would leave unchanged.
fn integers(shape: &[usize], seed: usize) -> ArrayD<f32> {
    let mut i = seed;
    ArrayD::from_shape_simple_fn(shape, || {
        i += 1;
        ((i * i * 7 + i * 3) % 9) as f32 - 4.0
    })
}

/// The formula, in loops that share nothing with the kernel or its lowering.
fn expected(x: ArrayViewD<'_, f32>, w: ArrayViewD<'_, f32>, shape: &[usize]) -> ArrayD<f32> {
    ArrayD::from_shape_fn(shape, |y| {
        let mut sum = 0.0;
        for c in 0..W[1] {
            for k in 0..W[2] {
                for l in 0..W[3] {
                    let (row, column) = (y[2] * STRIDE[0] + k, y[3] * STRIDE[1] + l);
                    let inside = (PAD..PAD + X[2]).contains(&row) && (PAD..PAD + X[3]).contains(&column);
                    if inside {
                        sum += x[[y[0], c, row - PAD, column - PAD]] * w[[y[1], c, k, l]];
                    }
                }
            }
        }
        sum
    })
}

pub(super) async fn run(gpu: &Gpu) -> Result<(), GpuError> {
    let refused = |reason: String| GpuError::Refused { what: "the self-test".into(), reason };
    let conv = Conv::default().stride(STRIDE).padding(PAD);
    let problem = ConvProblem::new(&X, &W, &conv).map_err(|e| refused(e.to_string()))?;
    let choice =
        Planner::new(gpu.target().clone()).choose(&problem, None).map_err(|e| refused(e.to_string()))?;
    let plan = GpuPlan::new(gpu, choice, &PlanOptions::default()).await?;
    let (x, w) = (integers(&X, 1), integers(&W, 2));
    let input = Some(gpu.upload("input", x.view(), problem.input(), Element::F32).await?);
    let weight = Some(plan.prepare(w.view()).await?.tensor().clone());
    let operands = PerRole { input, weight, ..PerRole::default() };
    // Our own device is polled whichever way; a borrowed one only by a caller who asked for this test.
    let (y, _) = plan.run(&operands, false, Waiting::Blocking).await?;
    let got: ArrayD<f32> = y.download(plan.timeout(), Waiting::Blocking).await?;
    let wanted = expected(x.view(), w.view(), got.shape());
    match got.iter().zip(&wanted).enumerate().find(|(_, (g, w))| g != w) {
        None => Ok(()),
        Some((index, (&got, &wanted))) => {
            let report = gpu.report();
            let (adapter, driver) = (report.name.clone(), report.driver.clone());
            Err(GpuError::SelfTestFailed { adapter, driver, index, got, wanted })
        }
    }
}
