//! A spatial axis as `Fft` sees it: correlations of neighbouring cells with neighbouring taps, one after the other.
//!
//! With stride `s` and dilation `d`, every so-many-th result is a correlation of every so-many-th source cell: a *phase*.
//! Within a phase, position `v` sums `source[begin + (v + u)·step] · taps[u]`, and result `m` is position `m·stride`.

use crate::geometry::{Extent, Polyphase, SubImages, Taps};
use crate::problem::{Axis, Boundary, Direction, to_usize};

/// Some of the results along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DensePhase {
    /// Coordinate in the source of the first cell that the first position reads, and from one cell to the next.
    pub(super) begin: i64,
    pub(super) step: i64,
    /// Which of the axis' [`Taps`].
    pub(super) taps: usize,
    /// The first result, the distance to the next, and how many.
    pub(super) first: usize,
    pub(super) apart: usize,
    pub(super) count: usize,
}

/// All phases of an axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Phases {
    /// In the order of their first results.
    pub(super) all: Vec<DensePhase>,
    /// Different ones; most taps first.
    pub(super) taps: Vec<Taps>,
    /// Positions from one result to the next.
    pub(super) stride: usize,
    /// Cells of the source and of the result.
    pub(super) source: usize,
    pub(super) result: usize,
}

/// What has a gradient: the input's cells, or where these are read again outside, all that windows visit.
pub(super) fn side(boundary: Boundary) -> Extent {
    if boundary.repeats() { Extent::Padded } else { Extent::Input }
}

impl Phases {
    /// The results are those of the direction; the gradient of the weight has the phases of the forward convolution.
    pub(super) fn new(axis: &Axis, boundary: Boundary, direction: Direction) -> Self {
        let (polyphase, source, result) = match direction {
            Direction::GradInput => {
                let positions = side(boundary).positions(axis);
                // Past the last window nothing has a gradient.
                let visited = positions.start..positions.end.min(axis.reach());
                (
                    Polyphase::input_gradient(axis, visited).forwards(),
                    axis.output,
                    positions.end - positions.start,
                )
            }
            _ => (Polyphase::new(axis, Direction::Forward, false, Extent::Input), axis.input, axis.output),
        };
        let images = SubImages::new(polyphase.stride.unsigned_abs(), polyphase.dilation.unsigned_abs());
        let (mut all, mut taps) = (Vec::new(), Vec::new());
        for phase in polyphase.phases.iter().filter(|phase| phase.taps > 0) {
            let [first, count] = [phase.first_tap, phase.taps].map(to_usize);
            let own = Taps { first, step: polyphase.tap_step, count };
            let known = taps.iter().position(|known| *known == own).unwrap_or_else(|| {
                taps.push(own);
                taps.len() - 1
            });
            all.extend(images.of(phase.count).map(|image| DensePhase {
                begin: phase.begin + image.ahead,
                step: polyphase.dilation,
                taps: known,
                first: to_usize(phase.first + image.first * polyphase.apart),
                // A step past the last result is never taken.
                apart: to_usize(image.apart.saturating_mul(polyphase.apart)),
                count: to_usize(image.count),
            }));
        }
        all.sort_by_key(|phase| phase.first);
        Self {
            all,
            taps,
            stride: to_usize(images.stride),
            source: to_usize(source),
            result: to_usize(result),
        }
    }

    /// Most taps of a phase.
    pub(super) fn most_taps(&self) -> usize {
        self.taps.iter().map(|taps| taps.count).max().unwrap_or(1)
    }

    /// Most results of a phase.
    pub(super) fn most_results(&self) -> usize {
        self.all.iter().map(|phase| phase.count).max().unwrap_or(0)
    }
}
