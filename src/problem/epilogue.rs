//! What happens to each sum before it is stored: `y = act(alpha·conv + beta·residual + bias)`.

use std::hash::{Hash, Hasher};

use super::Element;
use super::boundary::canonical_bits;

/// The function applied last to every element.
#[derive(Clone, Copy, Debug, Default)]
pub enum Activation {
    /// `v`
    #[default]
    Identity,
    /// `max(v, 0)`; a NaN stays a NaN.
    Relu,
    /// `v` limited to `[low, high]`.
    Clamp {
        /// Smallest value let through.
        low: f64,
        /// Largest value let through.
        high: f64,
    },
    /// `v` where positive, else `slope·v`.
    LeakyRelu {
        /// Factor for negative values.
        slope: f64,
    },
    /// `1 / (1 + e^−v)`
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `v·sigmoid(v)`, also called swish.
    Silu,
    /// `v·Φ(v)` with the normal distribution Φ (the error-function form, not the tanh approximation).
    Gelu,
    /// `v·min(max(v + 3, 0), 6) / 6`
    HardSwish,
}

impl Activation {
    /// The activation called `name` in job files: `identity`, `relu`, `clamp:LOW:HIGH`,
    /// `leaky_relu[:SLOPE]` (slope 0.01 by default), `sigmoid`, `tanh`, `silu`, `gelu`, `hard_swish`.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut parts = name.split(':');
        let (word, mut number) = (parts.next()?, || parts.next().map(str::parse::<f64>));
        let activation = match word {
            "identity" => Self::Identity,
            "relu" => Self::Relu,
            "clamp" => Self::Clamp { low: number()?.ok()?, high: number()?.ok()? },
            "leaky_relu" => Self::LeakyRelu { slope: number().unwrap_or(Ok(0.01)).ok()? },
            "sigmoid" => Self::Sigmoid,
            "tanh" => Self::Tanh,
            "silu" => Self::Silu,
            "gelu" => Self::Gelu,
            "hard_swish" => Self::HardSwish,
            _ => return None,
        };
        number().is_none().then_some(activation)
    }

    /// The function's value, in double precision.
    pub fn eval(self, v: f64) -> f64 {
        match self {
            Self::Identity => v,
            Self::Relu if v < 0.0 => 0.0,
            Self::Relu => v,
            Self::Clamp { low, .. } if v < low => low,
            Self::Clamp { high, .. } if v > high => high,
            Self::Clamp { .. } => v,
            Self::LeakyRelu { slope } if v < 0.0 => slope * v,
            Self::LeakyRelu { .. } => v,
            Self::Sigmoid => 1.0 / (1.0 + (-v).exp()),
            Self::Tanh => v.tanh(),
            Self::Silu => v / (1.0 + (-v).exp()),
            Self::Gelu => 0.5 * v * libm::erfc(-v / std::f64::consts::SQRT_2),
            Self::HardSwish if v <= -3.0 => 0.0,
            Self::HardSwish if v >= 3.0 => v,
            Self::HardSwish => v * (v + 3.0) / 6.0,
        }
    }

    /// A number per function, and its two parameters: the form in which kernels and hashes take it.
    #[doc(hidden)]
    pub fn code(self) -> (u32, [f64; 2]) {
        match self {
            Self::Identity => (0, [0.0; 2]),
            Self::Relu => (1, [0.0; 2]),
            Self::Clamp { low, high } => (2, [low, high]),
            Self::LeakyRelu { slope } => (3, [slope, 0.0]),
            Self::Sigmoid => (4, [0.0; 2]),
            Self::Tanh => (5, [0.0; 2]),
            Self::Silu => (6, [0.0; 2]),
            Self::Gelu => (7, [0.0; 2]),
            Self::HardSwish => (8, [0.0; 2]),
        }
    }
}

/// `y = act(alpha·conv + beta·residual + bias)`: which parts exist is part of the problem, their
/// values come with the operands.
#[derive(Clone, Copy, Debug)]
pub struct Epilogue {
    /// Factor of the convolution's own sum.
    pub alpha: f64,
    /// Factor of the residual, a tensor of the result's shape; `None`: there is no residual.
    pub beta: Option<f64>,
    /// Whether a bias, one number per channel of the result, is added.
    pub bias: bool,
    /// Applied last.
    pub activation: Activation,
}

impl Default for Epilogue {
    fn default() -> Self {
        Self { alpha: 1.0, beta: None, bias: false, activation: Activation::Identity }
    }
}

impl Epilogue {
    /// The stored value for the sum `conv`; a part that does not exist is passed as 0.
    pub fn eval(&self, conv: f64, residual: f64, bias: f64) -> f64 {
        let scaled = if self.alpha == 1.0 { conv } else { self.alpha * conv };
        let added = match self.beta {
            Some(beta) => scaled + beta * residual,
            None => scaled,
        };
        self.activation.eval(if self.bias { added + bias } else { added })
    }

    /// The first number in here that `element`'s arithmetic does not hold, with its name.
    pub(super) fn non_finite(&self, element: Element) -> Option<(&'static str, f64)> {
        let [p0, p1] = self.activation.code().1;
        // A clamp may be open on one side: `clamp:0:inf` is a relu.
        let open = |v: f64| matches!(self.activation, Activation::Clamp { .. }) && v.is_infinite();
        let scales = [("alpha", self.alpha), ("beta", self.beta.unwrap_or(0.0))];
        let parameters = [p0, p1].into_iter().filter(|&v| !open(v)).map(|v| ("activation parameter", v));
        scales.into_iter().chain(parameters).find(|&(_, v)| !element.holds(v))
    }

    fn key(&self) -> [u64; 7] {
        let (code, [p0, p1]) = self.activation.code();
        [
            canonical_bits(self.alpha),
            u64::from(self.beta.is_some()),
            canonical_bits(self.beta.unwrap_or(0.0)),
            u64::from(self.bias),
            u64::from(code),
            canonical_bits(p0),
            canonical_bits(p1),
        ]
    }
}

impl PartialEq for Epilogue {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Epilogue {}

impl Hash for Epilogue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialEq for Activation {
    fn eq(&self, other: &Self) -> bool {
        let ((a, p), (b, q)) = (self.code(), other.code());
        a == b && p.map(canonical_bits) == q.map(canonical_bits)
    }
}

impl Eq for Activation {}
