//! The matrix products of a problem: one per phase, and how they fill a device.

use super::cost::Launches;
use super::fold::Parts;
use super::roles::{Loop, LoopPhase, Roles};
use super::{MAX_INDEX, binding_limit, cost};
use crate::implementation::{Cannot, PlanContext, Resource};
use crate::kernel::Tile;
use crate::problem::{ConvProblem, Direction};

/// Most products that one invocation sums up one after the other: it bounds the time of an invocation, and keeps its
/// loops below the 65,535 iterations after which llvmpipe (seen in Mesa 22.3) leaves every loop of a shader.
const MAX_PRODUCTS: u64 = 1 << 14;

/// Sums that are cut to fill a device are cut no shorter: the parts must be added up again.
const MIN_PRODUCTS: u64 = 1 << 7;

/// Products of a block of a sum, of which each is added up by itself. To end one costs what a few products do for every sum of
/// an invocation, and its memory: it is done no more often than once in 224 products, where blocks do not fill a device.
const BLOCK: u64 = 1 << 8;

/// Blocks are of whole steps of every tile.
const DEPTH: u64 = 16;

/// Results of an invocation, at most.
const RESULTS: u64 = 64;

/// The matrix product of one phase along z, y and x.
pub(in crate::algorithm) struct Product<'a> {
    pub(in crate::algorithm) axes: [(&'a Loop, LoopPhase); 3],
    pub(in crate::algorithm) taps: u64,
    /// Channels summed over times taps.
    pub(in crate::algorithm) products: u64,
    /// Steps of `depth` products; one where there is none, which adds nothing.
    pub(in crate::algorithm) steps: u64,
    pub(in crate::algorithm) columns: u64,
    pub(in crate::algorithm) row_tiles: u64,
    pub(in crate::algorithm) column_tiles: u64,
}

impl<'a> Product<'a> {
    pub(in crate::algorithm) fn all(roles: &'a Roles, tile: Tile) -> Vec<Self> {
        let [z, y, x] = &roles.axes;
        let mut all = Vec::new();
        for &pz in &z.phases {
            for &py in &y.phases {
                for &px in &x.phases {
                    all.push(Self::new(roles, tile, [(z, pz), (y, py), (x, px)]));
                }
            }
        }
        all
    }

    fn new(roles: &Roles, tile: Tile, axes: [(&'a Loop, LoopPhase); 3]) -> Self {
        let product = |of: fn(&LoopPhase) -> u64, first: u64| {
            axes.iter().map(|(_, phase)| of(phase)).fold(first, u64::saturating_mul)
        };
        let (taps, columns) = (product(|p| p.taps, 1), product(|p| p.cells, roles.images));
        let products = roles.summed.saturating_mul(taps);
        Self {
            axes,
            taps,
            products,
            steps: products.div_ceil(tile.depth.into()).max(1),
            columns,
            row_tiles: roles.channels.div_ceil(tile.rows.into()),
            column_tiles: columns.div_ceil(tile.columns.into()),
        }
    }

    /// Elements of its packed factors.
    pub(in crate::algorithm) fn packed(&self, roles: &Roles, tile: Tile) -> u64 {
        let step = u64::from(tile.rows) * u64::from(tile.depth);
        [roles.groups, self.row_tiles, self.steps].into_iter().fold(step, u64::saturating_mul)
    }
}

/// How the sums of a problem are cut.
///
/// Products are added up by blocks, blocks by runs, and runs to the sum, one after the other. Where images are not summed over,
/// blocks and runs begin at the same products whatever the batch, and either one invocation adds up a sum, or each run of it has
/// one, or each block: the bits of the sum are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::algorithm) struct Cut {
    /// Products of a block, whole steps of the tile.
    block: u64,
    /// Products of a run, whole blocks.
    run: u64,
    /// Products of a part, that one invocation adds up.
    part: u64,
    pub(in crate::algorithm) parts: Parts,
}

impl Cut {
    /// With as few parts as there may be of a sum of so many products, in blocks of so many; then with a part for each run and, of
    /// a sum that one invocation may add up, for each block.
    fn ways(products: u64, block: u64) -> (Self, Vec<Self>) {
        let (blocks, most) = (products.div_ceil(block), MAX_PRODUCTS / block);
        let is_one = blocks <= most;
        // About as many as there are runs; half of that where parts cannot be single blocks, so that there may be more of them.
        let of_run = if is_one { blocks.isqrt() + 1 } else { most.isqrt() / 2 };
        let whole = if is_one { blocks.next_multiple_of(of_run) } else { most / of_run * of_run };
        let way = |of_part: u64, together: u64| Self {
            block,
            run: block * of_run,
            part: block * of_part,
            parts: Parts { count: blocks.div_ceil(of_part), run: together },
        };
        // A fold adds up runs as an invocation adds up those of a part, and blocks as it adds up those of a run.
        let mut others = vec![way(of_run, whole / of_run)];
        if is_one {
            others.push(way(1, of_run));
        }
        (way(whole, 1), others)
    }

    /// Of a sum over images, into any number of parts.
    fn over_images(products: u64, parts: u64, depth: u64) -> Self {
        let part = products.div_ceil(parts).next_multiple_of(depth);
        let block = part.div_ceil(blocks(part)).next_multiple_of(depth);
        // Evenly: the last part is not shorter than it must be.
        Self { block, run: part, part, parts: Parts::of(products.div_ceil(part)) }
    }

    /// Steps of a part, of a block and of a run, for a tile of this depth.
    pub(in crate::algorithm) fn steps(&self, depth: u64) -> [u64; 3] {
        [self.part, self.block, self.run].map(|products| products / depth)
    }
}

/// Into how many blocks a sum of so many products is cut.
fn blocks(products: u64) -> u64 {
    (products + BLOCK / 8) / BLOCK + 1
}

/// What is cut: results of `size` elements, into at most `most` parts.
#[derive(Clone, Copy)]
pub(in crate::algorithm) struct Summed {
    pub(in crate::algorithm) size: u64,
    pub(in crate::algorithm) most: u64,
    /// Whether sums are over images.
    pub(in crate::algorithm) over_images: bool,
    /// Not summed over.
    pub(in crate::algorithm) images: u64,
}

impl Summed {
    pub(in crate::algorithm) fn new(problem: &ConvProblem, roles: &Roles, size: u64, most: u64) -> Self {
        let over_images = problem.direction() == Direction::GradWeight;
        Self { size, most: most.max(1), over_images, images: roles.images }
    }
}

/// How the sums of launches are cut: no part is longer than [`MAX_PRODUCTS`], and there are enough for invocations that fill the
/// device. The launches run one after the other, and move so many bytes together: the largest decides.
pub(in crate::algorithm) fn cut(
    context: &PlanContext,
    tile: Tile,
    launches: &[Launches],
    bytes: u64,
    summed: Summed,
) -> Result<Cut, Cannot> {
    let target = &context.target;
    let Summed { size, most, over_images, images } = summed;
    let depth = u64::from(tile.depth);
    let products = launches.iter().map(|launches| launches.products).max().unwrap_or(0).max(1);
    let busy = cost::busy(target);
    // So many find room.
    let room = binding_limit(target).min(4 * (MAX_INDEX - 1)) / size.saturating_mul(4).max(1);
    let room = room.min(most).max(1);
    let cut = if over_images {
        let tiles = launches.iter().map(|launches| launches.tiles).max().unwrap_or(0).max(1);
        let invocations = tiles.saturating_mul(tile.invocations().into());
        let long_enough = (products.next_multiple_of(depth) / MIN_PRODUCTS).max(1);
        let least = products.div_ceil(MAX_PRODUCTS);
        let wanted = busy.div_ceil(invocations).min(room).min(long_enough).max(least);
        Cut::over_images(products, wanted, depth)
    } else {
        // By one image: its blocks fill the device, or are as short as they may be.
        // Phases run one after the other.
        let at_once = size / images.max(1) / (launches.len() as u64).max(1);
        let fill = busy.saturating_mul(RESULTS).div_ceil(at_once.max(1));
        let blocks = fill.min(products / MIN_PRODUCTS).max(blocks(products));
        let block = products.div_ceil(blocks).next_multiple_of(DEPTH);
        let time = |cut: &Cut| cost::products(context, tile, launches, bytes, (cut.parts.count, size));
        let (whole, others) = Cut::ways(products, block);
        let fits = others.into_iter().filter(|cut| cut.parts.count <= room);
        // Copies take memory: they have to save a sixteenth of the time.
        fits.fold(whole, |best, cut| if time(&cut) < time(&best).times(15.0 / 16.0) { cut } else { best })
    };
    if cut.parts.count > most {
        return Err(Cannot::Limit {
            resource: Resource::PartsOfOneSum,
            needed: cut.parts.count,
            limit: most,
        });
    }
    Ok(cut)
}

/// Where the packed factors of each product begin, and how many bytes they are together.
pub(in crate::algorithm) fn offsets(
    problem: &ConvProblem,
    roles: &Roles,
    products: &[Product<'_>],
    tile: Tile,
) -> (Vec<u64>, u64) {
    let (mut offsets, mut bytes) = (Vec::new(), 0u64);
    for product in products {
        offsets.push(bytes);
        let own = product.packed(roles, tile).saturating_mul(problem.element().bytes());
        // Bindings begin at multiples of 256 bytes, and so does every tile.
        bytes = bytes.saturating_add(own);
    }
    (offsets, bytes)
}
