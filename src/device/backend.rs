//! The two places where things are computed, enumerated once.

use std::fmt;

/// A kind of thing of which each backend has its own type.
pub(crate) trait PerBackend {
    #[cfg(feature = "gpu")]
    type Gpu: Clone + fmt::Debug;
    type Cpu: Clone + fmt::Debug;
}

/// A thing of one backend.
pub(crate) enum Backend<K: PerBackend> {
    #[cfg(feature = "gpu")]
    Gpu(K::Gpu),
    Cpu(K::Cpu),
}

impl<K: PerBackend> Backend<K> {
    #[cfg(feature = "gpu")]
    pub(crate) fn gpu(&self) -> Option<&K::Gpu> {
        if let Self::Gpu(it) = self { Some(it) } else { None }
    }

    pub(crate) fn cpu(&self) -> Option<&K::Cpu> {
        match self {
            #[cfg(feature = "gpu")]
            Self::Gpu(_) => None,
            Self::Cpu(it) => Some(it),
        }
    }
}

// Derived, these would ask for a kind that can be cloned, which it need not be.
impl<K: PerBackend> Clone for Backend<K> {
    fn clone(&self) -> Self {
        match self {
            #[cfg(feature = "gpu")]
            Self::Gpu(it) => Self::Gpu(it.clone()),
            Self::Cpu(it) => Self::Cpu(it.clone()),
        }
    }
}

impl<K: PerBackend> fmt::Debug for Backend<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "gpu")]
            Self::Gpu(it) => f.debug_tuple("Gpu").field(it).finish(),
            Self::Cpu(it) => f.debug_tuple("Cpu").field(it).finish(),
        }
    }
}
