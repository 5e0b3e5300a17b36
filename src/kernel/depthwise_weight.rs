//! What the kernel of the weight's gradient over few channels is built for, and its uniform block.

use bytemuck::{Pod, Zeroable};

use super::depthwise::{Column, Counter, STORED, Window};
use super::{Spec, SpecValue};
use crate::problem::Element;

/// What `depthwise_weight.wgsl` is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DepthwiseWeightSpec {
    /// Rows and taps of an invocation.
    pub column: Column,
    /// Storage of the operands: F32 or F16.
    pub element: Element,
    /// Storage of the sums: that of the operands, or F32 for parts.
    pub sum: Element,
}

impl From<DepthwiseWeightSpec> for Spec {
    fn from(s: DepthwiseWeightSpec) -> Self {
        Self(vec![
            ("SY", SpecValue::U32(s.column.pitch)),
            ("KB", SpecValue::U32(s.column.taps)),
            ("Scalar", SpecValue::Type(s.element.name())),
            ("Sum", SpecValue::Type(s.sum.name())),
        ])
    }
}

pub(super) fn depthwise_weight_specs() -> Vec<Spec> {
    let of = |(element, sum)| Column::ALL.map(|column| DepthwiseWeightSpec { column, element, sum }.into());
    STORED.into_iter().flat_map(of).collect()
}

/// `DepthwiseWeightParams` of `shaders/depthwise_weight.wgsl`. Triples are (z, rows, columns); steps count elements, in
/// wrapping 32-bit arithmetic, places count fours of workgroup memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct DepthwiseWeightParams {
    /// How the tile of the input with its halo is staged.
    pub window: Window,
    /// How the gradients of the output are.
    pub gradients: Counter,
    /// How an invocation goes through its share of the cells.
    pub work: Counter,
    /// Tap columns and pieces of a box, pairs, shares.
    pub lane: [u32; 4],
    /// Of the first two and the product of the first three; of the cells along z.
    pub lane_inverse: [f32; 4],
    /// Places per tap column and pair; where the gradients begin; of those, per pair.
    pub places: [u32; 4],
    /// Radices of the first two digits of a pair; pairs in all; planes of a pair.
    pub pair_radix: [u32; 4],
    /// Steps in `a` per digit; per image.
    pub pair_a: [u32; 4],
    /// In `b`; per image.
    pub pair_b: [u32; 4],
    /// In the result; its first element.
    pub pair_r: [u32; 4],
    /// Images times cells along z; cells along z; planes of a workgroup; 0.
    pub planes: [u32; 4],
    /// Tiles of columns, bands, blocks of rows, planes.
    pub tiles: [u32; 4],
    /// Columns, bands, blocks of rows of a tile; 0.
    pub tile: [u32; 4],
    /// Taps; rows of a box.
    pub taps: [u32; 4],
    /// Boxes of taps; sets of pairs.
    pub boxes: [u32; 4],
    /// Cells of `a` per cell of `b`; then cells between the rows of an invocation.
    pub stride: [u32; 4],
    /// Cells of `a` per tap; 0.
    pub dilation: [u32; 4],
    /// Before the first cell; first element of `a`.
    pub pad: [u32; 4],
    /// Cells of `b`; its first element.
    pub cells: [u32; 4],
    /// Steps in `b` per cell; then between the rows of an item.
    pub b_stride: [u32; 4],
    /// Steps in the result per tap; then per part.
    pub r_stride: [u32; 4],
    /// Steps in all and of a part; workgroups; steps whose products an invocation adds one after the other.
    pub counts: [u32; 4],
    /// Code of the activation; whether there is a residual; 0, 0.
    pub epilogue: [u32; 4],
    /// Factor of the sum, factor of the residual, value outside; over the planes of a pair.
    pub scale: [f32; 4],
    /// The activation's two parameters, 0, 0.
    pub activation: [f32; 4],
}
