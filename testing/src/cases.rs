//! The table of forward convolutions that every backend must get right, by theme.
//!
//! Names are unique and say what is special. Cases whose name begins with `dispatch_` have millions of
//! outputs and one or two taps each; all others stay below [`MAX_MACS`].

mod boundary;
mod channels;
mod depthwise;
mod dispatch;
mod epilogue;
mod flip;
mod layout;
mod long;
mod padding;
mod published;
pub mod refused;
mod shape;
mod unshared;
mod vector;

use wgconv::{Activation, Conv, ConvProblem, Direction, ProblemError};

/// Multiply-accumulates that a case not named `dispatch_` stays below.
pub const MAX_MACS: u64 = 3_000_000;

/// One forward convolution.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub x: Vec<usize>,
    pub w: Vec<usize>,
    pub conv: Conv,
    /// Whether small integer operands give a result that f32 holds exactly. Not so for activations
    /// that are transcendental or divide; those are compared within a bound instead.
    pub exact: bool,
}

impl Case {
    pub fn new(name: impl Into<String>, x: &[usize], w: &[usize], conv: Conv) -> Self {
        let exact = exact_on_integers(conv.epilogue.activation);
        Self { name: name.into(), x: x.to_vec(), w: w.to_vec(), conv, exact }
    }

    /// The same convolution computing another tensor; `None` where explicit strides let elements of that
    /// tensor overlap. The gradient of the weight takes no bias.
    pub fn in_direction(&self, direction: Direction) -> Option<Self> {
        let mut conv = self.conv.clone().direction(direction);
        conv.epilogue.bias &= direction != Direction::GradWeight;
        let overlaps = |e: &ProblemError| {
            assert!(matches!(e, ProblemError::OverlappingStrides { .. }), "{}: {e}", self.name)
        };
        ConvProblem::new(&self.x, &self.w, &conv).inspect_err(overlaps).ok()?;
        Some(Self { name: format!("{}, {direction:?}", self.name), conv, ..self.clone() })
    }

    /// The checked problem; panics with the case's name if there is none.
    pub fn problem(&self) -> ConvProblem {
        ConvProblem::new(&self.x, &self.w, &self.conv).unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }
}

/// Whether the activation maps multiples of 1/4 to numbers with a few more fraction bits at most.
pub fn exact_on_integers(activation: Activation) -> bool {
    match activation {
        Activation::Identity | Activation::Relu | Activation::Clamp { .. } => true,
        Activation::LeakyRelu { slope } => (slope * 16.0).fract() == 0.0,
        Activation::Sigmoid
        | Activation::Tanh
        | Activation::Silu
        | Activation::Gelu
        | Activation::HardSwish => false,
    }
}

/// All cases, the cheap themes first.
pub fn named() -> Vec<Case> {
    themes().into_iter().flat_map(|(_, cases)| cases).collect()
}

/// All cases by theme.
pub fn themes() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("shape", shape::cases()),
        ("padding", padding::cases()),
        ("boundary", boundary::cases()),
        ("channels", channels::cases()),
        ("depthwise", depthwise::cases()),
        ("layout", layout::cases()),
        ("long", long::cases()),
        ("epilogue", epilogue::cases()),
        ("flip", flip::cases()),
        ("unshared", unshared::cases()),
        ("vector", vector::cases()),
        ("published", published::cases()),
        ("dispatch", dispatch::cases()),
    ]
}

/// How many cases of a theme [`sample`] takes, of those with at most so many products.
const SAMPLED: [(&str, usize, u64); 11] = [
    ("shape", 18, 1 << 14),
    ("padding", 10, 1 << 14),
    ("boundary", 18, 1 << 14),
    ("channels", 16, 1 << 14),
    ("depthwise", 18, 1 << 16),
    ("layout", 18, 1 << 14),
    ("epilogue", 6, 1 << 14),
    ("flip", 4, 1 << 14),
    ("unshared", 8, 1 << 14),
    ("vector", 8, 1 << 16),
    ("published", 6, 1 << 14),
];

/// Small cases of every theme, evenly from its first to its last.
pub fn sample() -> Vec<Case> {
    let themes = themes();
    let of = |&(theme, count, most): &(&str, usize, u64)| {
        let small = |case: &&Case| (1..=most).contains(&case.problem().macs());
        let all = themes.iter().filter(|(name, _)| *name == theme).flat_map(|(_, cases)| cases);
        let all: Vec<&Case> = all.filter(small).collect();
        (0..count).map(|i| all[i * all.len() / count].clone()).collect::<Vec<_>>()
    };
    SAMPLED.iter().flat_map(of).collect()
}

/// Descriptions that make no convolution, each with the error it must give.
pub fn refused() -> Vec<refused::Refused> {
    refused::all()
}

/// The first `rank` of three numbers, one per axis.
fn per_axis<T: Copy>(rank: usize, values: [T; 3]) -> Vec<T> {
    values[..rank].to_vec()
}

/// `[a, b]` followed by the first `rank` of the extents.
fn shape_of(a: usize, b: usize, rank: usize, extents: [usize; 3]) -> Vec<usize> {
    [vec![a, b], per_axis(rank, extents)].concat()
}
