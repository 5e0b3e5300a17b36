//! `Im2colGemm`: the convolution as a product of matrices that are both in memory. One launch writes the matrix whose
//! columns are the windows of the cells of the result (the Toeplitz matrix, `im2col.wgsl`), the next one multiplies
//! (`gemm_tiled.wgsl`): for as many groups as the workspace budget holds with all their images, or else for as many images of
//! one. The next ones use the same workspace. A budget too small for one image tiles its columns.
//!
//! The gradient by the weight sums over images: there the matrix is cut by its products, and each chunk adds to the sums of
//! the one before.
//!
//! A run has at most 4,096 launches: a budget that would need more is doubled until it does not.

use super::shared::gemm::{self, Gemm};
use super::shared::matrix::{self, Chunk, Matrix, Work};
use super::shared::outside::Outside;
use super::shared::product::Product;
use super::shared::roles::Roles;
use super::shared::{MAX_INDEX, count, im2col};
use super::{Algorithm, Candidate, Cannot, Implementation, PlanContext};
use crate::kernel::{GemmParams, Kernel, Tile, TiledSpec};
use crate::problem::{ConvProblem, Direction};
use crate::program::{Binding, Launch, Program};

/// The implementation.
#[derive(Clone, Copy)]
pub(super) struct Im2colGemm;

impl Implementation<Program> for Im2colGemm {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Im2colGemm
    }

    fn plan(&self, problem: &ConvProblem, context: &PlanContext) -> Result<Vec<Candidate<Program>>, Cannot> {
        matrix::plan::<Made>(problem, context)
    }
}

/// A launch writes the windows to memory.
struct Made;

impl Matrix for Made {
    fn pads() -> bool {
        false
    }

    fn outside(_: &Product<'_>) -> Outside {
        Outside::Coordinates
    }

    fn has_kernel(_: &[Product<'_>], _: Tile) -> bool {
        true
    }

    /// What the budget holds, but no less than a tile takes.
    fn chunk(problem: &ConvProblem, product: &Product<'_>, roles: &Roles, tile: Tile, budget: u64) -> Chunk {
        let budget = budget / problem.element().bytes();
        let budget = budget.min(MAX_INDEX - 1);
        let whole = Chunk::whole(product);
        let group = Self::elements(whole);
        if group <= budget {
            return Chunk { groups: (budget / group).min(roles.groups).max(1), ..whole };
        }
        if problem.direction() == Direction::GradWeight {
            let depth = u64::from(tile.depth);
            let products = (budget / whole.columns / depth).max(1) * depth;
            return Chunk { products: products.min(whole.products), ..whole };
        }
        // Whole images, else whole tiles.
        let (image, fits) = ((product.columns / roles.images.max(1)).max(1), budget / whole.products);
        let step = if fits >= image { image } else { tile.columns.into() };
        Chunk { columns: ((fits / step).max(1) * step).min(whole.columns), ..whole }
    }

    fn elements(chunk: Chunk) -> u64 {
        chunk.columns.saturating_mul(chunk.products).saturating_mul(chunk.groups)
    }

    fn launches(gemm: &Gemm<'_>, work: &Work<'_>) -> Result<Vec<Launch>, Cannot> {
        let &Work { product, chunk, begins: [first_tap, _], .. } = work;
        let [taps, boundary] = gemm::both(gemm.tables);
        let (across, along) = chunk.counts(product);
        let mut launches = Vec::new();
        for group in (0..gemm.roles.groups.div_ceil(chunk.groups)).map(|i| i * chunk.groups) {
            let groups = chunk.groups.min(gemm.roles.groups - group);
            for column in (0..across).map(|i| i * chunk.columns) {
                for first in (0..along).map(|i| i * chunk.products) {
                    let columns = chunk.columns.min(product.columns - column);
                    let products = chunk.products.min(product.products - first);
                    let mut block = gemm.block(product, first_tap);
                    block.chunk = [column, first, products, group].map(count);
                    block.counts[1] = count(columns);
                    block.tiles[1] = count(columns.div_ceil(gemm.tile.columns.into()));
                    block.tiles[2] = count(groups);
                    let elements = groups * columns * products;
                    let bytes = (elements * gemm.problem.element().bytes()).next_multiple_of(4);
                    // Without products nothing is read; a binding has at least four bytes.
                    let matrix = Binding { buffer: work.memory, offset: 0, size: bytes.max(4) };
                    let bindings = [gemm.gathered.0, taps, boundary, matrix];
                    launches.push(im2col::write(gemm.problem, gemm.target, block, bindings)?);
                    launches.push(multiply(gemm, block, work.packed, matrix, first > 0)?);
                }
            }
        }
        Ok(launches)
    }
}

/// The launch that multiplies it, and adds to the sums of the chunk before.
fn multiply(
    gemm: &Gemm<'_>,
    mut block: GemmParams,
    packed: Binding,
    matrix: Binding,
    adds: bool,
) -> Result<Launch, Cannot> {
    // Column after column, and after all of them the next product, and after all of these the next group.
    let group = block.counts[1].wrapping_mul(block.chunk[2]);
    block.a_stride = [0, 0, 0, block.counts[1]];
    block.base[..2].copy_from_slice(&[0, group]);
    block.first[0] = group.wrapping_mul(block.chunk[3]).wrapping_neg();
    block.tables = [1, 0, 0, 0];
    block.order[2..].copy_from_slice(&[0, adds.into()]);
    let spec = TiledSpec { tile: gemm.tile, element: gemm.problem.element(), sum: gemm.sum() };
    gemm.multiply((Kernel::GemmTiled, spec.into()), block, packed, matrix, &[])
}
