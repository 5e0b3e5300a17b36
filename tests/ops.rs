//! The one-liners of the gradients and of transposed convolutions, against sums written out.

use ndarray::{Array, Array1, ArrayD, Dimension, IntoDimension, IxDyn, array};
use wgconv::{
    Activation, Boundary, Conv, ConvProblem, ConvTranspose, Device, Direction, Error, ErrorKind,
    OperandError, Operands, Padding, PlanOptions, ProblemError, TransposedOutput,
};
use wgconv_testing::values::ints;

fn filled<D: Dimension, I: IntoDimension<Dim = D>>(shape: I, seed: u64) -> Array<f32, D> {
    let shape = shape.into_dimension();
    let values = ints(seed, shape.size(), 4).into_iter().map(|v| v as f32).collect();
    Array::from_shape_vec(shape, values).expect("as many values")
}

/// `y[n, g·Q + q, i·stride + k·dilation − begin] += x[n, c, i] · w[c, q, k]` over everything, with the group of `c`.
fn scattered(
    x: &ArrayD<f32>,
    w: &ArrayD<f32>,
    [stride, dilation]: [usize; 2],
    groups: usize,
    begin: usize,
    out: &[usize],
) -> ArrayD<f32> {
    let (rank, per_in) = (x.ndim() - 2, x.shape()[1] / groups);
    let per_out = w.shape()[1];
    let mut y = ArrayD::zeros([&[x.shape()[0], per_out * groups], out].concat());
    for (at, &value) in x.indexed_iter() {
        for (tap, &factor) in w.indexed_iter().filter(|(tap, _)| tap[0] == at[1]) {
            let place = |a: usize| (at[2 + a] * stride + tap[2 + a] * dilation).checked_sub(begin);
            let cell: Option<Vec<usize>> = (0..rank).map(|a| place(a).filter(|&c| c < out[a])).collect();
            if let Some(cell) = cell {
                let channel = at[1] / per_in * per_out + tap[1];
                y[IxDyn(&[&[at[0], channel], &cell[..]].concat())] += value * factor;
            }
        }
    }
    y
}

#[test]
fn transposed_convolutions_scatter() {
    let (x, w) = (filled((2, 4, 5), 1), filled((4, 3, 3), 2));
    let how = ConvTranspose::from(Conv::default().stride(2).padding(1)).output_padding(1);
    let wanted = scattered(&x.clone().into_dyn(), &w.clone().into_dyn(), [2, 1], 1, 1, &[10]);
    assert_eq!(wgconv::conv_transpose1d(&x, &w, None, &how).expect("a result").into_dyn(), wanted);

    let (x, w) = (filled((2, 4, 3, 4), 3), filled((4, 3, 2, 3), 4));
    let how = ConvTranspose::from(Conv::default().stride(3).dilation(2).groups(2));
    // (in − 1)·3 + (K − 1)·2 + 1
    let wanted = scattered(&x.clone().into_dyn(), &w.clone().into_dyn(), [3, 2], 2, 0, &[9, 14]);
    assert_eq!(wgconv::conv_transpose2d(&x, &w, None, &how).expect("a result").into_dyn(), wanted);

    let (x, w) = (filled((1, 2, 2, 3, 2), 5), filled((2, 2, 3, 1, 2), 6));
    let how = ConvTranspose::from(Conv::default().padding(Padding::SameUpper).stride(2));
    // Twice the input: one axis has a cell too many, which is cropped at the end, one has one too few.
    let y = wgconv::conv_transpose3d(&x, &w, None, &how).expect("a result");
    let wanted = scattered(&x.into_dyn(), &w.into_dyn(), [2, 1], 1, 0, &[4, 6, 4]);
    assert_eq!(y.into_dyn(), wanted);
}

/// Output extents that lead to the same input, and ONNX's way of splitting what is too much.
#[test]
fn output_shapes_choose_among_those_that_fit() {
    let (x, w) = (filled((1, 1, 4), 7), filled((1, 1, 3), 8));
    let conv = || Conv::default().stride(2).padding(1);
    let of = |output| ConvTranspose::from(conv()).output(output);
    for (output, begin) in [
        (TransposedOutput::Exact(vec![7]), 1),
        (TransposedOutput::Exact(vec![8]), 1),
        (TransposedOutput::Split(vec![9]), 0),
        (TransposedOutput::Split(vec![6]), 2),
        (TransposedOutput::Split(vec![12]), 0),
    ] {
        let y = wgconv::conv_transpose1d(&x, &w, None, &of(output.clone())).expect("a result");
        let (TransposedOutput::Exact(out) | TransposedOutput::Split(out)) = &output else { unreachable!() };
        let wanted = scattered(&x.clone().into_dyn(), &w.clone().into_dyn(), [2, 1], 1, begin, out);
        assert_eq!(y.into_dyn(), wanted, "{output:?}");
    }
}

#[test]
fn transposed_convolutions_refuse_what_does_not_fit() {
    use ProblemError as E;
    let refused = |x: &[usize], w: &[usize], how: ConvTranspose, want: E, kind: ErrorKind, message: &str| {
        let error = ConvProblem::transposed(x, w, &how).expect_err("a refusal");
        assert_eq!((&error, error.to_string().as_str()), (&want, message));
        assert_eq!(Error::from(error).kind(), kind);
    };
    let (x, w) = ([1, 4, 4], [4, 3, 3]);
    let how = || ConvTranspose::from(Conv::default().stride(2).padding(1));
    let exact = |shape: &[usize]| how().output(TransposedOutput::Exact(shape.to_vec()));
    refused(
        &x,
        &w,
        exact(&[9]),
        E::OutputExtent { axis: 0, got: 9, least: 7, most: 8 },
        ErrorKind::OutputShape,
        "the output extent of axis 0 is 9, wanted 7 to 8",
    );
    refused(
        &x,
        &w,
        exact(&[7]).output_padding(1),
        E::OutputExtent { axis: 0, got: 7, least: 8, most: 8 },
        ErrorKind::OutputShape,
        "the output extent of axis 0 is 7, wanted 8",
    );
    refused(
        &x,
        &w,
        ConvTranspose::from(Conv::default().padding(4)),
        E::OutputExtent { axis: 0, got: -2, least: 1, most: i128::MAX },
        ErrorKind::OutputShape,
        "the output extent of axis 0 is -2, wanted at least 1",
    );
    refused(
        &x,
        &w,
        exact(&[7, 7]),
        E::OutputShapeCount { wanted: 1, got: 2 },
        ErrorKind::OutputShape,
        "an output shape of 2 extents came, wanted those of 1 spatial axes",
    );
    refused(
        &x,
        &w,
        how().output_padding(2),
        E::OutputPadding { axis: 0, got: 2, limit: 2 },
        ErrorKind::Padding,
        "output padding of axis 0 is 2, wanted less than 2, the larger of stride and dilation",
    );
    refused(
        &x,
        &w,
        how().output_padding([0, 1]),
        E::OutputPaddingCount { wanted: 1, got: 2 },
        ErrorKind::Padding,
        "output padding for 2 axes came, wanted 1",
    );
    refused(
        &x,
        &[3, 3, 3],
        how(),
        E::TransposedChannels { input: 4, weight: 3 },
        ErrorKind::Channels,
        "the input has 4 channels, the transposed weight is for 3",
    );
    refused(
        &x,
        &w,
        ConvTranspose::from(Conv::default().boundary(Boundary::Constant(2.5))),
        E::TransposedConstant { value: 2.5 },
        ErrorKind::BadJob,
        "a transposed convolution has no constant boundary (it is 2.5): wanted zero or one that repeats cells",
    );
}

/// Cells that no tap reaches hold the bias, on every device, and go through the activation.
#[test]
fn cells_out_of_reach_hold_the_bias() {
    let conv = Conv::default().stride(3).bias(true).activation(Activation::Relu);
    let problem = ConvProblem::transposed(&[1, 1, 2, 2], &[1, 2, 1, 2], &conv.into()).expect("a problem");
    let (x, w) = (array![[[[1f32, 2.], [3., 4.]]]], array![[[[10f32, 20.]], [[-1., 1.]]]]);
    let bias = array![0.5f32, -0.5];
    let wanted = array![[
        [
            [10.5, 20.5, 0.5, 20.5, 40.5],
            [0.5, 0.5, 0.5, 0.5, 0.5],
            [0.5, 0.5, 0.5, 0.5, 0.5],
            [30.5, 60.5, 0.5, 40.5, 80.5]
        ],
        [[0., 0.5, 0., 0., 1.5], [0., 0., 0., 0., 0.], [0., 0., 0., 0., 0.], [0., 2.5, 0., 0., 3.5]]
    ]];
    for device in devices() {
        let plan = device.plan(&problem, &PlanOptions::default()).expect("a plan");
        let operands = Operands {
            grad_output: x.view(),
            weight: w.view().into(),
            bias: bias.view(),
            ..Default::default()
        };
        assert_eq!(plan.run(operands).expect("a result"), wanted.clone().into_dyn(), "{}", device.name());
    }
}

fn devices() -> Vec<Device> {
    #[cfg(feature = "gpu")]
    let gpu = crate::common::device::any_gpu().map(|turn| turn.clone());
    #[cfg(not(feature = "gpu"))]
    let gpu = None;
    [Device::cpu()].into_iter().chain(gpu).collect()
}

#[test]
fn gradients_are_the_adjoints() {
    let conv = Conv::default().stride([2, 1]).padding(1).groups(2).flip(true).boundary(Boundary::Mirror);
    let (x, w) = (filled((2, 4, 6, 5), 1), filled((6, 2, 3, 2), 2));
    let y = wgconv::conv2d(&x, &w, &conv).expect("a result");
    let h = filled(y.raw_dim(), 3);
    let dot = |a: &Array<f32, _>, b: &Array<f32, _>| (a * b).sum();
    let forward = dot(&y, &h);
    let by_input = wgconv::conv2d_grad_input(&h, &w, [2, 4, 6, 5], &conv).expect("a gradient");
    assert_eq!(dot(&by_input, &x), forward);
    let by_weight = wgconv::conv2d_grad_weight(&x, &h, [6, 2, 3, 2], &conv).expect("a gradient");
    assert_eq!(dot(&by_weight, &w), forward);
    // The bias adds 1 to every cell of its channel.
    let by_bias = wgconv::conv2d_grad_bias(&h).expect("a gradient");
    assert_eq!(by_bias, Array1::from_iter((0..6).map(|q| h.index_axis(ndarray::Axis(1), q).sum())));

    let line = filled((3, 2, 4), 4);
    assert_eq!(
        wgconv::conv1d_grad_bias(&line).expect("a gradient"),
        array![line.index_axis(ndarray::Axis(1), 0).sum(), line.index_axis(ndarray::Axis(1), 1).sum()]
    );
    let wide = filled((2, 3, 2, 3, 2), 5).mapv(f64::from);
    let wanted = (0..3).map(|q| wide.index_axis(ndarray::Axis(1), q).sum());
    assert_eq!(wgconv::conv3d_grad_bias(&wide).expect("a gradient"), Array1::from_iter(wanted));
}

/// With stride 2 inputs of 7 and of 8 cells lead to 3 windows: the shape says which, and another is refused.
#[test]
fn the_shape_of_a_gradient_is_told_and_checked() {
    let conv = Conv::default().stride(2);
    let (h, w) = (filled((1, 1, 3), 1), filled((1, 1, 3), 2));
    for extent in [7, 8] {
        let gradient = wgconv::conv1d_grad_input(&h, &w, [1, 1, extent], &conv).expect("a gradient");
        assert_eq!(gradient.dim(), (1, 1, extent));
    }
    let error = wgconv::conv1d_grad_input(&h, &w, [1, 1, 9], &conv).expect_err("four windows");
    let inputs = Some(vec![(7, 8)]);
    let wanted = OperandError::GradShape { wanted: vec![1, 1, 4], got: vec![1, 1, 3], inputs };
    assert!(matches!(&error, Error::Operand(got) if *got == wanted), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::GradShape);
    assert_eq!(
        error.to_string(),
        "the grad_output has shape [1, 1, 3], wanted [1, 1, 4] for this input; inputs of spatial extents [7 to 8] \
         lead to it"
    );
    // Paddings that depend on the input too; and an output that no input has.
    let same = Conv::default().stride(3).padding(Padding::Same);
    assert_eq!(same.input_extents(&[5, 5], &[2, 1]), Some(vec![(4, 6), (1, 3)]));
    assert_eq!(Conv::default().padding(9).input_extents(&[2], &[3]), None);
    let error =
        wgconv::conv1d_grad_weight(&filled((1, 1, 7), 1), &h, [1, 1, 4], &conv).expect_err("other windows");
    assert_eq!(error.kind(), ErrorKind::GradShape, "{error}");
}

/// The slope of the convolution along every operand, in double precision, is what the gradients say.
#[test]
fn gradients_are_the_slopes() {
    let conv = Conv::default().stride(2).dilation([1, 2]).padding(2).groups(2).boundary(Boundary::Reflect);
    let (x, w) = (filled((2, 4, 5, 6), 1).mapv(f64::from), filled((4, 2, 3, 2), 2).mapv(f64::from));
    let shape = wgconv::conv2d(&x, &w, &conv).expect("a result").raw_dim();
    let h = filled(shape, 3).mapv(f64::from);
    let by_input = wgconv::conv2d_grad_input(&h, &w, [2, 4, 5, 6], &conv).expect("a gradient");
    let by_weight = wgconv::conv2d_grad_weight(&x, &h, [4, 2, 3, 2], &conv).expect("a gradient");
    // The convolution is linear in each operand, so a central difference is exact up to rounding.
    let step = 0.5;
    let loss =
        |x: &Array<f64, _>, w: &Array<f64, _>| (wgconv::conv2d(x, w, &conv).expect("a result") * &h).sum();
    for at in 0..x.len() {
        let moved = |by: f64| {
            let mut x = x.clone();
            x.as_slice_mut().expect("standard")[at] += by;
            loss(&x, &w)
        };
        let slope = (moved(step) - moved(-step)) / (2.0 * step);
        assert_eq!(slope, by_input.as_slice().expect("standard")[at], "x {at}");
    }
    for at in 0..w.len() {
        let moved = |by: f64| {
            let mut w = w.clone();
            w.as_slice_mut().expect("standard")[at] += by;
            loss(&x, &w)
        };
        let slope = (moved(step) - moved(-step)) / (2.0 * step);
        assert_eq!(slope, by_weight.as_slice().expect("standard")[at], "w {at}");
    }
    let problem = ConvProblem::new(&[2, 4, 5, 6], &[4, 2, 3, 2], &conv.direction(Direction::GradInput));
    assert_eq!(problem.expect("a problem").result().shape(), by_input.shape());
}

#[test]
fn a_bias_is_added_to_every_cell_of_its_channel() {
    let (x, w) = (filled((2, 4, 6, 5), 1), filled((6, 2, 3, 2), 2));
    let conv = Conv::default().groups(2).padding(1);
    let bias = Array1::from_iter((0..6).map(|q| q as f32 * 10.0));
    let plain = wgconv::conv2d(&x, &w, &conv).expect("a result");
    let wanted = &plain + &bias.view().into_shape_with_order((1, 6, 1, 1)).expect("one number per channel");
    assert_eq!(wgconv::conv2d_bias(&x, &w, &bias, &conv).expect("a result"), wanted);
    // Whether `conv` says so or not.
    assert_eq!(wgconv::conv2d_bias(&x, &w, &bias, &conv.clone().bias(true)).expect("a result"), wanted);
    let short = bias.slice(ndarray::s![..5]);
    let error = wgconv::conv2d_bias(&x, &w, &short, &conv).expect_err("five numbers for six channels");
    assert_eq!(error.kind(), ErrorKind::BiasShape);
    let (x, w) = (filled((1, 1, 4), 1), filled((1, 1, 2), 2));
    let one = wgconv::conv1d_bias(&x, &w, &array![3.0f32], &Conv::default()).expect("a result");
    assert_eq!(one, wgconv::conv1d(&x, &w, &Conv::default()).expect("a result") + 3.0);
}
