//! A transposed convolution as the gradient of the convolution whose input it produces.

use wgconv::{Conv, ErrorKind, Padding, PerAxis, ProblemError};

use crate::failure::Failure;
use crate::job::Target;

/// The values for `rank` axes, or how many came instead.
fn each(values: &PerAxis, rank: usize) -> Result<Vec<i128>, usize> {
    let values = match values {
        PerAxis::Uniform(value) => vec![*value; rank],
        PerAxis::Each(values) => values.clone(),
    };
    if values.len() == rank { Ok(values.into_iter().map(i128::from).collect()) } else { Err(values.len()) }
}

/// One axis: `natural = (in - 1)*stride + K'`, before padding of any kind.
struct Axis {
    axis: usize,
    input: i128,
    stride: i128,
    span: i128,
    natural: i128,
    output_padding: i128,
    /// Output extents that lead to the same number of windows: `max(stride, dilation)`.
    slack: i128,
}

fn refused(kind: ErrorKind, message: String) -> Failure {
    Failure::new(kind, message)
}

fn overflow() -> Failure {
    ProblemError::Overflow { what: "an extent of the transposed convolution" }.into()
}

/// Sums of a few such values do not overflow, nor do products of two.
fn small(value: Option<i128>) -> Result<i128, Failure> {
    value.filter(|v| v.abs() < 1 << 61).ok_or_else(overflow)
}

/// Extents of the result, and the padding with which a convolution of it has `input` as its output.
pub(crate) fn extents(
    input: &[usize],
    kernel: &[usize],
    conv: &Conv,
    target: &Target,
) -> Result<(Vec<usize>, Padding), Failure> {
    let wanted = kernel.len();
    let stride = each(&conv.stride, wanted).map_err(|got| ProblemError::StridesPerAxis { wanted, got })?;
    let dilation =
        each(&conv.dilation, wanted).map_err(|got| ProblemError::DilationsPerAxis { wanted, got })?;
    let output_padding = each(&target.output_padding, wanted).map_err(|got| {
        refused(ErrorKind::Padding, format!("`output_padding` for {got} axes came, wanted {wanted}"))
    })?;
    if let Some(shape) = target.output_shape.as_ref().filter(|shape| shape.len() != wanted) {
        let message = format!("`output_shape` is {shape:?}, wanted the extents of {wanted} spatial axes");
        return Err(refused(ErrorKind::OutputShape, message));
    }
    let (mut outputs, mut pads) = (Vec::new(), Vec::new());
    for axis in 0..wanted {
        let (input, kernel) = (input[axis] as i128, kernel[axis] as i128);
        if input == 0 || kernel == 0 {
            let tensor = if input == 0 { "input" } else { "kernel" };
            return Err(ProblemError::EmptyExtent { tensor, axis }.into());
        }
        let (stride, dilation) = (small(Some(stride[axis]))?, small(Some(dilation[axis]))?);
        let span = small((kernel - 1).checked_mul(dilation))? + 1;
        let natural = small((input - 1).checked_mul(stride))? + span;
        let (slack, output_padding) = (stride.max(dilation), output_padding[axis]);
        if output_padding >= slack {
            let message = format!(
                "`output_padding` of axis {axis} is {output_padding}, wanted less than {slack}, \
                 the larger of stride and dilation"
            );
            return Err(refused(ErrorKind::Padding, message));
        }
        let numbers = Axis { axis, input, stride, span, natural, output_padding, slack };
        let (begin, output) = numbers.resolve(wanted, &conv.padding, target)?;
        let (begin, output) = (small(Some(begin))?, small(Some(output))?);
        if output < 1 {
            let message = format!("the output has extent {output} on axis {axis}, wanted at least 1");
            return Err(refused(ErrorKind::OutputShape, message));
        }
        let end = natural - output - begin;
        outputs.push(usize::try_from(output).map_err(|_| overflow())?);
        let begin = u64::try_from(begin).map_err(|_| overflow())?;
        pads.push((begin, i64::try_from(end).map_err(|_| overflow())?));
    }
    Ok((outputs, Padding::Explicit(pads)))
}

impl Axis {
    /// Cells cropped at the beginning, and the extent of the output.
    fn resolve(&self, rank: usize, padding: &Padding, target: &Target) -> Result<(i128, i128), Failure> {
        let full = self.natural + self.output_padding;
        let wanted = target.output_shape.as_ref().map(|shape| shape[self.axis] as i128);
        let same = matches!(padding, Padding::SameUpper | Padding::SameLower);
        if same || wanted.is_some() && !target.padded {
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
        let least = self.natural - begin - end;
        match wanted {
            None => Ok((begin, least + self.output_padding)),
            Some(output) if self.output_padding > 0 && output != least + self.output_padding => {
                let (axis, cells) = (self.axis, self.output_padding);
                let message = format!(
                    "`output_shape` of axis {axis} is {output}, wanted {}: {least} and an `output_padding` of {cells}",
                    least + cells
                );
                Err(refused(ErrorKind::OutputShape, message))
            }
            Some(output) if (least..least + self.slack).contains(&output) => Ok((begin, output)),
            Some(output) => {
                let (axis, most) = (self.axis, least + self.slack - 1);
                let message = format!("`output_shape` of axis {axis} is {output}, wanted {least} to {most}");
                Err(refused(ErrorKind::OutputShape, message))
            }
        }
    }

    fn crop(&self, rank: usize, padding: &Padding) -> Result<(i128, i128), Failure> {
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
                return Err(ProblemError::PaddingCount { wanted: rank, got: pairs.len() }.into());
            }
        })
    }
}
