//! The crate's error: one variant per room's own, and a word for each kind.

use crate::classic::operation::OperationError;
use crate::device::OperandError;
use crate::filters::FilterError;
#[cfg(feature = "gpu")]
use crate::gpu::GpuError;
use crate::planner::Declined;
use crate::problem::ProblemError;

/// Everything that can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Shapes and parameters do not make a convolution.
    #[error(transparent)]
    Problem(#[from] ProblemError),
    /// Operands and parameters do not make the named operation.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// An operand is missing, superfluous or of the wrong shape or type.
    #[error(transparent)]
    Operand(#[from] OperandError),
    /// No algorithm of the device computes the problem; on a GPU, the CPU path was not to take over or does not either.
    #[error(transparent)]
    Declined(#[from] Declined),
    /// Something is wrong with the GPU.
    #[cfg(feature = "gpu")]
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// A GPU was asked of a build without the `gpu` feature.
    #[error("this build of wgconv has no GPU support (feature `gpu`)")]
    BuiltWithoutGpu,
    /// A host allocation failed.
    #[error("out of memory: {what} needs {bytes} bytes")]
    OutOfMemory {
        /// What was being made.
        what: &'static str,
        /// Its size.
        bytes: u64,
    },
    /// A size or a width makes no image kernel.
    #[error(transparent)]
    Filter(#[from] FilterError),
}

/// The kind of an error: the closed list of words that the command line reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is its word; the errors themselves say what happened")]
pub enum ErrorKind {
    BadJob,
    BadFile,
    Io,
    Rank,
    Channels,
    Groups,
    Stride,
    Dilation,
    Padding,
    KernelTooLarge,
    BiasShape,
    GradShape,
    OutputShape,
    Operand,
    Overflow,
    LimitExceeded,
    OutOfMemory,
    Unsupported,
    NoAdapter,
    SelfTestFailed,
    DeviceLost,
    Timeout,
    NonFinite,
    Internal,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 24] = [
        Self::BadJob,
        Self::BadFile,
        Self::Io,
        Self::Rank,
        Self::Channels,
        Self::Groups,
        Self::Stride,
        Self::Dilation,
        Self::Padding,
        Self::KernelTooLarge,
        Self::BiasShape,
        Self::GradShape,
        Self::OutputShape,
        Self::Operand,
        Self::Overflow,
        Self::LimitExceeded,
        Self::OutOfMemory,
        Self::Unsupported,
        Self::NoAdapter,
        Self::SelfTestFailed,
        Self::DeviceLost,
        Self::Timeout,
        Self::NonFinite,
        Self::Internal,
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::BadJob => "bad_job",
            Self::BadFile => "bad_file",
            Self::Io => "io",
            Self::Rank => "rank",
            Self::Channels => "channels",
            Self::Groups => "groups",
            Self::Stride => "stride",
            Self::Dilation => "dilation",
            Self::Padding => "padding",
            Self::KernelTooLarge => "kernel_too_large",
            Self::BiasShape => "bias_shape",
            Self::GradShape => "grad_shape",
            Self::OutputShape => "output_shape",
            Self::Operand => "operand",
            Self::Overflow => "overflow",
            Self::LimitExceeded => "limit_exceeded",
            Self::OutOfMemory => "out_of_memory",
            Self::Unsupported => "unsupported",
            Self::NoAdapter => "no_adapter",
            Self::SelfTestFailed => "self_test_failed",
            Self::DeviceLost => "device_lost",
            Self::Timeout => "timeout",
            Self::NonFinite => "non_finite",
            Self::Internal => "internal",
        }
    }
}

impl std::fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

impl Error {
    /// Its kind. [`ErrorKind::Internal`] is always a defect of this crate.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Problem(e) => problem_kind(e),
            Self::Operation(e) => operation_kind(e),
            Self::Operand(e) => operand_kind(e),
            Self::Declined(e) if e.is_limit() => ErrorKind::LimitExceeded,
            Self::Declined(_) => ErrorKind::Unsupported,
            #[cfg(feature = "gpu")]
            Self::Gpu(e) => gpu_kind(e),
            Self::BuiltWithoutGpu => ErrorKind::NoAdapter,
            Self::OutOfMemory { .. } => ErrorKind::OutOfMemory,
            Self::Filter(_) => ErrorKind::BadJob,
        }
    }
}

fn problem_kind(error: &ProblemError) -> ErrorKind {
    use ProblemError as E;
    match error {
        E::Rank { .. } | E::StrideCount { .. } => ErrorKind::Rank,
        E::Channels { .. } | E::TransposedChannels { .. } => ErrorKind::Channels,
        E::Groups { .. } => ErrorKind::Groups,
        E::Stride { .. } | E::StridesPerAxis { .. } => ErrorKind::Stride,
        E::Dilation { .. } | E::DilationsPerAxis { .. } => ErrorKind::Dilation,
        E::PaddingCount { .. } | E::OutputPadding { .. } | E::OutputPaddingCount { .. } => ErrorKind::Padding,
        E::OutputShapeCount { .. } | E::OutputExtent { .. } => ErrorKind::OutputShape,
        E::TransposedConstant { .. } => ErrorKind::BadJob,
        E::KernelTooLarge { .. } => ErrorKind::KernelTooLarge,
        E::EmptyExtent { .. } => ErrorKind::Operand,
        E::UnsharedOutput { .. } | E::OverlappingStrides { .. } => ErrorKind::OutputShape,
        E::Overflow { .. } => ErrorKind::Overflow,
        E::NonFinite { .. } => ErrorKind::NonFinite,
        E::BiasOnGradWeight | E::EmptyClamp { .. } => ErrorKind::Operand,
    }
}

fn operation_kind(error: &OperationError) -> ErrorKind {
    use OperationError as E;
    match error {
        E::Problem(e) => problem_kind(e),
        E::Axes { .. } => ErrorKind::Rank,
        E::Operand { role, .. } => role_kind(role),
        E::Gradient { .. } => ErrorKind::GradShape,
        E::Channels { .. } => ErrorKind::Channels,
        E::Shapes { .. }
        | E::Empty { .. }
        | E::Hint { .. }
        | E::Count { .. }
        | E::View { .. }
        | E::NotLinear { .. }
        | E::NoOperand { .. }
        | E::Independent { .. } => ErrorKind::Operand,
        E::BorderMode { .. } | E::Origin { .. } => ErrorKind::Padding,
        E::Target { got: Some(_), .. } => ErrorKind::OutputShape,
        // A parameter that is missing or unknown.
        E::Target { got: None, .. } | E::Parameter { .. } => ErrorKind::BadJob,
        E::NeitherWithin { .. } => ErrorKind::KernelTooLarge,
        E::Inexact { .. } | E::OutOfRange { .. } => ErrorKind::Overflow,
    }
}

/// What is wrong when the operand in this role has a wrong shape.
fn role_kind(role: &str) -> ErrorKind {
    match role {
        "bias" => ErrorKind::BiasShape,
        "grad_output" => ErrorKind::GradShape,
        "output" => ErrorKind::OutputShape,
        _ => ErrorKind::Operand,
    }
}

fn operand_kind(error: &OperandError) -> ErrorKind {
    match error {
        OperandError::Shape { role, .. } => role_kind(role),
        OperandError::GradShape { .. } => ErrorKind::GradShape,
        OperandError::NonFinite { .. } => ErrorKind::NonFinite,
        _ => ErrorKind::Operand,
    }
}

#[cfg(feature = "gpu")]
fn gpu_kind(error: &GpuError) -> ErrorKind {
    use GpuError as E;
    match error {
        E::NoAdapter { .. } | E::RequestDevice { .. } => ErrorKind::NoAdapter,
        E::SelfTestFailed { .. } => ErrorKind::SelfTestFailed,
        E::DeviceLost { .. } => ErrorKind::DeviceLost,
        E::OutOfMemory { .. } => ErrorKind::OutOfMemory,
        E::TooLarge { .. } => ErrorKind::LimitExceeded,
        E::Timeout { .. } => ErrorKind::Timeout,
        E::Slice { .. } | E::LossyLayout { .. } => ErrorKind::Operand,
        E::Refused { .. } => ErrorKind::Internal,
    }
}

impl From<crate::cpu::OutOfMemory> for Error {
    fn from(crate::cpu::OutOfMemory { what, bytes }: crate::cpu::OutOfMemory) -> Self {
        Self::OutOfMemory { what, bytes }
    }
}
