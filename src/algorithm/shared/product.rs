//! The matrix products of a problem: one per phase, and how they fill a device.

use super::cost::Launches;
use super::roles::{Loop, Phase, Roles};
use super::{MAX_INDEX, MAX_PARTS, binding_limit, cost};
use crate::algorithm::Unsupported;
use crate::kernel::Tile;
use crate::problem::ConvProblem;
use crate::program::Target;

/// Most products that one invocation sums up one after the other: it bounds the time of an invocation, and keeps its
/// loops below the 65,535 iterations after which llvmpipe (seen in Mesa 22.3) leaves every loop of a shader.
const MAX_PRODUCTS: u64 = 1 << 14;

/// Sums are cut no shorter to fill a device: the parts must be added up again.
const MIN_PRODUCTS: u64 = 1 << 7;

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

    /// The one launch that multiplies all of it.
    fn launches(&self, roles: &Roles) -> Launches {
        let tiles = self.row_tiles.saturating_mul(self.column_tiles).saturating_mul(roles.groups);
        Launches { count: 1, tiles, steps: self.steps }
    }

    /// Elements of its packed factors.
    pub(in crate::algorithm) fn packed(&self, roles: &Roles, tile: Tile) -> u64 {
        let step = u64::from(tile.rows) * u64::from(tile.depth);
        [roles.groups, self.row_tiles, self.steps].into_iter().fold(step, u64::saturating_mul)
    }
}

/// Into how many ranges of products the sums of launches are cut: none longer than [`MAX_PRODUCTS`], and enough for invocations
/// that fill the device, for results of `size` elements, at most `most`. The launches run one after the other: the largest
/// decides.
pub(in crate::algorithm) fn parts(
    target: &Target,
    tile: Tile,
    launches: &[Launches],
    (size, most): (u64, u64),
) -> Result<u64, Unsupported> {
    let depth = u64::from(tile.depth);
    let steps = launches.iter().map(|launches| launches.steps).max().unwrap_or(0).max(1);
    let tiles = launches.iter().map(|launches| launches.tiles).max().unwrap_or(0).max(1);
    let least = steps.div_ceil(MAX_PRODUCTS / depth);
    // So many find room, so many are long enough.
    let room = binding_limit(target).min(4 * (MAX_INDEX - 1)) / size.saturating_mul(4).max(1);
    let room = room.min(steps.saturating_mul(depth) / MIN_PRODUCTS).max(1);
    let invocations = tiles.saturating_mul(tile.invocations().into());
    let wanted = cost::busy(target).div_ceil(invocations).min(room).min(most.max(1)).max(least);
    // Evenly: the last range is not shorter than it must be.
    let parts = steps.div_ceil(steps.div_ceil(wanted));
    if parts > most {
        return Err(Unsupported::Limit { what: "parts of one sum", needed: parts, limit: most });
    }
    Ok(parts)
}

/// Time of all products of a problem in one launch each, as [`cost`] estimates it.
pub(in crate::algorithm) fn time(problem: &ConvProblem, target: &Target, roles: &Roles, tile: Tile) -> u128 {
    let size = problem.result().len();
    let launches: Vec<_> = Product::all(roles, tile).iter().map(|product| product.launches(roles)).collect();
    // What needs more is cut into pieces.
    let parts = parts(target, tile, &launches, (size, MAX_PARTS)).unwrap_or(MAX_PARTS);
    cost::products(target, tile, &launches, (parts, size))
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
