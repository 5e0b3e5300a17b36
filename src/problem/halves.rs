//! A problem as two smaller ones: for devices that do not hold it at once.

use super::axis::gcd;
use super::{Axis, ConvProblem, Direction, Epilogue, TensorLayout, layout, macs};

/// Elements of a bias that are certain to begin at an address that every device binds, whatever their type.
const BIAS_STEP: u64 = 128;

/// Some of the cells of an axis: the first one and how many.
type Range = (u64, u64);

impl TensorLayout {
    /// The part with these cells of `axis`, where it lies.
    fn part(&self, axis: usize, (first, count): Range) -> Self {
        let mut part = self.clone();
        part.extents[axis] = count;
        // Less than the whole, which was checked; of no elements steps may be any number.
        if self.span > 0 {
            part.first += first * self.strides[axis];
        }
        part.span = layout::span(&part.extents, &part.strides).unwrap_or(self.span);
        part
    }
}

impl ConvProblem {
    /// The ways to compute it as two: each writes its own part of the result, in tensors that begin where the parts lie.
    /// By images, groups, channels of the result and cells along each axis, as far as there are two.
    pub(crate) fn halves(&self) -> Vec<[Self; 2]> {
        let mut ways = Vec::new();
        let is_sum = self.direction == Direction::GradWeight;
        if !is_sum {
            ways.extend(two(self.n, 1).map(|ranges| ranges.map(|range| self.images(range))));
        }
        // Groups hold as many channels of the bias each.
        let per_group = self.bias_len() / self.groups;
        let step = if self.epilogue.bias { BIAS_STEP / gcd(BIAS_STEP, per_group.max(1)) } else { 1 };
        ways.extend(two(self.groups, step).map(|ranges| ranges.map(|range| self.some_groups(range))));
        if self.groups == 1 {
            let step = if self.epilogue.bias { BIAS_STEP } else { 1 };
            if self.direction != Direction::GradInput {
                ways.extend(two(self.c_out, step).map(|ranges| ranges.map(|range| self.outputs(range))));
            }
            if self.direction != Direction::Forward {
                ways.extend(two(self.c_in, step).map(|ranges| ranges.map(|range| self.inputs(range))));
            }
        }
        if !is_sum {
            ways.extend(self.cell_halves(self.result()));
        }
        ways
    }

    /// The ways to compute it as the sum of two: over some channels, or of a gradient by the weight over some images or outputs.
    pub(crate) fn summands(&self) -> Vec<[Self; 2]> {
        let mut ways = Vec::new();
        let summed = match self.direction {
            Direction::Forward => self.c_in,
            Direction::GradInput => self.c_out,
            Direction::GradWeight => {
                ways.extend(two(self.n, 1).map(|ranges| ranges.map(|range| self.images(range))));
                ways.extend(self.cell_halves(&self.output));
                0
            }
        };
        if self.groups == 1 {
            ways.extend(two(summed, 1).map(|ranges| ranges.map(|range| self.summed(range))));
        }
        ways
    }

    /// By cells of `tensor` along each axis, where windows at one end do not read the other one.
    fn cell_halves(&self, tensor: &TensorLayout) -> Vec<[Self; 2]> {
        let axes = if self.boundary.repeats() || self.unshared { 0..0 } else { 0..self.rank() };
        let of = |axis: usize| {
            let ranges = two(tensor.extents[2 + axis], 1)?;
            let [first, second] = ranges.map(|range| self.cells(axis, range));
            Some([first?, second?])
        };
        axes.filter_map(of).collect()
    }

    /// Its sums alone, before the epilogue, without gaps from element `first` on.
    pub(crate) fn as_sums(&self, first: u64) -> Self {
        let mut sums = Self { epilogue: Epilogue::default(), ..self.clone() };
        let result = match self.direction {
            Direction::Forward => &mut sums.output,
            Direction::GradInput => &mut sums.input,
            Direction::GradWeight => &mut sums.weight,
        };
        result.strides = layout::compact_strides(&result.extents);
        (result.span, result.first) = (result.len(), first);
        sums
    }

    /// The sums over these channels.
    fn summed(&self, range: Range) -> Self {
        let part =
            if self.direction == Direction::GradInput { self.outputs(range) } else { self.inputs(range) };
        Self { bias_first: self.bias_first, ..part }
    }

    fn images(&self, range: Range) -> Self {
        let (input, output) = (self.input.part(0, range), self.output.part(0, range));
        Self { n: range.1, input, output, ..self.clone() }.counted()
    }

    fn some_groups(&self, (first, groups): Range) -> Self {
        let (per_in, per_out) = (self.c_in / self.groups, self.c_out / self.groups);
        let (ins, outs) = ((first * per_in, groups * per_in), (first * per_out, groups * per_out));
        let bias = if self.direction == Direction::GradInput { ins.0 } else { outs.0 };
        Self {
            groups,
            c_in: ins.1,
            c_out: outs.1,
            input: self.input.part(1, ins),
            weight: self.weight.part(0, outs),
            output: self.output.part(1, outs),
            bias_first: self.bias_first + bias,
            ..self.clone()
        }
        .counted()
    }

    fn outputs(&self, range: Range) -> Self {
        let (weight, output) = (self.weight.part(0, range), self.output.part(1, range));
        let bias_first = self.bias_first + range.0;
        Self { c_out: range.1, weight, output, bias_first, ..self.clone() }.counted()
    }

    fn inputs(&self, range: Range) -> Self {
        let channel = self.weight.extents.len() - self.rank() - 1;
        let (input, weight) = (self.input.part(1, range), self.weight.part(channel, range));
        let bias_first = self.bias_first + range.0;
        Self { c_in: range.1, input, weight, bias_first, ..self.clone() }.counted()
    }

    /// These inputs, for their gradient, or else these outputs along a spatial axis, with what they belong to. `None` where
    /// that is nothing.
    fn cells(&self, axis: usize, range: Range) -> Option<Self> {
        let whole = &self.axes[axis];
        let (outputs, inputs) = match self.direction {
            Direction::GradInput => (outputs_of(whole, range)?, range),
            _ => (range, inputs_of(whole, range)?),
        };
        let mut axes = self.axes.clone();
        // The window of the first output begins so far before the first input. Never after it, by the choice of both.
        let pad_begin = (whole.pad_begin + inputs.0).checked_sub(outputs.0 * whole.stride)?;
        let part = Axis { input: inputs.1, output: outputs.1, pad_begin, ..*whole };
        axes[axis] = Axis { pad_end: part.reach() as i64 - (pad_begin + inputs.1) as i64, ..part };
        let (input, output) = (self.input.part(2 + axis, inputs), self.output.part(2 + axis, outputs));
        Some(Self { axes, input, output, ..self.clone() }.counted())
    }

    fn counted(self) -> Self {
        // Less than the whole's, which was checked.
        let macs = macs(self.n, self.c_out, self.c_in / self.groups, &self.axes).unwrap_or(self.macs);
        Self { macs, ..self }
    }
}

/// Two ranges of nearly as many, of which the second one begins at a multiple of `step`.
fn two(count: u64, step: u64) -> Option<[Range; 2]> {
    let first = (count / 2).next_multiple_of(step);
    (first > 0 && first < count).then(|| [(0, first), (first, count - first)])
}

/// The input cells that some outputs read; one that none reads where they read padding alone.
fn inputs_of(axis: &Axis, (first, count): Range) -> Option<Range> {
    let last = (first + count - 1) * axis.stride + axis.span();
    let begin = (first * axis.stride).saturating_sub(axis.pad_begin).min(axis.input.checked_sub(1)?);
    let end = last.saturating_sub(axis.pad_begin).clamp(begin + 1, axis.input);
    Some((begin, end - begin))
}

/// The outputs that read some input cells; one that reads none of them where there is none.
fn outputs_of(axis: &Axis, (first, count): Range) -> Option<Range> {
    let (low, high) = (first + axis.pad_begin, first + count - 1 + axis.pad_begin);
    // The first window that ends at `low` or after it, but no later than the last one that begins there.
    let reached = (low + 1).saturating_sub(axis.span()).div_ceil(axis.stride);
    let begin = reached.min(low / axis.stride).min(axis.output.checked_sub(1)?);
    let end = (high / axis.stride + 1).clamp(begin + 1, axis.output);
    Some((begin, end - begin))
}
