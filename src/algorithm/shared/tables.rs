//! What the host computes for the kernels: rows of the phases, boundary tables, lists of places.

use super::roles::{Roles, has_table, is_folded, phases, three_axes};
use super::{count, word};
use crate::geometry::read;
use crate::problem::{Axis, ConvProblem, to_usize};
use crate::program::Table;

/// What a boundary table holds for a coordinate without a cell.
const OUTSIDE: u32 = u32::MAX;
/// Words of a row, as `place` of `shaders/direct.wgsl` reads them.
const ROW: usize = 5;

/// Words of every table that the problem may need, before any is made.
pub(in crate::algorithm) fn words(problem: &ConvProblem) -> u64 {
    let axes = three_axes(problem);
    let sum = |of: &dyn Fn(&Axis) -> u64| axes.iter().map(of).fold(0u64, u64::saturating_add);
    let cells = if has_table(problem) || is_folded(problem) { sum(&|a| a.reach() + a.input + 1) } else { 0 };
    rows(problem).saturating_add(cells)
}

/// Cells outside the input in those of the boundary, before any is made.
pub(in crate::algorithm) fn outside(problem: &ConvProblem) -> u64 {
    let of = |axis: &Axis| axis.reach().saturating_sub(axis.input);
    let axes = three_axes(problem);
    let all = axes.iter().map(of).fold(0u64, u64::saturating_add);
    if has_table(problem) || is_folded(problem) { all } else { 0 }
}

/// Words of the rows of all phases, before any is made.
pub(in crate::algorithm) fn rows(problem: &ConvProblem) -> u64 {
    let axes = three_axes(problem);
    let phases = axes.iter().map(|axis| phases(problem, axis)).fold(0u64, u64::saturating_add);
    phases.saturating_mul(ROW as u64)
}

/// Where the rows of z, y and x begin, and where their boundary tables.
pub(in crate::algorithm) fn begins(problem: &ConvProblem, roles: &Roles) -> [[u32; 3]; 2] {
    let mut next = 0u64;
    let mut step = |words: u64| {
        next += words;
        count(next - words)
    };
    let rows = [0, 1, 2].map(|i| step((roles.axes[i].phases.len() * ROW) as u64));
    [rows, boundary_begins(problem, next)]
}

/// Rows of the phases of z, y and x, of which the first element of `b` counts loads; then for z, y and x in turn: padded coordinate -> cell, or [`OUTSIDE`].
pub(in crate::algorithm) fn direct(problem: &ConvProblem, roles: &Roles, lanes: u32) -> Table {
    let mut words = Vec::new();
    for axis in &roles.axes {
        for phase in &axis.phases {
            // Without channels there is nothing to sum, however many taps.
            let taps = if roles.summed == 0 { 0 } else { phase.taps };
            words.extend([
                count(taps),
                word(phase.pad),
                word(phase.b_first / i64::from(lanes)),
                word(phase.r_first),
                count(phase.cells),
            ]);
        }
    }
    words.extend(boundary(problem));
    Table { name: "direct", words }
}

/// For z, y and x in turn: padded coordinate -> cell, or [`OUTSIDE`]; nothing where coordinates go through no table.
pub(in crate::algorithm) fn boundary(problem: &ConvProblem) -> Vec<u32> {
    let mut words = Vec::new();
    if has_table(problem) {
        for axis in three_axes(problem) {
            words.extend((0..axis.reach()).map(|at| cell(problem, &axis, at).map_or(OUTSIDE, count)));
        }
    }
    words
}

/// Where those of z, y and x begin, counted from `from` words.
pub(in crate::algorithm) fn boundary_begins(problem: &ConvProblem, from: u64) -> [u32; 3] {
    let mut next = from;
    three_axes(problem).map(|axis| {
        let begin = next;
        next += if has_table(problem) { axis.reach() } else { 0 };
        count(begin)
    })
}

/// The cell that the boundary puts under a padded coordinate.
fn cell(problem: &ConvProblem, axis: &Axis, at: u64) -> Option<u64> {
    // `accepts` bounds reach and padding by 2^31.
    read(problem.boundary(), at as i64 - axis.pad_begin as i64, axis.input)
}

/// For z, y and x in turn: where the list of each cell begins, one more for the end, then the lists of the padded
/// coordinates under which each cell is read. Also where z, y and x begin. Without folding, an empty table.
pub(in crate::algorithm) fn places(problem: &ConvProblem) -> (Table, [u32; 3]) {
    let mut words = Vec::new();
    let mut begins = [0; 3];
    if is_folded(problem) {
        for (axis, begin) in three_axes(problem).iter().zip(&mut begins) {
            *begin = count(words.len() as u64);
            let counts = reads(problem, axis);
            let mut next = count(words.len() as u64 + axis.input + 1);
            let mut ends = Vec::with_capacity(counts.len());
            for &reads in &counts {
                words.push(next);
                ends.push(next);
                next += reads;
            }
            words.push(next);
            words.resize(next as usize, 0);
            for at in 0..axis.reach() {
                if let Some(cell) = cell(problem, axis, at) {
                    let end = &mut ends[to_usize(cell)];
                    words[*end as usize] = count(at);
                    *end += 1;
                }
            }
        }
    }
    words.resize(words.len().max(4), 0);
    (Table { name: "places", words }, begins)
}

/// How many padded coordinates read each cell.
fn reads(problem: &ConvProblem, axis: &Axis) -> Vec<u32> {
    let mut reads = vec![0; to_usize(axis.input)];
    for cell in (0..axis.reach()).filter_map(|at| cell(problem, axis, at)) {
        reads[to_usize(cell)] += 1;
    }
    reads
}

/// The longest product of lists: additions for one cell.
pub(in crate::algorithm) fn most_places(problem: &ConvProblem) -> u64 {
    let longest = |axis: &Axis| u64::from(reads(problem, axis).into_iter().max().unwrap_or(0));
    three_axes(problem).iter().map(longest).fold(1, u64::saturating_mul).max(1)
}
