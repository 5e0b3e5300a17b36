//! What the kernels of few channels are built for, and their uniform blocks, word for word as the shaders declare them.

use bytemuck::{Pod, Zeroable};

use super::{Spec, SpecValue};
use crate::problem::Element;

/// Rows of the result that one invocation holds.
pub const ROWS: u32 = 8;

/// How a column of rows and taps lies in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Column {
    /// Places between the rows of an invocation: 1, 2, or 8 for rows that share nothing.
    pub pitch: u32,
    /// Taps at once: all of 3, 5 or 7, or 8 at a time.
    pub taps: u32,
}

impl Column {
    /// The columns that there are.
    pub const ALL: [Self; 9] = [
        Self { pitch: 1, taps: 3 },
        Self { pitch: 1, taps: 5 },
        Self { pitch: 1, taps: 7 },
        Self { pitch: 1, taps: 8 },
        Self { pitch: 2, taps: 3 },
        Self { pitch: 2, taps: 5 },
        Self { pitch: 2, taps: 7 },
        Self { pitch: 2, taps: 8 },
        Self { pitch: 8, taps: 8 },
    ];

    /// Fours of values that it spans.
    pub fn fours(self) -> u32 {
        ((ROWS - 1) * self.pitch + self.taps).div_ceil(4)
    }
}

/// What `depthwise.wgsl` is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DepthwiseSpec {
    /// Channels of the result per invocation: 1 or 8.
    pub channels: u32,
    /// Rows and taps of an invocation.
    pub column: Column,
    /// Storage of the operands: F32 or F16.
    pub element: Element,
    /// Storage of the sums: that of the operands, or F32 where they are folded.
    pub sum: Element,
}

impl From<DepthwiseSpec> for Spec {
    fn from(s: DepthwiseSpec) -> Self {
        Self(vec![
            ("QN", SpecValue::U32(s.channels)),
            ("SY", SpecValue::U32(s.column.pitch)),
            ("KB", SpecValue::U32(s.column.taps)),
            ("Scalar", SpecValue::Type(s.element.name())),
            ("Sum", SpecValue::Type(s.sum.name())),
        ])
    }
}

/// Storage of operands and sums.
pub(super) const STORED: [(Element, Element); 3] =
    [(Element::F32, Element::F32), (Element::F16, Element::F16), (Element::F16, Element::F32)];

pub(super) fn depthwise_specs() -> Vec<Spec> {
    let mut specs = Vec::new();
    for (element, sum) in STORED {
        for (channels, column) in [1, 8].into_iter().flat_map(|n| Column::ALL.map(|column| (n, column))) {
            // Rows that share nothing take the registers of seven channels; what is folded has no stride.
            if (channels == 1 || column.pitch < 8) && (element == sum || column.pitch == 1) {
                specs.push(DepthwiseSpec { channels, column, element, sum }.into());
            }
        }
    }
    specs
}

/// A number of mixed radix that is counted along in steps of a workgroup without dividing; its last digit is unbounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Counter {
    /// Of the first three digits; then how many items there are.
    pub radix: [u32; 4],
    /// The first three digits of a workgroup; 0.
    pub step: [u32; 4],
    /// Of the radices; 0.
    pub inverse: [f32; 4],
    /// What one of each digit adds to the four numbers that are carried along.
    pub unit: [[u32; 4]; 4],
    /// What a workgroup adds to them.
    pub ahead: [u32; 4],
    /// What a carry out of a digit adds to them.
    pub carry: [[u32; 4]; 3],
}

impl Counter {
    /// Of digits by their radix and unit, in steps of `workgroup`. Arithmetic wraps, as the kernel's does.
    pub fn new(digits: [(u32, [u32; 4]); 4], workgroup: u32) -> Self {
        let radix = digits.map(|(radix, _)| radix.max(1));
        let unit = digits.map(|(_, unit)| unit);
        let (mut step, mut left) = ([0; 4], workgroup);
        for (step, radix) in step.iter_mut().zip(&radix[..3]) {
            *step = left % radix;
            left /= radix;
        }
        let mut ahead = unit[3].map(|u| u.wrapping_mul(left));
        let mut carry = [[0; 4]; 3];
        for i in 0..3 {
            for k in 0..4 {
                ahead[k] = ahead[k].wrapping_add(step[i].wrapping_mul(unit[i][k]));
                carry[i][k] = unit[i + 1][k].wrapping_sub(radix[i].wrapping_mul(unit[i][k]));
            }
        }
        let items = digits.iter().fold(1u32, |all, (radix, _)| all.saturating_mul(*radix));
        let inverse = [inverse(radix[0]), inverse(radix[1]), inverse(radix[2]), 0.0];
        Self { radix: [radix[0], radix[1], radix[2], items], step, inverse, unit, ahead, carry }
    }
}

/// Of a count, for the kernel's quotients of small numbers.
#[allow(clippy::cast_precision_loss, reason = "counts of a workgroup are small")]
pub fn inverse(count: u32) -> f32 {
    1.0 / count.max(1) as f32
}

/// `Window` of `shaders/shared/window.wgsl`. Triples are (z, rows, columns).
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Window {
    /// Fours of rows that are brought to workgroup memory.
    pub items: Counter,
    /// Cells of `a`; then whether coordinates go through tables.
    pub extent: [u32; 4],
    /// Steps in `a` per cell; then per channel summed over.
    pub stride: [u32; 4],
    /// Where the tables begin; then cells between the rows of an item.
    pub tables: [u32; 4],
    /// The last coordinates in the tables; then steps in `a` between the rows of an item.
    pub last: [u32; 4],
}

/// `DepthwiseParams` of `shaders/depthwise.wgsl`. Triples are (z, rows, columns); steps count elements, in wrapping
/// 32-bit arithmetic, places count fours of workgroup memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct DepthwiseParams {
    /// How the tile with its halo is staged.
    pub window: Window,
    /// How the factors are.
    pub factors: Counter,
    /// Radices of the first two digits of a plane; planes in all and of a workgroup.
    pub plane_radix: [u32; 4],
    /// Of the two radices; 0.
    pub plane_inverse: [f32; 4],
    /// Steps in `a` per digit; its first element.
    pub plane_a: [u32; 4],
    /// In `b`; its first element.
    pub plane_b: [u32; 4],
    /// In the result; its first element.
    pub plane_r: [u32; 4],
    /// Cells along z; 0.
    pub plane_z: [u32; 4],
    /// Channels; 0.
    pub plane_q: [u32; 4],
    /// An invocation's index over this, modulo `lane_count`: column, block of rows, plane, block of channels.
    pub lane_step: [u32; 4],
    /// How many there are.
    pub lane_count: [u32; 4],
    /// Of `lane_step`.
    pub lane_inverse: [f32; 4],
    /// Of `lane_count`.
    pub count_inverse: [f32; 4],
    /// Places per column, band, block of rows, plane.
    pub lane_a: [u32; 4],
    /// Where the factors begin; places per plane, block of channels, tap column.
    pub lane_b: [u32; 4],
    /// Tiles of channels, columns, bands, blocks of rows.
    pub tiles: [u32; 4],
    /// Phases of columns, rows, z; 0.
    pub phases: [u32; 4],
    /// Columns, bands, blocks of rows, blocks of channels of a tile.
    pub tile: [u32; 4],
    /// Taps of a box along rows and columns; places per tap column; 0.
    pub taps: [u32; 4],
    /// Where the rows of the phases begin in the table; 0.
    pub rows: [u32; 4],
    /// Cells of `a` per cell of the result; then cells between the rows of an invocation.
    pub stride: [u32; 4],
    /// Cells of `a` per tap; 0.
    pub dilation: [u32; 4],
    /// Steps in `b` per tap; then per channel summed over.
    pub b_stride: [u32; 4],
    /// Steps in the result per cell; then per channel.
    pub r_stride: [u32; 4],
    /// Channels per group, channels summed over, workgroups, invocations in use.
    pub counts: [u32; 4],
    /// Steps in `b` per channel of the result; sets of planes of a workgroup; columns of taps whose products are added one after
    /// the other; 0.
    pub channel: [u32; 4],
    /// Code of the activation; whether there is a residual; whether there is a bias; 0.
    pub epilogue: [u32; 4],
    /// Factor of the sum, factor of the residual, value outside; over the bands of a tile.
    pub scale: [f32; 4],
    /// The activation's two parameters, 0, 0.
    pub activation: [f32; 4],
}
