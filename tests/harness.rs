//! The shared values and comparisons do what tests rely on: they are exact where they say so, and they fail.

use std::panic::catch_unwind;

use ndarray::{ArrayD, array};
use wgconv::{Activation, Boundary, Conv, ConvProblem, Direction, Layout, Layouts, Padding};
use wgconv_testing::cases;
use wgconv_testing::values::{Data, coarse_reals, ints, max_int, one_hot, reals, seed_of};
use wgconv_testing::{Bound, Tally, exact, within, within_bound};

const UNIT: f64 = 1.0 / 16_777_216.0;

#[test]
fn values_repeat_and_are_never_all_zero() {
    assert_eq!(ints(7, 50, 3), ints(7, 50, 3));
    assert_ne!(ints(7, 50, 3), ints(8, 50, 3));
    assert_ne!(seed_of("a"), seed_of("b"));
    for seed in 0..100 {
        assert!(ints(seed, 4, 1).iter().all(|v| v.abs() == 1.0));
    }
    let values = ints(1, 1000, 3);
    assert!((-3..=3).all(|v| values.contains(&f64::from(v))));
    let values = reals(1, 10_000);
    let mean = values.iter().sum::<f64>() / 1e4;
    let variance = values.iter().map(|v| v * v).sum::<f64>() / 1e4;
    assert!(mean.abs() < 0.05 && (variance - 1.0).abs() < 0.05, "mean {mean}, variance {variance}");
    assert!(values.iter().all(|&v| f64::from(v as f32) == v));
    assert!(coarse_reals(1, 1000).iter().all(|&v| half::f16::from_f64(v).to_f64() == v));
    assert_eq!(one_hot(&[2, 3], 4), array![[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]].into_dyn());
    assert_eq!(one_hot(&[0, 3], 4).len(), 0);
}

#[test]
fn integer_data_fits_every_case_in_every_direction() {
    for case in cases::named() {
        let forward = case.problem();
        for direction in [Direction::Forward, Direction::GradInput, Direction::GradWeight] {
            // Refused where the gradient would repeat elements.
            let Ok(problem) = forward.with_direction(direction) else { continue };
            let most = f64::from(max_int(&problem));
            let fill = problem.boundary().fill().abs().max(most);
            assert!(problem.terms() as f64 * most * fill < 16_777_216.0, "{}", case.name);
        }
        if case.name.starts_with("dispatch_") {
            continue;
        }
        let (problem, seed) = (forward, seed_of(&case.name));
        for data in [Data::ints(&problem, seed), Data::reals(&problem, seed)] {
            assert_eq!(data.x.shape(), case.x, "{}", case.name);
            assert_eq!(data.w.shape(), case.w, "{}", case.name);
            assert_eq!(data.grad_output.shape(), problem.output().shape(), "{}", case.name);
            assert_eq!(data.bias.is_some(), problem.epilogue().bias, "{}", case.name);
            assert_eq!(data.residual.is_some(), problem.epilogue().beta.is_some(), "{}", case.name);
            assert!(data.x.is_empty() || data.x.iter().any(|&v| v != 0.0), "{}", case.name);
        }
    }
}

#[test]
fn elements_that_share_a_place_share_the_value() {
    let layouts = Layouts { weight: Layout::Strides(vec![0, 3, 1]), ..Layouts::default() };
    let conv = Conv::default().layouts(layouts);
    let problem = ConvProblem::new(&[1, 2, 5], &[4, 2, 3], &conv).expect("a valid convolution");
    let w = Data::reals(&problem, 1).w;
    for filter in w.outer_iter() {
        assert_eq!(filter, w.index_axis(ndarray::Axis(0), 0));
    }
    assert_ne!(w[[0, 0, 0]], w[[0, 1, 0]]);
}

#[test]
fn gradients_count_the_cells_read_again() {
    let conv =
        Conv::default().padding(Padding::Full).boundary(Boundary::Wrap).direction(Direction::GradInput);
    let problem = ConvProblem::new(&[1, 1, 1], &[1, 1, 5], &conv).expect("a valid convolution");
    // Five outputs, each of whose five taps reads the one cell.
    assert_eq!(problem.terms(), 25);
}

#[test]
fn exact_sees_every_difference() {
    let want = array![[1.0, 2.0], [0.0, 4.0]].into_dyn();
    let got = |v: f32| array![[1.0f32, 2.0], [-0.0, v]].into_dyn();
    assert_eq!(exact("x", got(4.0).view(), want.view()), Ok(()));
    let message = exact("x", got(5.0).view(), want.view()).expect_err("5 is not 4");
    assert_eq!(message, "x: at [1, 1] got 5, want 4 (1 of 4 elements differ)");
    assert!(exact("x", got(f32::NAN).view(), want.view()).is_err());
    let nan = want.mapv(|_| f64::NAN);
    assert!(exact("x", nan.view(), nan.view()).is_err());
    let flat: ArrayD<f32> = array![1.0f32, 2.0, 0.0, 4.0].into_dyn();
    assert!(exact("x", flat.view(), want.view()).is_err(), "another shape");
}

#[test]
fn bounds_see_excesses() {
    let (want, mag) = (array![1.0, -2.0].into_dyn(), array![4.0, 4.0].into_dyn());
    let check = |error: f64| {
        let got = &want + &array![0.0, error].into_dyn();
        within_bound("x", got.view(), want.view(), mag.view(), 4, UNIT)
    };
    // Four terms allow 12 units of the magnitude 4.
    assert_eq!(check(0.0), Ok(0.0));
    let ratio = check(11.0 * 4.0 * UNIT).expect("within the bound");
    assert!((ratio - 11.0).abs() < 1e-6, "{ratio}");
    assert!(check(13.0 * 4.0 * UNIT).is_err());
    assert!(check(f64::NAN).is_err());
    assert!(check(f64::INFINITY).is_err());

    let none = array![0.0].into_dyn();
    let tiny = array![1e-30].into_dyn();
    let (terms, unit) = (4, UNIT);
    assert!(within_bound("x", tiny.view(), none.view(), none.view(), terms, unit).is_err());
    let infinite = array![f64::INFINITY].into_dyn();
    assert!(within_bound("x", infinite.view(), infinite.view(), none.view(), terms, unit).is_ok());
    assert!(within_bound("x", none.view(), infinite.view(), none.view(), terms, unit).is_err());
}

#[test]
fn activations_widen_the_bound() {
    let bound = |activation| {
        let conv = Conv::default().activation(activation);
        Bound::of(&ConvProblem::new(&[1, 1, 4], &[1, 1, 4], &conv).expect("a valid convolution"))
    };
    let (want, mag) = (array![0.5].into_dyn(), array![0.0].into_dyn());
    let got = want.mapv(|v| v + 4.0 * UNIT);
    assert!(within("x", got.view(), want.view(), mag.view(), &bound(Activation::Relu)).is_err());
    assert!(within("x", got.view(), want.view(), mag.view(), &bound(Activation::Tanh)).is_ok());
}

#[test]
fn a_tally_that_ran_nothing_or_failed_panics() {
    let mut good = Tally::default();
    good.check(Ok(()));
    good.skip("a", "too large");
    good.skip("b", "too large");
    good.finish("good");
    assert!(catch_unwind(|| Tally::default().finish("empty")).is_err());
    let mut bad = Tally::default();
    bad.check::<()>(Err("wrong".into()));
    assert!(catch_unwind(move || bad.finish("bad")).is_err());
}
