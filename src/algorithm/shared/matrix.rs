//! A convolution as products of matrices: the program, whether the matrix of windows is made in memory or gathered on the
//! fly.

use super::cost::{self, Launches};
use super::gemm::{self, Gemm, Order, Sums, accepts, check_tile};
use super::im2col::Padded;
use super::outside::{MOST, Outside};
use super::product::{Cut, Product, Summed, cut, offsets};
use super::roles::{Roles, is_folded, written_elements, written_extents};
use super::{
    MAX_INDEX, MAX_LAUNCHES, MAX_PARTS, MAX_PLACES, bind_tensor, binding_limit, compact_strides, first, fold,
    more_workspace, tensor,
};
use crate::implementation::{Candidate, Cannot, Config, Estimate, PlanContext, Resource};
use crate::kernel::Tile;
use crate::problem::{ConvProblem, Direction};
use crate::program::{Binding, Buffer, Launch, Program, Table};
use crate::target::Target;

/// How an algorithm comes by the matrix of windows: a column per cell of the result, a row per product.
pub(in crate::algorithm) trait Matrix {
    /// Whether it reads the input with its padding written out, where the boundary is not zero.
    fn pads() -> bool;

    /// How it tells elements outside.
    fn outside(product: &Product<'_>) -> Outside;

    /// Whether a tile has a kernel for these windows.
    fn has_kernel(products: &[Product<'_>], tile: Tile) -> bool;

    /// How much of it is looked at in one launch that multiplies, with a budget of so many bytes for what is in memory.
    fn chunk(problem: &ConvProblem, product: &Product<'_>, roles: &Roles, tile: Tile, budget: u64) -> Chunk;

    /// Elements of a chunk that are in memory.
    fn elements(chunk: Chunk) -> u64;

    /// The launches that multiply one product with its packed factors.
    fn launches(gemm: &Gemm<'_>, work: &Work<'_>) -> Result<Vec<Launch>, Cannot>;
}

/// A piece of the matrices: so many columns and products, of so many groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::algorithm) struct Chunk {
    pub(in crate::algorithm) columns: u64,
    pub(in crate::algorithm) products: u64,
    pub(in crate::algorithm) groups: u64,
}

impl Chunk {
    /// All of one; of either no less than one, because launches have bindings.
    pub(in crate::algorithm) fn whole(product: &Product<'_>) -> Self {
        Self { columns: product.columns.max(1), products: product.products.max(1), groups: 1 }
    }

    /// Of how many the whole matrix consists: along its columns, along its products.
    pub(in crate::algorithm) fn counts(&self, product: &Product<'_>) -> (u64, u64) {
        (product.columns.div_ceil(self.columns), product.products.div_ceil(self.products).max(1))
    }
}

/// What is multiplied.
pub(in crate::algorithm) struct Work<'a> {
    pub(in crate::algorithm) product: &'a Product<'a>,
    pub(in crate::algorithm) chunk: Chunk,
    /// The factors.
    pub(in crate::algorithm) packed: Binding,
    /// How it tells elements outside.
    pub(in crate::algorithm) outside: &'a Outside,
    /// Where its taps begin in the table, in entries, and its bits.
    pub(in crate::algorithm) begins: [u64; 2],
    /// Where chunks are made.
    pub(in crate::algorithm) memory: Buffer,
}

/// Every tile that computes `problem`.
pub(in crate::algorithm) fn plan<M: Matrix>(
    problem: &ConvProblem,
    context: &PlanContext,
) -> Result<Vec<Candidate<Program>>, Cannot> {
    let places = accepts(problem, &context.target)?;
    let roles = roles::<M>(problem, &problem.result().strides);
    let (mut candidates, mut why) = (Vec::new(), None);
    for tile in Tile::ALL {
        match Sizes::new::<M>(problem, context, &roles, tile, places) {
            Ok((sizes, estimate)) => {
                let lower = move |problem: &ConvProblem, context: &PlanContext| {
                    lower::<M>(problem, &context.target, tile, &sizes)
                };
                candidates.push(Candidate::new(Config::new(tile), estimate, lower));
            }
            Err(reason) => why = Some(reason),
        }
    }
    // The smallest one's reason.
    if candidates.is_empty() { why.map_or(Ok(candidates), Err) } else { Ok(candidates) }
}

/// What one tile makes of a problem, as far as limits go.
#[derive(Clone, Copy)]
struct Sizes {
    /// Bytes for what is in memory of the matrix.
    budget: u64,
    /// Elements that are written, before a fold.
    size: u64,
    /// How the sums of a chunk are cut.
    cut: Cut,
    /// Bytes of them in a workspace; 0: the result is written at once.
    copies: u64,
    /// Bytes of the largest chunk in memory.
    matrix: u64,
    /// Bytes of the padded input; 0: it is read as it is.
    padded: u64,
}

/// The input with its padding where an algorithm reads that.
fn padded<M: Matrix>(problem: &ConvProblem) -> Option<Padded> {
    Padded::of(problem).filter(|_| M::pads())
}

/// For a result of these strides: of the padded input where that is read.
fn roles<M: Matrix>(problem: &ConvProblem, strides: &[u64]) -> Roles {
    let mut roles = Roles::new(problem, strides);
    if let Some(padded) = padded::<M>(problem) {
        padded.replace(problem, &mut roles);
    }
    roles
}

impl Sizes {
    /// Also how long a run takes. `places` padded cells stand for a cell of the result, at most.
    fn new<M: Matrix>(
        problem: &ConvProblem,
        context: &PlanContext,
        roles: &Roles,
        tile: Tile,
        places: u64,
    ) -> Result<(Self, Estimate), Cannot> {
        let target = &context.target;
        check_tile(problem, target, tile)?;
        let (limit, folded) = (binding_limit(target), is_folded(problem));
        let size = written_elements(problem);
        let products = Product::all(roles, tile);
        if !M::has_kernel(&products, tile) {
            let resource = Resource::BitsOfOutside;
            return Err(Cannot::Limit { resource, needed: MOST as u64 + 1, limit: MOST as u64 });
        }
        let (all, budget) = Chunks::within::<M>(problem, context, roles, &products, tile);
        if all.launches > MAX_LAUNCHES {
            return Err(Cannot::Limit {
                resource: Resource::Launches,
                needed: all.launches,
                limit: MAX_LAUNCHES,
            });
        }
        let most = if folded { MAX_PLACES / places } else { MAX_PARTS };
        let cut =
            cut(context, tile, &all.products, problem.bytes(), Summed::new(problem, roles, size, most))?;
        let parts = cut.parts.count;
        let in_parts = parts > 1 || folded || all.continued;
        let copies = if in_parts { fold::copies(target, size, parts)? } else { 0 };
        let largest = products.iter().map(|p| p.columns.max(p.products)).max().unwrap_or(0);
        let padded = padded::<M>(problem).map_or(0, |padded| padded.elements);
        for (what, value) in [
            ("matrix of windows", all.elements),
            ("padded input", padded),
            ("columns or products of a matrix", largest),
        ] {
            if value >= MAX_INDEX {
                return Err(Cannot::IndexTooLarge { what, value });
            }
        }
        let [matrix, padded] =
            [all.elements, padded].map(|n| n.saturating_mul(problem.element().bytes()).next_multiple_of(4));
        let factors = offsets(problem, roles, &products, tile).1;
        for (buffer, bytes) in
            [("packed factors", factors), ("matrix of windows", matrix), ("padded input", padded)]
        {
            if bytes > limit {
                return Err(Cannot::BindingTooLarge { buffer, bytes, limit });
            }
        }
        // What is in memory of the matrix is written and read.
        let made = 2.0 * all.written as f64 * problem.element().bytes() as f64;
        let estimate = cost::products(context, tile, &all.products, problem.bytes(), (parts, size))
            + cost::launched(context, all.launches - all.multiplying)
            + cost::worked(context, 0.0, made)
            + cost::laid_out_filter(context, problem)
            + if M::pads() { cost::laid_out_input(context, problem) } else { Estimate::default() };
        Ok((Self { budget, size, cut, copies, matrix, padded }, estimate))
    }
}

/// What the chunks of all products come to.
struct Chunks {
    /// The launches that multiply, of each product: one after the other, because each writes to the result.
    products: Vec<Launches>,
    /// Elements in memory of the largest one.
    elements: u64,
    /// Of all of them.
    written: u64,
    launches: u64,
    /// Of these the ones that multiply.
    multiplying: u64,
    /// Whether one adds to the sums of another.
    continued: bool,
}

impl Chunks {
    /// With the budget of the context, or the first of twice as much, four times as much and so on with which they do not take
    /// too many launches; and that budget.
    fn within<M: Matrix>(
        problem: &ConvProblem,
        context: &PlanContext,
        roles: &Roles,
        products: &[Product<'_>],
        tile: Tile,
    ) -> (Self, u64) {
        let (mut budget, limit) = (context.workspace_budget, binding_limit(&context.target));
        loop {
            let all = Self::new::<M>(problem, roles, products, tile, budget.min(limit));
            if all.launches <= MAX_LAUNCHES || all.elements == 0 || budget >= limit {
                return (all, budget.min(limit));
            }
            budget = more_workspace(budget);
        }
    }

    fn new<M: Matrix>(
        problem: &ConvProblem,
        roles: &Roles,
        products: &[Product<'_>],
        tile: Tile,
        budget: u64,
    ) -> Self {
        let mut all = Self {
            products: Vec::new(),
            elements: 0,
            written: 0,
            launches: 0,
            multiplying: 0,
            continued: false,
        };
        for product in products {
            let chunk = M::chunk(problem, product, roles, tile, budget);
            let (across, along) = chunk.counts(product);
            let elements = M::elements(chunk);
            // Where none is in memory, one launch multiplies all groups; otherwise one makes what another multiplies.
            let (together, sets, each) = if elements > 0 {
                (chunk.groups, roles.groups.div_ceil(chunk.groups), 2)
            } else {
                (roles.groups, 1, 1)
            };
            let count = across.saturating_mul(along).saturating_mul(sets);
            let columns = chunk.columns.div_ceil(tile.columns.into());
            let tiles = product.row_tiles.saturating_mul(columns).saturating_mul(together);
            all.products.push(Launches { count, tiles, products: chunk.products });
            all.elements = all.elements.max(elements);
            all.written = all.written.saturating_add(elements.saturating_mul(count));
            all.launches = all.launches.saturating_add(count.saturating_mul(each));
            all.multiplying = all.multiplying.saturating_add(count);
            all.continued |= along > 1;
        }
        all
    }
}

/// Which buffer holds what.
struct Memory {
    workspace: Vec<u64>,
    sums: Buffer,
    matrix: Buffer,
    padded: Buffer,
    factors: Buffer,
}

impl Memory {
    /// With so many bytes of factors where these are laid out in every run.
    fn new(sizes: &Sizes, factors: Option<u64>) -> Self {
        let mut workspace = Vec::new();
        let mut place = |bytes: u64, otherwise: Buffer| {
            if bytes == 0 {
                return otherwise;
            }
            workspace.push(bytes);
            Buffer::Workspace(workspace.len() - 1)
        };
        let sums = place(sizes.copies, Buffer::Result);
        let matrix = place(sizes.matrix, sums);
        let padded = place(sizes.padded, Buffer::Input);
        let factors = place(factors.unwrap_or(0), Buffer::Prepared);
        Self { workspace, sums, matrix, padded, factors }
    }
}

fn lower<M: Matrix>(
    problem: &ConvProblem,
    target: &Target,
    tile: Tile,
    sizes: &Sizes,
) -> Result<Program, Cannot> {
    if problem.result().is_empty() {
        return Ok(Program::default());
    }
    let in_parts = sizes.copies > 0;
    let written = written_extents(problem);
    let strides = if in_parts { compact_strides(&written) } else { problem.result().strides.clone() };
    let roles = roles::<M>(problem, &strides);
    let products = Product::all(&roles, tile);
    let (offsets, factors) = offsets(problem, &roles, &products, tile);
    let per_run = problem.direction() == Direction::GradWeight;
    let memory = Memory::new(sizes, per_run.then_some(factors));
    let products: Vec<_> = products.into_iter().map(|product| (M::outside(&product), product)).collect();
    let (tables, begins) = gemm::tables(problem, &products);
    let (gathered, padding) = gathered::<M>(problem, target, &roles, &tables, (memory.padded, sizes.padded))?;
    let sums = Sums { buffer: memory.sums, size: sizes.size, cut: sizes.cut };
    let order = Order::new(&roles);
    let gemm = Gemm { problem, target, roles: &roles, tile, order, sums, tables: &tables, gathered };
    let (mut packs, mut launches) = (Vec::new(), Vec::from_iter(padding));
    for (((outside, product), offset), begins) in products.iter().zip(offsets).zip(begins) {
        let bytes = product.packed(&roles, tile) * problem.element().bytes();
        let packed = Binding { buffer: memory.factors, offset, size: bytes };
        let chunk = M::chunk(problem, product, &roles, tile, sizes.budget);
        let work = Work { product, chunk, packed, outside, begins, memory: memory.matrix };
        packs.push(gemm.pack(product, packed)?);
        launches.extend(M::launches(&gemm, &work)?);
    }
    let mut program = Program { tables, workspace: memory.workspace, ..Program::default() };
    if per_run {
        program.launches = [packs, launches].concat();
    } else {
        program.prepared = factors;
        program.prepare = packs;
        program.launches = launches;
    }
    if in_parts {
        fold::append(&mut program, problem, target, &written, (sizes.cut.parts, sizes.size))?;
    }
    Ok(program)
}

/// The tensor that is gathered from with its first element, and the launch that writes it if it is the padded input.
fn gathered<M: Matrix>(
    problem: &ConvProblem,
    target: &Target,
    roles: &Roles,
    tables: &[Table],
    (buffer, size): (Buffer, u64),
) -> Result<((Binding, u64), Option<Launch>), Cannot> {
    let from = roles.a.0;
    let there = bind_tensor(problem, &tables[0], 0, from);
    let Some(padded) = padded::<M>(problem) else {
        return Ok(((there, first(problem, tensor(problem, from))), None));
    };
    let memory = Binding { buffer, offset: 0, size };
    let [taps, boundary] = gemm::both(tables);
    let launch = padded.launch(problem, target, [there, taps, boundary, memory])?;
    Ok(((memory, 0), Some(launch)))
}
