//! The axes as the kernels walk them: forwards, one along rows in registers, one along columns.

use crate::algorithm::shared::roles::Loop;
use crate::geometry::gcd;
use crate::kernel::depthwise::{Column, ROWS};

/// Taps along the innermost axis from which sharing its values is worth that neighbours store far apart.
const MANY_TAPS: u64 = 8;

/// The axes in the kernel's order and units.
#[derive(Clone, Debug)]
pub(super) struct Axes {
    /// Which of z, y and x are the kernel's z, rows and columns.
    pub(super) order: [usize; 3],
    /// Of the kernel's z, rows and columns.
    pub(super) loops: [Loop; 3],
    /// Rows and taps in registers.
    pub(super) column: Column,
    /// Cells between the rows of an invocation: as many bands of rows share nothing.
    pub(super) apart: u64,
    /// Cells of `a` between columns that are staged, and steps in those per cell and per tap.
    pub(super) across: [u64; 3],
}

impl Axes {
    /// Of loops along z, y and x, already [`forwards`](crate::algorithm::shared::roles::forwards).
    pub(super) fn new(loops: &[Loop; 3]) -> Self {
        let [_, y, x] = loops;
        // Rows share their values, columns are neighbours in memory.
        let across = y.cells() <= 1 && x.cells() > 1 || y.taps() <= 1 && x.taps() >= MANY_TAPS;
        let order = if across { [0, 2, 1] } else { [0, 1, 2] };
        let loops = order.map(|i| loops[i].clone());
        let [_, rows, columns] = &loops;
        let (stride, dilation) = steps(rows);
        let common = gcd(stride, dilation).max(1);
        let pitch = if stride / common <= 2 { stride / common } else { 8 };
        let taps = rows.phases.first().map_or(0, |phase| phase.taps);
        let alike = rows.phases.iter().all(|phase| phase.taps == taps);
        let taps = match taps {
            3 | 5 | 7 if alike && pitch <= 2 => taps,
            _ => 8,
        };
        // No panic: both are at most 8.
        let [pitch_word, taps] = [pitch, taps].map(|n| u32::try_from(n).expect("at most 8"));
        let column = Column { pitch: pitch_word, taps };
        let apart = if pitch <= 2 { dilation / common } else { 1 };
        let (stride, dilation) = steps(columns);
        let common = gcd(stride, dilation).max(1);
        Self { order, loops, column, apart, across: [common, stride / common, dilation / common] }
    }

    /// Bands of rows that hold any.
    pub(super) fn bands(&self) -> u64 {
        self.apart.min(self.loops[1].cells()).max(1)
    }

    /// Blocks of rows of a band.
    pub(super) fn blocks(&self) -> u64 {
        self.loops[1].cells().div_ceil(self.apart.saturating_mul(ROWS.into())).max(1)
    }

    /// Pieces into which the taps of a column are cut.
    pub(super) fn pieces(&self) -> u64 {
        self.loops[1].taps().div_ceil(self.column.taps.into())
    }

    /// Cells of `a` between the fours of a column.
    pub(super) fn row_unit(&self) -> u64 {
        steps(&self.loops[1]).1
    }
}

/// Stride and dilation, of which the host made whole positive numbers.
fn steps(axis: &Loop) -> (u64, u64) {
    (axis.stride.unsigned_abs().max(1), axis.dilation.unsigned_abs().max(1))
}
