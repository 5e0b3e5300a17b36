//! Everything that Theano's operations refuse, each by its kind; and the flags that choose between their implementations.

use crate::common::operation::refused;
use wgconv::theano::{
    BilinearUpsampling, CausalConv1d, Conv3d, Conv3d2d, ConvFft, CorrMm, CudaConvnet, Flags, NnetConv, Ratio,
    SeparableConv, SignalConv2d,
};
use wgconv::{
    Algorithm, Conv, ConvProblem, Direction, Error, ErrorKind, OperationError, Padding, ProblemError,
};

fn open(shape: &[usize]) -> Option<Vec<Option<usize>>> {
    Some(shape.iter().copied().map(Some).collect())
}

#[test]
fn signal_conv2d() {
    let by = |how: SignalConv2d, x: &[usize], w: &[usize]| how.operation(x, w);
    let plain = SignalConv2d::default;
    refused(by(plain(), &[3], &[2, 2]), ErrorKind::Rank, &["input has 1 axes", "2 (one image)"]);
    refused(by(plain(), &[1, 1, 3, 3], &[2, 2]), ErrorKind::Rank, &["input has 4 axes"]);
    refused(by(plain(), &[3, 3], &[1, 1, 2, 2]), ErrorKind::Rank, &["filters has 4 axes"]);
    for border in [Padding::Half, Padding::Same, 1usize.into()] {
        let how = plain().border_mode(border);
        refused(by(how, &[3, 3], &[2, 2]), ErrorKind::Padding, &["wanted valid, full"]);
    }
    let hint = SignalConv2d { image_shape: open(&[3, 4]), ..plain() };
    refused(by(hint, &[3, 3], &[2, 2]), ErrorKind::Operand, &["image_shape", "[3, 3]"]);
    let hint = SignalConv2d { filter_shape: open(&[2]), ..plain() };
    refused(by(hint, &[3, 3], &[2, 2]), ErrorKind::Operand, &["filter_shape", "[2, 2]"]);
    let left_open = SignalConv2d { image_shape: Some(vec![None, Some(3)]), ..plain() };
    assert!(by(left_open, &[3, 3], &[2, 2]).is_ok());
    // Unlike scipy, no exchange of the operands.
    refused(by(plain(), &[3, 3], &[4, 2]), ErrorKind::KernelTooLarge, &["axis 0"]);
    refused(by(plain().subsample([0, 1]), &[3, 3], &[2, 2]), ErrorKind::Stride, &["axis 0"]);
    refused(by(plain().subsample([1, 1, 1]), &[3, 3], &[2, 2]), ErrorKind::Stride, &["3 strides"]);
}

#[test]
fn nnet_conv() {
    let (x, w) = ([2, 4, 9, 9], [6, 4, 3, 3]);
    let plain = NnetConv::default;
    refused(plain().forward(2, &[4, 9, 9], &w), ErrorKind::Rank, &["input has 3 axes"]);
    refused(plain().forward(2, &x, &[6, 4, 3]), ErrorKind::Rank, &["filters has 3 axes"]);
    refused(plain().unshared(true).forward(2, &x, &w), ErrorKind::Rank, &["filters has 4 axes", "6"]);
    for rank in [0, 1, 4, usize::MAX] {
        refused(plain().forward(rank, &x, &w), ErrorKind::BadJob, &["rank is", "2 or 3"]);
    }
    refused(plain().forward(3, &x, &w), ErrorKind::Rank, &["input has 4 axes", "5 in 3-D"]);
    for border in [Padding::Same, Padding::SameLower, Padding::SameCentered, [(0, -1), (0, 0)].into()] {
        refused(plain().border_mode(border).forward(2, &x, &w), ErrorKind::Padding, &["valid, full, half"]);
    }
    refused(plain().border_mode([1]).forward(2, &x, &w), ErrorKind::Padding, &["1 axes came, wanted 2"]);
    refused(plain().subsample([1, 0]).forward(2, &x, &w), ErrorKind::Stride, &["axis 1"]);
    refused(plain().filter_dilation([0, 1]).forward(2, &x, &w), ErrorKind::Dilation, &["axis 0"]);
    refused(plain().filter_dilation([1]).forward(2, &x, &w), ErrorKind::Dilation, &["1 dilations"]);
    for groups in [0, 3] {
        refused(plain().num_groups(groups).forward(2, &x, &w), ErrorKind::Groups, &["groups"]);
    }
    refused(plain().num_groups(2).forward(2, &x, &w), ErrorKind::Channels, &["wanted 2"]);
    refused(plain().forward(2, &[2, 4, 2, 9], &w), ErrorKind::KernelTooLarge, &["axis 0"]);
    refused(plain().input_shape(&[2, 4, 9, 8]).forward(2, &x, &w), ErrorKind::Operand, &["input_shape"]);
    refused(plain().filter_shape(&[6, 4, 3]).forward(2, &x, &w), ErrorKind::Operand, &["filter_shape"]);
    let positions = plain().unshared(true).forward(2, &x, &[6, 7, 6, 4, 3, 3]);
    refused(positions, ErrorKind::OutputShape, &["6 output positions on axis 1", "has 7"]);
}

#[test]
fn nnet_conv_gradients() {
    let plain = NnetConv::default;
    let by_input = |how: NnetConv| how.grad_inputs(2, &[2, 6, 4, 4], &[6, 4, 3, 3]);
    refused(by_input(plain()), ErrorKind::BadJob, &["input_shape is missing"]);
    let space = NnetConv { input_shape: Some(vec![None, None, Some(6), None]), ..plain() };
    refused(by_input(space), ErrorKind::BadJob, &["input_shape is missing", "space"]);
    refused(by_input(plain().input_shape(&[6, 6])), ErrorKind::OutputShape, &["[6, 6]", "4 extents"]);
    // Of stride 2, heights 9 and 10 lead to 4.
    for (height, fits) in [(8, false), (9, true), (10, true), (11, false)] {
        let operation = by_input(plain().subsample(2).input_shape(&[2, 4, height, 9]));
        if fits {
            assert_eq!(operation.unwrap().shape(), [2, 4, height, 9]);
        } else {
            refused(operation, ErrorKind::GradShape, &["[2, 6, 4, 4]", "9 to 10"]);
        }
    }
    refused(by_input(plain().input_shape(&[3, 4, 6, 6])), ErrorKind::GradShape, &["[3, 6, 4, 4]"]);
    refused(by_input(plain().filter_shape(&[5, 4, 3, 3])), ErrorKind::Operand, &["filter_shape"]);
    let by_filters = |how: NnetConv| how.grad_weights(2, &[2, 4, 6, 6], &[2, 6, 4, 4]);
    refused(by_filters(plain()), ErrorKind::BadJob, &["filter_shape is missing"]);
    refused(by_filters(plain().filter_shape(&[6, 4, 3, 2])), ErrorKind::GradShape, &["[2, 6, 4, 5]"]);
    refused(by_filters(plain().filter_shape(&[5, 4, 3, 3])), ErrorKind::GradShape, &["[2, 5, 4, 4]"]);
    refused(by_filters(plain().filter_shape(&[6, 3, 3, 3])), ErrorKind::Channels, &["wanted 4"]);
    refused(by_filters(plain().num_groups(0).filter_shape(&[6, 4, 3, 3])), ErrorKind::Groups, &["groups 0"]);
    let transposed = |shape: &[usize]| {
        let shape: Vec<_> = shape.iter().copied().map(Some).collect();
        plain().subsample(2).transpose(2, &[2, 6, 4, 4], &[6, 4, 3, 3], &shape)
    };
    assert_eq!(transposed(&[9, 10]).unwrap().shape(), [2, 4, 9, 10]);
    refused(transposed(&[8, 9]), ErrorKind::OutputShape, &["output_shape is [8, 9]", "9 to 10"]);
    refused(transposed(&[9]), ErrorKind::OutputShape, &["output_shape is [9]", "4 extents"]);
    refused(transposed(&[3, 4, 9, 9]), ErrorKind::OutputShape, &["output_shape is [3, 4, 9, 9]"]);
    // Filters are those of the forward convolution: the input's channels first.
    let channels = plain().transpose(2, &[2, 5, 4, 4], &[6, 4, 3, 3], &[Some(6), Some(6)]);
    refused(channels, ErrorKind::OutputShape, &["output_shape"]);
}

#[test]
fn compositions() {
    let separable = |how: SeparableConv, depthwise: &[usize], pointwise: &[usize]| {
        how.operation(2, &[1, 2, 4, 4], depthwise, pointwise)
    };
    let plain = SeparableConv::default;
    refused(separable(plain(), &[4, 2, 3, 3], &[3, 4, 1, 1]), ErrorKind::Channels, &["wanted 1"]);
    refused(separable(plain(), &[3, 1, 3, 3], &[3, 3, 1, 1]), ErrorKind::Groups, &["2 input", "3 output"]);
    refused(separable(plain(), &[4, 1, 3, 3], &[3, 3, 1, 1]), ErrorKind::Channels, &["wanted 4"]);
    refused(separable(plain(), &[4, 1, 3, 3], &[3, 4, 2, 1]), ErrorKind::Operand, &["pointwise_filters"]);
    refused(separable(plain(), &[4, 1, 3], &[3, 4, 1, 1]), ErrorKind::Rank, &["depthwise_filters"]);
    let channels = SeparableConv { num_channels: Some(3), ..plain() };
    refused(
        separable(channels, &[4, 1, 3, 3], &[3, 4, 1, 1]),
        ErrorKind::Channels,
        &["num_channels: 3", "wanted 2"],
    );

    let causal = |how: CausalConv1d| how.operation(&[1, 2, 4], &[3, 2, 2]);
    refused(causal(CausalConv1d { subsample: 0, ..Default::default() }), ErrorKind::Stride, &["axis 0"]);
    refused(
        causal(CausalConv1d { filter_dilation: 0, ..Default::default() }),
        ErrorKind::Dilation,
        &["axis 0"],
    );
    let hint = CausalConv1d { filter_shape: open(&[3, 2, 3]), ..Default::default() };
    refused(causal(hint), ErrorKind::Operand, &["filter_shape"]);
    refused(CausalConv1d::default().operation(&[2, 4], &[3, 2, 2]), ErrorKind::Rank, &["input has 2"]);
    let far = CausalConv1d { filter_dilation: u64::MAX, ..Default::default() };
    refused(causal(far), ErrorKind::Overflow, &["too large"]);

    let image = [1, 1, 2, 2];
    refused(BilinearUpsampling::ratio(0).operation(&image), ErrorKind::BadJob, &["ratio is 0"]);
    refused(
        BilinearUpsampling::frac_ratio((1, 1), (0, 1)).operation(&image),
        ErrorKind::BadJob,
        &["frac_ratio"],
    );
    let one_by_one = BilinearUpsampling { ratio: Ratio::Fraction([(3, 2); 2]), use_1d_kernel: true };
    refused(one_by_one.operation(&image), ErrorKind::BadJob, &["use_1D_kernel is true", "false"]);
    refused(BilinearUpsampling::ratio(2).operation(&[2, 2]), ErrorKind::Rank, &["input has 2 axes"]);
    refused(BilinearUpsampling::ratio(2).operation(&[1, 1, 0, 2]), ErrorKind::Operand, &["axis 0 is 0"]);
    let huge = BilinearUpsampling::ratio(usize::MAX).operation(&image);
    refused(huge, ErrorKind::Overflow, &["too large"]);
}

#[test]
fn conv_fft() {
    let by = |how: ConvFft, w: &[usize]| how.operation(2, &[1, 2, 4, 5], w);
    for border_mode in [Padding::Half, 1usize.into()] {
        let how = ConvFft { border_mode, ..ConvFft::default() };
        refused(by(how, &[3, 2, 2, 2]), ErrorKind::Padding, &["wanted valid, full"]);
    }
    refused(by(ConvFft::default(), &[3, 2, 5, 2]), ErrorKind::KernelTooLarge, &["axis 0"]);
    refused(by(ConvFft::default(), &[3, 1, 2, 2]), ErrorKind::Channels, &["wanted 2"]);
    let hint = ConvFft { image_shape: open(&[1, 2, 4, 4]), ..ConvFft::default() };
    refused(by(hint, &[3, 2, 2, 2]), ErrorKind::Operand, &["image_shape"]);
    refused(ConvFft::default().operation(3, &[1, 2, 4, 5], &[3, 2, 2, 2]), ErrorKind::Rank, &["5 in 3-D"]);
}

#[test]
fn conv3d() {
    let (v, w, b) = ([1, 4, 4, 4, 2], [3, 2, 2, 2, 2], [3]);
    let by = |d: Conv3d, v: &[usize], w: &[usize], b: &[usize]| d.forward(v, w, b);
    refused(by(Conv3d::new([1, 1]), &v, &w, &b), ErrorKind::Stride, &["2 strides"]);
    refused(by(Conv3d::new([1, 0, 1]), &v, &w, &b), ErrorKind::Stride, &["axis 1"]);
    refused(by(Conv3d::default(), &v[1..], &w, &b), ErrorKind::Rank, &["V has 4 axes"]);
    refused(by(Conv3d::default(), &v, &[3, 2, 2, 2, 1], &b), ErrorKind::Channels, &["wanted 2"]);
    refused(by(Conv3d::default(), &v, &w, &[2]), ErrorKind::BiasShape, &["[2]", "[3]"]);
    refused(by(Conv3d::default(), &v, &w, &[3, 1]), ErrorKind::Rank, &["b has 2 axes"]);
    refused(by(Conv3d::default(), &v, &[3, 5, 2, 2, 2], &b), ErrorKind::KernelTooLarge, &["axis 0"]);

    let h = [1, 3, 3, 3, 3];
    let by = |b: &[usize], h: &[usize], r: Option<&[usize]>| Conv3d::default().transposed(&w, b, h, r);
    refused(by(&[3], &h, None), ErrorKind::BiasShape, &["[3]", "[2]"]);
    refused(by(&[2], &[1, 3, 3, 3, 2], None), ErrorKind::Channels, &["H: 2 channels", "wanted 3"]);
    refused(by(&[2], &h, Some(&[4, 4])), ErrorKind::OutputShape, &["RShape is [4, 4]", "3 extents"]);
    refused(
        by(&[2], &h, Some(&[4, 3, 4])),
        ErrorKind::OutputShape,
        &["RShape is [4, 3, 4]", "at least 4 on axis 1"],
    );
    refused(Conv3d::new([1, 1]).transposed(&w, &[2], &h, None), ErrorKind::Stride, &["2 strides"]);
    refused(Conv3d::new(0usize).transposed(&w, &[2], &h, None), ErrorKind::Stride, &["axis 0"]);

    let by = |h: &[usize], w: &[usize]| Conv3d::default().grad_weights(&v, h, w);
    refused(
        by(&[1, 3, 3, 2, 3], &w),
        ErrorKind::GradShape,
        &["dCdH has shape [1, 3, 3, 2, 3]", "wanted [1, 3, 3, 3, 3]"],
    );
    refused(by(&h, &w[1..]), ErrorKind::Rank, &["WShape has 4 axes"]);
    refused(by(&h, &[3, 2, 2, 2, 1]), ErrorKind::Channels, &["wanted 2"]);
}

#[test]
fn conv3d2d() {
    let by = |how: Conv3d2d, w: &[usize]| how.operation(&[1, 4, 2, 4, 4], w);
    let plain = Conv3d2d::default;
    for border in [Padding::Same, 1usize.into()] {
        for axis in 0..3 {
            let mut how = plain();
            how.border_mode[axis] = border.clone();
            // Whatever the filter's extent in time: Theano overlooks a wrong border if that is 1.
            refused(by(how, &[3, 1, 2, 2, 2]), ErrorKind::Padding, &["wanted valid, full, half"]);
        }
    }
    refused(by(plain(), &[3, 5, 2, 2, 2]), ErrorKind::KernelTooLarge, &["axis 0"]);
    refused(by(plain(), &[3, 2, 1, 2, 2]), ErrorKind::Channels, &["wanted 2"]);
    refused(by(plain(), &[3, 2, 2, 2]), ErrorKind::Rank, &["filters has 4 axes"]);
    let hint = Conv3d2d { filters_shape: open(&[3, 2, 2, 2, 3]), ..plain() };
    refused(by(hint, &[3, 2, 2, 2, 2]), ErrorKind::Operand, &["filters_shape"]);
}

#[test]
fn cuda_convnet() {
    let plain = CudaConvnet::default;
    let by = |how: CudaConvnet, w: &[usize]| how.filter_acts(&[2, 5, 5, 1], w);
    refused(by(plain(), &[1, 3, 3, 4]), ErrorKind::Channels, &["wanted 2"]);
    refused(by(plain(), &[2, 3, 3]), ErrorKind::Rank, &["filters has 3 axes"]);
    refused(by(plain().stride(0), &[2, 3, 3, 4]), ErrorKind::Stride, &["axis 0"]);
    refused(by(plain().pad([1, 1, 1]), &[2, 3, 3, 4]), ErrorKind::Padding, &["3 axes came"]);
    refused(by(plain(), &[2, 6, 3, 4]), ErrorKind::KernelTooLarge, &["axis 0"]);
    let divides = |sum| CudaConvnet { partial_sum: Some(sum), ..plain() };
    refused(by(divides(2), &[2, 3, 3, 4]), ErrorKind::BadJob, &["partial_sum is 2", "divisor of the 9"]);
    for sum in [0, 1, 3, 9] {
        assert!(by(divides(sum), &[2, 3, 3, 4]).is_ok(), "{sum}");
    }
    let images =
        |how: CudaConvnet, shape: Option<&[usize]>| how.image_acts(&[4, 3, 3, 1], &[2, 3, 3, 4], shape);
    refused(images(plain().stride(2), None), ErrorKind::BadJob, &["output_shape is missing", "steps"]);
    refused(images(plain(), Some(&[5])), ErrorKind::OutputShape, &["[5]", "2 extents"]);
    // −pad + (m − 1)·stride + k = 5 rows, without padding.
    refused(images(plain(), Some(&[6, 5])), ErrorKind::OutputShape, &["[6, 5]", "1 to 5 on axis 0"]);
    refused(images(plain().pad(1), Some(&[5, 5])), ErrorKind::OutputShape, &["1 to 4 on axis 0"]);
    assert!(images(plain().pad(1), Some(&[4, 4])).is_ok());
    refused(images(plain(), Some(&[0, 5])), ErrorKind::OutputShape, &["1 to 5 on axis 0"]);
    let channels = plain().image_acts(&[3, 3, 3, 1], &[2, 3, 3, 4], None);
    refused(channels, ErrorKind::Channels, &["hid_acts: 3", "wanted 4"]);
    let weights = |shape: &[usize]| plain().weight_acts(&[2, 5, 5, 1], &[4, 3, 3, 1], shape);
    refused(weights(&[3, 2]), ErrorKind::GradShape, &["hid_grads has shape [4, 3, 3, 1]", "[4, 3, 4, 1]"]);
    refused(weights(&[3]), ErrorKind::OutputShape, &["[3]", "2 extents"]);
}

#[test]
fn corr_mm() {
    let plain = CorrMm::default;
    let strided = || CorrMm { subsample: [1, 2].into(), ..plain() };
    let half = || CorrMm { border_mode: Padding::Half, ..plain() };
    let weights = |how: CorrMm| how.grad_weights(2, &[1, 2, 5, 5], &[1, 3, 3, 3]);
    refused(weights(strided()), ErrorKind::BadJob, &["shape is missing", "steps"]);
    refused(weights(half()), ErrorKind::BadJob, &["shape is missing", "half"]);
    refused(
        weights(CorrMm { shape: Some(vec![3]), ..plain() }),
        ErrorKind::OutputShape,
        &["[3]", "2 extents"],
    );
    refused(weights(CorrMm { shape: Some(vec![3, 2]), ..plain() }), ErrorKind::GradShape, &["[1, 3, 3, 4]"]);
    let inputs = |how: CorrMm| how.grad_inputs(2, &[3, 2, 3, 3], &[1, 3, 3, 3]);
    refused(inputs(strided()), ErrorKind::BadJob, &["shape is missing", "steps"]);
    assert_eq!(inputs(half()).unwrap().shape(), [1, 2, 3, 3]);
    let much = CorrMm { border_mode: 3usize.into(), ..plain() };
    refused(inputs(much), ErrorKind::BadJob, &["leave -1 on axis 0"]);
    refused(inputs(CorrMm { num_groups: 0, ..plain() }), ErrorKind::Groups, &["groups 0"]);
    let forward = |how: CorrMm, w: &[usize]| how.forward(2, &[1, 2, 5, 5], w);
    refused(forward(plain(), &[3, 1, 3, 3]), ErrorKind::Channels, &["wanted 2"]);
    refused(forward(plain(), &[3, 2, 6, 3]), ErrorKind::KernelTooLarge, &["axis 0"]);
    refused(
        forward(CorrMm { border_mode: Padding::Same, ..plain() }, &[3, 2, 3, 3]),
        ErrorKind::Padding,
        &["half"],
    );
    refused(
        forward(CorrMm { unshared: true, ..plain() }, &[3, 2, 3, 3]),
        ErrorKind::Rank,
        &["wanted 6 (o, positions"],
    );
}

#[test]
fn flags() {
    let problem = |padding: Padding, stride: usize| {
        ConvProblem::new(&[1, 1, 9, 9], &[1, 1, 3, 2], &Conv::default().padding(padding).stride(stride))
            .unwrap()
    };
    let (valid, full, half) =
        (problem(Padding::Valid, 1), problem(Padding::Full, 1), problem(Padding::Half, 1));
    let strided = problem(Padding::Valid, 2);
    use Algorithm::{Fft, Im2colGemm, ImplicitGemm};
    let prefer = |text: &str, problem: &ConvProblem| Flags::parse(text).unwrap().options(problem).prefer;
    assert_eq!(prefer("", &valid), []);
    assert_eq!(prefer("conv_fft_valid", &valid), [Fft]);
    for other in [&full, &half, &strided] {
        assert_eq!(prefer("conv_fft_valid", other), []);
    }
    assert_eq!(prefer("conv_fft_full", &full), [Fft]);
    assert_eq!(prefer("conv_fft_full", &valid), []);
    assert_eq!(prefer("conv_gemm:conv_fft:conv_dnn", &strided), [Fft, ImplicitGemm, Im2colGemm]);
    let cube = ConvProblem::new(&[1, 1, 4, 4, 4], &[1, 1, 2, 2, 2], &Conv::default()).unwrap();
    assert_eq!(prefer("conv3d_fft:convgrad3d_gemm", &cube), [Fft]);
    assert_eq!(
        prefer("conv3d_fft:convgrad3d_gemm", &cube.with_direction(Direction::GradWeight).unwrap()),
        [Im2colGemm]
    );
    assert_eq!(prefer("convtransp3d_fft", &cube.with_direction(Direction::GradInput).unwrap()), [Fft]);
    assert_eq!(prefer("conv3d_fft", &valid), []);

    let options =
        Flags::parse("optimizer_including=conv_meta:conv_gemm, optimizer_excluding=conv_dnn:conv_fft")
            .unwrap();
    let options = options.options(&valid);
    assert_eq!(
        (options.measure, options.prefer, options.exclude),
        (true, vec![Im2colGemm], vec![Fft, ImplicitGemm])
    );
    let both = Flags::parse("optimizer_including=conv_meta,optimizer_excluding=conv_meta").unwrap();
    assert!(!both.options(&valid).measure);
    assert_eq!(Flags::parse("no_fft").unwrap().options(&valid).exclude, [Fft]);
    assert_eq!(prefer("device=gpu,floatX=float32,optimizer_including=conv_gemm", &valid), [Im2colGemm]);
    for wrong in ["conv_ftt", "optimizer_including=fast_run", "conv_gemm:x"] {
        let error = Flags::parse(wrong).unwrap_err();
        assert!(error.to_string().contains("conv_meta, conv_fft_valid"), "{error}");
    }
}

/// The errors themselves, whole.
#[test]
fn errors_name_what_was_wanted_and_what_came() {
    let plain = NnetConv::default();
    let error = plain.forward(2, &[4, 9, 9], &[6, 4, 3, 3]).unwrap_err();
    let message = "input has 3 axes, wanted 4 (b, c, rows, columns) in 2-D, 5 in 3-D";
    assert_eq!(error.to_string(), message);
    let error =
        plain.clone().input_shape(&[1, 4, 9, 8]).forward(2, &[1, 4, 9, 9], &[6, 4, 3, 3]).unwrap_err();
    let Error::Operation(OperationError::Hint { hint: "input_shape", operand: "input", declared, got }) =
        &error
    else {
        panic!("{error:?}");
    };
    assert_eq!((declared, got), (&open(&[1, 4, 9, 8]).unwrap(), &vec![1, 4, 9, 9]));
    let error = plain.forward(2, &[1, 4, 9, 9], &[6, 3, 3, 3]).unwrap_err();
    assert!(matches!(
        error,
        Error::Problem(ProblemError::Channels { input: 4, groups: 1, wanted: 4, got: 3 })
    ));
}
