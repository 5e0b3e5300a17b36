//! Which algorithms the GPU has, what each declines, and how it becomes launches.

mod depthwise;
mod direct;
mod im2col_gemm;
mod implicit_gemm;
mod pieces;
mod shared;

pub use crate::algorithm_name::Algorithm;
pub use depthwise::DepthwiseConfig;
pub use direct::DirectConfig;

use crate::kernel::Tile;

use crate::problem::{ConvProblem, Element};
use crate::program::{Program, Target};

/// Why one algorithm cannot run one problem on one device. Never an error by itself: the planner
/// collects these and tries the next algorithm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// The algorithm has no GPU version.
    #[error("has no GPU version")]
    NotOnGpu {
        /// Which.
        algorithm: Algorithm,
    },
    /// The caller excluded it.
    #[error("is excluded")]
    Excluded,
    /// It computes with transformed operands, and `Precision::Accurate` was asked for.
    #[error("rounds transformed operands, which Precision::Accurate excludes")]
    Inexact,
    /// The element type is not one of the device's.
    #[error("elements of {} are not available on the device", element.name())]
    Element {
        /// The element asked for.
        element: Element,
    },
    /// A buffer would exceed the device's binding limit.
    #[error("{buffer} needs {bytes} bytes, the device binds at most {limit}")]
    BindingTooLarge {
        /// Which buffer.
        buffer: &'static str,
        /// Its size.
        bytes: u64,
        /// [`Limits::max_binding_bytes`](crate::program::Limits) or `max_buffer_bytes`, whichever is less.
        limit: u64,
    },
    /// A number of the kernel's parameters would not fit 31 bits.
    #[error("{what} is {value}, the kernel's arithmetic holds less than 2^31")]
    IndexTooLarge {
        /// What it counts.
        what: &'static str,
        /// Its value.
        value: u64,
    },
    /// More workgroups than the device's grid holds.
    #[error("{invocations} invocations do not fit the device's grid")]
    GridTooLarge {
        /// Invocations needed.
        invocations: u64,
    },
    /// The kernel binds more buffers, or runs larger workgroups, than the device allows.
    #[error("needs {needed} {what}, at most {limit} are possible")]
    Limit {
        /// Which limit.
        what: &'static str,
        /// What the kernel needs.
        needed: u64,
        /// What the device has.
        limit: u64,
    },
    /// Every output position has weights of its own: there is no matrix that all positions share.
    #[error("weights per position make no matrix product")]
    Unshared,
    /// More channels are summed over than the algorithm takes.
    #[error("sums over {got} channels of a group, at most {wanted} are taken")]
    Channels {
        /// At most so many are taken.
        wanted: u64,
        /// So many are summed over.
        got: u64,
    },
    /// The configuration does not belong to the algorithm or to the problem's layout.
    #[error("configuration {config} does not fit the problem")]
    Config {
        /// The configuration.
        config: Config,
    },
}

impl Unsupported {
    /// Whether a larger or more capable device limit would have let it run.
    pub fn is_limit(&self) -> bool {
        matches!(
            self,
            Self::BindingTooLarge { .. }
                | Self::IndexTooLarge { .. }
                | Self::GridTooLarge { .. }
                | Self::Limit { .. }
        )
    }
}

/// The free choices of an algorithm: tile sizes and the like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Config {
    /// Of [`Algorithm::Depthwise`].
    Depthwise(DepthwiseConfig),
    /// Of [`Algorithm::Direct`].
    Direct(DirectConfig),
    /// Of [`Algorithm::ImplicitGemm`].
    ImplicitGemm(Tile),
    /// Of [`Algorithm::Im2colGemm`].
    Im2colGemm(Tile),
}

impl std::fmt::Display for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Depthwise(c) => write!(f, "{} x 8 rows per invocation", c.channels),
            Self::Direct(c) => {
                write!(f, "{} channels x {} outputs, {} per load", c.tile_c, c.tile_x, c.lanes)
            }
            Self::ImplicitGemm(tile) | Self::Im2colGemm(tile) => tile.fmt(f),
        }
    }
}

impl Algorithm {
    /// Every algorithm that the GPU has, the most special first: the last one runs everything that any does.
    pub const ALL: &[Self] = &[Self::Depthwise, Self::ImplicitGemm, Self::Im2colGemm, Self::Direct];

    /// The configurations that run `problem` on `target`, best guess first; at least one. Of a problem that is past a limit,
    /// those of its first piece.
    ///
    /// # Errors
    ///
    /// The reason this algorithm cannot run it.
    pub fn candidates(self, problem: &ConvProblem, target: &Target) -> Result<Vec<Config>, Unsupported> {
        pieces::of_first(problem, target, &|problem| match self {
            Self::Depthwise => depthwise::candidates(problem, target),
            Self::Direct => direct::candidates(problem, target),
            Self::ImplicitGemm => implicit_gemm::candidates(problem, target),
            Self::Im2colGemm => im2col_gemm::candidates(problem, target),
            other => Err(Unsupported::NotOnGpu { algorithm: other }),
        })
    }

    /// Whether it is worth asking first: others that decline nothing may be far ahead of it.
    pub fn suits(self, problem: &ConvProblem, target: &Target) -> bool {
        match self {
            Self::Depthwise => depthwise::suits(problem, target),
            Self::ImplicitGemm | Self::Im2colGemm => implicit_gemm::suits(problem, target),
            _ => true,
        }
    }

    /// Lowers `problem` to launches. Touches no device. A problem past a limit is cut, by images, groups, channels or cells,
    /// into pieces within it, each with launches of its own.
    ///
    /// # Errors
    ///
    /// The reason this algorithm cannot run `problem` within `target`'s limits, or not with `config`.
    pub fn lower(
        self,
        problem: &ConvProblem,
        target: &Target,
        config: Config,
    ) -> Result<Program, Unsupported> {
        pieces::lower(problem, target, &|problem| match (self, config) {
            (Self::Depthwise, Config::Depthwise(config)) => depthwise::lower(problem, target, config),
            (Self::Direct, Config::Direct(direct)) => direct::lower(problem, target, direct),
            (Self::ImplicitGemm, Config::ImplicitGemm(tile)) => implicit_gemm::lower(problem, target, tile),
            (Self::Im2colGemm, Config::Im2colGemm(tile)) => im2col_gemm::lower(problem, target, tile),
            (other, _) => Err(Unsupported::NotOnGpu { algorithm: other }),
        })
    }
}
