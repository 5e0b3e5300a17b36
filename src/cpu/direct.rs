//! `Direct` on the CPU: the general algorithm, everything that the reference can do.
//!
//! Source rows are laid out so that the taps of [`LANES`](row::LANES) neighbouring results are neighbours too, then several
//! result channels are summed at once; plain loops of fixed length that the compiler turns into vector code.

mod gather;
pub(super) mod geometry;
mod grad_weight;
mod row;
mod sources;
mod tile;

use rayon::prelude::*;

use crate::cpu::Real;
use crate::problem::{ConvProblem, Direction, Epilogue, to_usize};
use geometry::Geometry;

/// Operands in logical order; those that the problem does not read may be empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slices<'a, T> {
    pub(super) input: &'a [T],
    pub(super) weight: &'a [T],
    pub(super) grad_output: &'a [T],
    pub(super) residual: Option<&'a [T]>,
    pub(super) bias: Option<&'a [T]>,
}

/// The result of `problem` in logical order.
pub(super) fn run<T: Real>(problem: &ConvProblem, operands: Slices<'_, T>) -> Vec<T> {
    let mut result = vec![T::default(); to_usize(problem.result().len())];
    let finish = Finish { epilogue: *problem.epilogue(), residual: operands.residual, bias: operands.bias };
    if problem.macs() == 0 {
        finish.without_sums(problem, &mut result);
        return result;
    }
    let geometry = Geometry::new(problem);
    let Slices { input, weight, grad_output, .. } = operands;
    match problem.direction() {
        Direction::Forward => gather::run(&geometry, input, weight, &mut result, &finish),
        Direction::GradInput => gather::run(&geometry, grad_output, weight, &mut result, &finish),
        Direction::GradWeight => grad_weight::run(&geometry, input, grad_output, &mut result, &finish),
    }
    result
}

/// Elements of the weights or of the gradient as they are laid out once for all tasks, at most.
pub(super) fn scratch_elements(problem: &ConvProblem) -> u64 {
    match problem.direction() {
        // Blocks of channels are filled up to the next power of two.
        Direction::Forward | Direction::GradInput => problem.weight().len().saturating_mul(2),
        Direction::GradWeight => {
            let row = problem.axes().last().map_or(1, |axis| axis.output);
            problem.output().len() / row * row.next_multiple_of(row::LANES as u64)
        }
    }
}

/// What happens to sums before they are stored.
#[derive(Debug)]
pub(super) struct Finish<'a, T> {
    pub(super) epilogue: Epilogue,
    pub(super) residual: Option<&'a [T]>,
    pub(super) bias: Option<&'a [T]>,
}

impl<T: Real> Finish<'_, T> {
    /// Finishes sums of one channel, the first of which is element `first` of the result.
    pub(super) fn apply(&self, sums: &mut [T], first: usize, channel: usize) {
        if self.epilogue == Epilogue::default() {
            return;
        }
        let bias = self.bias.map_or(0.0, |bias| bias[channel].to_f64());
        for (i, sum) in sums.iter_mut().enumerate() {
            let residual = self.residual.map_or(0.0, |residual| residual[first + i].to_f64());
            *sum = T::from_f64(self.epilogue.eval(sum.to_f64(), residual, bias));
        }
    }

    /// Finishes a result that is the sum of nothing.
    pub(super) fn without_sums(&self, problem: &ConvProblem, result: &mut [T]) {
        let shape = problem.result().shape();
        let plane = shape[2..].iter().product::<usize>().max(1);
        for (i, sums) in result.chunks_mut(plane).enumerate() {
            self.apply(sums, i * plane, i % shape[1].max(1));
        }
    }
}

/// Whether no value is infinite or NaN.
pub(super) fn all_finite<T: Real>(values: &[T]) -> bool {
    // Without an early exit within a chunk, so that it becomes vector code.
    values.par_chunks(1 << 16).all(|chunk| chunk.iter().fold(true, |all, v| all & v.is_finite()))
}
