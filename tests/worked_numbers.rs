//! Small convolutions with numbers that other libraries print: Theano 1.0.5 and 0.9.0, scipy 1.17.1, and
//! pylearn2's cuda-convnet by its source. All by every CPU path, exactly.

mod common;

use common::cpu::Spec;
use ndarray::{Array1, ArrayD, array};
use wgconv::cpu::reference::Operands64;
use wgconv::{Boundary, Conv, Direction, Padding, Rounding};

fn tensor(shape: &[usize], values: &[f64]) -> ArrayD<f64> {
    ArrayD::from_shape_vec(shape, values.to_vec()).unwrap()
}

/// One image of one channel.
fn image<const W: usize>(rows: &[[f64; W]]) -> ArrayD<f64> {
    tensor(&[1, 1, rows.len(), W], &rows.concat())
}

/// One signal of one channel.
fn signal(values: &[f64]) -> ArrayD<f64> {
    tensor(&[1, 1, values.len()], values)
}

/// 1, 2, 3, ..
fn counting(shape: &[usize]) -> ArrayD<f64> {
    let mut next = 0.0;
    ArrayD::from_shape_simple_fn(shape, || {
        next += 1.0;
        next
    })
}

fn x() -> ArrayD<f64> {
    counting(&[1, 1, 3, 3])
}

fn w() -> ArrayD<f64> {
    counting(&[1, 1, 2, 2])
}

fn forward(conv: Conv, x: &ArrayD<f64>, w: &ArrayD<f64>, want: &ArrayD<f64>) {
    let operands = Operands64 { input: Some(x.view()), weight: Some(w.view()), ..Operands64::default() };
    Spec::new(x.shape(), w.shape(), conv).check(&operands, want);
}

fn grad_input(conv: Conv, x: &[usize], w: &ArrayD<f64>, h: &ArrayD<f64>, want: &ArrayD<f64>) {
    let operands =
        Operands64 { grad_output: Some(h.view()), weight: Some(w.view()), ..Operands64::default() };
    Spec::new(x, w.shape(), conv.direction(Direction::GradInput)).check(&operands, want);
}

fn grad_weight(conv: Conv, x: &ArrayD<f64>, w: &[usize], h: &ArrayD<f64>, want: &ArrayD<f64>) {
    let operands = Operands64 { input: Some(x.view()), grad_output: Some(h.view()), ..Operands64::default() };
    Spec::new(x.shape(), w, conv.direction(Direction::GradWeight)).check(&operands, want);
}

fn correlate() -> Conv {
    Conv::default()
}

fn convolve() -> Conv {
    Conv::default().flip(true)
}

fn full_of_x_and_w() -> ArrayD<f64> {
    image(&[[1., 4., 7., 6.], [7., 23., 33., 24.], [19., 53., 63., 42.], [21., 52., 59., 36.]])
}

#[test]
fn theano_signal_conv2d() {
    forward(convolve(), &x(), &w(), &image(&[[23., 33.], [53., 63.]]));
    forward(convolve().padding(Padding::Full), &x(), &w(), &full_of_x_and_w());
    forward(convolve().padding(Padding::Full).stride(2), &x(), &w(), &image(&[[1., 7.], [19., 63.]]));
    let (many, filters) = (counting(&[3, 1, 4, 5]), counting(&[2, 1, 2, 3]));
    let spec = Spec::new(many.shape(), filters.shape(), convolve());
    let operands =
        Operands64 { input: Some(many.view()), weight: Some(filters.view()), ..Operands64::default() };
    assert!(spec.every_path(&operands).iter().all(|(_, y)| y.shape() == [3, 2, 3, 3]));
}

#[test]
fn theano_legacy_conv2d() {
    let x = counting(&[1, 2, 2, 2]);
    let first = [1., 0., 0., 1., 0., 1., 1., 0.];
    let both: Vec<f64> = first.into_iter().chain([1., 1., 1., 1., -1., -1., -1., -1.]).collect();
    forward(convolve(), &x, &tensor(&[2, 2, 2, 2], &both), &tensor(&[1, 2, 1, 1], &[18., -16.]));
    let want = image(&[[1., 7., 6.], [8., 18., 10.], [7., 11., 4.]]);
    forward(convolve().padding(Padding::Full), &x, &tensor(&[1, 2, 2, 2], &first), &want);
    // `imshp_logical`: zeros after each element, the adjoint of taking every second one.
    let spread = image(&[[1., 0., 2., 0.], [0.; 4], [3., 0., 4., 0.], [0.; 4]]);
    grad_input(convolve().stride(2), &[1, 1, 4, 4], &image(&[[1.]]), &w(), &spread);
}

#[test]
fn theano_conv2d_borders_and_strides() {
    forward(correlate(), &x(), &w(), &image(&[[37., 47.], [67., 77.]]));
    forward(convolve().padding(Padding::Half), &x(), &w(), &full_of_x_and_w());
    let sobel = image(&[[1., 0., -1.], [2., 0., -2.], [1., 0., -1.]]);
    let want = image(&[[-9., -6., 9.], [-20., -8., 20.], [-21., -6., 21.]]);
    forward(correlate().padding(Padding::Half), &x(), &sobel, &want);
    let strided = convolve().padding([1, 2]).stride(2);
    forward(strided, &x(), &w(), &image(&[[0., 4., 6.], [0., 53., 42.]]));
    let uneven = convolve().padding([(1, 0), (0, 2)]);
    forward(uneven, &x(), &w(), &image(&[[4., 7., 6., 0.], [23., 33., 24., 0.], [53., 63., 42., 0.]]));
}

#[test]
fn theano_conv2d_dilation_and_groups() {
    let want = image(&[[5., 14., 10.], [14., 36., 24.], [15., 34., 20.]]);
    forward(convolve().padding(Padding::Half).dilation(2), &x(), &w(), &want);
    let want = image(&[[4., 8., 3., 6.], [16., 20., 12., 15.], [2., 4., 1., 2.], [8., 10., 4., 5.]]);
    let full = correlate().padding(Padding::Full).dilation(2);
    forward(full, &image(&[[1., 2.], [4., 5.]]), &w(), &want);
    let filters = tensor(&[2, 1, 2, 2], &[1., 2., 3., 4., 1., 0., 0., -1.]);
    let want = tensor(&[1, 2, 1, 1], &[20., 3.]);
    forward(convolve().groups(2), &counting(&[1, 2, 2, 2]), &filters, &want);
}

#[test]
fn theano_conv2d_gradients() {
    let h = counting(&[1, 1, 2, 2]);
    grad_weight(correlate(), &x(), &[1, 1, 2, 2], &h, &image(&[[37., 47.], [67., 77.]]));
    grad_weight(convolve(), &x(), &[1, 1, 2, 2], &h, &image(&[[77., 67.], [47., 37.]]));
    let want = image(&[[1., 4., 4.], [6., 20., 16.], [9., 24., 16.]]);
    grad_input(correlate(), &[1, 1, 3, 3], &w(), &h, &want);
    let want = image(&[[4., 11., 6.], [14., 30., 14.], [6., 11., 4.]]);
    grad_input(convolve(), &[1, 1, 3, 3], &w(), &h, &want);
    let want = [[4., 3., 8., 6.], [2., 1., 4., 2.], [12., 9., 16., 12.], [6., 3., 8., 4.], [0.; 4]];
    grad_input(convolve().stride(2), &[1, 1, 5, 4], &w(), &h, &image(&want));
}

#[test]
fn theano_conv2d_unshared() {
    let filters = counting(&[1, 2, 2, 1, 2, 2]);
    forward(correlate().unshared(true), &x(), &filters, &image(&[[37., 111.], [259., 413.]]));
    forward(convolve().unshared(true), &x(), &filters, &image(&[[23., 97.], [245., 399.]]));
}

#[test]
fn theano_causal_conv1d() {
    let (x, w) = (signal(&[1., 2., 3., 4.]), signal(&[1., 10.]));
    forward(convolve().dilation(2).padding([(2, 0)]), &x, &w, &signal(&[1., 2., 13., 24.]));
    forward(convolve().stride(2).padding([(1, 0)]), &x, &w, &signal(&[1., 23.]));
}

#[test]
fn theano_bilinear_upsampling() {
    // The edge is repeated before; a triangle of ratio 2 does the rest.
    let h = image(&[[1., 1., 2., 2.], [1., 1., 2., 2.], [3., 3., 4., 4.], [3., 3., 4., 4.]]);
    let triangle = image(&[[0.25, 0.5, 0.25], [0.5, 1., 0.5], [0.25, 0.5, 0.25]]);
    let want = image(&[[1., 1.5, 2., 2.], [2., 2.5, 3., 3.], [3., 3.5, 4., 4.], [3., 3.5, 4., 4.]]);
    grad_input(correlate().stride(2).padding(3), &[1, 1, 4, 4], &triangle, &h, &want);
}

#[test]
fn theano_conv3d() {
    let cube = counting(&[1, 1, 2, 2, 2]);
    forward(convolve(), &cube, &cube, &tensor(&[1, 1, 1, 1, 1], &[120.]));
    forward(correlate(), &cube, &cube, &tensor(&[1, 1, 1, 1, 1], &[204.]));
}

/// `[batch, row, col, time, channel]`, as Theano's `Conv3D` has it, in logical order.
fn channels_first(values: &ArrayD<f64>) -> ndarray::ArrayViewD<'_, f64> {
    values.view().permuted_axes(vec![0, 4, 1, 2, 3])
}

#[test]
fn theano_conv3d_channels_last() {
    let cases = [
        (
            tensor(&[1, 1, 1, 4, 1], &[1., 2., 3., 4.]),
            tensor(&[1, 1, 1, 2, 1], &[1., 10.]),
            array![100.],
            2,
            vec![121., 143.],
        ),
        (counting(&[1, 3, 3, 1, 1]), counting(&[1, 2, 2, 1, 1]), array![0.], 1, vec![37., 47., 67., 77.]),
        (
            tensor(&[1, 1, 1, 2, 2], &[1., 2., 3., 4.]),
            tensor(&[2, 1, 1, 2, 2], &[1., 2., 3., 4., 0., 1., 1., 0.]),
            array![10., 20.],
            1,
            vec![40., 25.],
        ),
    ];
    for (v, w, bias, time_step, want) in cases {
        let (v, w) = (channels_first(&v), channels_first(&w));
        let operands = Operands64 {
            input: Some(v.clone()),
            weight: Some(w.clone()),
            bias: Some(bias.view()),
            ..Operands64::default()
        };
        let spec = Spec::new(v.shape(), w.shape(), correlate().bias(true).stride([1, 1, time_step]));
        let shape = spec.problem(wgconv::Element::F64).output().shape();
        spec.check(&operands, &tensor(&shape, &want));
    }
}

#[test]
fn theano_conv_transp3d_and_conv_grad3d() {
    let (h, w) = (tensor(&[1, 1, 1, 2, 1], &[1., 2.]), tensor(&[1, 1, 1, 2, 1], &[1., 10.]));
    let bias: Array1<f64> = array![100.];
    let stepped = || correlate().stride([1, 1, 2]);
    for want in [vec![101., 110., 102., 120.], vec![101., 110., 102., 120., 100.]] {
        let operands = Operands64 {
            grad_output: Some(channels_first(&h)),
            weight: Some(channels_first(&w)),
            bias: Some(bias.view()),
            ..Operands64::default()
        };
        let shape = [1, 1, 1, 1, want.len()];
        let conv = stepped().bias(true).direction(Direction::GradInput);
        Spec::new(&shape, &[1, 1, 1, 1, 2], conv).check(&operands, &tensor(&shape, &want));
    }
    let (v, ones) = (counting(&[1, 1, 1, 1, 4]), tensor(&[1, 1, 1, 1, 2], &[1., 1.]));
    grad_weight(stepped(), &v, &[1, 1, 1, 1, 2], &ones, &tensor(&[1, 1, 1, 1, 2], &[4., 6.]));
}

#[test]
fn theano_conv3d2d() {
    let (x, w) = (signal(&[1., 2., 3.]), signal(&[1., 10.]));
    forward(convolve(), &x, &w, &signal(&[12., 23.]));
    forward(convolve().padding(Padding::Full), &x, &w, &signal(&[1., 12., 23., 30.]));
    forward(convolve().padding(Padding::Half), &x, &w, &signal(&[1., 12., 23., 30.]));
}

#[test]
fn cuda_convnet_rounds_up() {
    let ceil = || correlate().rounding(Rounding::Ceil);
    forward(ceil(), &x(), &w(), &image(&[[37., 47.], [67., 77.]]));
    forward(ceil().stride(2), &x(), &w(), &image(&[[37., 21.], [23., 9.]]));
    forward(correlate().stride(2), &x(), &w(), &image(&[[37.]]));
    let want = image(&[[4., 18., 0.], [36., 77., 0.], [0., 0., 0.]]);
    forward(ceil().stride(2).padding(1), &x(), &w(), &want);
    let hid = counting(&[1, 1, 2, 2]);
    let want = image(&[[1., 2., 2.], [3., 4., 6.], [3., 6., 4.]]);
    grad_input(ceil().stride(2), &[1, 1, 3, 3], &w(), &hid, &want);
    grad_weight(ceil().stride(2), &x(), &[1, 1, 2, 2], &hid, &image(&[[64., 26.], [16., 5.]]));
}

#[test]
fn scipy_convolve2d_boundaries() {
    let by = |padding, boundary| convolve().padding(padding).boundary(boundary);
    let (wrap, symm) = (Boundary::Wrap, Boundary::Reflect);
    let full = [
        (Boundary::Zero, full_of_x_and_w()),
        (Boundary::Constant(0.0), full_of_x_and_w()),
        (
            wrap,
            image(&[[64., 56., 66., 64.], [31., 23., 33., 31.], [61., 53., 63., 61.], [64., 56., 66., 64.]]),
        ),
        (
            symm,
            image(&[[10., 14., 24., 30.], [19., 23., 33., 39.], [49., 53., 63., 69.], [70., 74., 84., 90.]]),
        ),
        (
            Boundary::Constant(1.0),
            image(&[[10., 11., 14., 14.], [13., 23., 33., 28.], [25., 53., 63., 46.], [28., 55., 62., 42.]]),
        ),
    ];
    for (boundary, want) in full {
        forward(by(Padding::Full, boundary), &x(), &w(), &want);
    }
    let same = [
        (Boundary::Zero, image(&[[1., 4., 7.], [7., 23., 33.], [19., 53., 63.]])),
        (wrap, image(&[[64., 56., 66.], [31., 23., 33.], [61., 53., 63.]])),
        (symm, image(&[[10., 14., 24.], [19., 23., 33.], [49., 53., 63.]])),
    ];
    for (boundary, want) in same {
        forward(by(Padding::SameCentered, boundary), &x(), &w(), &want);
    }
    for boundary in [Boundary::Zero, wrap, symm] {
        forward(by(Padding::Valid, boundary), &x(), &w(), &image(&[[23., 33.], [53., 63.]]));
    }
}

#[test]
fn scipy_ndimage_convolve() {
    let cases = [
        (Boundary::Reflect, [112., 123., 234., 344.]),
        (Boundary::Mirror, [212., 123., 234., 343.]),
        (Boundary::Nearest, [112., 123., 234., 344.]),
        (Boundary::Wrap, [412., 123., 234., 341.]),
        (Boundary::Constant(0.0), [12., 123., 234., 340.]),
        (Boundary::Zero, [12., 123., 234., 340.]),
    ];
    for (boundary, want) in cases {
        let conv = convolve().padding(Padding::SameCentered).boundary(boundary);
        forward(conv, &signal(&[1., 2., 3., 4.]), &signal(&[1., 10., 100.]), &signal(&want));
    }
}
