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
    /// As scipy's `choose_conv_method` decides by the shapes; of integers always as `Direct`.
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

    /// The algorithm to ask first for a signal `x` and a kernel `h` of these extents.
    pub(super) fn prefers(self, x: &[usize], h: &[usize], mode: Mode) -> Option<Algorithm> {
        match self {
            Self::Auto => fft_is_faster(x, h, mode).then_some(Algorithm::Fft),
            Self::Direct => Some(Algorithm::Direct),
            Self::Fft => Some(Algorithm::Fft),
        }
    }
}

/// The estimate of `scipy.signal.choose_conv_method`: operations of both methods, times what each took where its authors
/// measured. Source: scipy 1.17, `_fftconv_faster` and `_conv_ops`.
fn fft_is_faster(x: &[usize], h: &[usize], mode: Mode) -> bool {
    let product = |extents: &[usize]| extents.iter().map(|&extent| extent as f64).product::<f64>();
    let each =
        |of: fn(f64, f64) -> f64| x.iter().zip(h).map(|(&n, &k)| of(n as f64, k as f64)).product::<f64>();
    let full = each(|n, k| n + k - 1.0);
    let by_fft = 3.0 * full * full.ln();
    let (s1, s2) = (product(x), product(h));
    let (by_sums, [fft, sums, start]) = match (mode, x.len()) {
        (Mode::Full, 0 | 1) => (s1 * s2, [1.764_907e-9, 2.141_483_1e-10, -1e-3]),
        (Mode::Valid, 0 | 1) => {
            (((s1 - s2).abs() + 1.0) * s1.min(s2), [1.890_957_37e-9, 2.136_498_5e-10, -1e-3])
        }
        (Mode::Same, 0 | 1) if s1 < s2 => (s1 * s2, [3.216_354_04e-9, 1.177_325_3e-8, -1e-5]),
        (Mode::Same, 0 | 1) => {
            let cut = (s2 / 2.0).floor() * ((s2 + 1.0) / 2.0).floor();
            (s1 * s2 - cut, [3.264_665_4e-9, 2.847_827_7e-10, -1e-3])
        }
        (Mode::Full, _) => (s1.min(s2) * full, [1.998_17e-9, 1.661_74e-8, -1e-4]),
        (Mode::Valid, _) => {
            (s1.min(s2) * each(|n, k| (n - k).abs() + 1.0), [1.859_27e-9, 2.112_42e-8, -1e-4])
        }
        (Mode::Same, _) => (s1 * s2, [2.047_35e-9, 1.553_67e-8, -1e-4]),
    };
    fft * by_fft < sums * by_sums + start
}
