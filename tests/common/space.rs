//! The whole space of problems, as a proptest strategy.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use wgconv::{Activation, Boundary, Conv, Direction, Epilogue, Padding, Rounding};

use super::cpu::Spec;

/// Most multiply-accumulates of a drawn problem.
const MACS: usize = 200_000;

/// The same cases on every run, and nothing written to disk.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0x0077_6763_6F6E_7600),
        ..ProptestConfig::default()
    }
}

#[derive(Clone, Debug)]
struct Axis {
    input: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    pad: (usize, isize),
}

impl Axis {
    fn span(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    fn padded(&self) -> isize {
        (self.input + self.pad.0) as isize + self.pad.1
    }

    fn output(&self) -> usize {
        (self.padded() as usize - self.span()) / self.stride + 2
    }
}

fn axis() -> impl Strategy<Value = Axis> {
    (1usize..=17, 1usize..=7, 1usize..=4, 1usize..=3).prop_flat_map(|(input, kernel, stride, dilation)| {
        let most = (kernel * dilation) as isize;
        (0..=most as usize, -4..=most).prop_map(move |(begin, end)| {
            let mut axis = Axis { input, kernel, stride, dilation, pad: (begin, end) };
            // The kernel fits at least once.
            axis.pad.1 += (axis.span() as isize - axis.padded()).max(0);
            axis
        })
    })
}

pub(crate) fn boundary() -> impl Strategy<Value = Boundary> {
    prop_oneof![
        3 => Just(Boundary::Zero),
        1 => Just(Boundary::Constant(2.0)),
        1 => Just(Boundary::Wrap),
        1 => Just(Boundary::Reflect),
        1 => Just(Boundary::Mirror),
        1 => Just(Boundary::Nearest),
    ]
}

/// Epilogues that keep small integers exact and no element's error larger than its sum's.
fn epilogue() -> impl Strategy<Value = Epilogue> {
    let alpha = prop_oneof![3 => Just(1.0), 1 => Just(2.0), 1 => Just(-3.0), 1 => Just(0.0)];
    let beta = prop_oneof![2 => Just(None), 1 => Just(Some(1.0)), 1 => Just(Some(-2.0))];
    let activation = prop_oneof![
        3 => Just(Activation::Identity),
        1 => Just(Activation::Relu),
        1 => Just(Activation::Clamp { low: -20.0, high: 30.0 }),
        1 => Just(Activation::LeakyRelu { slope: 0.5 }),
    ];
    (alpha, beta, any::<bool>(), activation).prop_map(|(alpha, beta, bias, activation)| Epilogue {
        alpha,
        beta,
        bias,
        activation,
    })
}

pub(crate) fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::Forward), Just(Direction::GradInput), Just(Direction::GradWeight)]
}

/// Everything but the epilogue and the direction; zero sizes now and then.
pub(crate) fn linear() -> impl Strategy<Value = Spec> {
    let size = |most| prop_oneof![1 => Just(0usize), 19 => 1..=most];
    let channels = (1usize..=3, size(4usize), size(6usize));
    let flags = (boundary(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.2));
    (prop::collection::vec(axis(), 1..=3), size(3usize), channels, flags).prop_map(
        |(axes, n, (groups, c, q), (boundary, flip, ceil, unshared))| {
            build(axes, [n, groups, c, q], boundary, flip, ceil, unshared)
        },
    )
}

fn build(
    mut axes: Vec<Axis>,
    [mut n, groups, mut c, mut q]: [usize; 4],
    boundary: Boundary,
    flip: bool,
    ceil: bool,
    unshared: bool,
) -> Spec {
    let macs = |n: usize, c: usize, q: usize, axes: &[Axis]| {
        n * groups * c * q * axes.iter().map(|a| a.kernel * a.output()).product::<usize>()
    };
    // Fewer images, then channels, then shorter paddings and axes, until the problem is small.
    while macs(n, c, q, &axes) > MACS {
        if n > 1 {
            n -= 1;
        } else if c.max(q) > 1 {
            (c, q) = (c.min(1 + c / 2), q.min(1 + q / 2));
            (c, q) = if c.max(q) == 2 { (c.min(1), q.min(1)) } else { (c, q) };
        } else {
            for axis in &mut axes {
                let span = axis.span();
                axis.kernel = axis.kernel.min(3);
                axis.input = axis.input.min(7);
                axis.pad = (axis.pad.0.min(3), axis.pad.1.min(3));
                axis.pad.1 += (span.min(axis.span()) as isize - axis.padded()).max(0);
            }
            if macs(n, c, q, &axes) > MACS {
                axes.pop();
            }
        }
    }
    let per_axis = |of: fn(&Axis) -> usize| axes.iter().map(of).collect::<Vec<_>>();
    let conv = Conv::default()
        .stride(per_axis(|a| a.stride))
        .dilation(per_axis(|a| a.dilation))
        .padding(axes.iter().map(|a| a.pad).collect::<Vec<_>>())
        .boundary(boundary)
        .groups(groups)
        .flip(flip)
        .rounding(if ceil { Rounding::Ceil } else { Rounding::Floor });
    let x: Vec<usize> = [n, groups * c].into_iter().chain(per_axis(|a| a.input)).collect();
    let w: Vec<usize> = [groups * q, c].into_iter().chain(per_axis(|a| a.kernel)).collect();
    let spec = Spec { x, w, conv };
    if unshared { spec.unshared() } else { spec }
}

/// Everything that a problem can say.
pub(crate) fn any_spec() -> impl Strategy<Value = Spec> {
    (linear(), epilogue(), direction()).prop_map(|(spec, mut epilogue, direction)| {
        epilogue.bias &= direction != Direction::GradWeight;
        Spec { conv: spec.conv.epilogue(epilogue).direction(direction), ..spec }
    })
}

/// The padding of `spec`, as pairs.
pub(crate) fn pads(spec: &Spec) -> Vec<(u64, i64)> {
    let Padding::Explicit(pads) = &spec.conv.padding else { panic!("{spec:?}") };
    pads.clone()
}
