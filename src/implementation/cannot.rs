//! Facts that rule an algorithm out.

use super::Resource;
use crate::algorithm_name::Algorithm;
use crate::problem::Element;

/// Why an algorithm cannot compute a problem on a device: a fact, never an opinion about its speed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cannot {
    /// The device has no version of the algorithm.
    #[error("is not on this device, which has {}", names(has))]
    NotOnDevice {
        /// What it has.
        has: Vec<Algorithm>,
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
    /// The problem needs more of something than there is.
    #[error("needs {needed} {resource}, at most {limit} are possible")]
    Limit {
        /// Of what.
        resource: Resource,
        /// What it needs.
        needed: u64,
        /// What there is.
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
    /// Every output position has weights of its own: positions share neither a matrix nor a spectrum.
    #[error("is not for weights per position")]
    Unshared,
    /// More channels are summed over than the algorithm takes.
    #[error("sums over {got} channels of a group, at most {wanted} are taken")]
    Channels {
        /// At most so many are taken.
        wanted: u64,
        /// So many are summed over.
        got: u64,
    },
}

fn names(algorithms: &[Algorithm]) -> String {
    algorithms.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(", ")
}

impl Cannot {
    /// Whether a larger or more capable device would have let it run.
    pub fn is_limit(&self) -> bool {
        matches!(
            self,
            Self::BindingTooLarge { .. }
                | Self::IndexTooLarge { .. }
                | Self::GridTooLarge { .. }
                | Self::Limit { .. }
        )
    }

    /// Whether a smaller problem may do without it.
    pub(crate) fn is_size(&self) -> bool {
        match self {
            Self::BindingTooLarge { .. } | Self::IndexTooLarge { .. } | Self::GridTooLarge { .. } => true,
            Self::Limit { resource, .. } => *resource == Resource::TableWords,
            _ => false,
        }
    }
}
