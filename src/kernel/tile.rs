//! What the kernels of matrix products are built for.

use super::{Spec, SpecValue, WORKGROUP};
use crate::problem::Element;

/// The part of a matrix product that one workgroup computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tile {
    /// Rows: channels of the result.
    pub rows: u32,
    /// Columns: cells of the result.
    pub columns: u32,
    /// Products per step.
    pub depth: u32,
    /// Fours of rows and of columns that one invocation multiplies in registers.
    pub fours: (u32, u32),
}

impl Tile {
    /// The tiles that there are, the largest first.
    pub const ALL: [Self; 6] = [
        Self { rows: 128, columns: 128, depth: 16, fours: (2, 2) },
        Self { rows: 128, columns: 128, depth: 8, fours: (2, 2) },
        Self { rows: 64, columns: 128, depth: 16, fours: (2, 2) },
        Self { rows: 64, columns: 64, depth: 8, fours: (2, 2) },
        Self { rows: 32, columns: 128, depth: 16, fours: (1, 2) },
        Self { rows: 32, columns: 32, depth: 16, fours: (1, 1) },
    ];

    /// Invocations of a workgroup.
    pub fn invocations(&self) -> u32 {
        self.rows / 4 / self.fours.0 * (self.columns / 4 / self.fours.1)
    }

    /// Bytes of workgroup memory that `implicit_gemm.wgsl` takes.
    pub fn workgroup_bytes(&self) -> u32 {
        let Self { rows, columns, depth, .. } = *self;
        depth * rows * 4 + depth * (columns + 4) * 4 + depth * 32 + columns * 20
    }
}

impl std::fmt::Display for Tile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (m, n) = self.fours;
        write!(f, "{}x{}x{}, {}x{} per invocation", self.rows, self.columns, self.depth, 4 * m, 4 * n)
    }
}

/// What `implicit_gemm.wgsl` is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GemmSpec {
    /// Of a workgroup.
    pub tile: Tile,
    /// Whether columns have a bit for each of at most 32 taps.
    pub mask: bool,
    /// Whether coordinates go through boundary tables; then there are no such bits.
    pub table: bool,
    /// Storage of the operands: F32 or F16.
    pub element: Element,
    /// Storage of the sums: that of the operands, or F32 for parts.
    pub sum: Element,
}

fn four(element: Element) -> &'static str {
    if element == Element::F16 { "vec4h" } else { "vec4f" }
}

impl From<GemmSpec> for Spec {
    fn from(s: GemmSpec) -> Self {
        Self(vec![
            ("BM", SpecValue::U32(s.tile.rows)),
            ("BN", SpecValue::U32(s.tile.columns)),
            ("BK", SpecValue::U32(s.tile.depth)),
            ("SM", SpecValue::U32(s.tile.fours.0)),
            ("SN", SpecValue::U32(s.tile.fours.1)),
            ("MASK", SpecValue::Bool(s.mask)),
            ("TABLE", SpecValue::Bool(s.table)),
            ("Scalar", SpecValue::Type(s.element.name())),
            ("Scalar4", SpecValue::Type(four(s.element))),
            ("Sum", SpecValue::Type(s.sum.name())),
        ])
    }
}

pub(super) fn gemm_specs() -> Vec<Spec> {
    let mut specs = Vec::new();
    for (element, sum) in
        [(Element::F32, Element::F32), (Element::F16, Element::F16), (Element::F16, Element::F32)]
    {
        for (mask, table) in [(true, false), (false, false), (false, true)] {
            specs.extend(Tile::ALL.map(|tile| GemmSpec { tile, mask, table, element, sum }.into()));
        }
    }
    specs
}

/// What `pack.wgsl` is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PackSpec {
    /// Storage of the operands: F32 or F16.
    pub element: Element,
}

impl From<PackSpec> for Spec {
    fn from(s: PackSpec) -> Self {
        Self(vec![
            ("WG", SpecValue::U32(WORKGROUP)),
            ("Scalar", SpecValue::Type(s.element.name())),
            ("Scalar4", SpecValue::Type(four(s.element))),
        ])
    }
}
