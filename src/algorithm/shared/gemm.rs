//! The launches of matrix products, one of whose factors is packed: for algorithms that gather the other one and for those
//! that have it in memory.

use super::outside::{MOST, Outside, step};
use super::product::{Cut, Product};
use super::roles::{Loop, MAX_PHASES, Roles, all_phases, phases, three_axes};
use super::{
    MAX_WORDS_OF_PIECES, bind, bind_sums, bind_tensor, check_device, check_sizes, count, epilogue_bindings,
    first, proportion, set_epilogue, single, tables, tensor, word,
};
use crate::implementation::{Cannot, Resource};
use crate::kernel::{GemmParams, Kernel, PackParams, PackSpec, Params, Spec, Tile, WORKGROUP};
use crate::problem::{Axis, ConvProblem, Direction, Element, to_usize};
use crate::program::{Binding, Buffer, Grid, Launch, Table};
use crate::target::Target;

/// Most words of the table of taps: what needs more is cut into pieces.
const MAX_WORDS: u64 = 1 << 22;

/// Storage buffers of a product.
const BUFFERS: u32 = 6;

/// Words of a tap in the table.
const ENTRY: usize = 4;

/// Declines what no tile can run. Gives how many padded cells stand for one cell of the result, at most.
pub(in crate::algorithm) fn accepts(problem: &ConvProblem, target: &Target) -> Result<u64, Cannot> {
    if problem.unshared() {
        return Err(Cannot::Unshared);
    }
    check_device(problem, target, &[], BUFFERS)?;
    let phases = all_phases(problem);
    if phases > MAX_PHASES {
        return Err(Cannot::Limit { resource: Resource::Phases, needed: phases, limit: MAX_PHASES });
    }
    let entries = taps(problem).saturating_add(1 + phases * MOST as u64);
    let words = tables::words(problem).saturating_add(entries.saturating_mul(ENTRY as u64));
    // Sub-problems together have no fewer.
    if words > MAX_WORDS_OF_PIECES {
        let resource = Resource::TableWordsOfPieces;
        return Err(Cannot::Limit { resource, needed: words, limit: MAX_WORDS_OF_PIECES });
    }
    if words > MAX_WORDS {
        return Err(Cannot::Limit { resource: Resource::TableWords, needed: words, limit: MAX_WORDS });
    }
    let places = check_sizes(problem, target, words)?;
    let roles = Roles::new(problem, &problem.result().strides);
    proportion::check(problem, proportion::of_all(problem, &roles))?;
    Ok(places)
}

/// Taps of all phases, before any is made; at least one each.
fn taps(problem: &ConvProblem) -> u64 {
    let axes = three_axes(problem);
    let of = |axis: &Axis| match problem.direction() {
        Direction::GradWeight => axis.output,
        // Each phase has its share of the kernel, rounded up.
        Direction::GradInput => axis.kernel.saturating_add(phases(problem, axis)),
        Direction::Forward => axis.kernel,
    };
    axes.iter().map(of).fold(1, u64::saturating_mul)
}

pub(in crate::algorithm) fn check_tile(
    problem: &ConvProblem,
    target: &Target,
    tile: Tile,
) -> Result<(), Cannot> {
    let needs =
        [(tile.invocations(), Resource::Invocations), (tile.workgroup_bytes(), Resource::WorkgroupBytes)];
    check_device(problem, target, &needs, BUFFERS)
}

/// In what order columns and products are counted, and invocations spread over them, so that neighbours read neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::algorithm) struct Order {
    pub(in crate::algorithm) images_inner: bool,
    pub(in crate::algorithm) channels_inner: bool,
    /// Whether neighbouring invocations take neighbouring products, not columns.
    pub(in crate::algorithm) along: bool,
}

impl Order {
    /// By the smallest step in the gathered tensor; one with few places does not fill a load.
    pub(in crate::algorithm) fn new(roles: &Roles) -> Self {
        let (x, [image, _, channel]) = (&roles.axes[2], roles.a.1);
        let step = |steps: i64| steps.unsigned_abs().saturating_mul(x.a_stride);
        let order = |channels_inner, along| Self { images_inner: false, channels_inner, along };
        let mut best = (x.cells() < 4, step(x.stride), order(false, false));
        for (places, step, order) in
            [(roles.summed, channel, order(true, true)), (x.taps(), step(x.dilation), order(false, true))]
        {
            if (places < 4, step) < (best.0, best.1) {
                best = (places < 4, step, order);
            }
        }
        let (few, step, order) = best;
        if (roles.images < 4, image) < (few, step) {
            // Sums are in the order that they have without a batch.
            return Self { images_inner: true, along: false, ..order };
        }
        order
    }

    /// How many products are counted before the outer one goes on.
    fn minor(self, roles: &Roles, product: &Product<'_>) -> u64 {
        if self.channels_inner { roles.summed.max(1) } else { product.taps.max(1) }
    }
}

/// The taps of every product, after one that steps nowhere, and the boundary. Also where the taps of each begin, in entries,
/// and its bits after them.
pub(in crate::algorithm) fn tables(
    problem: &ConvProblem,
    products: &[(Outside, Product<'_>)],
) -> (Vec<Table>, Vec<[u64; 2]>) {
    let taps = products.iter().map(|(_, product)| product.taps).fold(0, u64::saturating_add);
    let mut entries = Vec::with_capacity(to_usize(taps) + 2);
    entries.push([0; ENTRY]);
    let mut begins = Vec::new();
    for (outside, product) in products {
        let taps = entries.len();
        // Of each axis how far a tap steps, and what it holds beside that.
        let [z, y, x] = outside.of_taps(product).map(|held| held.into_iter().zip(0u64..));
        let offset = |i: usize, tap: u64| {
            let (axis, _) = product.axes[i];
            step(tap, axis.dilation).wrapping_mul(axis.a_stride as i64)
        };
        let x: Vec<_> = x.map(|(held, tap)| (held, offset(2, tap))).collect();
        for (in_z, tz) in z {
            let at_z = offset(0, tz);
            for (in_y, ty) in y.clone() {
                let at_y = at_z.wrapping_add(offset(1, ty));
                entries.extend(
                    x.iter()
                        .map(|&(in_x, at)| outside.entry(word(at_y.wrapping_add(at)), [in_z, in_y, in_x])),
                );
            }
        }
        if product.taps == 0 {
            // Never read as one, but loaded.
            entries.push([0; ENTRY]);
        }
        begins.push([taps as u64, entries.len() as u64]);
        entries.extend(outside.entries(product));
    }
    let mut boundary = tables::boundary(problem);
    boundary.resize(boundary.len().max(4), 0);
    let taps = Table { name: "taps", words: entries.into_flattened() };
    (vec![taps, Table { name: "boundary", words: boundary }], begins)
}

/// What the launches of a problem's products are made from.
pub(in crate::algorithm) struct Gemm<'a> {
    pub(in crate::algorithm) problem: &'a ConvProblem,
    pub(in crate::algorithm) target: &'a Target,
    pub(in crate::algorithm) roles: &'a Roles,
    pub(in crate::algorithm) tile: Tile,
    pub(in crate::algorithm) order: Order,
    /// Where sums go.
    pub(in crate::algorithm) sums: Sums,
    /// What [`tables`] made.
    pub(in crate::algorithm) tables: &'a [Table],
    /// The tensor that is gathered from, and its first element there.
    pub(in crate::algorithm) gathered: (Binding, u64),
}

/// Where sums go.
#[derive(Clone, Copy)]
pub(in crate::algorithm) struct Sums {
    /// The result, or else copies for a fold.
    pub(in crate::algorithm) buffer: Buffer,
    /// Elements of a copy.
    pub(in crate::algorithm) size: u64,
    pub(in crate::algorithm) cut: Cut,
}

impl Gemm<'_> {
    /// The launch that lays out the factors of one product.
    pub(in crate::algorithm) fn pack(
        &self,
        product: &Product<'_>,
        packed: Binding,
    ) -> Result<Launch, Cannot> {
        let Self { problem, target, roles, tile, order, .. } = self;
        let element = problem.element();
        let fours = product.packed(roles, *tile) / 4;
        let grid = Grid::linear(fours, WORKGROUP, &target.limits)
            .ok_or(Cannot::GridTooLarge { invocations: fours })?;
        let (b, [b_group, b_channel, b_summed]) = roles.b;
        let [z, y, x] = product.axes.map(|(axis, phase)| (axis.b_stride, phase.taps.max(1)));
        let begin = first(problem, tensor(problem, b)) as i64;
        let first = product.axes.iter().map(|(_, phase)| phase.b_first).fold(begin, i64::wrapping_add);
        let inner = if order.channels_inner { order.minor(roles, product) } else { 0 };
        let depth = u64::from(tile.depth);
        let block = PackParams {
            counts: [fours, roles.channels, product.products, inner].map(count),
            tile: [u64::from(tile.rows / 4), product.steps * depth, product.row_tiles, 0].map(count),
            taps: [z.1, y.1, x.1, product.taps.max(1)].map(count),
            b_stride: [word(z.0), word(y.0), word(x.0), count(b_summed)],
            base: [count(b_group), count(b_channel), word(first), 0],
        };
        // Without any factor nothing is read.
        let factors = bind_tensor(problem, &self.tables[0], 0, b);
        Ok(Launch {
            kernel: Kernel::Pack,
            spec: PackSpec { element }.into(),
            params: Params::Pack(block),
            bindings: vec![factors, packed],
            grid,
        })
    }

    /// The uniform block that describes the whole matrix of `product`, whose taps begin at entry `taps` of the table.
    pub(in crate::algorithm) fn block(&self, product: &Product<'_>, taps: u64) -> GemmParams {
        let Self { problem, roles, order, sums, .. } = self;
        let axes = product.axes;
        let four = |[z, y, x]: [i64; 3], last: u64| [word(z), word(y), word(x), count(last)];
        let of = |value: fn(&Loop) -> i64| axes.map(|(axis, _)| value(axis));
        let result = if self.is_whole() { first(problem, problem.result()) as i64 } else { 0 };
        let first = [
            count(self.gathered.1),
            word(axes.iter().map(|(_, phase)| phase.r_first).fold(result, i64::wrapping_add)),
        ];
        let (_, [a_image, a_group, a_channel]) = roles.a;
        let [tz, ty, tx] = tables::boundary_begins(problem, 0);
        let images = if order.images_inner { roles.images } else { 1 };
        GemmParams {
            a_extent: four(of(|axis| axis.a_extent as i64), product.products),
            stride: four(of(|axis| axis.stride), order.minor(roles, product)),
            pad: four(axes.map(|(_, phase)| phase.pad), taps),
            a_stride: four(of(|axis| axis.a_stride as i64), a_channel),
            cells: four(axes.map(|(_, phase)| phase.cells as i64), roles.images),
            r_stride: four(of(|axis| axis.r_stride), roles.r[1]),
            base: [count(a_image), count(a_group), count(roles.r[0]), count(product.taps.saturating_sub(1))],
            first: [first[0], first[1], 0, 0],
            tiles: [product.row_tiles, product.column_tiles, roles.groups, sums.cut.parts.count].map(count),
            steps: [0, count(product.steps), 0, 0],
            counts: [roles.channels, product.columns, sums.size, 0].map(count),
            chunk: [0, 0, count(product.products), 0],
            order: [count(images), order.channels_inner.into(), order.along.into(), 0],
            tables: [tz, ty, tx, 0],
            scale: [1.0, 0.0, single(problem.boundary().fill()), 0.0],
            ..GemmParams::default()
        }
    }

    /// The launch that multiplies what `block` describes, in this kernel: the gathered matrix, then what it needs of tables.
    pub(in crate::algorithm) fn multiply(
        &self,
        (kernel, spec): (Kernel, Spec),
        mut block: GemmParams,
        packed: Binding,
        matrix: Binding,
        tables: &[Binding],
    ) -> Result<Launch, Cannot> {
        let Self { problem, target, tile, sums, .. } = self;
        let workgroups = block.tiles.iter().fold(1u64, |all, &n| all.saturating_mul(n.into()));
        let invocations = workgroups.saturating_mul(tile.invocations().into());
        let grid = Grid::linear(invocations, tile.invocations(), &target.limits)
            .ok_or(Cannot::GridTooLarge { invocations })?;
        let depth = u64::from(tile.depth);
        block.counts[3] = count(workgroups);
        block.first[2] = last_of(problem, matrix);
        let [of_part, of_block, of_run] = sums.cut.steps(depth).map(count);
        block.steps[0] = of_part;
        block.cut[..2].copy_from_slice(&[of_block, of_run]);
        let minor = u64::from(block.stride[3]);
        block.steps[2..].copy_from_slice(&[depth / minor, depth % minor].map(count));
        if self.is_whole() {
            set_epilogue(problem, &mut block.epilogue, &mut block.scale, &mut block.activation);
        }
        let [bias, residual] = epilogue_bindings(problem, &self.tables[0], 0, self.is_whole());
        let sums = bind_sums(problem, &self.tables[0], sums.buffer, sums.size * sums.cut.parts.count * 4);
        let bindings = [&[matrix, packed, bias, residual], tables, &[sums]].concat();
        Ok(Launch { kernel, spec, params: Params::Gemm(block), bindings, grid })
    }

    /// Storage of what is summed up.
    pub(in crate::algorithm) fn sum(&self) -> Element {
        if self.is_whole() { self.problem.element() } else { Element::F32 }
    }

    /// Whether sums are the result, or else parts of it.
    fn is_whole(&self) -> bool {
        self.sums.buffer == Buffer::Result
    }
}

/// The whole of both tables: the taps, the boundary.
pub(in crate::algorithm) fn both(tables: &[Table]) -> [Binding; 2] {
    [0, 1].map(|i| bind(&tables[i], i, Buffer::Table(i), 0))
}

/// The last element of what is gathered from: what lies past it is not read.
pub(in crate::algorithm) fn last_of(problem: &ConvProblem, matrix: Binding) -> u32 {
    count((matrix.size / problem.element().bytes()).saturating_sub(1))
}
