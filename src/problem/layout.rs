//! Where the element at a logical index lies in a device buffer.

use super::ProblemError;

/// The order of a tensor's axes in a *device buffer*. Shapes and indices are always `[n, c, X..]` for activations and
/// `[c_out, c_in/groups, K..]` for weights, whatever the layout.
///
/// A layout matters for tensors that stay on the device and for buffers of an app. [`Plan::run`](crate::Plan::run) takes
/// ndarray views of any strides and brings them into the plan's layout itself.
///
/// | layout | activations | weights | locally connected weights | known as |
/// |---|---|---|---|---|
/// | `Ncx` | n, c, X.. | O, I, K.. | O, Y.., I, K.. | `NCHW`, bc01 |
/// | `Nxc` | n, X.., c | O, K.., I | O, Y.., K.., I | `NHWC`, channels last, b01c |
/// | `Cxn` | c, X.., n | I, K.., O | I, Y.., K.., O | c01b (cuda-convnet) |
///
/// `O` is `c_out`, `I` is `c_in/groups`. Every algorithm supports every layout. On a GPU, the order in which neighbouring
/// invocations load and store follows the layout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Batch, channel, space: PyTorch's default, ONNX.
    #[default]
    Ncx,
    /// Batch, space, channel: channels last, TensorFlow's default.
    Nxc,
    /// Channel, space, batch: cuda-convnet.
    Cxn,
    /// A stride in elements for every logical axis. A stride of 0 repeats an operand along that axis. Strides of a result must not
    /// overlap.
    Strides(Vec<u64>),
}

/// The layouts of the three tensors of a convolution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Layouts {
    /// Of `x` (and of its gradient).
    pub input: Layout,
    /// Of `w` (and of its gradient).
    pub weight: Layout,
    /// Of `y`, of the residual and of `grad_output`.
    pub output: Layout,
}

impl From<Layout> for Layouts {
    /// The same layout for all three.
    fn from(layout: Layout) -> Self {
        Self { input: layout.clone(), weight: layout.clone(), output: layout }
    }
}

impl Layout {
    /// The layout called `name` in job files: `ncx`, `nxc`, `cxn`.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "ncx" => Self::Ncx,
            "nxc" => Self::Nxc,
            "cxn" => Self::Cxn,
            _ => return None,
        })
    }

    /// The logical axes in memory order, outermost first, of a tensor with `axes` axes whose channel
    /// (input channel for weights) is logical axis `channel`. `None` for explicit strides.
    pub fn order(&self, axes: usize, channel: usize) -> Option<Vec<usize>> {
        let middle = (1..axes).filter(|&a| a != channel);
        match self {
            // Without a channel axis there is nothing to move.
            Self::Nxc | Self::Cxn if channel >= axes => Some((0..axes).collect()),
            Self::Ncx => Some((0..axes).collect()),
            Self::Nxc => Some([0].into_iter().chain(middle).chain([channel]).collect()),
            Self::Cxn => Some([channel].into_iter().chain(middle).chain([0]).collect()),
            Self::Strides(_) => None,
        }
    }

    /// Strides in elements, one per logical axis.
    pub(super) fn strides(
        &self,
        tensor: &'static str,
        extents: &[u64],
        channel: usize,
    ) -> Result<Vec<u64>, ProblemError> {
        if let Self::Strides(strides) = self {
            let (wanted, got) = (extents.len(), strides.len());
            let count = ProblemError::StrideCount { tensor, wanted, got };
            return if wanted == got { Ok(strides.clone()) } else { Err(count) };
        }
        let mut strides = vec![0; extents.len()];
        let mut next: u64 = 1;
        // No panic: every layout has an order of axes but strides, which were returned above.
        let order = self.order(extents.len(), channel).expect("a named layout has an order of axes");
        for axis in order.into_iter().rev() {
            strides[axis] = next;
            // The product of all extents was checked before; a zero extent makes it smaller still.
            next = next.saturating_mul(extents[axis].max(1));
        }
        Ok(strides)
    }
}

/// Strides of a tensor without gaps, its last axis innermost.
pub(crate) fn compact_strides(extents: &[u64]) -> Vec<u64> {
    let mut strides = vec![1u64; extents.len()];
    for axis in (1..extents.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(extents[axis]);
    }
    strides
}

/// Elements from the first to past the last one of a tensor: `1 + Σ (extent − 1)·stride`, 0 if empty.
/// `None` past `i64::MAX`.
pub(super) fn span(extents: &[u64], strides: &[u64]) -> Option<u64> {
    if extents.contains(&0) {
        return Some(0);
    }
    let reach = extents
        .iter()
        .zip(strides)
        .try_fold(1u64, |sum, (&extent, &stride)| sum.checked_add((extent - 1).checked_mul(stride)?))?;
    (reach <= i64::MAX as u64).then_some(reach)
}

/// Whether two indices of the tensor may share an element: sorted by stride, an axis must step past
/// everything below it (interleavings that happen to miss each other count as overlapping).
pub(super) fn overlaps(extents: &[u64], strides: &[u64]) -> bool {
    if extents.contains(&0) {
        return false;
    }
    let mut axes: Vec<(u64, u64)> =
        strides.iter().copied().zip(extents.iter().copied()).filter(|&(_, extent)| extent > 1).collect();
    axes.sort_unstable();
    let mut below: u64 = 1;
    for (stride, extent) in axes {
        if stride < below {
            return true;
        }
        below = below.saturating_add((extent - 1).saturating_mul(stride));
    }
    false
}
