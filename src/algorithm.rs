//! Which algorithms the GPU has, what each declines, and how it becomes launches.

mod depthwise;
mod direct;
mod fft;
mod im2col_gemm;
mod implicit_gemm;
mod pieces;
mod resource;
mod shared;

pub use crate::algorithm_name::Algorithm;
pub use depthwise::DepthwiseConfig;
pub use direct::DirectConfig;
pub use fft::FftConfig;
pub use resource::Resource;

use crate::kernel::Tile;

use crate::problem::{ConvProblem, Element};
use crate::program::Program;
use crate::target::Target;

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
    /// It computes with transformed operands, which `Precision::Auto` takes for sums over many channels alone.
    #[error(
        "rounds transformed operands: sums are over {got} channels, Precision::Auto wants {wanted} unless it is preferred"
    )]
    FewChannels {
        /// So many are summed: images, for the gradient of the weight.
        got: u64,
        /// [`Precision::MANY_CHANNELS`](crate::Precision::MANY_CHANNELS)
        wanted: u64,
    },
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
        /// [`Limits::max_binding_bytes`](crate::target::Limits) or `max_buffer_bytes`, whichever is less.
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
    #[error("needs {needed} {resource}, at most {limit} are possible")]
    Limit {
        /// Of what.
        resource: Resource,
        /// What the kernel needs.
        needed: u64,
        /// What the device has.
        limit: u64,
    },
    /// What counts is too little for what its kernels would go through: most taps lie on padding, or meet nothing.
    #[error("would take {steps} steps for {counted} multiply-adds, operands and results")]
    OutOfProportion {
        /// So many pairs of a result and a tap, and elements that are laid out.
        steps: u64,
        /// Multiply-adds that count, operands and results.
        counted: u64,
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
    /// A software device, to which a barrier costs what a hundred products do: it runs, but others are ahead.
    #[error("is not worth it: a barrier costs a software device more than it saves")]
    Barriers,
    /// It runs, but has so little of something that others are ahead.
    #[error("is not worth it: {what}: {got}, worth it from {wanted} on")]
    TooFew {
        /// What it has.
        what: &'static str,
        /// So many.
        got: u64,
        /// At least so many are worth it.
        wanted: u64,
    },
    /// It runs, but has so much of something that others are ahead.
    #[error("is not worth it: {what}: {got}, worth it up to {wanted}")]
    TooMany {
        /// What it has.
        what: &'static str,
        /// So many.
        got: u64,
        /// At most so many are worth it.
        wanted: u64,
    },
    /// The configuration does not belong to the algorithm or to the problem's layout.
    #[error("configuration {config} does not fit the problem")]
    Config {
        /// The configuration, in words.
        config: String,
    },
}

impl Unsupported {
    /// Declines more than `most` of something, as not worth it.
    fn past(what: &'static str, got: u64, most: u64) -> Result<(), Self> {
        if got > most { Err(Self::TooMany { what, got, wanted: most }) } else { Ok(()) }
    }

    /// Declines less than `least` of something, as not worth it.
    fn below(what: &'static str, got: u64, least: u64) -> Result<(), Self> {
        if got < least { Err(Self::TooFew { what, got, wanted: least }) } else { Ok(()) }
    }

    /// Whether it would run, and others are ahead of it.
    pub fn is_choice(&self) -> bool {
        matches!(self, Self::Barriers | Self::FewChannels { .. } | Self::TooFew { .. } | Self::TooMany { .. })
    }

    /// Whether it is so in every configuration, and was found only by making what is too much.
    pub(crate) fn is_of_all_pieces(&self) -> bool {
        let resources = [Resource::LaunchesOfPieces, Resource::TableWordsOfPieces];
        matches!(self, Self::Limit { resource, .. } if resources.contains(resource))
    }

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
    /// Of [`Algorithm::Fft`].
    Fft(FftConfig),
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
            Self::Fft(config) => config.fmt(f),
            Self::ImplicitGemm(tile) | Self::Im2colGemm(tile) => tile.fmt(f),
        }
    }
}

#[doc(hidden)]
impl Algorithm {
    /// Every algorithm that the GPU has, the most special first: the last one runs everything that any does.
    pub const ALL: &[Self] =
        &[Self::Fft, Self::Depthwise, Self::ImplicitGemm, Self::Im2colGemm, Self::Direct];

    /// The configurations that run `problem` on `target`, best guess first; at least one. Of a problem that is past a limit,
    /// those of its first piece.
    ///
    /// # Errors
    ///
    /// The reason this algorithm cannot run it.
    pub fn candidates(self, problem: &ConvProblem, target: &Target) -> Result<Vec<Config>, Unsupported> {
        let of = |target: &Target| {
            pieces::of_first(problem, target, &|problem| match self {
                Self::Depthwise => depthwise::candidates(problem, target),
                Self::Direct => direct::candidates(problem, target),
                Self::Fft => fft::candidates(problem, target),
                Self::ImplicitGemm => implicit_gemm::candidates(problem, target),
                Self::Im2colGemm => im2col_gemm::candidates(problem, target),
                other => Err(Unsupported::NotOnGpu { algorithm: other }),
            })
        };
        if self == Self::Im2colGemm { im2col_gemm::with_room(target, &of) } else { of(target) }
    }

    /// Whether it is worth asking first: others that decline nothing may be far ahead of it.
    pub fn suits(self, problem: &ConvProblem, target: &Target) -> bool {
        self.suited(problem, target).is_ok()
    }

    /// The same, with the reason.
    ///
    /// # Errors
    ///
    /// Why it is not worth asking first. It may run the problem all the same.
    pub fn suited(self, problem: &ConvProblem, target: &Target) -> Result<(), Unsupported> {
        match self {
            Self::Depthwise => depthwise::suited(problem, target),
            Self::Fft => fft::suited(problem, target),
            Self::ImplicitGemm | Self::Im2colGemm => implicit_gemm::suited(problem, target),
            _ => Ok(()),
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
        let of = |target: &Target| {
            pieces::lower(problem, target, &|piece| match (self, config) {
                (Self::Depthwise, Config::Depthwise(config)) => depthwise::lower(piece, target, config),
                (Self::Direct, Config::Direct(direct)) => direct::lower(piece, target, direct),
                (Self::Fft, Config::Fft(config)) if piece == problem => fft::lower(piece, target, config),
                (Self::Fft, Config::Fft(config)) => fft::lower_piece(piece, target, config),
                (Self::ImplicitGemm, Config::ImplicitGemm(tile)) => implicit_gemm::lower(piece, target, tile),
                (Self::Im2colGemm, Config::Im2colGemm(tile)) => im2col_gemm::lower(piece, target, tile),
                (other, _) => Err(Unsupported::NotOnGpu { algorithm: other }),
            })
        };
        if self == Self::Im2colGemm { im2col_gemm::with_room(target, &of) } else { of(target) }
    }
}
