//! A transposed convolution: the gradient of the convolution whose input it produces.

use super::{Boundary, Conv, ConvProblem, Direction, Padding, PerAxis, ProblemError};

/// How a transposed convolution is carried out: the [`Conv`] whose input gradient it is, and which of the extents
/// that lead to the same input it produces.
///
/// One axis of an input of `in` cells has, before cropping, `L = (in − 1)·stride + K' + output_padding` cells, with
/// `K' = (K − 1)·dilation + 1`. A padding of the convolution crops: `out = L − begin − end`; `Valid` 0, `Full` `K' − 1` and
/// `Half` `K' div 2` on both sides. `SameUpper` and `SameLower` give `out = in·stride`, as in ONNX. Cells that no input
/// reaches hold the bias.
///
/// ```
/// use wgconv::ndarray::array;
/// use wgconv::{Conv, ConvTranspose, conv_transpose1d};
///
/// let (x, w) = (array![[[1f32, 10.]]], array![[[1f32, 2., 3.]]]);
/// let y = conv_transpose1d(&x, &w, None, &Conv::default().stride(2).into())?;
/// assert_eq!(y, array![[[1., 2., 13., 20., 30.]]]);
/// let longer = ConvTranspose::from(Conv::default().stride(2)).output_padding(1);
/// assert_eq!(conv_transpose1d(&x, &w, Some(array![0.5].view()), &longer)?, array![[[1.5, 2.5, 13.5, 20.5, 30.5, 0.5]]]);
/// # Ok::<(), wgconv::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ConvTranspose {
    /// The convolution. Its layouts are those of the operands by name: `output` is what the transposed convolution
    /// takes, `input` what it gives. Its direction and `unshared` do not count.
    pub conv: Conv,
    /// Cells added at the end, fewer than the larger of stride and dilation.
    pub output_padding: PerAxis,
    /// Which extents it produces.
    pub output: TransposedOutput,
}

/// The spatial extents that a transposed convolution produces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum TransposedOutput {
    /// Those that the padding leaves.
    #[default]
    Natural,
    /// These, which must be among those that the padding allows (any, where that is `SameUpper` or `SameLower`): up to `max(stride, dilation) − 1` more than
    /// without `output_padding`.
    Exact(Vec<usize>),
    /// These, whatever the padding's numbers: what is too much is cropped on both sides, the odd cell at the beginning
    /// (at the end for [`Padding::SameUpper`]), and what is missing is added at the end. ONNX's `output_shape`.
    Split(Vec<usize>),
}

impl Default for ConvTranspose {
    fn default() -> Self {
        Conv::default().into()
    }
}

impl From<Conv> for ConvTranspose {
    fn from(conv: Conv) -> Self {
        Self { conv, output_padding: PerAxis::Uniform(0), output: TransposedOutput::Natural }
    }
}

impl ConvTranspose {
    /// Sets [`Self::output_padding`].
    #[must_use]
    pub fn output_padding(self, cells: impl Into<PerAxis>) -> Self {
        Self { output_padding: cells.into(), ..self }
    }

    /// Sets [`Self::output`].
    #[must_use]
    pub fn output(self, output: TransposedOutput) -> Self {
        Self { output, ..self }
    }
}

impl ConvProblem {
    /// The transposed convolution of `input: [n, c_in, in..]` with `weight: [c_in, c_out/groups, K..]`: a problem of
    /// [`Direction::GradInput`] whose `grad_output` is `input` and whose result is the output `[n, c_out, out..]`.
    ///
    /// # Errors
    ///
    /// Every way in which the parts do not fit; see [`ProblemError`]. A constant boundary is refused: what it adds does
    /// not depend on the input, so it has no adjoint.
    pub fn transposed(input: &[usize], weight: &[usize], how: &ConvTranspose) -> Result<Self, ProblemError> {
        let rank_error = ProblemError::Rank { input: input.len(), weight: weight.len() };
        let rank = weight.len().checked_sub(2).filter(|r| (1..=3).contains(r)).ok_or(rank_error.clone())?;
        if input.len() != weight.len() {
            return Err(rank_error);
        }
        if let Boundary::Constant(value) = how.conv.boundary {
            return Err(ProblemError::TransposedConstant { value });
        }
        let (groups, c_in) = (how.conv.groups, input[1]);
        if c_in != weight[0] {
            return Err(ProblemError::TransposedChannels { input: c_in as u64, weight: weight[0] as u64 });
        }
        if groups == 0 || !(c_in as u64).is_multiple_of(groups) {
            let c_out = (weight[1] as u64).saturating_mul(groups);
            return Err(ProblemError::Groups { groups, c_in: c_in as u64, c_out });
        }
        let channels = usize::try_from(groups).ok().and_then(|groups| weight[1].checked_mul(groups));
        let overflow = ProblemError::Overflow { what: "the number of output channels" };
        let (extents, padding) = extents(&input[2..], &weight[2..], how, rank)?;
        let output = [vec![input[0], channels.ok_or(overflow)?], extents].concat();
        let conv = Conv { padding, unshared: false, ..how.conv.clone() }.direction(Direction::GradInput);
        Self::new(&output, weight, &conv)
    }
}

/// One axis: `natural = (in − 1)·stride + K'`, before padding of any kind.
struct TransposedAxis {
    axis: usize,
    input: i128,
    stride: i128,
    span: i128,
    natural: i128,
    output_padding: i128,
    /// Output extents that lead to the same number of windows: `max(stride, dilation)`.
    slack: i128,
}

/// Sums of a few such values do not overflow, nor do products of two.
fn small(value: Option<i128>) -> Result<i128, ProblemError> {
    let overflow = ProblemError::Overflow { what: "an extent of the transposed convolution" };
    value.filter(|v| v.abs() < 1 << 61).ok_or(overflow)
}

/// Extents of the result, and the padding with which a convolution of it has `input` as its output.
fn extents(
    input: &[usize],
    kernel: &[usize],
    how: &ConvTranspose,
    wanted: usize,
) -> Result<(Vec<usize>, Padding), ProblemError> {
    let Conv { stride, dilation, padding, .. } = &how.conv;
    let stride = stride.resolve(wanted).map_err(|got| ProblemError::StridesPerAxis { wanted, got })?;
    let dilation = dilation.resolve(wanted).map_err(|got| ProblemError::DilationsPerAxis { wanted, got })?;
    let count = |got| ProblemError::OutputPaddingCount { wanted, got };
    let output_padding = how.output_padding.resolve(wanted).map_err(count)?;
    if let TransposedOutput::Exact(shape) | TransposedOutput::Split(shape) = &how.output
        && shape.len() != wanted
    {
        return Err(ProblemError::OutputShapeCount { wanted, got: shape.len() });
    }
    let (mut outputs, mut pads) = (Vec::new(), Vec::new());
    for axis in 0..wanted {
        let (input, kernel) = (input[axis] as i128, kernel[axis] as i128);
        if input == 0 || kernel == 0 {
            let tensor = if input == 0 { "input" } else { "kernel" };
            return Err(ProblemError::EmptyExtent { tensor, axis });
        }
        let (stride, dilation) = (small(Some(stride[axis].into()))?, small(Some(dilation[axis].into()))?);
        let span = small((kernel - 1).checked_mul(dilation))? + 1;
        let natural = small((input - 1).checked_mul(stride))? + span;
        let (slack, output_padding) = (stride.max(dilation), i128::from(output_padding[axis]));
        if output_padding >= slack.max(1) {
            return Err(ProblemError::OutputPadding { axis, got: output_padding, limit: slack });
        }
        let numbers = TransposedAxis { axis, input, stride, span, natural, output_padding, slack };
        let (begin, output) = numbers.resolve(wanted, padding, &how.output)?;
        let (begin, output) = (small(Some(begin))?, small(Some(output))?);
        if output < 1 {
            return Err(ProblemError::OutputExtent { axis, got: output, least: 1, most: i128::MAX });
        }
        let overflow = |_| ProblemError::Overflow { what: "an extent of the transposed convolution" };
        let end = natural - output - begin;
        outputs.push(usize::try_from(output).map_err(overflow)?);
        pads.push((u64::try_from(begin).map_err(overflow)?, i64::try_from(end).map_err(overflow)?));
    }
    Ok((outputs, Padding::Explicit(pads)))
}

impl TransposedAxis {
    /// Cells cropped at the beginning, and the extent of the output.
    fn resolve(
        &self,
        rank: usize,
        padding: &Padding,
        output: &TransposedOutput,
    ) -> Result<(i128, i128), ProblemError> {
        let full = self.natural + self.output_padding;
        let (wanted, split) = match output {
            TransposedOutput::Natural => (None, false),
            TransposedOutput::Exact(shape) => (Some(shape[self.axis] as i128), false),
            TransposedOutput::Split(shape) => (Some(shape[self.axis] as i128), true),
        };
        if split || matches!(padding, Padding::SameUpper | Padding::SameLower) {
            let output = match wanted {
                Some(output) => output,
                None => small(self.input.checked_mul(self.stride))?,
            };
            // ONNX: the odd cell is cropped at the end for SAME_UPPER alone. Cells that are missing
            // are added at the end.
            let total = (full - output).max(0);
            let begin = if *padding == Padding::SameUpper { total / 2 } else { total - total / 2 };
            return Ok((begin, output));
        }
        let (begin, end) = self.crop(rank, padding)?;
        let natural = self.natural - begin - end;
        let (least, most) = match self.output_padding {
            0 => (natural, natural + self.slack - 1),
            cells => (natural + cells, natural + cells),
        };
        match wanted {
            None => Ok((begin, least)),
            Some(output) if (least..=most).contains(&output) => Ok((begin, output)),
            Some(got) => Err(ProblemError::OutputExtent { axis: self.axis, got, least, most }),
        }
    }

    fn crop(&self, rank: usize, padding: &Padding) -> Result<(i128, i128), ProblemError> {
        let span = self.span;
        Ok(match padding {
            Padding::Valid | Padding::SameUpper | Padding::SameLower => (0, 0),
            Padding::Full => (span - 1, span - 1),
            Padding::Half => (span / 2, span / 2),
            Padding::SameCentered => (span / 2, (span - 1) / 2),
            Padding::Symmetric(cells) => (i128::from(*cells), i128::from(*cells)),
            Padding::Explicit(pairs) if pairs.len() == rank => {
                let (begin, end) = pairs[self.axis];
                (i128::from(begin), i128::from(end))
            }
            Padding::Explicit(pairs) => {
                return Err(ProblemError::PaddingCount { wanted: rank, got: pairs.len() });
            }
        })
    }
}
