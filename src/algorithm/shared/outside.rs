//! How a kernel is to tell which elements of the matrix of windows lie outside the tensor that they are gathered from.

use super::product::Product;
use super::roles::{Loop, LoopPhase};
use super::{count, word};

/// Bits of a word, but for the one that every column has.
pub(in crate::algorithm) const MOST: usize = 31;

/// What columns and products have to tell it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::algorithm) enum Outside {
    /// Bits: an element lies outside if both have one in common. Without bits none lies outside.
    Bits(Vec<Bit>),
    /// Coordinates.
    Coordinates,
}

/// A tap or a cell of an axis that has a bit. Products of this tap have the bit, and columns that this tap does not reach
/// inside; or columns of this cell have it, and products that do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::algorithm) struct Bit {
    axis: usize,
    is_tap: bool,
    at: u64,
}

impl Outside {
    /// Along each axis the taps have bits or the cells, whichever are fewer; coordinates where they are too many.
    pub(in crate::algorithm) fn new(product: &Product<'_>) -> Self {
        let axes = product.axes.iter().enumerate().filter(|(_, (axis, phase))| reaches_outside(axis, phase));
        let of = |(axis, (_, phase)): (usize, &(&Loop, LoopPhase))| {
            let is_tap = phase.taps <= phase.cells;
            (0..phase.taps.min(phase.cells)).map(move |at| Bit { axis, is_tap, at })
        };
        let bits: Vec<Bit> = axes.flat_map(of).take(MOST + 1).collect();
        if bits.len() > MOST { Self::Coordinates } else { Self::Bits(bits) }
    }

    /// Whether nothing lies outside.
    pub(in crate::algorithm) fn is_nothing(&self) -> bool {
        *self == Self::Bits(Vec::new())
    }

    /// What the entries of taps in the table hold beside their offsets, for the taps along z, along y and along x: those of
    /// a tap are the three together, one after the other or as bits of one word.
    pub(in crate::algorithm) fn of_taps(&self, product: &Product<'_>) -> [Vec<u32>; 3] {
        [0, 1, 2].map(|i| {
            let (axis, phase) = product.axes[i];
            let of = |tap: u64| match self {
                Self::Coordinates => word(step(tap, axis.dilation)),
                Self::Bits(bits) => {
                    let has = |bit: &Bit| match bit.is_tap {
                        _ if bit.axis != i => false,
                        true => bit.at == tap,
                        false => !is_inside(axis, &phase, bit.at, tap),
                    };
                    let set = bits.iter().enumerate().filter(|(_, bit)| has(bit));
                    set.fold(0, |word, (i, _)| word | 1 << i)
                }
            };
            (0..phase.taps).map(of).collect()
        })
    }

    /// The entry of a tap, from what [`Self::of_taps`] gives.
    pub(in crate::algorithm) fn entry(&self, offset: u32, [z, y, x]: [u32; 3]) -> [u32; 4] {
        match self {
            Self::Bits(_) => [offset, z | y | x, 0, 0],
            Self::Coordinates => [offset, z, y, x],
        }
    }

    /// What columns find their bits by, as `start_of` of `shared/gather.wgsl` reads it.
    pub(in crate::algorithm) fn entries(&self, product: &Product<'_>) -> Vec<[u32; 4]> {
        let entry = |bit: &Bit| {
            let (axis, phase) = product.axes[bit.axis];
            let number = count(bit.axis as u64);
            if bit.is_tap {
                [number, word(step(bit.at, axis.dilation)), count(axis.a_extent), 0]
            } else {
                // One cell begins where it does: its sum is 0, which is below 1.
                [number, word(phase.pad.wrapping_sub(step(bit.at, axis.stride))), 1, 1]
            }
        };
        match self {
            Self::Bits(bits) => bits.iter().map(entry).collect(),
            Self::Coordinates => Vec::new(),
        }
    }
}

/// Steps were checked to stay far below 2^63.
pub(in crate::algorithm) fn step(times: u64, by: i64) -> i64 {
    (times as i64).wrapping_mul(by)
}

/// Where a tap reads for a cell.
fn coordinate(axis: &Loop, phase: &LoopPhase, cell: u64, tap: u64) -> i128 {
    let along = |times: u64, by: i64| i128::from(times) * i128::from(by);
    along(cell, axis.stride) + along(tap, axis.dilation) - i128::from(phase.pad)
}

fn is_inside(axis: &Loop, phase: &LoopPhase, cell: u64, tap: u64) -> bool {
    (0..i128::from(axis.a_extent)).contains(&coordinate(axis, phase, cell, tap))
}

/// Whether any tap of a phase reads outside for any cell: the corners tell.
fn reaches_outside(axis: &Loop, phase: &LoopPhase) -> bool {
    let (cell, tap) = (phase.cells.saturating_sub(1), phase.taps.saturating_sub(1));
    [(0, 0), (cell, 0), (0, tap), (cell, tap)].into_iter().any(|(c, t)| !is_inside(axis, phase, c, t))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::shared::roles::Roles;
    use crate::kernel::Tile;
    use crate::problem::{Conv, ConvProblem, Direction};

    /// As the kernel finds them: the bits of a column whose window begins at `at`.
    fn of_column(entries: &[[u32; 4]], at: [u32; 3]) -> u32 {
        let has = |[axis, offset, bound, inverted]: [u32; 4]| {
            (at[axis as usize].wrapping_add(offset) >= bound) != (inverted != 0)
        };
        (0..).zip(entries).filter(|(_, entry)| has(**entry)).fold(0, |word, (i, _)| word | 1 << i)
    }

    /// Compares every element of the matrix of `problem`; gives how many bits its largest product has, and how many
    /// elements lie outside.
    fn compare(problem: &ConvProblem) -> (usize, u64) {
        let roles = Roles::new(problem, &problem.result().strides);
        let index = |at: u64| usize::try_from(at).expect("a tap of a small kernel");
        let (mut most, mut found) = (0, 0);
        for product in Product::all(&roles, Tile::ALL[0]) {
            let outside = Outside::new(&product);
            let entries = outside.entries(&product);
            let [(_, pz), (_, py), (_, px)] = product.axes;
            let taps = outside.of_taps(&product);
            let each = |n: [u64; 3]| {
                (0..n[0]).flat_map(move |i| (0..n[1]).flat_map(move |j| (0..n[2]).map(move |k| [i, j, k])))
            };
            for cell in each([pz.cells, py.cells, px.cells]) {
                let at = [0, 1, 2].map(|i| {
                    let (axis, phase) = product.axes[i];
                    word(step(cell[i], axis.stride).wrapping_sub(phase.pad))
                });
                let column = of_column(&entries, at);
                for tap in each([pz.taps, py.taps, px.taps]) {
                    let [_, bits, ..] = outside.entry(0, [0, 1, 2].map(|i| taps[i][index(tap[i])]));
                    let inside = (0..3).all(|i| {
                        let (axis, phase) = product.axes[i];
                        is_inside(axis, &phase, cell[i], tap[i])
                    });
                    assert_eq!(bits & column == 0, inside, "cell {cell:?}, tap {tap:?} of {problem:?}");
                    found += u64::from(!inside);
                }
            }
            most = most.max(entries.len());
        }
        (most, found)
    }

    #[test]
    fn an_element_lies_outside_where_tap_and_column_share_a_bit() {
        let conv = Conv::default;
        let (x, w) = ([1, 1, 9, 7], [1, 1, 3, 3]);
        // Bits of the taps, or of the cells where these are fewer; none where nothing lies outside.
        for (x, w, conv, bits) in [
            (&x[..], &w[..], conv().padding(1), 6),
            (&x, &w, conv().padding([(1, 0), (0, 0)]), 3),
            (&x, &w, conv(), 0),
            (&x, &w, conv().padding(2).dilation(2).stride(3).flip(true), 6),
            (&x, &[1, 1, 9, 7], conv().padding(1), 6),
            (&[1, 1, 40], &[1, 1, 31], conv().padding(4), 18),
            (&[1, 1, 4, 5, 6], &[1, 1, 3, 2, 3], conv().padding(1), 8),
        ] {
            for direction in [Direction::Forward, Direction::GradInput, Direction::GradWeight] {
                let problem = ConvProblem::new(x, w, &conv.clone().direction(direction)).expect("a problem");
                let (most, found) = compare(&problem);
                assert_eq!(found > 0, most > 0, "{problem:?}");
                if direction != Direction::GradInput {
                    assert_eq!(most, bits, "{problem:?}");
                }
            }
        }
    }
}
