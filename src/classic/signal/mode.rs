//! scipy's words: how much is computed, and how.

use crate::algorithm_name::Algorithm;

/// How much of the convolution is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Every position where the operands touch: `N + K − 1` cells.
    #[default]
    Full,
    /// The `N` cells of `Full` from `(K − 1) div 2` on: as many as the first operand has.
    Same,
    /// The positions where one operand lies within the other: `max(N, K) − min(N, K) + 1` cells.
    Valid,
}

impl Mode {
    /// The mode called `name`: `full`, `same`, `valid`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "full" => Some(Self::Full),
            "same" => Some(Self::Same),
            "valid" => Some(Self::Valid),
            _ => None,
        }
    }
}

/// How it is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// As the planner decides.
    #[default]
    Auto,
    /// By [`Algorithm::Direct`].
    Direct,
    /// By [`Algorithm::Fft`] where the device has it, else by what runs.
    Fft,
}

impl Method {
    /// The method called `name`: `auto`, `direct`, `fft`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "direct" => Some(Self::Direct),
            "fft" => Some(Self::Fft),
            _ => None,
        }
    }

    pub(super) fn prefers(self) -> Option<Algorithm> {
        match self {
            Self::Auto => None,
            Self::Direct => Some(Algorithm::Direct),
            Self::Fft => Some(Algorithm::Fft),
        }
    }
}
