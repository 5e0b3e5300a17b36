//! One spatial axis, and the arithmetic of its extents.

use super::{Conv, ProblemError, Rounding};

/// One spatial axis of a checked convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Axis {
    /// Input extent `X`.
    pub input: u64,
    /// Kernel extent `K`.
    pub kernel: u64,
    /// Output extent `Y`.
    pub output: u64,
    /// Step of the window.
    pub stride: u64,
    /// Distance between taps.
    pub dilation: u64,
    /// Padding before the input.
    pub pad_begin: u64,
    /// Padding after it as asked for; windows that hang over (ceil) or tails unused (floor) follow from `output`.
    pub pad_end: i64,
}

impl Axis {
    /// The kernel's reach `K' = (K − 1)·dilation + 1`.
    pub fn span(&self) -> u64 {
        self.kernel.saturating_sub(1) * self.dilation + 1
    }

    /// Cells that the windows visit, from the first padded one: `(Y − 1)·stride + K'`.
    pub fn reach(&self) -> u64 {
        self.output.saturating_sub(1) * self.stride + self.span()
    }

    /// The input coordinate under tap `k` of output `o`; below 0 or from `input` on it is padding.
    pub fn coordinate(&self, o: u64, k: u64) -> i64 {
        // `ConvProblem::new` keeps reach and padding below 2^62, so neither side wraps.
        (o * self.stride + k * self.dilation) as i64 - self.pad_begin as i64
    }
}

pub(super) fn checked(input: &[u64], kernel: &[u64], conv: &Conv) -> Result<Vec<Axis>, ProblemError> {
    let rank = input.len();
    let stride =
        conv.stride.resolve(rank).map_err(|got| ProblemError::StridesPerAxis { wanted: rank, got })?;
    let dilation =
        conv.dilation.resolve(rank).map_err(|got| ProblemError::DilationsPerAxis { wanted: rank, got })?;
    (0..rank)
        .map(|axis| {
            let pad = |span| conv.padding.resolve(axis, rank, input[axis], span, stride[axis]);
            checked_axis(axis, [input[axis], kernel[axis], stride[axis], dilation[axis]], conv.rounding, pad)
        })
        .collect()
}

/// Per axis the smallest and the largest input extent whose convolution has the output extent; `None` if there is
/// none on some axis, or the lists are not of one length.
pub(super) fn inputs_of(output: &[u64], kernel: &[u64], conv: &Conv) -> Option<Vec<(u64, u64)>> {
    let rank = kernel.len();
    let (stride, dilation) = (conv.stride.resolve(rank).ok()?, conv.dilation.resolve(rank).ok()?);
    let one = |axis: usize| {
        let outputs = |input: u64| {
            let pad = |span| conv.padding.resolve(axis, rank, input, span, stride[axis]);
            match checked_axis(axis, [input, kernel[axis], stride[axis], dilation[axis]], conv.rounding, pad)
            {
                Ok(axis) => axis.output,
                Err(ProblemError::Overflow { .. }) => u64::MAX,
                Err(_) => 0,
            }
        };
        // More input never gives less output, so both ends are found by halving.
        let first = |reached: &dyn Fn(u64) -> bool| {
            let (mut low, mut high) = (1u64, 1 << 61);
            while low < high {
                let middle = low + (high - low) / 2;
                if reached(middle) { high = middle } else { low = middle + 1 }
            }
            low
        };
        let wanted = output[axis];
        let (least, past) = (first(&|x| outputs(x) >= wanted), first(&|x| outputs(x) > wanted));
        (outputs(least) == wanted).then_some((least, past - 1))
    };
    (output.len() == rank).then(|| (0..rank).map(one).collect::<Option<Vec<_>>>())?
}

/// Coordinates, reaches and paddings stay below this, so that sums of two fit `i64`.
const MAX_COORDINATE: i128 = 1 << 62;

#[allow(clippy::cast_possible_truncation, reason = "what is cut to 64 bits was checked to be small before")]
fn checked_axis(
    axis: usize,
    [input, kernel, stride, dilation]: [u64; 4],
    rounding: Rounding,
    pad: impl Fn(u64) -> Result<(u64, i128), ProblemError>,
) -> Result<Axis, ProblemError> {
    if stride == 0 {
        return Err(ProblemError::Stride { axis });
    }
    if dilation == 0 {
        return Err(ProblemError::Dilation { axis });
    }
    if kernel == 0 {
        return Err(ProblemError::EmptyExtent { tensor: "kernel", axis });
    }
    let small = |what, value: i128| {
        let fits = value.abs() < MAX_COORDINATE;
        if fits { Ok(value) } else { Err(ProblemError::Overflow { what }) }
    };
    let step = small("stride", i128::from(stride))?;
    small("input extent", i128::from(input))?;
    // At most 2^64 · 2^64: no overflow in 128 bits once 2^127 is excluded by the first factor's limit.
    let span = small("kernel extent", i128::from(kernel))?
        .checked_sub(1)
        .and_then(|k| k.checked_mul(i128::from(dilation)))
        .map_or(Err(ProblemError::Overflow { what: "kernel reach" }), |k| small("kernel reach", k + 1))?;
    let span_cells = span as u64;
    let (pad_begin, pad_end) = pad(span_cells)?;
    small("padding", i128::from(pad_begin))?;
    let end = small("padding", pad_end)?;
    let padded = i128::from(input) + i128::from(pad_begin) + end;
    let spare = padded - span;
    let steps = match rounding {
        Rounding::Floor => spare.div_euclid(step),
        Rounding::Ceil => -(-spare).div_euclid(step),
    };
    if steps < 0 {
        return Err(ProblemError::KernelTooLarge { axis, span: span_cells, padded });
    }
    if input == 0 {
        return Err(ProblemError::EmptyExtent { tensor: "input", axis });
    }
    let reach = small("window reach", steps * step + span)?;
    debug_assert!(reach > 0);
    let (output, pad_end) = ((steps + 1) as u64, end as i64);
    Ok(Axis { input, kernel, output, stride, dilation, pad_begin, pad_end })
}

/// The greatest common divisor.
pub(crate) fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
