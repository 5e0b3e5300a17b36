//! Theano's operations by their names, with numbers that Theano 1.0.5 and 0.9.0 print, and for cuda-convnet those of
//! pylearn2's source; on every path, exactly.

use crate::common::operation::{FULL, check, counting, rows, tensor};
use ndarray::ArrayD;
use wgconv::Padding;
use wgconv::theano::{
    BilinearUpsampling, CausalConv1d, Conv3d, Conv3d2d, ConvFft, CorrMm, CudaConvnet, NnetConv,
    SeparableConv, SignalConv2d,
};

fn x() -> ArrayD<f64> {
    counting(&[1, 1, 3, 3])
}

fn w() -> ArrayD<f64> {
    counting(&[1, 1, 2, 2])
}

fn flat(array: &ArrayD<f64>) -> ArrayD<f64> {
    tensor(&array.shape()[2..], &array.iter().copied().collect::<Vec<_>>())
}

#[test]
fn signal_conv2d() {
    let (x, w) = (flat(&x()), flat(&w()));
    let by = |how: SignalConv2d| how.operation(x.shape(), w.shape()).unwrap();
    check(&by(SignalConv2d::default()), &[&x, &w], &rows(2, &[[23., 33.], [53., 63.]]));
    let full = SignalConv2d::default().border_mode(Padding::Full);
    check(&by(full.clone()), &[&x, &w], &rows(2, &FULL));
    check(&by(full.subsample(2)), &[&x, &w], &rows(2, &[[1., 7.], [19., 63.]]));
}

/// Axes are squeezed only where an argument had none.
#[test]
fn signal_conv2d_of_batches() {
    let shape = |x: &[usize], w: &[usize]| SignalConv2d::default().operation(x, w).unwrap().shape();
    assert_eq!(shape(&[3, 4, 5], &[2, 2, 3]), [3, 2, 3, 3]);
    assert_eq!(shape(&[3, 4, 5], &[2, 3]), [3, 3, 3]);
    assert_eq!(shape(&[4, 5], &[2, 2, 3]), [2, 3, 3]);
    assert_eq!(shape(&[1, 4, 5], &[1, 2, 3]), [1, 1, 3, 3]);
    // Every image meets every filter.
    let (x, w) = (counting(&[2, 1, 2]), counting(&[3, 1, 1]));
    let operation = SignalConv2d::default().operation(x.shape(), w.shape()).unwrap();
    let want = tensor(&[2, 3, 1, 2], &[1., 2., 2., 4., 3., 6., 3., 4., 6., 8., 9., 12.]);
    check(&operation, &[&x, &w], &want);
}

fn forward(how: &NnetConv, x: &ArrayD<f64>, w: &ArrayD<f64>, want: &ArrayD<f64>) {
    check(&how.forward(x.ndim() - 2, x.shape(), w.shape()).unwrap(), &[x, w], want);
}

#[test]
fn nnet_conv2d_of_channels() {
    let x = counting(&[1, 2, 2, 2]);
    let first = [1., 0., 0., 1., 0., 1., 1., 0.];
    let both: Vec<f64> = first.into_iter().chain([1., 1., 1., 1., -1., -1., -1., -1.]).collect();
    let plain = NnetConv::default();
    forward(&plain, &x, &tensor(&[2, 2, 2, 2], &both), &tensor(&[1, 2, 1, 1], &[18., -16.]));
    let want = rows(4, &[[1., 7., 6.], [8., 18., 10.], [7., 11., 4.]]);
    forward(&plain.border_mode(Padding::Full), &x, &tensor(&[1, 2, 2, 2], &first), &want);
}

#[test]
fn nnet_conv2d_borders_and_steps() {
    let plain = NnetConv::default;
    forward(&plain(), &x(), &w(), &rows(4, &[[23., 33.], [53., 63.]]));
    forward(&plain().filter_flip(false), &x(), &w(), &rows(4, &[[37., 47.], [67., 77.]]));
    forward(&plain().border_mode(Padding::Half), &x(), &w(), &rows(4, &FULL));
    let sobel = rows(4, &[[1., 0., -1.], [2., 0., -2.], [1., 0., -1.]]);
    let want = rows(4, &[[-9., -6., 9.], [-20., -8., 20.], [-21., -6., 21.]]);
    forward(&plain().border_mode(Padding::Half).filter_flip(false), &x(), &sobel, &want);
    let strided = plain().border_mode([1, 2]).subsample([2, 2]);
    forward(&strided, &x(), &w(), &rows(4, &[[0., 4., 6.], [0., 53., 42.]]));
    let uneven = plain().border_mode([(1, 0), (0, 2)]);
    forward(&uneven, &x(), &w(), &rows(4, &[[4., 7., 6., 0.], [23., 33., 24., 0.], [53., 63., 42., 0.]]));
}

#[test]
fn nnet_conv2d_dilation_groups_and_weights_per_position() {
    let plain = NnetConv::default;
    let want = rows(4, &[[5., 14., 10.], [14., 36., 24.], [15., 34., 20.]]);
    forward(&plain().border_mode(Padding::Half).filter_dilation(2), &x(), &w(), &want);
    let want = rows(4, &[[4., 8., 3., 6.], [16., 20., 12., 15.], [2., 4., 1., 2.], [8., 10., 4., 5.]]);
    let full = plain().border_mode(Padding::Full).filter_dilation(2).filter_flip(false);
    forward(&full, &rows(4, &[[1., 2.], [4., 5.]]), &w(), &want);
    let filters = tensor(&[2, 1, 2, 2], &[1., 2., 3., 4., 1., 0., 0., -1.]);
    let want = tensor(&[1, 2, 1, 1], &[20., 3.]);
    forward(&plain().num_groups(2), &counting(&[1, 2, 2, 2]), &filters, &want);
    let filters = counting(&[1, 2, 2, 1, 2, 2]);
    let unshared = plain().unshared(true);
    forward(&unshared, &x(), &filters, &rows(4, &[[23., 97.], [245., 399.]]));
    forward(&unshared.filter_flip(false), &x(), &filters, &rows(4, &[[37., 111.], [259., 413.]]));
}

#[test]
fn nnet_conv2d_gradients() {
    let h = counting(&[1, 1, 2, 2]);
    let by_filters = NnetConv::default().filter_shape(&[1, 1, 2, 2]);
    let dw = |how: &NnetConv| how.grad_weights(2, &[1, 1, 3, 3], &[1, 1, 2, 2]).unwrap();
    check(&dw(&by_filters), &[&x(), &h], &rows(4, &[[77., 67.], [47., 37.]]));
    check(&dw(&by_filters.filter_flip(false)), &[&x(), &h], &rows(4, &[[37., 47.], [67., 77.]]));
    let by_input = NnetConv::default().input_shape(&[1, 1, 3, 3]);
    let dx = |how: &NnetConv| how.grad_inputs(2, &[1, 1, 2, 2], &[1, 1, 2, 2]).unwrap();
    let want = rows(4, &[[4., 11., 6.], [14., 30., 14.], [6., 11., 4.]]);
    check(&dx(&by_input), &[&h, &w()], &want);
    let want = rows(4, &[[1., 4., 4.], [6., 20., 16.], [9., 24., 16.]]);
    check(&dx(&by_input.clone().filter_flip(false)), &[&h, &w()], &want);
    // Row 5 is never touched.
    let strided = by_input.subsample(2).input_shape(&[1, 1, 5, 4]);
    let want = [[4., 3., 8., 6.], [2., 1., 4., 2.], [12., 9., 16., 12.], [6., 3., 8., 4.], [0.; 4]];
    check(&dx(&strided), &[&h, &w()], &rows(4, &want));
    let transposed = |space: &[Option<usize>]| {
        NnetConv::default().subsample(2).transpose(2, h.shape(), &[1, 1, 2, 2], space).unwrap()
    };
    check(&transposed(&[Some(5), Some(4)]), &[&h, &w()], &rows(4, &want));
    check(&transposed(&[None, Some(1), Some(5), Some(4)]), &[&h, &w()], &rows(4, &want));
}

/// The older `ConvOp` spreads an image by zeros (`imshp_logical`): the transposed convolution with a single tap.
#[test]
fn logical_shapes() {
    let (x, one) = (rows(4, &[[1., 2.], [3., 4.]]), tensor(&[1, 1, 1, 1], &[1.]));
    let how = NnetConv::default().subsample(2);
    let operation = how.transpose(2, x.shape(), one.shape(), &[Some(4), Some(4)]).unwrap();
    let want = rows(4, &[[1., 0., 2., 0.], [0.; 4], [3., 0., 4., 0.], [0.; 4]]);
    check(&operation, &[&x, &one], &want);
}

/// Shapes of which a part is left open.
#[test]
fn nnet_shapes_that_are_filled_in() {
    let open = Some(vec![None, None, Some(7), Some(8)]);
    let how = NnetConv { input_shape: open, ..NnetConv::default() }.num_groups(2);
    assert_eq!(how.grad_inputs(2, &[3, 4, 5, 6], &[4, 5, 3, 3]).unwrap().shape(), [3, 10, 7, 8]);
    let open = Some(vec![None, None, Some(3), Some(3)]);
    let how = NnetConv { filter_shape: open, ..NnetConv::default() }.num_groups(2);
    assert_eq!(how.grad_weights(2, &[3, 10, 7, 8], &[3, 4, 5, 6]).unwrap().shape(), [4, 5, 3, 3]);
    let open = Some(vec![None, None, None, None, Some(3), Some(3)]);
    let how = NnetConv { filter_shape: open, ..NnetConv::default() }.unshared(true);
    assert_eq!(how.grad_weights(2, &[3, 10, 7, 8], &[3, 4, 5, 6]).unwrap().shape(), [4, 5, 6, 10, 3, 3]);
}

/// Without Theano's limits: pairs and weights per position in three dimensions.
#[test]
fn nnet_conv3d() {
    let cube = counting(&[1, 1, 2, 2, 2]);
    forward(&NnetConv::default(), &cube, &cube, &tensor(&[1; 5], &[120.]));
    forward(&NnetConv::default().filter_flip(false), &cube, &cube, &tensor(&[1; 5], &[204.]));
    let pairs = NnetConv::default().border_mode([(0, 0), (0, 0), (1, 0)]).filter_flip(false);
    // Below the first column lies nothing: of its windows only the last tap counts.
    forward(&pairs, &cube, &cube, &tensor(&[1, 1, 1, 1, 2], &[2. + 12. + 30. + 56., 204.]));
    let (line, filters) = (counting(&[1, 1, 1, 1, 3]), counting(&[1, 1, 1, 2, 1, 1, 1, 2]));
    let unshared = NnetConv::default().unshared(true).filter_flip(false);
    forward(&unshared, &line, &filters, &tensor(&[1, 1, 1, 1, 2], &[5., 18.]));
}

#[test]
fn separable_conv() {
    // Sum of the first channel, difference of the second, then mixed: 1*[3, 5] + 10*[-1, -1].
    let x = tensor(&[1, 2, 1, 3], &[1., 2., 3., 6., 5., 4.]);
    let depthwise = tensor(&[2, 1, 1, 2], &[1., 1., 1., -1.]);
    let pointwise = tensor(&[1, 2, 1, 1], &[1., 10.]);
    let how = SeparableConv { filter_flip: false, num_channels: Some(2), ..SeparableConv::default() };
    let operation = how.operation(2, x.shape(), depthwise.shape(), pointwise.shape()).unwrap();
    assert_eq!(operation.steps().len(), 2);
    check(&operation, &[&x, &depthwise, &pointwise], &tensor(&[1, 1, 1, 2], &[13., 15.]));
    // Flipped, the difference has the other sign; borders and steps are those of the first convolution.
    let how = SeparableConv { border_mode: Padding::Full, subsample: [1, 3].into(), ..Default::default() };
    let operation = how.operation(2, x.shape(), depthwise.shape(), pointwise.shape()).unwrap();
    check(&operation, &[&x, &depthwise, &pointwise], &tensor(&[1, 1, 1, 2], &[1. + 60., 3. - 40.]));
    let x = counting(&[1, 2, 1, 2, 2]);
    let (depthwise, pointwise) = (counting(&[4, 1, 1, 1, 2]), counting(&[1, 4, 1, 1, 1]));
    let operation =
        SeparableConv::default().operation(3, x.shape(), depthwise.shape(), pointwise.shape()).unwrap();
    // By channel and filter: 1*2 + 2*1, 1*4 + 2*3 | 5*6 + 6*5, 5*8 + 6*7; times 1, 2, 3, 4. The second row likewise.
    let want = [4. + 2. * 10. + 3. * 60. + 4. * 82., 10. + 2. * 24. + 3. * 82. + 4. * 112.];
    check(&operation, &[&x, &depthwise, &pointwise], &tensor(&[1, 1, 1, 2, 1], &want));
}

#[test]
fn causal_conv1d() {
    let (x, w) = (tensor(&[1, 1, 4], &[1., 2., 3., 4.]), tensor(&[1, 1, 2], &[1., 10.]));
    let by = |how: CausalConv1d| how.operation(x.shape(), w.shape()).unwrap();
    let dilated = CausalConv1d { filter_dilation: 2, ..CausalConv1d::default() };
    check(&by(dilated), &[&x, &w], &tensor(&[1, 1, 4], &[1., 2., 13., 24.]));
    let strided = CausalConv1d { subsample: 2, ..CausalConv1d::default() };
    check(&by(strided), &[&x, &w], &tensor(&[1, 1, 2], &[1., 23.]));
    let correlation = CausalConv1d { filter_flip: false, ..CausalConv1d::default() };
    check(&by(correlation), &[&x, &w], &tensor(&[1, 1, 4], &[10., 21., 32., 43.]));
}

#[test]
fn bilinear_upsampling() {
    let x = rows(4, &[[1., 2.], [3., 4.]]);
    let want = rows(4, &[[1., 1.5, 2., 2.], [2., 2.5, 3., 3.], [3., 3.5, 4., 4.], [3., 3.5, 4., 4.]]);
    let one_by_one = BilinearUpsampling::ratio(2);
    let at_once = BilinearUpsampling { use_1d_kernel: false, ..one_by_one };
    let fraction = BilinearUpsampling::frac_ratio((4, 2), (2, 1));
    for how in [one_by_one, at_once, fraction] {
        check(&how.operation(x.shape()).unwrap(), &[&x], &want);
    }
    let same = BilinearUpsampling::ratio(1);
    check(&same.operation(&[2, 1, 2, 3]).unwrap(), &[&counting(&[2, 1, 2, 3])], &counting(&[2, 1, 2, 3]));
    // Rows by 1/2, columns by 4/2: of the upper row, the cells between.
    let mixed = BilinearUpsampling::frac_ratio((1, 2), (4, 2));
    check(&mixed.operation(x.shape()).unwrap(), &[&x], &rows(4, &[[1., 1.5, 2., 2.]]));
}

/// Every cell against linear interpolation at the place that the definition gives, the edge repeated.
#[test]
fn bilinear_upsampling_by_its_definition() {
    let place = |n: usize, (p, q): (usize, usize), i: usize| -> Vec<(usize, f64)> {
        let at = (q * i) as f64 / p as f64 - ((p - 1) / 2) as f64 / p as f64;
        let cell = |at: f64| at.clamp(0.0, (n - 1) as f64) as usize;
        let share = at - at.floor();
        vec![(cell(at.floor()), 1.0 - share), (cell(at.floor() + 1.0), share)]
    };
    for (p, q) in [(1, 1), (2, 1), (3, 1), (5, 1), (3, 2), (2, 3), (5, 4), (1, 3)] {
        for n in [1usize, 2, 5] {
            let x = crate::common::operation::integers(&[1, 1, n, 3], 7);
            let how = BilinearUpsampling::frac_ratio((p, q), (3, 1));
            let operation = how.operation(x.shape()).unwrap();
            assert_eq!(operation.shape(), [1, 1, (n * p).div_ceil(q), 9], "{n} cells by {p}/{q}");
            let want = ArrayD::from_shape_fn(operation.shape(), |at| {
                let mut sum = 0.0;
                for (row, a) in place(n, (p, q), at[2]) {
                    for (column, b) in place(3, (3, 1), at[3]) {
                        sum += a * b * x[[0, 0, row, column]];
                    }
                }
                sum
            });
            for (path, got) in crate::common::operation::results(&operation, std::slice::from_ref(&x)) {
                let far = got.iter().zip(&want).map(|(g, w)| (g - w).abs()).fold(0.0, f64::max);
                let bound = if path.ends_with("f16") { 1e-2 } else { 1e-5 };
                assert!(far <= bound, "{n} cells by {p}/{q}, {path}: {far}");
            }
        }
    }
}

/// Denominators, and ratios of nothing, are never paid for in memory.
#[test]
fn bilinear_upsampling_by_any_ratio() {
    let by = |how: BilinearUpsampling, shape: &[usize]| how.operation(shape).unwrap();
    let fine = by(BilinearUpsampling::frac_ratio((30_011, 30_000), (4001, 4000)), &[1, 1, 1, 3]);
    // Cells at (4000·i − 2000)/4001.
    let line = [1., 2000. / 4001. + 1., 2. + 1999. / 4001., 3.];
    let want = tensor(&[1, 1, 2, 4], &[line, line].concat());
    for (path, got) in crate::common::operation::results(&fine, &[counting(&[1, 1, 1, 3])]) {
        let bound = if path.ends_with("f16") { 1e-2 } else { 1e-5 };
        assert!(got.iter().zip(&want).all(|(g, w)| (g - w).abs() < bound), "{path}: {got}");
        assert_eq!(got.shape(), want.shape());
    }
    let weights = fine.steps().iter().map(|step| step.problem.weight().len());
    assert!(weights.clone().all(|len| len < 100), "{:?}", weights.collect::<Vec<_>>());
    // Described, not made.
    assert_eq!(by(BilinearUpsampling::ratio(1 << 28), &[0, 2, 1, 1]).shape(), [0, 2, 1 << 28, 1 << 28]);
}

#[test]
fn conv_by_fft() {
    for pad_last_dim in [false, true] {
        let valid = ConvFft { pad_last_dim, ..ConvFft::default() };
        let by = |how: &ConvFft| how.operation(2, &[1, 1, 3, 3], &[1, 1, 2, 2]).unwrap();
        check(&by(&valid), &[&x(), &w()], &rows(4, &[[23., 33.], [53., 63.]]));
        let full = ConvFft { border_mode: Padding::Full, ..valid };
        check(&by(&full), &[&x(), &w()], &rows(4, &FULL));
        let cube = counting(&[1, 1, 2, 2, 2]);
        let operation = full.operation(3, cube.shape(), cube.shape()).unwrap();
        assert_eq!(operation.shape(), [1, 1, 3, 3, 3]);
        assert_eq!(
            crate::common::operation::result(&operation, &[cube.clone(), cube])[[0, 0, 1, 1, 1]],
            120.
        );
    }
    // The shapes of Theano's own tests: an odd and an even width.
    for width in [6, 7] {
        let operation = ConvFft::default().operation(2, &[5, 3, 7, width], &[2, 3, 3, 3]).unwrap();
        assert_eq!(operation.shape(), [5, 2, 5, width - 2]);
    }
}

#[test]
fn conv3d() {
    let check = |v: ArrayD<f64>, w: ArrayD<f64>, b: &[f64], d: [usize; 3], want: &[f64]| {
        let b = tensor(&[b.len()], b);
        let operation = Conv3d::new(d).forward(v.shape(), w.shape(), b.shape()).unwrap();
        let want = tensor(&operation.shape(), want);
        crate::common::operation::check(&operation, &[&v, &w, &b], &want);
    };
    let time = tensor(&[1, 1, 1, 2, 1], &[1., 10.]);
    check(counting(&[1, 1, 1, 4, 1]), time, &[100.], [1, 1, 2], &[121., 143.]);
    check(counting(&[1, 3, 3, 1, 1]), counting(&[1, 2, 2, 1, 1]), &[0.], [1; 3], &[37., 47., 67., 77.]);
    let filters = tensor(&[2, 1, 1, 2, 2], &[1., 2., 3., 4., 0., 1., 1., 0.]);
    check(counting(&[1, 1, 1, 2, 2]), filters, &[10., 20.], [1; 3], &[40., 25.]);
}

#[test]
fn conv_transp3d_and_conv_grad3d() {
    let (w, b, h) = (tensor(&[1, 1, 1, 2, 1], &[1., 10.]), tensor(&[1], &[100.]), counting(&[1, 1, 1, 2, 1]));
    let by =
        |r: Option<&[usize]>| Conv3d::new([1, 1, 2]).transposed(w.shape(), b.shape(), h.shape(), r).unwrap();
    check(&by(None), &[&w, &b, &h], &tensor(&[1, 1, 1, 4, 1], &[101., 110., 102., 120.]));
    let longer = tensor(&[1, 1, 1, 5, 1], &[101., 110., 102., 120., 100.]);
    check(&by(Some(&[1, 1, 5])), &[&w, &b, &h], &longer);
    // Any larger shape, in other axes too: the rest holds the bias.
    let much = by(Some(&[2, 1, 9]));
    assert_eq!(much.shape(), [1, 2, 1, 9, 1]);
    let mut want = vec![100.; 18];
    want[..5].copy_from_slice(&[101., 110., 102., 120., 100.]);
    check(&much, &[&w, &b, &h], &tensor(&[1, 2, 1, 9, 1], &want));
    let (v, ones) = (counting(&[1, 1, 1, 4, 1]), tensor(&[1, 1, 1, 2, 1], &[1., 1.]));
    let operation = Conv3d::new([1, 1, 2]).grad_weights(v.shape(), ones.shape(), &[1, 1, 1, 2, 1]).unwrap();
    check(&operation, &[&v, &ones], &tensor(&[1, 1, 1, 2, 1], &[4., 6.]));
}

#[test]
fn conv3d2d() {
    let (x, w) = (counting(&[1, 3, 1, 1, 1]), tensor(&[1, 2, 1, 1, 1], &[1., 10.]));
    let time = |values: &[f64]| tensor(&[1, values.len(), 1, 1, 1], values);
    let by = |how: Conv3d2d| how.operation(x.shape(), w.shape()).unwrap();
    check(&by(Padding::Valid.into()), &[&x, &w], &time(&[12., 23.]));
    check(&by(Padding::Full.into()), &[&x, &w], &time(&[1., 12., 23., 30.]));
    check(&by(Padding::Half.into()), &[&x, &w], &time(&[1., 12., 23., 30.]));
    // Each axis with a border of its own, which Theano refuses for rows and columns.
    let border_mode = [Padding::Half, Padding::Full, Padding::Valid];
    let how = Conv3d2d { border_mode, ..Conv3d2d::default() };
    let (x, w) = (counting(&[1, 2, 1, 2, 2]), counting(&[1, 1, 1, 2, 2]));
    let operation = how.operation(x.shape(), w.shape()).unwrap();
    // Of each image, flipped: [1*2 + 2*1], [1*4 + 2*3 + 3*2 + 4*1], [3*4 + 4*3]; the second has 4 more everywhere.
    let want = tensor(&[1, 2, 1, 3, 1], &[4., 20., 24., 16., 60., 52.]);
    check(&operation, &[&x, &w], &want);
}

#[test]
fn cuda_convnet() {
    let c01b = |array: ArrayD<f64>| {
        let shape = [1, array.shape()[2], array.shape()[3], 1];
        array.into_shape_with_order(shape.to_vec()).unwrap()
    };
    let (x, w, hid) = (c01b(x()), c01b(w()), c01b(counting(&[1, 1, 2, 2])));
    let plain = CudaConvnet::default;
    let by = |how: CudaConvnet| how.filter_acts(x.shape(), w.shape()).unwrap();
    check(&by(plain()), &[&x, &w], &c01b(rows(4, &[[37., 47.], [67., 77.]])));
    check(&by(plain().stride(2)), &[&x, &w], &c01b(rows(4, &[[37., 21.], [23., 9.]])));
    let want = c01b(rows(4, &[[4., 18., 0.], [36., 77., 0.], [0., 0., 0.]]));
    check(&by(plain().stride(2).pad(1)), &[&x, &w], &want);
    // `partial_sum` groups sums and changes none.
    check(
        &by(CudaConvnet { partial_sum: Some(2), ..plain() }.stride(2)),
        &[&x, &w],
        &c01b(rows(4, &[[37., 21.], [23., 9.]])),
    );

    let image = plain().stride(2).image_acts(hid.shape(), w.shape(), Some(&[3, 3])).unwrap();
    check(&image, &[&hid, &w], &c01b(rows(4, &[[1., 2., 2.], [3., 4., 6.], [3., 6., 4.]])));
    // Without a shape, as large as all windows reach; with a smaller one, cropped.
    let whole = plain().image_acts(hid.shape(), w.shape(), None).unwrap();
    check(&whole, &[&hid, &w], &c01b(rows(4, &[[1., 4., 4.], [6., 20., 16.], [9., 24., 16.]])));
    let cropped = plain().image_acts(hid.shape(), w.shape(), Some(&[2, 1])).unwrap();
    check(&cropped, &[&hid, &w], &c01b(rows(4, &[[1.], [6.]])));
    let weight = plain().stride(2).weight_acts(x.shape(), hid.shape(), &[2, 2]).unwrap();
    check(&weight, &[&x, &hid], &c01b(rows(4, &[[64., 26.], [16., 5.]])));
}

/// None of the limits of 2014: 5 channels, filters that are not square, steps larger than they, groups.
#[test]
fn cuda_convnet_without_limits() {
    let how = CudaConvnet { num_groups: 2, ..CudaConvnet::default() }.stride([3, 4]).pad([0, 1]);
    let operation = how.filter_acts(&[10, 7, 9, 3], &[5, 2, 3, 6]).unwrap();
    // ⌈(7 − 2)/3⌉ + 1 and ⌈(9 + 2 − 3)/4⌉ + 1.
    assert_eq!(operation.shape(), [6, 3, 3, 3]);
    let image = how.image_acts(&[6, 3, 3, 3], &[5, 2, 3, 6], Some(&[7, 9])).unwrap();
    assert_eq!(image.shape(), [10, 7, 9, 3]);
    let weight = how.weight_acts(&[10, 7, 9, 3], &[6, 3, 3, 3], &[2, 3]).unwrap();
    assert_eq!(weight.shape(), [5, 2, 3, 6]);
}

#[test]
fn corr_mm() {
    let h = counting(&[1, 1, 2, 2]);
    let plain = CorrMm::default();
    let forward = plain.forward(2, &[1, 1, 3, 3], &[1, 1, 2, 2]).unwrap();
    check(&forward, &[&x(), &w()], &rows(4, &[[37., 47.], [67., 77.]]));
    let shaped = CorrMm { shape: Some(vec![2, 2]), ..CorrMm::default() };
    for how in [&plain, &shaped] {
        let dw = how.grad_weights(2, &[1, 1, 3, 3], &[1, 1, 2, 2]).unwrap();
        check(&dw, &[&x(), &h], &rows(4, &[[37., 47.], [67., 77.]]));
    }
    let shaped = CorrMm { shape: Some(vec![3, 3]), ..CorrMm::default() };
    for how in [&plain, &shaped] {
        let dx = how.grad_inputs(2, &[1, 1, 2, 2], &[1, 1, 2, 2]).unwrap();
        check(&dx, &[&w(), &h], &rows(4, &[[1., 4., 4.], [6., 20., 16.], [9., 24., 16.]]));
    }
    let cube = counting(&[1, 1, 2, 2, 2]);
    let operation = plain.forward(3, cube.shape(), cube.shape()).unwrap();
    check(&operation, &[&cube, &cube], &tensor(&[1; 5], &[204.]));
}

/// Shapes that follow from the operands, for every border: those from which the operands came.
#[test]
fn corr_mm_infers_shapes() {
    let borders =
        [Padding::Valid, Padding::Full, Padding::Half, 2usize.into(), [1, 0].into(), [(2, 1), (0, 3)].into()];
    for border_mode in borders {
        for dilation in [1usize, 2, 3] {
            let (border_mode, filter_dilation) = (border_mode.clone(), dilation.into());
            let how = CorrMm { border_mode, filter_dilation, ..CorrMm::default() };
            let top = how.forward(2, &[2, 3, 11, 12], &[4, 3, 2, 3]).unwrap().shape();
            let dx = how.grad_inputs(2, &[4, 3, 2, 3], &top).unwrap();
            assert_eq!(dx.shape(), [2, 3, 11, 12], "{how:?}");
            if how.border_mode != Padding::Half {
                let dw = how.grad_weights(2, &[2, 3, 11, 12], &top).unwrap();
                assert_eq!(dw.shape(), [4, 3, 2, 3], "{how:?}");
            }
        }
    }
}
