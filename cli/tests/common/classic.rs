//! Jobs of the classic operations, with numbers that the originals print.

use ndarray::ArrayD;
use serde_json::{Value, json};

use wgconv_testing::arrays::{FULL, counting, tensor};

/// `op`, operands, other fields, wanted.
pub type Row = (&'static str, Vec<(&'static str, ArrayD<f64>)>, Value, ArrayD<f64>);

fn x() -> ArrayD<f64> {
    counting(&[1, 1, 3, 3])
}

fn w() -> ArrayD<f64> {
    counting(&[1, 1, 2, 2])
}

fn h() -> ArrayD<f64> {
    counting(&[1, 1, 2, 2])
}

fn image(values: &[f64]) -> ArrayD<f64> {
    let side = values.len().isqrt();
    tensor(&[1, 1, side, side], values)
}

/// `[batch, row, column, time, channel]`, or with time and channel second and third.
fn in_time(axis: usize, values: &[f64]) -> ArrayD<f64> {
    let mut shape = [1; 5];
    shape[axis] = values.len();
    tensor(&shape, values)
}

fn c01b(values: &[f64]) -> ArrayD<f64> {
    let side = values.len().isqrt();
    tensor(&[1, side, side, 1], values)
}

fn cube() -> ArrayD<f64> {
    counting(&[1, 1, 2, 2, 2])
}

pub fn nnet() -> Vec<Row> {
    let (corr, flipped) =
        (vec![1., 4., 4., 6., 20., 16., 9., 24., 16.], vec![4., 11., 6., 14., 30., 14., 6., 11., 4.]);
    let ones = |sum: f64| tensor(&[1; 5], &[sum]);
    let all = |value: f64| ArrayD::from_elem(vec![1, 1, 2, 2, 2], value);
    let spread = |factor: f64| cube().mapv(|v| factor * v);
    vec![
        (
            "theano.nnet_conv2d",
            vec![("input", x()), ("filters", w())],
            json!({ "border_mode": [1, [0, 2]], "subsample": [2, 2], "filter_flip": false, "filter_dilation": 1,
                "num_groups": 1, "unshared": false, "input_shape": [null, 1, 3, 3], "filter_shape": [1, 1, 2, 2] }),
            // Rows 0 and 2 of the padded image, columns 0, 2.
            tensor(&[1, 1, 2, 2], &[4. * 2. + 3., 3. * 3., 4. + 2. * 5. + 3. * 7. + 4. * 8., 6. + 3. * 9.]),
        ),
        (
            "theano.nnet_conv2d_grad_inputs",
            vec![("output_grad", h()), ("filters", w())],
            json!({ "input_shape": [1, 1, 3, 3], "filter_flip": false }),
            image(&corr),
        ),
        (
            "theano.nnet_conv2d_grad_weights",
            vec![("input", x()), ("output_grad", h())],
            json!({ "filter_shape": [null, null, 2, 2] }),
            image(&[77., 67., 47., 37.]),
        ),
        (
            "theano.nnet_conv3d",
            vec![("input", cube()), ("filters", cube())],
            json!({ "filter_flip": false }),
            ones(204.),
        ),
        (
            "theano.nnet_conv3d_grad_inputs",
            vec![("output_grad", ones(2.)), ("filters", cube())],
            json!({ "input_shape": [1, 1, 2, 2, 2], "filter_flip": false, "border_mode": "valid" }),
            spread(2.),
        ),
        (
            "theano.nnet_conv3d_grad_weights",
            vec![("input", all(3.)), ("output_grad", ones(2.))],
            json!({ "filter_shape": [1, 1, 2, 2, 2], "subsample": 1 }),
            all(6.),
        ),
        (
            "theano.conv2d_transpose",
            vec![("input", h()), ("filters", w())],
            json!({ "output_shape": [3, 3], "input_dilation": [1, 1], "border_mode": 0 }),
            image(&flipped),
        ),
        (
            "theano.conv3d_transpose",
            vec![("input", ones(2.)), ("filters", cube())],
            json!({ "output_shape": [1, 1, 2, 2, 2], "filter_flip": false }),
            spread(2.),
        ),
    ]
}

pub fn others_of_theano() -> Vec<Row> {
    let xs = |array: ArrayD<f64>| array.into_shape_with_order(vec![3, 3]).unwrap();
    let ws = |array: ArrayD<f64>| array.into_shape_with_order(vec![2, 2]).unwrap();
    let line = |values: &[f64]| tensor(&[1, 1, values.len()], values);
    let valid = [23., 33., 53., 63.];
    let bilinear = [1., 1.5, 2., 2., 2., 2.5, 3., 3., 3., 3.5, 4., 4., 3., 3.5, 4., 4.];
    let one = |axes: usize| tensor(&vec![1; axes], &[1.]);
    let bias = tensor(&[1], &[100.]);
    vec![
        (
            "theano.signal_conv2d",
            vec![("input", xs(x())), ("filters", ws(w()))],
            json!({ "border_mode": "full", "subsample": 2, "image_shape": [3, 3], "filter_shape": [2, null] }),
            tensor(&[2, 2], &[1., 7., 19., 63.]),
        ),
        (
            "theano.separable_conv2d",
            vec![("input", x()), ("depthwise_filters", w()), ("pointwise_filters", one(4))],
            json!({ "num_channels": 1, "border_mode": "half", "subsample": 1, "filter_flip": true, "filter_dilation": [1, 1] }),
            image(FULL.as_flattened()),
        ),
        (
            "theano.separable_conv3d",
            vec![("input", cube()), ("depthwise_filters", cube()), ("pointwise_filters", one(5))],
            json!({}),
            tensor(&[1; 5], &[120.]),
        ),
        (
            "theano.causal_conv1d",
            vec![("input", line(&[1., 2., 3., 4.])), ("filters", line(&[1., 10.]))],
            json!({ "filter_dilation": 2, "subsample": 1, "filter_flip": true, "num_groups": 1 }),
            line(&[1., 2., 13., 24.]),
        ),
        (
            "theano.bilinear_upsampling",
            vec![("input", h())],
            json!({ "ratio": 2, "use_1D_kernel": true }),
            image(&bilinear),
        ),
        (
            "theano.bilinear_upsampling",
            vec![("input", h())],
            json!({ "frac_ratio": [4, 2], "use_1D_kernel": false }),
            image(&bilinear),
        ),
        (
            "theano.conv2d_fft",
            vec![("input", x()), ("filters", w())],
            json!({ "border_mode": "valid", "pad_last_dim": true, "image_shape": [1, 1, 3, 3], "filter_shape": null }),
            image(&valid),
        ),
        (
            "theano.conv3d_fft",
            vec![("input", cube()), ("filters", cube())],
            json!({}),
            tensor(&[1; 5], &[120.]),
        ),
        (
            "theano.conv3d",
            vec![("V", in_time(3, &[1., 2., 3., 4.])), ("W", in_time(3, &[1., 10.])), ("b", bias.clone())],
            json!({ "d": [1, 1, 2] }),
            in_time(3, &[121., 143.]),
        ),
        (
            "theano.conv_transp3d",
            vec![("W", in_time(3, &[1., 10.])), ("b", bias.clone()), ("H", in_time(3, &[1., 2.]))],
            json!({ "d": [1, 1, 2], "RShape": [1, 1, 5] }),
            in_time(3, &[101., 110., 102., 120., 100.]),
        ),
        (
            "theano.conv_transp3d",
            vec![("W", in_time(3, &[1., 10.])), ("b", bias), ("H", in_time(3, &[1., 2.]))],
            json!({ "d": [1, 1, 2], "RShape": [-1, -1, -1] }),
            in_time(3, &[101., 110., 102., 120.]),
        ),
        (
            "theano.conv_grad3d",
            vec![("V", in_time(3, &[1., 2., 3., 4.])), ("dCdH", in_time(3, &[1., 1.]))],
            json!({ "d": [1, 1, 2], "WShape": [1, 1, 1, 2, 1] }),
            in_time(3, &[4., 6.]),
        ),
        (
            "theano.conv3d2d",
            vec![("signals", in_time(1, &[1., 2., 3.])), ("filters", in_time(1, &[1., 10.]))],
            json!({ "border_mode": ["half", "valid", "full"], "signals_shape": [1, 3, 1, 1, 1], "filters_shape": null }),
            in_time(1, &[1., 12., 23., 30.]),
        ),
        (
            "theano.filter_acts",
            vec![("images", counting(&[1, 3, 3, 1])), ("filters", c01b(&[1., 2., 3., 4.]))],
            json!({ "pad": 1, "stride": 2, "partial_sum": 3, "num_groups": 1 }),
            c01b(&[4., 18., 0., 36., 77., 0., 0., 0., 0.]),
        ),
        (
            "theano.image_acts",
            vec![("hid_acts", c01b(&[1., 2., 3., 4.])), ("filters", c01b(&[1., 2., 3., 4.]))],
            json!({ "pad": 0, "stride": 2, "output_shape": [3, 3] }),
            c01b(&[1., 2., 2., 3., 4., 6., 3., 6., 4.]),
        ),
        (
            "theano.weight_acts",
            vec![("images", counting(&[1, 3, 3, 1])), ("hid_grads", c01b(&[1., 2., 3., 4.]))],
            json!({ "stride": 2, "partial_sum": 4, "output_shape": [2, 2] }),
            c01b(&[64., 26., 16., 5.]),
        ),
    ]
}

fn corr() -> Vec<Row> {
    let one = || tensor(&[1; 5], &[2.]);
    let twice = || cube().mapv(|v| 2. * v);
    vec![
        (
            "theano.corr_mm",
            vec![("img", x()), ("kern", w())],
            json!({ "border_mode": 0, "subsample": 1, "filter_dilation": 1, "num_groups": 1, "unshared": false }),
            image(&[37., 47., 67., 77.]),
        ),
        (
            "theano.corr_mm_grad_weights",
            vec![("img", x()), ("topgrad", h())],
            json!({ "shape": [2, 2] }),
            image(&[37., 47., 67., 77.]),
        ),
        (
            "theano.corr_mm_grad_inputs",
            vec![("kern", w()), ("topgrad", h())],
            json!({ "shape": null }),
            image(&[1., 4., 4., 6., 20., 16., 9., 24., 16.]),
        ),
        ("theano.corr3d_mm", vec![("img", cube()), ("kern", cube())], json!({}), tensor(&[1; 5], &[204.])),
        ("theano.corr3d_mm_grad_weights", vec![("img", cube()), ("topgrad", one())], json!({}), twice()),
        ("theano.corr3d_mm_grad_inputs", vec![("kern", cube()), ("topgrad", one())], json!({}), twice()),
    ]
}

pub fn scipy() -> Vec<Row> {
    let line = |values: &[f64]| tensor(&[values.len()], values);
    let two = |a: ArrayD<f64>, b: ArrayD<f64>| vec![("in1", a), ("in2", b)];
    let square = |values: &[f64]| tensor(&[values.len().isqrt(), values.len().isqrt()], values);
    let (x, w) = (counting(&[3, 3]), counting(&[2, 2]));
    let weights = |a: ArrayD<f64>, b: ArrayD<f64>| vec![("input", a), ("weights", b)];
    let (signal, kernel) = (line(&[1., 2., 3., 4.]), line(&[1., 10., 100.]));
    vec![
        (
            "signal.convolve",
            two(line(&[1., 2.]), line(&[1., 2., 3., 4.])),
            json!({ "mode": "valid", "method": "direct", "axes": null }),
            line(&[4., 7., 10.]),
        ),
        (
            "signal.correlate",
            two(line(&[1., 2., 3.]), line(&[0., 1., 0.5])),
            json!({ "mode": "same" }),
            line(&[2., 3.5, 3.]),
        ),
        (
            "signal.fftconvolve",
            two(counting(&[2, 2]), tensor(&[1, 2], &[1., 10.])),
            json!({ "axes": [-1], "mode": "full", "method": "auto" }),
            tensor(&[2, 3], &[1., 12., 20., 3., 34., 40.]),
        ),
        (
            "signal.oaconvolve",
            two(line(&[1., 2., 3.]), line(&[1., 10.])),
            json!({ "axes": 0 }),
            line(&[1., 12., 23., 30.]),
        ),
        (
            "signal.convolve2d",
            two(x.clone(), w.clone()),
            json!({ "mode": "same", "boundary": "symm", "fillvalue": 5 }),
            square(&[10., 14., 24., 19., 23., 33., 49., 53., 63.]),
        ),
        (
            "signal.convolve2d",
            two(x.clone(), w.clone()),
            json!({ "boundary": "fill", "fillvalue": 1 }),
            square(&[10., 11., 14., 14., 13., 23., 33., 28., 25., 53., 63., 46., 28., 55., 62., 42.]),
        ),
        ("signal.correlate2d", two(w, x), json!({ "mode": "valid" }), square(&[77., 67., 47., 37.])),
        (
            "ndimage.convolve",
            weights(signal.clone(), kernel.clone()),
            json!({ "mode": "constant", "cval": 5.0, "origin": 0 }),
            line(&[512., 123., 234., 345.]),
        ),
        (
            "ndimage.correlate",
            weights(signal, kernel),
            json!({ "mode": "wrap", "origin": [1] }),
            line(&[143., 214., 321., 432.]),
        ),
    ]
}

pub fn all() -> Vec<Row> {
    [nnet(), others_of_theano(), corr(), scipy()].concat()
}
