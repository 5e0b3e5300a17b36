//! `ImplicitGemm`: the convolution as a product of matrices, one of which is never in memory. Channels are rows, cells of
//! the result are columns; every pair of a channel summed over and a tap is a product.
//!
//! The factors are laid out first (`pack.wgsl`), for a convolution and its gradient by the input when weights are prepared,
//! for the gradient by the weight in every run. A stride splits the input's gradient into phases, one product each. A
//! product of one tap that reaches nothing outside is one of plain matrices (`gemm_tiled.wgsl`).

use super::shared::count;
use super::shared::gemm::Gemm;
use super::shared::matrix::{self, Chunk, Matrix, Work};
use super::shared::product::Product;
use super::shared::roles::has_table;
use super::{Config, Unsupported};
use crate::kernel::{GemmSpec, Kernel, Tile, TiledSpec};
use crate::problem::ConvProblem;
use crate::program::{Launch, Program, Target};

pub(super) use super::shared::gemm::suits;

/// Taps that a column has a bit for.
const MASK_BITS: u64 = 32;

pub(super) fn candidates(problem: &ConvProblem, target: &Target) -> Result<Vec<Config>, Unsupported> {
    matrix::candidates::<Gathered>(problem, target)
}

pub(super) fn lower(problem: &ConvProblem, target: &Target, tile: Tile) -> Result<Program, Unsupported> {
    matrix::lower::<Gathered>(problem, target, tile)
}

/// The kernel reads the windows from where they lie.
struct Gathered;

impl Matrix for Gathered {
    fn config(tile: Tile) -> Config {
        Config::ImplicitGemm(tile)
    }

    fn has_kernel(problem: &ConvProblem, products: &[Product<'_>], tile: Tile) -> bool {
        let bits = |product: &Product<'_>| has_mask(problem, product) || is_plain(problem, product);
        tile.holds_coordinates() || products.iter().all(bits)
    }

    fn chunk(_: &ConvProblem, _: &Target, product: &Product<'_>, _: u64, _: Tile) -> Chunk {
        Chunk::whole(product)
    }

    fn elements(_: Chunk) -> u64 {
        0
    }

    fn launches(gemm: &Gemm<'_>, work: &Work<'_>) -> Result<Vec<Launch>, Unsupported> {
        let &Gemm { problem, tile, .. } = gemm;
        let &Work { product, packed, taps, .. } = work;
        let mut block = gemm.block(product, taps);
        let (element, sum, gathered) = (problem.element(), gemm.sum(), gemm.gathered());
        if is_plain(problem, product) {
            block.tables = [0; 4];
            let kernel = (Kernel::GemmTiled, TiledSpec { tile, element, sum }.into());
            return Ok(vec![gemm.multiply(kernel, block, packed, gathered, &[])?]);
        }
        let (table, mask) = (has_table(problem), has_mask(problem, product));
        block.tables[3] = if mask { count(product.taps) } else { 0 };
        let kernel = (Kernel::ImplicitGemm, GemmSpec { tile, mask, table, element, sum }.into());
        Ok(vec![gemm.multiply(kernel, block, packed, gathered, &gemm.both_tables())?])
    }
}

/// Whether columns have a bit per tap.
fn has_mask(problem: &ConvProblem, product: &Product<'_>) -> bool {
    !has_table(problem) && product.taps <= MASK_BITS
}

/// Whether the gathered tensor is the matrix: one tap, and all that it reads lies inside.
fn is_plain(problem: &ConvProblem, product: &Product<'_>) -> bool {
    let inside = product.axes.iter().all(|(axis, phase)| {
        let last = i128::from(phase.cells.saturating_sub(1)) * i128::from(axis.stride);
        phase.pad <= 0 && last - i128::from(phase.pad) < i128::from(axis.a_extent)
    });
    product.taps == 1 && inside && !has_table(problem)
}
