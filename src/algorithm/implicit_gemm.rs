//! `ImplicitGemm`: the convolution as a product of matrices, one of which is never in memory. Channels are rows, cells of
//! the result are columns; every pair of a channel summed over and a tap is a product.
//!
//! The factors are laid out first (`pack.wgsl`), for a convolution and its gradient by the input when weights are prepared,
//! for the gradient by the weight in every run. A stride splits the input's gradient into phases, one product each. A
//! product of one tap that reaches nothing outside is one of plain matrices (`gemm_tiled.wgsl`).
//!
//! Under a boundary that is not zero the input is first written out with its padding (`im2col.wgsl`), to a workspace of
//! `n·c_in` times the cells from the first to the last that they visit.

use super::shared::count;
use super::shared::gemm::{self, Gemm};
use super::shared::matrix::{self, Chunk, Matrix, Work};
use super::shared::outside::Outside;
use super::shared::product::Product;
use super::shared::roles::Roles;
use super::{Algorithm, Candidate, Cannot, Implementation, PlanContext};
use crate::kernel::{Check, GemmSpec, Kernel, Tile, TiledSpec};
use crate::problem::ConvProblem;
use crate::program::{Launch, Program};

/// The implementation.
#[derive(Clone, Copy)]
pub(super) struct ImplicitGemm;

impl Implementation<Program> for ImplicitGemm {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ImplicitGemm
    }

    fn plan(&self, problem: &ConvProblem, context: &PlanContext) -> Result<Vec<Candidate<Program>>, Cannot> {
        matrix::plan::<Gathered>(problem, context)
    }
}

/// The kernel reads the windows from where they lie.
struct Gathered;

impl Matrix for Gathered {
    fn pads() -> bool {
        true
    }

    fn outside(product: &Product<'_>) -> Outside {
        Outside::new(product)
    }

    fn has_kernel(products: &[Product<'_>], tile: Tile) -> bool {
        let has_bits = |product| Self::outside(product) != Outside::Coordinates;
        tile.holds_coordinates() || products.iter().all(has_bits)
    }

    fn chunk(_: &ConvProblem, product: &Product<'_>, _: &Roles, _: Tile, _: u64) -> Chunk {
        Chunk::whole(product)
    }

    fn elements(_: Chunk) -> u64 {
        0
    }

    fn launches(gemm: &Gemm<'_>, work: &Work<'_>) -> Result<Vec<Launch>, Cannot> {
        let &Gemm { problem, tile, gathered: (matrix, _), .. } = gemm;
        let &Work { product, packed, outside, begins: [taps, bits], .. } = work;
        let mut block = gemm.block(product, taps);
        let (element, sum) = (problem.element(), gemm.sum());
        if product.taps == 1 && outside.is_nothing() {
            // The gathered tensor is the matrix.
            block.tables = [0; 4];
            let kernel = (Kernel::GemmTiled, TiledSpec { tile, element, sum }.into());
            return Ok(vec![gemm.multiply(kernel, block, packed, matrix, &[])?]);
        }
        let is_full = product.products > 0 && product.products.is_multiple_of(tile.depth.into());
        let check = match outside {
            Outside::Bits(bits) if bits.is_empty() && is_full => Check::Nothing,
            Outside::Bits(_) => Check::Bits,
            Outside::Coordinates => Check::Coordinates,
        };
        block.tables = [count(bits), 0, 0, count(outside.entries(product).len() as u64)];
        let kernel = (Kernel::ImplicitGemm, GemmSpec { tile, check, element, sum }.into());
        Ok(vec![gemm.multiply(kernel, block, packed, matrix, &gemm::both(gemm.tables)[..1])?])
    }
}
