//! `Direct` on the CPU: the general algorithm, everything that the reference can do.
//!
//! Source rows are laid out so that the taps of [`LANES`](row::LANES) neighbouring results are neighbours too, then several
//! result channels are summed at once; plain loops of fixed length that the compiler turns into vector code.

mod gather;
mod grad_weight;
mod row;
mod scatter;
mod sources;
mod tile;

use rayon::prelude::*;

use crate::cpu::Real;
use crate::cpu::geometry::Geometry;
use crate::cpu::memory::{OutOfMemory, zeros};
use crate::cpu::padded::PaddedPlanes;
use crate::problem::{ConvProblem, Direction, Element, Epilogue, PerRole, to_usize};
use gather::Gather;

/// Operands in logical order; those that the problem does not read are empty.
pub(super) type Slices<'a, T> = PerRole<&'a [T]>;

/// A problem with the loops that run it.
#[derive(Debug)]
pub(super) struct Direct {
    geometry: Geometry,
    loops: Walk,
}

/// Padded cells for a product, at most: each is summed and folded by itself.
const WORTH_FOLDING: u64 = 4;

/// How the products are walked.
#[derive(Debug)]
enum Walk {
    /// There are none.
    None,
    Gather(Box<Gather>),
    /// The gradient of all cells that windows visit, then folded onto the input's.
    Padded(Box<Gather>, PaddedPlanes),
    Rows,
    Planes,
    Weights,
}

impl Direct {
    pub(super) fn new(problem: &ConvProblem) -> Self {
        let geometry = Geometry::with_joined_images(problem);
        let loops = match geometry.direction {
            _ if problem.macs() == 0 => Walk::None,
            Direction::Forward => Walk::Gather(Box::new(Gather::new(geometry.clone()))),
            Direction::GradWeight => Walk::Weights,
            Direction::GradInput => match PaddedPlanes::new(&geometry) {
                None if geometry.lines[2].stride > gather::MOST_STRIDE => Walk::Rows,
                None => Walk::Gather(Box::new(Gather::new(geometry.clone()))),
                Some(padded)
                    if padded.is_small()
                        && padded.all(geometry.n) <= problem.macs().saturating_mul(WORTH_FOLDING)
                        && geometry.lines[2].stride <= gather::MOST_STRIDE =>
                {
                    let geometry = Geometry { n: padded.at_once(), ..geometry.padded() };
                    Walk::Padded(Box::new(Gather::new(geometry)), padded)
                }
                Some(_) => Walk::Planes,
            },
        };
        Self { geometry, loops }
    }

    /// Bytes of scratch memory of a run.
    pub(super) fn workspace_bytes(&self, element: Element) -> u64 {
        match element {
            Element::F64 => self.scratch_elements::<f64>().saturating_mul(8),
            _ => self.scratch_elements::<f32>().saturating_mul(4),
        }
    }

    fn scratch_elements<T: Real>(&self) -> u64 {
        match &self.loops {
            Walk::None | Walk::Rows => 0,
            Walk::Gather(gather) => gather.scratch_elements::<T>(),
            Walk::Padded(gather, padded) => {
                let padded = padded.scratch_elements::<T>(&self.geometry);
                gather.scratch_elements::<T>().saturating_add(padded as u64)
            }
            Walk::Planes => scatter::planes_elements(&self.geometry),
            Walk::Weights => grad_weight::scratch_elements::<T>(&self.geometry),
        }
    }

    /// The result of `problem`, the one that this is of, in logical order.
    pub(super) fn run<T: Real>(
        &self,
        problem: &ConvProblem,
        operands: Slices<'_, T>,
    ) -> Result<Vec<T>, OutOfMemory> {
        let mut result = zeros("the result", to_usize(problem.result().len()))?;
        let finish = Finish::new(*problem.epilogue(), &operands);
        let Slices { input, weight, grad_output, .. } = operands;
        let geometry = &self.geometry;
        match &self.loops {
            Walk::None => finish.without_sums(problem, &mut result),
            Walk::Gather(gather) => {
                let source = if geometry.direction == Direction::Forward { input } else { grad_output };
                gather.run(source, weight, &mut result, &finish)?;
            }
            Walk::Padded(gather, padded) => {
                let bare = Finish::new(Epilogue::default(), &Slices::default());
                padded.run(geometry, grad_output, &mut result, |gradient, sums| {
                    gather.run(gradient, weight, sums, &bare)
                })?;
                finish.planes(geometry, &mut result);
            }
            Walk::Rows => scatter::rows(geometry, grad_output, weight, &mut result, &finish),
            Walk::Planes => scatter::planes(geometry, grad_output, weight, &mut result, &finish)?,
            Walk::Weights => grad_weight::run(geometry, input, grad_output, &mut result, &finish)?,
        }
        Ok(result)
    }
}

/// What happens to sums before they are stored.
#[derive(Debug)]
pub(super) struct Finish<'a, T> {
    epilogue: Epilogue,
    residual: Option<&'a [T]>,
    bias: Option<&'a [T]>,
    /// Whether anything happens.
    any: bool,
}

impl<'a, T: Real> Finish<'a, T> {
    pub(super) fn new(epilogue: Epilogue, operands: &Slices<'a, T>) -> Self {
        Self {
            epilogue,
            residual: epilogue.beta.map(|_| operands.residual),
            bias: epilogue.bias.then_some(operands.bias),
            any: epilogue != Epilogue::default(),
        }
    }

    /// Finishes sums of one channel, the first of which is element `first` of the result.
    pub(super) fn apply(&self, sums: &mut [T], first: usize, channel: usize) {
        if !self.any {
            return;
        }
        let bias = self.bias.map_or(0.0, |bias| bias[channel].to_f64());
        for (i, sum) in sums.iter_mut().enumerate() {
            let residual = self.residual.map_or(0.0, |residual| residual[first + i].to_f64());
            *sum = T::from_f64(self.epilogue.eval(sum.to_f64(), residual, bias));
        }
    }

    /// Finishes the planes of a whole result.
    pub(super) fn planes(&self, geometry: &Geometry, result: &mut [T]) {
        const CHUNK: usize = 1 << 14;
        if !self.any {
            return;
        }
        let (plane, channels) = match geometry.direction {
            Direction::Forward => (geometry.output().iter().product(), geometry.q),
            Direction::GradInput => (geometry.input().iter().product::<usize>(), geometry.c),
            Direction::GradWeight => (geometry.taps() * geometry.c, geometry.q),
        };
        let channels = channels * geometry.groups;
        result.par_chunks_mut(plane).enumerate().for_each(|(at, sums)| {
            sums.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, sums)| {
                self.apply(sums, at * plane + chunk * CHUNK, at % channels);
            });
        });
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
