//! What counts of a problem, and what a kernel goes through for it: taps on padding, strides that meet nothing and cells that a
//! boundary repeats may be any number of times as many.

use super::roles::{Loop, Roles, has_table, is_folded, three_axes, written_extents};
use crate::implementation::Cannot;
use crate::problem::{Axis, Boundary, ConvProblem, Direction};

/// A kernel goes through at most so many times what counts.
const MOST: u128 = 64;

/// What is over in a moment, whatever it is for.
const MOMENT: u128 = 1 << 16;

/// Declines `steps` that are out of proportion to the multiply-adds, operands and results of the problem.
pub(in crate::algorithm) fn check(problem: &ConvProblem, steps: u128) -> Result<(), Cannot> {
    let counted = counted(problem);
    if steps <= counted.saturating_mul(MOST).max(MOMENT) {
        return Ok(());
    }
    let [steps, counted] = [steps, counted].map(|n| u64::try_from(n).unwrap_or(u64::MAX));
    Err(Cannot::OutOfProportion { steps, counted })
}

/// Multiply-adds with elements of the input, or with what a boundary puts outside; operands and results.
fn counted(problem: &ConvProblem) -> u128 {
    let products = three_axes(problem).iter().map(|axis| pairs(problem, axis)).fold(1, u128::saturating_mul);
    let tensors = [problem.input(), problem.weight(), problem.output()];
    let elements = tensors.iter().map(|tensor| u128::from(tensor.len())).sum::<u128>();
    products.saturating_mul(planes(problem)).saturating_add(elements)
}

/// Pairs of channels of all images.
fn planes(problem: &ConvProblem) -> u128 {
    let each = u128::from(problem.n()).saturating_mul(problem.c_out().into());
    each.saturating_mul((problem.c_in() / problem.groups()).into())
}

/// Pairs of an output and a tap along an axis that count.
fn pairs(problem: &ConvProblem, axis: &Axis) -> u128 {
    let boundary = problem.boundary();
    let everywhere =
        boundary.repeats() || problem.direction() != Direction::GradInput && boundary != Boundary::Zero;
    if everywhere {
        return u128::from(axis.output) * u128::from(axis.kernel);
    }
    let [from, to] = [axis.pad_begin, axis.pad_begin.saturating_add(axis.input)];
    below(axis, to) - below(axis, from)
}

/// Pairs of an output and a tap whose padded coordinate is below `end`.
fn below(axis: &Axis, end: u64) -> u128 {
    let [end, stride, dilation, kernel, outputs] =
        [end, axis.stride, axis.dilation, axis.kernel, axis.output].map(i128::from);
    // Output `o` has `ceil((end − o·stride) / dilation)` such taps, at most all: the first ones have all, the last none.
    let spare = end - (kernel - 1) * dilation;
    let whole = if spare > 0 { ((spare - 1) / stride + 1).min(outputs) } else { 0 };
    let some = if end > 0 { ((end - 1) / stride + 1).min(outputs) } else { 0 };
    // From the last of these on, so that the terms grow: `ceil(v / d)` is `floor((v + d − 1) / d)`.
    let least = end - (some - 1) * stride + dilation - 1;
    let between = if some > whole { floors(some - whole, dilation, stride, least) } else { 0 };
    unsigned(whole * kernel) + between
}

fn unsigned(value: i128) -> u128 {
    // No panic: counts and sizes of what was counted.
    u128::try_from(value).expect("a number that is not negative")
}

/// `Σ i < n  floor((a·i + b) / m)`, all not negative, by Euclid's algorithm.
fn floors(n: i128, m: i128, a: i128, b: i128) -> u128 {
    let [mut n, mut m, mut a, mut b] = [n, m, a, b].map(unsigned);
    let mut sum = 0u128;
    loop {
        // Whole numbers of `m`. Saturating: what is past 128 bits is out of any proportion.
        let triangle = n.saturating_mul(n.saturating_sub(1)) / 2;
        sum = sum.saturating_add(triangle.saturating_mul(a / m)).saturating_add(n.saturating_mul(b / m));
        (a, b) = (a % m, b % m);
        let last = a.saturating_mul(n).saturating_add(b);
        if last < m {
            return sum;
        }
        (n, b) = (last / m, last % m);
        (m, a) = (a, m);
    }
}

/// Pairs of a cell of the result and a tap that a loop goes through.
fn gone_through(axis: &Loop) -> u128 {
    let of = |phase: &super::roles::LoopPhase| u128::from(phase.cells) * u128::from(phase.taps);
    axis.phases.iter().map(of).fold(0, u128::saturating_add)
}

/// Where most of what the loop of an axis would go through is nothing, so that it is worth to find where it begins and ends.
pub(in crate::algorithm) fn is_sparse(problem: &ConvProblem, roles: &Roles) -> [bool; 3] {
    let axes = three_axes(problem);
    std::array::from_fn(|i| {
        let axis = &roles.axes[i];
        axis.dilation != 0 && gone_through(axis) > pairs(problem, &axes[i]).saturating_mul(2)
    })
}

/// Elements that are written before a fold, or of the input with its boundary.
pub(in crate::algorithm) fn laid_out(problem: &ConvProblem) -> u128 {
    let product = |extents: &[u64]| extents.iter().map(|&e| u128::from(e)).fold(1, u128::saturating_mul);
    if is_folded(problem) {
        product(&written_extents(problem))
    } else if has_table(problem) {
        let reach = three_axes(problem).map(|axis| axis.reach());
        product(&reach).saturating_mul(u128::from(problem.n()).saturating_mul(problem.c_in().into()))
    } else {
        0
    }
}

/// Steps of a kernel that multiplies every pair that its loops go through.
pub(in crate::algorithm) fn of_all(problem: &ConvProblem, roles: &Roles) -> u128 {
    let all = roles.axes.iter().map(gone_through).fold(planes(problem), u128::saturating_mul);
    all.saturating_add(laid_out(problem))
}

/// Steps of a kernel that goes through an axis from the first to the last pair that counts where it [`is_sparse`], and writes
/// `copies` elements.
pub(in crate::algorithm) fn of_clipped(problem: &ConvProblem, roles: &Roles, copies: u128) -> u128 {
    let (axes, sparse) = (three_axes(problem), is_sparse(problem, roles));
    let of = |i: usize| if sparse[i] { pairs(problem, &axes[i]) } else { gone_through(&roles.axes[i]) };
    let all = (0..3).map(of).fold(planes(problem), u128::saturating_mul);
    all.saturating_add(copies)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Conv;

    #[test]
    fn pairs_that_count_are_those_inside() {
        let mut inside = 0;
        for (input, kernel, stride, dilation, begin, end) in [
            (5, 3, 1, 1, 1, 1),
            (5, 3, 2, 1, 4, 7),
            (1, 9, 1, 1, 8, 8),
            (7, 2, 3, 5, 0, 0),
            (4, 3, 5, 2, 30, 40),
            (2, 40, 3, 7, 300, 300),
            (9, 4, 2, 3, 0, 13),
            (3, 1, 1, 1, 100, 5),
            (3, 2, 100, 7, 1000, 1000),
            (50, 21, 13, 8, 200, 77),
        ] {
            let conv = Conv::default().stride(stride).dilation(dilation).padding([(begin, end)]);
            let problem = ConvProblem::new(&[1, 1, input], &[1, 1, kernel], &conv).expect("a problem");
            let axis = problem.axes()[0];
            let is_inside = |o, k| (0..axis.input as i64).contains(&axis.coordinate(o, k));
            let wanted = (0..axis.output)
                .map(|o| (0..axis.kernel).filter(|&k| is_inside(o, k)).count())
                .sum::<usize>();
            assert_eq!(pairs(&problem, &axis), wanted as u128, "{axis:?}");
            inside += wanted;
        }
        assert_eq!(inside, 123);
    }

    #[test]
    fn sums_of_floors_are_sums_of_floors() {
        for (n, m, a, b) in
            [(0, 1, 1, 1), (1, 7, 3, 20), (10, 3, 7, 2), (25, 13, 5, 0), (9, 5, 50, 4), (30, 64, 1, 63)]
        {
            let wanted: i128 = (0..n).map(|i| (a * i + b) / m).sum();
            assert_eq!(floors(n, m, a, b), wanted as u128, "{n} {m} {a} {b}");
        }
    }
}
