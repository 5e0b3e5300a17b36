//! Laws of convolution, checked on integers without any reference.

#![allow(clippy::cast_possible_truncation, reason = "sizes are small")]

use crate::common::cpu::{Spec, Tensors, integers};
use crate::common::space;
use ndarray::{ArrayD, Axis, Slice, concatenate};
use proptest::prelude::*;
use wgconv::internals::cpu::reference::Operands64;
use wgconv::{Algorithm, Boundary, Conv, Direction, Element, Padding};

fn tensors(spec: &Spec, seed: u64) -> Tensors {
    Tensors::new(&spec.problem(Element::F32), integers(seed, 4))
}

/// One direction from its two operands, by `Direct` in f32.
fn apply(spec: &Spec, direction: Direction, [a, b]: [&ArrayD<f64>; 2]) -> ArrayD<f64> {
    let (a, b) = (Some(a.view()), Some(b.view()));
    let operands = match direction {
        Direction::Forward => Operands64 { input: a, weight: b, ..Operands64::default() },
        Direction::GradInput => Operands64 { grad_output: a, weight: b, ..Operands64::default() },
        Direction::GradWeight => Operands64 { input: a, grad_output: b, ..Operands64::default() },
    };
    spec.direction(direction).direct(&operands)
}

fn forward(spec: &Spec, x: &ArrayD<f64>, w: &ArrayD<f64>) -> ArrayD<f64> {
    apply(spec, Direction::Forward, [x, w])
}

/// The two operands of a direction.
fn operands(tensors: &Tensors, direction: Direction) -> [&ArrayD<f64>; 2] {
    match direction {
        Direction::Forward => [&tensors.x, &tensors.w],
        Direction::GradInput => [&tensors.h, &tensors.w],
        Direction::GradWeight => [&tensors.x, &tensors.h],
    }
}

fn inner(a: &ArrayD<f64>, b: &ArrayD<f64>) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn spatial(spec: &Spec) -> usize {
    spec.x.len() - 2
}

/// `w` with its spatial axes reversed.
fn flipped(w: &ArrayD<f64>, spatial: usize) -> ArrayD<f64> {
    let mut view = w.view();
    for axis in w.ndim() - spatial..w.ndim() {
        view.invert_axis(Axis(axis));
    }
    view.to_owned()
}

/// Without a constant from outside, which makes the map affine.
fn homogeneous(mut spec: Spec) -> Spec {
    if let Boundary::Constant(_) = spec.conv.boundary {
        spec.conv.boundary = Boundary::Constant(0.0);
    }
    spec
}

proptest! {
    #![proptest_config(space::config(500))]

    /// `<conv(x, w), h> = <x, grad_input(h, w)> = <w, grad_weight(x, h)>`
    #[test]
    fn gradients_are_adjoints(spec in space::linear().prop_map(homogeneous), seed: u64) {
        let t = tensors(&spec, seed);
        let [y, gx, gw] = [Direction::Forward, Direction::GradInput, Direction::GradWeight]
            .map(|direction| apply(&spec, direction, operands(&t, direction)));
        prop_assert_eq!(inner(&y, &t.h), inner(&t.x, &gx), "{:?}", &spec);
        prop_assert_eq!(inner(&y, &t.h), inner(&t.w, &gw), "{:?}", &spec);
    }

    /// A constant boundary adds what an input of zeros gives: the adjoints hold for the rest.
    #[test]
    fn a_constant_boundary_is_affine(spec in space::linear(), seed: u64) {
        let mut spec = spec;
        spec.conv.boundary = Boundary::Constant(2.0);
        let t = tensors(&spec, seed);
        let y = forward(&spec, &t.x, &t.w);
        let offset = forward(&spec, &ArrayD::zeros(t.x.shape()), &t.w);
        let gx = apply(&spec, Direction::GradInput, [&t.h, &t.w]);
        let gw = apply(&spec, Direction::GradWeight, [&t.x, &t.h]);
        prop_assert_eq!(inner(&(&y - &offset), &t.h), inner(&t.x, &gx), "{:?}", &spec);
        prop_assert_eq!(inner(&y, &t.h), inner(&t.w, &gw), "{:?}", &spec);
    }

    #[test]
    fn linear_in_each_operand(spec in space::linear().prop_map(homogeneous), direction in space::direction(), seed: u64) {
        let (t, u) = (tensors(&spec, seed), tensors(&spec, !seed));
        let ([a, b], [c, d]) = (operands(&t, direction), operands(&u, direction));
        let by = |operands| apply(&spec, direction, operands);
        let (first, second) = (a * 2.0 - c * 3.0, b * 2.0 - d * 3.0);
        prop_assert_eq!(by([&first, b]), by([a, b]) * 2.0 - by([c, b]) * 3.0, "{:?}", &spec);
        prop_assert_eq!(by([a, &second]), by([a, b]) * 2.0 - by([a, d]) * 3.0, "{:?}", &spec);
    }

    /// Convolving is correlating with the kernel reversed, and so are the gradients.
    #[test]
    fn flip_reverses_the_kernel(spec in space::linear(), seed: u64) {
        let mut other = spec.clone();
        other.conv.flip = !spec.conv.flip;
        let (t, rank) = (tensors(&spec, seed), spatial(&spec));
        let w = flipped(&t.w, rank);
        prop_assert_eq!(forward(&spec, &t.x, &t.w), forward(&other, &t.x, &w), "{:?}", &spec);
        let [gx, gx_other] = [(&spec, &t.w), (&other, &w)].map(|(s, w)| apply(s, Direction::GradInput, [&t.h, w]));
        prop_assert_eq!(gx, gx_other, "{:?}", &spec);
        let [gw, gw_other] = [&spec, &other].map(|s| apply(s, Direction::GradWeight, [&t.x, &t.h]));
        prop_assert_eq!(gw, flipped(&gw_other, rank), "{:?}", &spec);
    }

    #[test]
    fn groups_are_separate_convolutions(spec in space::linear(), seed: u64) {
        let t = tensors(&spec, seed);
        let groups = spec.conv.groups as usize;
        let part = |a: &ArrayD<f64>, axis, i: usize| {
            let len = a.len_of(Axis(axis)) / groups;
            a.slice_axis(Axis(axis), Slice::from(i * len..(i + 1) * len)).to_owned()
        };
        let mut parts = Vec::new();
        for i in 0..groups {
            let (x, w) = (part(&t.x, 1, i), part(&t.w, 0, i));
            parts.push(forward(&Spec::new(x.shape(), w.shape(), spec.conv.clone().groups(1)), &x, &w));
        }
        let views: Vec<_> = parts.iter().map(|y| y.view()).collect();
        prop_assert_eq!(forward(&spec, &t.x, &t.w), concatenate(Axis(1), &views).unwrap(), "{:?}", &spec);
    }

    /// A dilated kernel is one with zeros between its taps.
    #[test]
    fn dilation_stuffs_zeros(spec in space::linear().prop_filter("shared", |s| !s.conv.unshared), seed: u64) {
        let problem = spec.problem(Element::F32);
        let t = tensors(&spec, seed);
        let mut shape = spec.w.clone();
        let mut stuffed_at = vec![Slice::from(..); 2];
        for (extent, axis) in shape[2..].iter_mut().zip(problem.axes()) {
            *extent = axis.span() as usize;
            stuffed_at.push(Slice::new(0, None, axis.dilation as isize));
        }
        let mut stuffed = ArrayD::zeros(shape);
        stuffed.slice_each_axis_mut(|axis| stuffed_at[axis.axis.index()]).assign(&t.w);
        let dense = Spec::new(&spec.x, stuffed.shape(), spec.conv.clone().dilation(1));
        prop_assert_eq!(forward(&spec, &t.x, &t.w), forward(&dense, &t.x, &stuffed), "{:?}", &spec);
    }

    /// A strided result is every `stride`-th cell of the dense one.
    #[test]
    fn stride_subsamples(spec in space::linear().prop_filter("shared", |s| !s.conv.unshared), seed: u64) {
        let problem = spec.problem(Element::F32);
        let t = tensors(&spec, seed);
        // Windows that hang over are as much padding.
        let pads: Vec<(usize, isize)> = problem
            .axes()
            .iter()
            .map(|a| (a.pad_begin as usize, a.reach() as isize - (a.input + a.pad_begin) as isize))
            .collect();
        let dense = Spec { conv: spec.conv.clone().stride(1).padding(pads), ..spec.clone() };
        let all = forward(&dense, &t.x, &t.w);
        let some = all.slice_each_axis(|axis| match axis.axis.index() {
            0 | 1 => Slice::from(..),
            i => Slice::new(0, None, problem.axes()[i - 2].stride as isize),
        });
        prop_assert_eq!(forward(&spec, &t.x, &t.w), some, "{:?}", &spec);
    }

    /// An axis of one cell, anywhere among the spatial ones, changes nothing.
    #[test]
    fn rank_does_not_matter(
        spec in space::linear().prop_filter("rank below 3, shared", |s| s.x.len() < 5 && !s.conv.unshared),
        direction in space::direction(),
        at in 2usize..=4,
        seed: u64,
    ) {
        let at = at.min(spec.x.len());
        let t = tensors(&spec, seed);
        let problem = spec.problem(Element::F32);
        let mut deeper = spec.clone();
        deeper.x.insert(at, 1);
        deeper.w.insert(at, 1);
        let with_one = |mut values: Vec<usize>, one: usize| {
            values.insert(at - 2, one);
            values
        };
        let mut pads = space::pads(&spec);
        pads.insert(at - 2, (0, 0));
        deeper.conv = deeper
            .conv
            .stride(with_one(problem.axes().iter().map(|a| a.stride as usize).collect(), 3))
            .dilation(with_one(problem.axes().iter().map(|a| a.dilation as usize).collect(), 2));
        deeper.conv.padding = Padding::Explicit(pads);
        let [a, b] = operands(&t, direction);
        let [deep_a, deep_b] = [a, b].map(|o| o.clone().insert_axis(Axis(at)));
        let want = apply(&spec, direction, [a, b]).insert_axis(Axis(at));
        prop_assert_eq!(apply(&deeper, direction, [&deep_a, &deep_b]), want, "{:?}", &spec);
    }

    /// Images do not see each other: reversing their order reverses the results, to the bit.
    #[test]
    fn images_are_independent(spec in space::linear(), seed: u64) {
        let problem = spec.problem(Element::F32);
        let t = Tensors::new(&problem, crate::common::cpu::reals(seed));
        let mut backwards = t.x.view();
        backwards.invert_axis(Axis(0));
        let run = |x| {
            let operands = Operands64 { input: Some(x), weight: Some(t.w.view()), ..Operands64::default() };
            crate::common::cpu::run_by::<f32>(&problem, &operands, Algorithm::Direct)
        };
        let mut want = run(t.x.view());
        want.invert_axis(Axis(0));
        prop_assert_eq!(run(backwards), want, "{:?}", &spec);
    }

    /// With one tap of weight 1 per channel the result is the input, read at that tap.
    #[test]
    fn one_tap_copies(
        extents in prop::collection::vec(1usize..=17, 1..=3),
        channels in 1usize..=5,
        half in 0usize..=3,
        dilation in 1usize..=3,
        boundary in space::boundary(),
        flip: bool,
        seed: u64,
    ) {
        let x: Vec<usize> = [2, channels].into_iter().chain(extents.iter().copied()).collect();
        let w: Vec<usize> = [channels, 1].into_iter().chain(extents.iter().map(|_| 2 * half + 1)).collect();
        let conv = Conv::default().groups(channels).padding(Padding::SameCentered).dilation(dilation);
        let spec = Spec::new(&x, &w, conv.boundary(boundary).flip(flip));
        let x = tensors(&spec, seed).x;
        let mut delta = ArrayD::zeros(spec.w.clone());
        delta.slice_each_axis_mut(|axis| Slice::from(if axis.axis.index() < 2 { 0..axis.len } else { half..half + 1 })).fill(1.0);
        prop_assert_eq!(&forward(&spec, &x, &delta), &x, "{:?}", &spec);
        prop_assert_eq!(&apply(&spec.clone(), Direction::GradInput, [&x, &delta]), &x, "{:?}", &spec);
    }

    /// On a ring, convolving commutes with turning.
    #[test]
    fn wrap_commutes_with_shifts(
        extents in prop::collection::vec((1usize..=12, 1usize..=7, 1usize..=3), 1..=3),
        shift in 0usize..12,
        seed: u64,
    ) {
        let of = |f: fn(&(usize, usize, usize)) -> usize| extents.iter().map(f).collect::<Vec<_>>();
        let x: Vec<usize> = [1, 2].into_iter().chain(of(|e| e.0)).collect();
        let w: Vec<usize> = [3, 2].into_iter().chain(of(|e| e.1)).collect();
        let conv = Conv::default().padding(Padding::SameCentered).dilation(of(|e| e.2)).boundary(Boundary::Wrap);
        let spec = Spec::new(&x, &w, conv);
        let t = tensors(&spec, seed);
        let turn = |a: &ArrayD<f64>| {
            (2..a.ndim()).fold(a.clone(), |a, axis| {
                let (axis, at) = (Axis(axis), shift % a.len_of(Axis(axis)));
                let (head, tail) = a.view().split_at(axis, at);
                concatenate(axis, &[tail, head]).unwrap()
            })
        };
        prop_assert_eq!(forward(&spec, &turn(&t.x), &t.w), turn(&forward(&spec, &t.x, &t.w)), "{:?}", &spec);
    }
}
