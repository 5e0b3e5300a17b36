//! scipy's operations by their names, with numbers that scipy 1.17.1 prints; on every path, exactly.

use crate::common::operation::{FULL, check, counting, rows, tensor};
use ndarray::{ArrayD, array};
use wgconv::ndimage::{self, Filter};
use wgconv::signal::{self, Convolve, Convolve2d, Method, Mode, Sample};
use wgconv::{Algorithm, Boundary, Error, ErrorKind, OperationError, half::f16};

fn x() -> ArrayD<f64> {
    counting(&[3, 3])
}

fn w() -> ArrayD<f64> {
    counting(&[2, 2])
}

#[test]
fn convolve2d_under_every_boundary() {
    let by = |mode, boundary| Convolve2d { mode, boundary }.convolve(&[3, 3], &[2, 2]).unwrap();
    let wrapped = [[64., 56., 66., 64.], [31., 23., 33., 31.], [61., 53., 63., 61.], [64., 56., 66., 64.]];
    let mirrored = [[10., 14., 24., 30.], [19., 23., 33., 39.], [49., 53., 63., 69.], [70., 74., 84., 90.]];
    let filled = [[10., 11., 14., 14.], [13., 23., 33., 28.], [25., 53., 63., 46.], [28., 55., 62., 42.]];
    for (boundary, full) in [
        (Boundary::Zero, FULL),
        (Boundary::Constant(0.0), FULL),
        (Boundary::Constant(1.0), filled),
        (Boundary::Wrap, wrapped),
        (Boundary::Reflect, mirrored),
    ] {
        let full = rows(2, &full);
        check(&by(Mode::Full, boundary), &[&x(), &w()], &full);
        let same = full.slice(ndarray::s![..3, ..3]).to_owned().into_dyn();
        check(&by(Mode::Same, boundary), &[&x(), &w()], &same);
        check(&by(Mode::Valid, boundary), &[&x(), &w()], &rows(2, &[[23., 33.], [53., 63.]]));
    }
}

/// Of an even kernel's two middle cells, `correlate2d` takes the other one than `convolve2d` and `correlate` do.
#[test]
fn correlate2d() {
    let by = |mode, boundary| Convolve2d { mode, boundary }.correlate(&[3, 3], &[2, 2]).unwrap();
    let full = [[4., 11., 18., 9.], [18., 37., 47., 21.], [36., 67., 77., 33.], [14., 23., 26., 9.]];
    check(&by(Mode::Full, Boundary::Zero), &[&x(), &w()], &rows(2, &full));
    let same = [[37., 47., 21.], [67., 77., 33.], [23., 26., 9.]];
    check(&by(Mode::Same, Boundary::Zero), &[&x(), &w()], &rows(2, &same));
    let correlated = Convolve::from(Mode::Same).correlate(&[3, 3], &[2, 2]).unwrap();
    let same = [[4., 11., 18.], [18., 37., 47.], [36., 67., 77.]];
    check(&correlated, &[&x(), &w()], &rows(2, &same));
    // With the operands exchanged, the result runs backwards.
    let swapped =
        Convolve2d { mode: Mode::Valid, boundary: Boundary::Zero }.correlate(&[2, 2], &[3, 3]).unwrap();
    check(&swapped, &[&w(), &x()], &rows(2, &[[77., 67.], [47., 37.]]));
}

fn line(values: &[f64]) -> ArrayD<f64> {
    tensor(&[values.len()], values)
}

#[test]
fn convolve_and_correlate_in_every_mode() {
    let (x, w) = (line(&[1., 2., 3.]), line(&[0., 1., 0.5, 2.]));
    for (mode, convolved, correlated) in [
        (Mode::Full, vec![0., 1., 2.5, 6., 5.5, 6.], vec![2., 4.5, 8., 3.5, 3., 0.]),
        (Mode::Same, vec![1., 2.5, 6.], vec![4.5, 8., 3.5]),
        (Mode::Valid, vec![2.5, 6.], vec![8., 3.5]),
    ] {
        let how = Convolve::from(mode);
        check(&how.convolve(&[3], &[4]).unwrap(), &[&x, &w], &line(&convolved));
        check(&how.fftconvolve(&[3], &[4]).unwrap(), &[&x, &w], &line(&convolved));
        check(&how.oaconvolve(&[3], &[4]).unwrap(), &[&x, &w], &line(&convolved));
        check(&how.correlate(&[3], &[4]).unwrap(), &[&x, &w], &line(&correlated));
    }
    let valid = Convolve::from(Mode::Valid).convolve(&[2], &[4]).unwrap();
    check(&valid, &[&line(&[1., 2.]), &line(&[1., 2., 3., 4.])], &line(&[4., 7., 10.]));
}

/// Axes that are not convolved repeat an operand of one cell; `same` keeps the first operand's extent all the same.
#[test]
fn axes() {
    let (x, w) = (tensor(&[2, 3], &[1., 2., 3., 4., 5., 6.]), tensor(&[1, 2], &[1., 10.]));
    let full = Convolve::from(Mode::Full).axes([1]);
    let want = rows(2, &[[1., 12., 23., 30.], [4., 45., 56., 60.]]);
    check(&full.fftconvolve(&[2, 3], &[1, 2]).unwrap(), &[&x, &w], &want);
    check(&full.fftconvolve(&[1, 2], &[2, 3]).unwrap(), &[&w, &x], &want);
    let each = tensor(&[2, 2], &[1., 10., 1., -1.]);
    let want = rows(2, &[[1., 12., 23., 30.], [4., 1., 1., -6.]]);
    check(&full.clone().axes([-1]).fftconvolve(&[2, 3], &[2, 2]).unwrap(), &[&x, &each], &want);
    // scipy crops the middle one of the rows that the first operand is repeated for.
    let same = Convolve::from(Mode::Same).axes([1]).fftconvolve(&[1, 2], &[3, 1]).unwrap();
    let column = tensor(&[3, 1], &[1., 5., 7.]);
    check(&same, &[&w, &column], &rows(2, &[[5., 50.]]));
    // So does a correlation along the other axis, which leaves this one in its order.
    let same = Convolve::from(Mode::Same).axes([1]).correlate(&[1, 2], &[2, 1]).unwrap();
    check(&same, &[&w, &tensor(&[2, 1], &[5., 7.])], &rows(2, &[[5., 50.]]));
    // And of a convolution, `valid` repeats rather than exchanges.
    let valid = Convolve::from(Mode::Valid).fftconvolve(&[1, 3], &[2, 2]).unwrap();
    assert_eq!(valid.shape(), [2, 2]);
    // However many axes are cropped, only the convolved ones count.
    let cropped = Convolve::from(Mode::Same).axes([1]).fftconvolve(&[1, 2, 1, 1], &[2, 2, 2, 2]).unwrap();
    let want = tensor(&[1, 2, 1, 1], &[1., 2. + 5.]);
    check(&cropped, &[&tensor(&[1, 2, 1, 1], &[1., 2.]), &counting(&[2, 2, 2, 2])], &want);
    // Five axes, of which one is convolved.
    let many = Convolve::from(Mode::Full).axes([3]).fftconvolve(&[2, 1, 3, 4, 1], &[2, 5, 1, 2, 1]).unwrap();
    assert_eq!(many.shape(), [2, 5, 3, 5, 1]);
}

#[test]
fn ndimage_under_every_mode() {
    let (x, w) = (line(&[1., 2., 3., 4.]), line(&[1., 10., 100.]));
    for (mode, want) in [
        (Boundary::Reflect, [112., 123., 234., 344.]),
        (Boundary::Mirror, [212., 123., 234., 343.]),
        (Boundary::Nearest, [112., 123., 234., 344.]),
        (Boundary::Wrap, [412., 123., 234., 341.]),
        (Boundary::Zero, [12., 123., 234., 340.]),
        (Boundary::Constant(0.0), [12., 123., 234., 340.]),
        (Boundary::Constant(5.0), [512., 123., 234., 345.]),
    ] {
        check(&Filter::from(mode).convolve(&[4], &[3]).unwrap(), &[&x, &w], &line(&want));
    }
    // The centre moved: forwards in a correlation, backwards in a convolution.
    let by = |origin| Filter::from(Boundary::Zero).origin(origin);
    check(&by(1).convolve(&[4], &[3]).unwrap(), &[&x, &w], &line(&[123., 234., 340., 400.]));
    check(&by(-1).convolve(&[4], &[3]).unwrap(), &[&x, &w], &line(&[1., 12., 123., 234.]));
    check(&by(1).correlate(&[4], &[3]).unwrap(), &[&x, &w], &line(&[100., 210., 321., 432.]));
    check(&by(-1).correlate(&[4], &[3]).unwrap(), &[&x, &w], &line(&[321., 432., 43., 4.]));
    // A kernel three times as large as the image, and even.
    let ones = ArrayD::ones(vec![6]);
    let wrapped = Filter::from(Boundary::Wrap).convolve(&[2], &[6]).unwrap();
    check(&wrapped, &[&line(&[1., 2.]), &ones], &line(&[9., 9.]));
    let mirrored = Filter::from(Boundary::Mirror).correlate(&[1], &[6]).unwrap();
    check(&mirrored, &[&line(&[7.]), &ones], &line(&[42.]));
}

#[test]
fn integers_are_exact_or_refused() {
    let sum = signal::convolve(&array![100i8, 27], &array![1i8, 1], Mode::Full).unwrap();
    assert_eq!(sum, array![100, 127, 27]);
    // scipy wraps around here: to -128.
    let beyond = signal::convolve(&array![100i8, 28], &array![1i8, 1], Mode::Full).unwrap_err();
    let Error::Operation(error) = &beyond else { panic!("{beyond:?}") };
    assert_eq!(*error, OperationError::OutOfRange { value: 128.0, wanted: "i8" });
    assert_eq!(beyond.kind(), ErrorKind::Overflow);
    assert!(matches!(
        signal::convolve(&array![1u8, 0], &array![0u8, 1], Mode::Full).map(|y| y.to_vec()).as_deref(),
        Ok([0, 1, 0])
    ));
    // Past what f32 holds, in double precision.
    let large = array![(1i64 << 40) + 1, 3];
    assert_eq!(
        signal::convolve(&large, &array![1i64, 1], Mode::Full).unwrap(),
        array![(1 << 40) + 1, (1 << 40) + 4, 3]
    );
    // Past that, refused: 2^52 + 2^52 + .. may not be exact.
    let error = signal::convolve(&array![1i64 << 53, 1], &array![1i64, 1], Mode::Full).unwrap_err();
    assert!(matches!(error, Error::Operation(OperationError::Inexact { .. })), "{error:?}");
    // Even where only rounding brings the bound down to 2^53.
    for (x, w) in [((1i64 << 53) + 1, 1i64), (28_059_810_762_433, 321)] {
        let error = signal::convolve(&array![x], &array![w], Mode::Full).unwrap_err();
        assert!(matches!(error, Error::Operation(OperationError::Inexact { .. })), "{error:?}");
    }
    assert_eq!(
        signal::convolve(&array![(1i64 << 53) - 1], &array![-1], Mode::Full).unwrap(),
        array![1 - (1i64 << 53)]
    );
    let image = array![[1u16, 2], [3, 4]];
    let filtered = ndimage::correlate(&image, &array![[0u16, 1], [1, 1]], Boundary::Nearest).unwrap();
    assert_eq!(filtered, array![[3, 5], [7, 9]]);
    // A constant between integers would be rounded.
    let error = ndimage::correlate(&image, &image, Boundary::Constant(0.5)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadJob, "{error}");
}

/// Every type that there is gives the same.
#[test]
fn every_type() {
    fn check<T: Sample + TryFrom<u8> + PartialEq + std::fmt::Debug>() {
        let number = |value: u8| T::try_from(value).ok().unwrap();
        let line = |values: &[u8]| -> ndarray::Array1<T> { values.iter().map(|&v| number(v)).collect() };
        let y = signal::convolve(&line(&[1, 2, 3]), &line(&[1, 10]), Mode::Full).unwrap();
        assert_eq!(y, line(&[1, 12, 23, 30]));
    }
    check::<i8>();
    check::<i16>();
    check::<i32>();
    check::<i64>();
    check::<u8>();
    check::<u16>();
    check::<u32>();
    check::<u64>();
    check::<f32>();
    check::<f64>();
    let halves = [1.0, 2.0].map(f16::from_f32);
    let y = signal::convolve(&array![halves[0], halves[1]], &array![halves[1]], Mode::Full);
    match y {
        Ok(y) => assert_eq!(y, array![halves[1], f16::from_f32(4.0)]),
        // The CPU has no f16.
        Err(e) => assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}"),
    }
}

#[test]
fn methods_are_preferences() {
    let prefers = |method| {
        let operation = Convolve::from(Mode::Full).method(method).convolve(&[9], &[3]).unwrap();
        operation.steps()[0].prefers
    };
    assert_eq!(prefers(Method::Auto), None);
    assert_eq!(prefers(Method::Direct), Some(Algorithm::Direct));
    assert_eq!(prefers(Method::Fft), Some(Algorithm::Fft));
    for operation in [Convolve::default().fftconvolve(&[9], &[3]), Convolve::default().oaconvolve(&[9], &[3])]
    {
        assert_eq!(operation.unwrap().steps()[0].prefers, Some(Algorithm::Fft));
    }
}

#[test]
fn refusals() {
    use OperationError as E;
    let plain = Convolve::default();
    let refused = |result: Result<_, E>| result.map(|_: wgconv::Operation| ()).unwrap_err();
    assert!(matches!(refused(plain.convolve(&[], &[])), E::Axes { operand: "in1", got: 0, .. }));
    assert!(matches!(refused(plain.convolve(&[3], &[3, 3])), E::Axes { operand: "in2", got: 2, .. }));
    assert!(matches!(refused(plain.convolve(&[0], &[3])), E::Empty { operand: "in1", .. }));
    assert!(matches!(refused(plain.correlate(&[3], &[0])), E::Empty { operand: "in2", .. }));
    let valid = Convolve::from(Mode::Valid);
    let want = E::NeitherWithin { first: vec![3, 4], second: vec![4, 3] };
    assert_eq!(refused(valid.convolve(&[3, 4], &[4, 3])), want);
    let two = Convolve2d { mode: Mode::Valid, boundary: Boundary::Zero };
    assert_eq!(refused(two.convolve(&[3, 4], &[4, 3])), want);
    assert!(matches!(refused(two.convolve(&[3, 4, 5], &[4, 3])), E::Axes { operand: "in1", got: 3, .. }));
    for axes in [vec![], vec![2], vec![-3], vec![0, 0], vec![1, -1]] {
        let error = refused(plain.clone().axes(axes.clone()).fftconvolve(&[3, 3], &[3, 3]));
        assert!(matches!(error, E::Parameter { what: "axes", .. }), "{axes:?}: {error}");
    }
    let error = refused(plain.axes([0]).fftconvolve(&[3, 3], &[3, 2]));
    assert_eq!(error.to_string(), "in2 has shape [3, 2], wanted 3 or 1 on axis 1, which is not convolved");
    // Extents whose product is no number.
    let huge = [usize::MAX, usize::MAX, 3];
    let error = refused(Convolve::default().axes([2]).fftconvolve(&huge, &huge));
    assert_eq!(Error::from(error).kind(), ErrorKind::Overflow);
    assert_eq!(
        Error::from(refused(Filter::default().convolve(&[3], &[usize::MAX]))).kind(),
        ErrorKind::Overflow
    );
    // More axes than there are dimensions.
    let error = refused(Convolve::default().convolve(&[2; 4], &[2; 4]));
    assert!(matches!(error, E::Axes { operand: "in2", got: 4, .. }), "{error}");
    assert_eq!(Error::from(error).kind(), ErrorKind::Rank);

    let filter = Filter::default();
    assert!(matches!(refused(filter.convolve(&[], &[])), E::Axes { operand: "input", .. }));
    assert!(matches!(refused(filter.convolve(&[3], &[3, 3])), E::Axes { operand: "weights", .. }));
    assert!(matches!(refused(filter.convolve(&[3], &[0])), E::Empty { operand: "weights", .. }));
    for (kernel, origin) in [(3, 2), (3, -2), (4, 2), (4, -3), (1, 1), (5, isize::MAX), (5, isize::MIN)] {
        let error = refused(filter.clone().origin(origin).correlate(&[9], &[kernel]));
        assert!(matches!(error, E::Origin { axis: 0, got, .. } if got == origin), "{error}");
        assert_eq!(Error::from(error).kind(), ErrorKind::Padding);
    }
    let error = refused(filter.convolve(&[2; 4], &[2; 4]));
    assert!(matches!(error, E::Axes { operand: "weights", got: 4, .. }), "{error}");
    let error = refused(filter.clone().origins([1]).convolve(&[3, 3], &[3, 3]));
    assert!(matches!(error, E::Parameter { what: "origin", .. }), "{error}");
    let error = refused(filter.origins([0, 0, 0]).convolve(&[3, 3], &[3, 3]));
    assert!(matches!(error, E::Parameter { what: "origin", .. }), "{error}");
}

/// Printed by `scipy.signal.choose_conv_method` of scipy 1.17.1, for `full`, `same` and `valid`: whether it takes `fft`.
#[test]
fn auto_takes_the_method_that_scipy_takes() {
    let rows: [(&[usize], &[usize], [bool; 3]); 12] = [
        (&[3000][..], &[3000][..], [true, true, false]),
        (&[50][..], &[60][..], [false, true, false]),
        (&[400][..], &[3000][..], [false, true, false]),
        (&[10000][..], &[50][..], [false, false, false]),
        (&[20, 20][..], &[3, 3][..], [false, false, false]),
        (&[100, 100][..], &[5, 5][..], [true, true, true]),
        (&[64, 64][..], &[64, 64][..], [true, true, false]),
        (&[8, 8][..], &[8, 8][..], [true, false, false]),
        (&[9, 9][..], &[20, 20][..], [true, true, true]),
        (&[16, 16, 16][..], &[3, 3, 3][..], [true, true, true]),
        (&[6, 6, 6][..], &[2, 2, 2][..], [false, false, false]),
        (&[1000][..], &[100][..], [false, false, false]),
    ];
    for (x, h, wanted) in rows {
        let got = [Mode::Full, Mode::Same, Mode::Valid].map(|mode| {
            let convolve = Convolve::from(mode);
            let [one, other] =
                [convolve.convolve(x, h), convolve.correlate(x, h)].map(|o| o.expect("an operation"));
            assert_eq!(one.steps()[0].prefers, other.steps()[0].prefers);
            one.steps()[0].prefers == Some(Algorithm::Fft)
        });
        assert_eq!(got, wanted, "{x:?} {h:?}");
    }
}
