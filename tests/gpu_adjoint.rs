//! The three directions on the GPU are adjoints of one another, exactly, for every boundary, layout and group count.
#![cfg(feature = "gpu")]

use crate::common::device::{any_gpu, run_guarded};
use ndarray::ArrayD;
use wgconv::internals::gpu::{Gpu, GpuPlan};
use wgconv::internals::planner::Planner;
use wgconv::{Boundary, Conv, ConvProblem, Direction, Layout, PlanOptions};
use wgconv_testing::values::Data;
use wgconv_testing::{Tally, gpu_for};

/// Shapes of x and w for `groups`: every rank, strides and dilations with and without a common divisor.
fn shapes(groups: usize) -> Vec<([Vec<usize>; 2], Conv)> {
    let (c_in, c_out) = (4 * groups, 3 * groups);
    vec![
        ([vec![2, c_in, 11], vec![c_out, 4, 4]], Conv::default().stride(2).dilation(2).padding(3)),
        ([vec![4, c_in, 6, 5], vec![c_out, 4, 3, 2]], Conv::default().stride([3, 1]).padding([2, 1])),
        ([vec![1, c_in, 3, 4, 5], vec![c_out, 4, 2, 1, 3]], Conv::default().stride([1, 2, 1]).padding(1)),
    ]
}

fn run(gpu: &Gpu, problem: &ConvProblem, data: &Data) -> Result<ArrayD<f64>, String> {
    let choice = Planner::new(gpu.target().clone()).choose(problem, None).map_err(|e| e.to_string())?;
    let plan = pollster::block_on(GpuPlan::new(gpu, choice, &PlanOptions::default()));
    run_guarded(&plan.map_err(|e| e.to_string())?, data)
}

fn dot(a: &ArrayD<f64>, b: &ArrayD<f64>) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `⟨conv(x, w), h⟩ = ⟨x, grad_input(h, w)⟩ = ⟨w, grad_weight(x, h)⟩`. A constant outside adds to the first and to the
/// last what does not depend on x.
fn check(gpu: &Gpu, [x, w]: &[Vec<usize>; 2], conv: &Conv) -> Result<(), String> {
    let problem = |conv: &Conv, direction| {
        let problem = ConvProblem::new(x, w, &conv.clone().direction(direction));
        problem.map_err(|e| e.to_string())
    };
    let forward = problem(conv, Direction::Forward)?;
    let data = Data::ints(&forward, 7);
    let y = run(gpu, &forward, &data)?;
    let by_input = run(gpu, &problem(conv, Direction::GradInput)?, &data)?;
    let by_weight = run(gpu, &problem(conv, Direction::GradWeight)?, &data)?;
    let (lhs, weights) = (dot(&y, &data.grad_output), dot(&data.w, &by_weight));
    if lhs != weights {
        return Err(format!("<y, h> = {lhs}, <w, dw> = {weights}"));
    }
    // What the convolution gives for an input of zeros: nothing, or the constant's part.
    let blank = Data { x: ArrayD::zeros(data.x.raw_dim()), ..data.clone() };
    let affine = dot(&run(gpu, &forward, &blank)?, &data.grad_output);
    if !matches!(conv.boundary, Boundary::Constant(_)) && affine != 0.0 {
        return Err(format!("an input of zeros gives {affine}"));
    }
    let inputs = dot(&data.x, &by_input);
    if lhs - affine == inputs {
        Ok(())
    } else {
        Err(format!("<y, h> - {affine} = {}, <x, dx> = {inputs}", lhs - affine))
    }
}

/// Every `step`-th of all combinations.
fn gradients_are_adjoint(step: usize) {
    let Some(_turn) = any_gpu() else { return };
    let boundaries = [
        Boundary::Zero,
        Boundary::Constant(0.0),
        Boundary::Constant(3.0),
        Boundary::Wrap,
        Boundary::Reflect,
        Boundary::Mirror,
        Boundary::Nearest,
    ];
    let mut rows = Vec::new();
    for boundary in boundaries {
        for layout in [Layout::Ncx, Layout::Nxc, Layout::Cxn] {
            for (groups, flip) in [(1, false), (1, true), (2, false), (3, true)] {
                for (shapes, conv) in shapes(groups) {
                    let conv = conv.boundary(boundary).layouts(layout.clone()).groups(groups).flip(flip);
                    let name = format!("{boundary:?}, {layout:?}, {groups} groups, flip {flip}, {shapes:?}");
                    rows.push((name, shapes, conv));
                }
            }
        }
    }
    let rows: Vec<_> = rows.into_iter().step_by(step).collect();
    let tally = Tally::of(
        &rows,
        |(name, ..)| name,
        |(name, shapes, conv), tally| {
            let device = gpu_for(name);
            let verdict = check(device.gpu().expect("a GPU"), shapes, conv);
            tally.check(verdict.map_err(|e| format!("{name}: {e}")));
        },
    );
    tally.finish("GPU, adjoints");
}

#[test]
fn gradients_are_adjoint_to_the_convolution() {
    // Prime to the number of shapes, groups and layouts, so that all of them come under every boundary.
    gradients_are_adjoint(5);
}

#[test]
#[ignore = "full"]
fn gradients_are_adjoint_in_every_combination() {
    gradients_are_adjoint(1);
}
