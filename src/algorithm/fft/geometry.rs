//! The axes as dense stride-1 correlations of sub-images, and the tiles into which these are cut.

use crate::algorithm::shared::roles::{Loop, LoopPhase, Roles, forwards};
use crate::geometry::SubImages;

/// Along one axis, for every `stride`-th sample `j` of the result and the samples `x[i] = a[begin + i·step]`:
///
/// ```text
/// r[j] = Σ t  x[j + t]·b[t]
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DenseLine {
    pub(super) a_extent: u64,
    pub(super) a_stride: u64,
    pub(super) begin: i64,
    pub(super) step: u64,
    pub(super) stride: u64,
    /// 0: no cell of `a` is reached.
    pub(super) taps: u64,
    pub(super) b_first: i64,
    pub(super) b_stride: i64,
    pub(super) cells: u64,
    pub(super) r_first: i64,
    pub(super) r_stride: i64,
}

impl DenseLine {
    /// Samples of the result, from the first that is kept to the last.
    fn reach(&self) -> u64 {
        (self.cells.max(1) - 1).saturating_mul(self.stride).saturating_add(1)
    }

    /// Samples that a transform of the whole needs so that nothing wraps around.
    pub(super) fn whole(&self) -> u64 {
        self.reach().saturating_add(self.taps.max(1) - 1)
    }

    /// Cells of `a` up to the last that any window visits: what lies past it must not come into any spectrum, where it would
    /// leave its rounding errors, or its infinities.
    pub(super) fn visited(&self) -> u64 {
        let end = i128::from(self.begin) + i128::from(self.whole() - 1) * i128::from(self.step) + 1;
        u64::try_from(end).unwrap_or(0).min(self.a_extent)
    }

    /// Samples that every tile needs.
    pub(super) fn least(&self, summed: bool) -> u64 {
        if summed { self.reach() } else { self.taps.max(1) }
    }

    /// Cut into tiles of `length` samples: by cells of the result, or where tiles are summed over, by taps.
    pub(super) fn tiling(&self, length: u64, summed: bool) -> LineTiling {
        if summed {
            let hop = (length - self.reach() + 1).min(self.taps.max(1));
            let tiles = self.taps.max(1).div_ceil(hop);
            return LineTiling { hop, tiles, per_tile: self.cells };
        }
        let per_tile = ((length - self.taps.max(1)) / self.stride + 1).min(self.cells.max(1));
        let tiles = self.cells.max(1).div_ceil(per_tile);
        LineTiling { hop: per_tile * self.stride, tiles, per_tile }
    }
}

/// The tiles along one axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LineTiling {
    /// Samples from tile to tile.
    pub(super) hop: u64,
    pub(super) tiles: u64,
    /// Cells of the result in one tile.
    pub(super) per_tile: u64,
}

/// Dense correlations along each axis, whose combinations together are the problem, in an order of axes in which those of one
/// sample come first, because the kernels transform the last ones at once, and those last that must be long, because only the
/// innermost one may be of any length.
pub(super) struct Lines(pub(super) [Vec<DenseLine>; 3]);

impl Lines {
    /// Of tiles that are summed over, or of the result; `across` is the longest transform along an axis that is not innermost.
    pub(super) fn new(roles: &Roles, tiles_summed: bool, across: u64) -> Self {
        let mut axes = roles.axes.each_ref().map(lines);
        let is_long = |line: &DenseLine| line.least(tiles_summed) > across;
        // Stable: the others keep their order.
        axes.sort_by_key(|lines| (lines.iter().any(|line| line.whole() > 1), lines.iter().any(is_long)));
        Self(axes)
    }

    /// The longest of what `of` says of each axis.
    pub(super) fn most(&self, of: impl Fn(&DenseLine) -> u64) -> [u64; 3] {
        self.0.each_ref().map(|lines| lines.iter().map(&of).max().unwrap_or(1))
    }

    /// Every combination.
    pub(super) fn parts(&self) -> Vec<[DenseLine; 3]> {
        let [z, y, x] = &self.0;
        let of_z = |&z: &DenseLine| y.iter().flat_map(move |&y| x.iter().map(move |&x| [z, y, x]));
        z.iter().flat_map(of_z).collect()
    }
}

/// How many lines an axis has, before any is made.
pub(super) fn count(axis: &Loop) -> u64 {
    let cells = axis.cells().max(1);
    let classes = if axis.taps() > 1 && cells > 1 { sub_images(axis).count(cells) } else { 1 };
    classes.saturating_mul(axis.phases.len() as u64)
}

fn sub_images(axis: &Loop) -> SubImages {
    SubImages::new(axis.stride.unsigned_abs().max(1), axis.dilation.unsigned_abs().max(1))
}

/// Of each phase the sub-images, with the steps of the tensors.
fn lines(axis: &Loop) -> Vec<DenseLine> {
    let axis = forwards(axis);
    let images = sub_images(&axis);
    let of = |phase: &LoopPhase| {
        let (axis, phase) = (&axis, *phase);
        images.of(phase.cells).map(move |image| DenseLine {
            a_extent: axis.a_extent,
            a_stride: axis.a_stride,
            begin: image.ahead - phase.pad,
            step: axis.dilation.unsigned_abs().max(1),
            stride: images.stride,
            taps: phase.taps,
            b_first: phase.b_first,
            b_stride: axis.b_stride,
            cells: image.count,
            r_first: phase.r_first.wrapping_add((image.first as i64).wrapping_mul(axis.r_stride)),
            r_stride: axis.r_stride.wrapping_mul(image.apart as i64),
        })
    };
    axis.phases.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every product of the loop, as (cell of the result, cell of a, element of b).
    fn products_of_loop(axis: &Loop) -> Vec<(i64, i64, i64)> {
        let mut products = Vec::new();
        for phase in &axis.phases {
            for m in 0..phase.cells as i64 {
                for k in 0..phase.taps as i64 {
                    let a = m * axis.stride + k * axis.dilation - phase.pad;
                    products.push((phase.r_first + m * axis.r_stride, a, phase.b_first + k * axis.b_stride));
                }
            }
        }
        products.sort_unstable();
        products
    }

    fn products_of_tiles(axis: &Loop, length: u64, summed: bool) -> Vec<(i64, i64, i64)> {
        let mut products = Vec::new();
        for line in lines(axis) {
            let length = length.max(line.least(summed));
            let tiling = line.tiling(length, summed);
            for tile in 0..tiling.tiles {
                let (first_cell, first_tap) =
                    if summed { (0, tile * tiling.hop) } else { (tile * tiling.per_tile, 0) };
                let taps =
                    if summed { tiling.hop.min(line.taps.saturating_sub(first_tap)) } else { line.taps };
                for m in 0..tiling.per_tile.min(line.cells - first_cell) {
                    for t in 0..taps {
                        let sample = m * line.stride + t;
                        assert!(sample < length, "wraps around");
                        let a = line.begin + ((tile * tiling.hop + sample) * line.step) as i64;
                        let r = line.r_first + (first_cell + m) as i64 * line.r_stride;
                        products.push((r, a, line.b_first + (first_tap + t) as i64 * line.b_stride));
                    }
                }
            }
        }
        products.sort_unstable();
        products
    }

    #[test]
    fn tiles_of_lines_hold_every_product_once() {
        for stride in 1..5 {
            for dilation in [-3, -1, 1, 2, 4, 6] {
                for (taps, cells, pad) in
                    [(1, 1, 0), (3, 7, 2), (5, 4, -1), (1, 6, 0), (4, 1, 3), (0, 3, 0), (9, 9, 4)]
                {
                    let phases = vec![LoopPhase { taps, pad, b_first: 5, r_first: 1, cells }];
                    let axis = Loop {
                        a_extent: 20,
                        stride,
                        dilation,
                        a_stride: 1,
                        b_stride: -2,
                        b_position: 0,
                        r_stride: 3,
                        phases,
                    };
                    for length in [1, 8, 16] {
                        for summed in [false, true] {
                            let (wanted, got) =
                                (products_of_loop(&axis), products_of_tiles(&axis, length, summed));
                            assert_eq!(got, wanted, "{axis:?} {length} {summed}");
                        }
                    }
                }
            }
        }
    }
}
