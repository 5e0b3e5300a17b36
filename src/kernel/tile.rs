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
        Self { rows: 64, columns: 64, depth: 16, fours: (2, 2) },
        Self { rows: 32, columns: 128, depth: 16, fours: (1, 2) },
        Self { rows: 32, columns: 64, depth: 16, fours: (1, 2) },
    ];

    /// Invocations of a workgroup.
    pub fn invocations(&self) -> u32 {
        self.rows / 4 / self.fours.0 * (self.columns / 4 / self.fours.1)
    }

    /// Whether it is worth checking elements by their coordinates: where 64 sums of an invocation share few loads, that takes
    /// too many registers beside them, or too large a part of a step.
    pub fn holds_coordinates(&self) -> bool {
        self.fours != (2, 2) || self.rows == 128
    }

    /// Bytes of workgroup memory that `implicit_gemm.wgsl` takes; `gemm_tiled.wgsl` takes less.
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

/// How a kernel tells elements that lie outside, by the numbers of `shared/gather.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    /// None does, and the last step is full.
    Nothing = 0,
    /// Columns and products have bits.
    Bits = 1,
    /// Columns and products have coordinates.
    Coordinates = 2,
}

impl Check {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nothing, Self::Bits, Self::Coordinates];
}

/// What `implicit_gemm.wgsl` is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GemmSpec {
    /// Of a workgroup.
    pub tile: Tile,
    /// How elements outside are told.
    pub check: Check,
    /// Storage of the operands: F32 or F16.
    pub element: Element,
    /// Storage of the sums: that of the operands, or F32 for parts.
    pub sum: Element,
}

fn four(element: Element) -> &'static str {
    if element == Element::F16 { "vec4h" } else { "vec4f" }
}

fn tile_values(tile: Tile) -> Vec<(&'static str, SpecValue)> {
    vec![
        ("BM", SpecValue::U32(tile.rows)),
        ("BN", SpecValue::U32(tile.columns)),
        ("BK", SpecValue::U32(tile.depth)),
        ("SM", SpecValue::U32(tile.fours.0)),
        ("SN", SpecValue::U32(tile.fours.1)),
    ]
}

fn element_values(element: Element, sum: Element) -> Vec<(&'static str, SpecValue)> {
    vec![
        ("Scalar", SpecValue::Type(element.name())),
        ("Scalar4", SpecValue::Type(four(element))),
        ("Sum", SpecValue::Type(sum.name())),
    ]
}

impl From<GemmSpec> for Spec {
    fn from(s: GemmSpec) -> Self {
        let check = vec![("CHECK", SpecValue::U32(s.check as u32))];
        Self([tile_values(s.tile), check, element_values(s.element, s.sum)].concat())
    }
}

/// What `gemm_tiled.wgsl` is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TiledSpec {
    /// Of a workgroup.
    pub tile: Tile,
    /// Storage of the operands: F32 or F16.
    pub element: Element,
    /// Storage of the sums: that of the operands, or F32 for parts.
    pub sum: Element,
}

impl From<TiledSpec> for Spec {
    fn from(s: TiledSpec) -> Self {
        Self([tile_values(s.tile), element_values(s.element, s.sum)].concat())
    }
}

/// Storage of the operands and of the sums.
const ELEMENTS: [(Element, Element); 3] =
    [(Element::F32, Element::F32), (Element::F16, Element::F16), (Element::F16, Element::F32)];

pub(super) fn gemm_specs() -> Vec<Spec> {
    let mut specs = Vec::new();
    for (element, sum) in ELEMENTS {
        for check in Check::ALL {
            let tiles =
                Tile::ALL.into_iter().filter(|tile| check != Check::Coordinates || tile.holds_coordinates());
            specs.extend(tiles.map(|tile| Spec::from(GemmSpec { tile, check, element, sum })));
        }
    }
    specs
}

pub(super) fn tiled_specs() -> Vec<Spec> {
    let of = |(element, sum)| Tile::ALL.map(|tile| TiledSpec { tile, element, sum }.into());
    ELEMENTS.map(of).concat()
}

/// What `im2col.wgsl` is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Im2colSpec {
    /// Whether coordinates go through boundary tables.
    pub table: bool,
    /// Storage of the operands: F32 or F16.
    pub element: Element,
}

impl Im2colSpec {
    /// Products that one invocation writes.
    pub const EACH: u32 = 8;
}

impl From<Im2colSpec> for Spec {
    fn from(s: Im2colSpec) -> Self {
        Self(vec![
            ("WG", SpecValue::U32(WORKGROUP)),
            ("EACH", SpecValue::U32(Im2colSpec::EACH)),
            ("TABLE", SpecValue::Bool(s.table)),
            ("Scalar", SpecValue::Type(s.element.name())),
        ])
    }
}

pub(super) fn im2col_specs() -> Vec<Spec> {
    let of = |table| [Element::F32, Element::F16].map(|element| Im2colSpec { table, element }.into());
    [of(false), of(true)].concat()
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
