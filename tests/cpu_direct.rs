//! `Direct` on the CPU: its error bound on data of one sign, and shapes that its loops are not made for.

use ndarray::ArrayD;
use wgconv::internals::cpu::reference;
use wgconv::{Algorithm, Boundary, Conv, ConvProblem, Direction, Padding};
use wgconv_testing::Bound;

use crate::common::cpu::{Tensors, run_by};

/// What rounds worst: additions that all round the same way.
const FLAT: [fn(u64) -> f64; 3] = [
    |_| f64::from(0.1f32),
    |_| f64::from(0.7f32),
    // Of one sign, but no two alike.
    |i| f64::from((i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / (1u64 << 24) as f32),
];

struct Row {
    name: &'static str,
    x: Vec<usize>,
    w: Vec<usize>,
    conv: Conv,
}

fn row(name: &'static str, x: &[usize], w: &[usize], conv: Conv) -> Row {
    Row { name, x: x.to_vec(), w: w.to_vec(), conv }
}

fn to(direction: Direction) -> Conv {
    Conv::default().direction(direction)
}

fn rows() -> Vec<Row> {
    use Direction::{Forward, GradInput, GradWeight};
    let padded = |begin: u64, end: i64| Padding::Explicit(vec![(begin, end)]);
    let wrap = |direction, begin, end| to(direction).padding(padded(begin, end)).boundary(Boundary::Wrap);
    // Eight outputs of 3,000 taps.
    let far = |direction, cells: i64| {
        wrap(direction, 1 << 31, 2999 * (1 << 20) + 8 - cells - (1 << 31)).dilation(1 << 20)
    };
    vec![
        row("mean of 101 x 101", &[1, 1, 108, 109], &[1, 1, 101, 101], to(Forward)),
        row("its gradient", &[1, 1, 112, 112], &[1, 1, 101, 101], to(GradInput)),
        row("4,096 channels", &[1, 4096, 4, 5], &[5, 4096, 3, 3], to(Forward).padding(1)),
        row("4,096 channels of a gradient", &[1, 3, 4, 5], &[4096, 3, 3, 3], to(GradInput).padding(1)),
        row("4,096 channels of one tap", &[2, 4096, 3, 3], &[3, 4096, 1, 1], to(Forward)),
        row("200,000 channels", &[1, 200_000, 3], &[2, 200_000, 1], to(Forward)),
        row("200,000 channels of long rows", &[1, 50_000, 60], &[1, 50_000, 1], to(Forward)),
        row("30,000 taps", &[1, 1, 30_040], &[1, 1, 30_000], to(Forward)),
        row("30,000 taps of a gradient", &[1, 1, 30_040], &[1, 1, 30_000], to(GradInput)),
        row("20,000 rows of a kernel", &[1, 1, 20_020, 3], &[1, 1, 20_000, 1], to(Forward)),
        row("20,000 rows of a gradient", &[1, 1, 20_020, 2], &[1, 1, 20_000, 1], to(GradInput)),
        row("a large stride back", &[1, 1, 40_000], &[1, 1, 30_000], to(GradInput).stride(100)),
        row("far taps", &[1, 1, 3000], &[1, 1, 3000], far(Forward, 3000)),
        row("far taps back", &[1, 1, 7], &[1, 1, 3000], far(GradInput, 7)),
        row("wrapped often", &[1, 1, 3], &[1, 1, 5], wrap(GradInput, 20_000, 20_000)),
        row("wide apart", &[1, 1, 363_000], &[1, 1, 120], to(GradInput).dilation(3000)),
        row("gradient of weights", &[2, 1, 226, 226], &[1, 1, 3, 3], to(GradWeight)),
        row("of many images", &[4096, 1, 2], &[3, 1, 2], to(GradWeight)),
        row("of many cells", &[300_000, 1, 1], &[1, 1, 1], to(GradWeight)),
        row("of a long row", &[1, 1, 300_000], &[1, 1, 2], to(GradWeight).padding(padded(0, 1))),
        row("per position", &[3, 1, 900], &[1, 2, 1, 899], to(Forward).unshared(true)),
        row("per position, of images", &[40_000, 1, 2], &[1, 2, 1, 1], to(GradWeight).unshared(true)),
    ]
}

fn within_bound(problem: &ConvProblem, tensors: &Tensors, name: &str) -> f64 {
    let want = reference::run(problem, &tensors.operands());
    let mag = reference::magnitude(problem, &tensors.operands());
    let got: ArrayD<f64> = run_by::<f32>(problem, &tensors.operands(), Algorithm::Direct);
    let bound = Bound::of(problem);
    let mut worst = 0.0f64;
    for ((got, want), mag) in got.iter().zip(&want).zip(&mag) {
        let (off, allowed) = ((got - want).abs(), bound.allowed(*want, *mag));
        assert!(off <= allowed, "{name}: {got} for {want} is off by {off}, allowed are {allowed}");
        if *mag > 0.0 {
            worst = worst.max(off / allowed);
        }
    }
    worst
}

#[test]
fn the_bound_holds_for_data_of_one_sign() {
    for Row { name, x, w, conv } in rows() {
        let problem = ConvProblem::new(&x, &w, &conv).unwrap_or_else(|e| panic!("{name}: {e}"));
        for (i, value) in FLAT.into_iter().enumerate() {
            let tensors = Tensors::new(&problem, |_, i| value(i));
            let worst = within_bound(&problem, &tensors, name);
            println!("{name}, data {i}: {worst:.2} of the bound");
        }
    }
}

/// Weights that are not all finite are walked by loops of their own.
#[test]
fn the_bound_holds_beside_weights_that_are_not_finite() {
    let conv = Conv::default();
    let problem = ConvProblem::new(&[1, 5000, 9], &[2, 5000, 3], &conv).unwrap();
    let mut tensors = Tensors::new(&problem, |_, _| f64::from(0.1f32));
    tensors.w[[1, 7, 1]] = f64::INFINITY;
    let got = run_by::<f32>(&problem, &tensors.operands(), Algorithm::Direct);
    let want = reference::run(&problem, &tensors.operands());
    let mag = reference::magnitude(&problem, &tensors.operands());
    let bound = Bound::of(&problem);
    for x in 0..7 {
        assert!((got[[0, 0, x]] - want[[0, 0, x]]).abs() <= bound.allowed(want[[0, 0, x]], mag[[0, 0, x]]));
        assert_eq!(got[[0, 1, x]], f64::INFINITY);
    }
}
