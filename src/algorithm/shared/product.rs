//! The matrix products of a problem: one per phase, and how they fill a device.

use super::roles::{Loop, Phase, Roles};
use super::{MAX_INDEX, binding_limit};
use crate::algorithm::Unsupported;
use crate::kernel::Tile;
use crate::problem::ConvProblem;
use crate::program::Target;

/// Most products that one invocation sums up one after the other: it bounds the time of an invocation, and keeps its
/// loops below the 65,535 iterations after which llvmpipe (seen in Mesa 22.3) leaves every loop of a shader.
const MAX_PRODUCTS: u64 = 1 << 14;

/// Sums are cut no shorter to fill a device: the parts must be added up again.
const MIN_PRODUCTS: u64 = 1 << 8;

/// The matrix product of one phase along z, y and x.
pub(in crate::algorithm) struct Product<'a> {
    pub(in crate::algorithm) axes: [(&'a Loop, Phase); 3],
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

    fn new(roles: &Roles, tile: Tile, axes: [(&'a Loop, Phase); 3]) -> Self {
        let product = |of: fn(&Phase) -> u64, first: u64| {
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

/// Into how many ranges of products sums of `steps` steps are cut: none longer than [`MAX_PRODUCTS`], and enough to fill the
/// device where the result is of so many tiles, for results of `size` elements, at most `most`.
pub(in crate::algorithm) fn parts(
    target: &Target,
    tile: Tile,
    (steps, tiles): (u64, u64),
    (size, most): (u64, u64),
) -> Result<u64, Unsupported> {
    let depth = u64::from(tile.depth);
    let steps = steps.max(1);
    let least = steps.div_ceil(MAX_PRODUCTS / depth);
    // So many find room, so many are long enough.
    let room = binding_limit(target).min(4 * (MAX_INDEX - 1)) / size.saturating_mul(4).max(1);
    let room = room.min(steps.saturating_mul(depth) / MIN_PRODUCTS).max(1);
    let wanted = (2 * target.units()).div_ceil(tiles.max(1)).min(room).min(most.max(1)).max(least);
    // Evenly: the last range is not shorter than it must be.
    let parts = steps.div_ceil(steps.div_ceil(wanted));
    if parts > most {
        return Err(Unsupported::Limit { what: "parts of one sum", needed: parts, limit: most });
    }
    Ok(parts)
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
