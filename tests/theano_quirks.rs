//! What Theano's operations did wrong, and this crate does not.

use crate::common::operation::{check, counting, refused, rows, tensor};
use wgconv::theano::{CausalConv1d, Conv3d, Conv3d2d, ConvFft, CorrMm, CudaConvnet, NnetConv};
use wgconv::{Algorithm, ErrorKind, Padding};

/// Steps and distances of 0 are refused at once; negative ones, which gave wrong numbers, no type here holds.
#[test]
fn steps_are_checked() {
    let by = |how: NnetConv| how.forward(2, &[1, 1, 4, 4], &[1, 1, 2, 2]);
    refused(by(NnetConv::default().subsample(0)), ErrorKind::Stride, &["axis 0 is 0"]);
    refused(by(NnetConv::default().filter_dilation(0)), ErrorKind::Dilation, &["axis 0 is 0"]);
}

/// With a filter of a single image in time, the border's name in time was not looked at.
#[test]
fn the_border_in_time_is_checked() {
    let border_mode = [Padding::Same, Padding::Valid, Padding::Valid];
    let how = Conv3d2d { border_mode, ..Conv3d2d::default() };
    refused(how.operation(&[1, 4, 2, 4, 4], &[3, 1, 2, 2, 2]), ErrorKind::Padding, &["same_upper"]);
}

/// Theano found the kernel's size by a division that left a fraction.
#[test]
fn a_kernel_that_does_not_divide_is_refused() {
    let how = CorrMm { filter_dilation: 2.into(), ..CorrMm::default() };
    // 5 cells to 3 leave a reach of 3: two taps at a distance of 2.
    assert_eq!(how.grad_weights(2, &[1, 1, 5, 5], &[1, 1, 3, 3]).unwrap().shape(), [1, 1, 2, 2]);
    // 5 to 2 leave a reach of 4, which is no kernel at that distance.
    let error = how.grad_weights(2, &[1, 1, 5, 5], &[1, 1, 2, 2]);
    refused(error, ErrorKind::BadJob, &["a reach of 4 on axis 0, dilation 2"]);
}

/// An impossible size is a refusal with any stride: GPU code computed it without a sign.
#[test]
fn a_kernel_larger_than_the_image_is_refused_at_every_stride() {
    for stride in 1..4 {
        let how = CorrMm { subsample: stride.into(), ..CorrMm::default() };
        refused(how.forward(2, &[1, 1, 3, 3], &[1, 1, 5, 5]), ErrorKind::KernelTooLarge, &["5", "3"]);
        let how = NnetConv::default().subsample(stride);
        refused(how.forward(2, &[1, 1, 3, 3], &[1, 1, 5, 5]), ErrorKind::KernelTooLarge, &["5", "3"]);
    }
}

/// An omitted `RShape` gave shapes of -1.
#[test]
fn the_transposed_shape_is_known() {
    let operation =
        Conv3d::new([2, 1, 3]).transposed(&[3, 2, 2, 2, 2], &[2], &[1, 3, 3, 3, 3], None).unwrap();
    assert_eq!(operation.shape(), [1, 6, 4, 8, 2]);
}

/// `conv2d_fft` refused odd widths, and padded even ones if told to, which then failed.
#[test]
fn every_width_runs_by_fft() {
    for width in [3, 4] {
        for pad_last_dim in [false, true] {
            let x = counting(&[1, 1, 2, width]);
            let how = ConvFft { pad_last_dim, ..ConvFft::default() };
            let operation = how.operation(2, x.shape(), &[1, 1, 1, 1]).unwrap();
            assert_eq!(operation.steps()[0].prefers, Some(Algorithm::Fft));
            check(&operation, &[&x, &tensor(&[1, 1, 1, 1], &[1.])], &x);
        }
    }
}

/// `FilterActs` aborted the process on 5 or 7 channels.
#[test]
fn any_number_of_channels() {
    for channels in [1, 5, 7] {
        let (x, w) = (counting(&[channels, 1, 1, 1]), counting(&[channels, 1, 1, 1]));
        let operation = CudaConvnet::default().filter_acts(x.shape(), w.shape()).unwrap();
        let want: f64 = (1..=channels).map(|c| (c * c) as f64).sum();
        check(&operation, &[&x, &w], &tensor(&[1; 4], &[want]));
    }
}

/// The gradient of a `full` convolution wanted all shapes with stride 2 and refused stride 3; that of a strided `valid`
/// one was missing.
#[test]
fn gradients_of_strided_borders() {
    for border in [Padding::Full, Padding::Valid] {
        for stride in [2, 3] {
            let how = NnetConv::default().border_mode(border.clone()).subsample(stride);
            let forward = how.forward(2, &[1, 1, 7, 8], &[1, 1, 3, 2]).unwrap();
            let h = counting(&forward.shape());
            let dx = how.input_shape(&[1, 1, 7, 8]).grad_inputs(2, h.shape(), &[1, 1, 3, 2]).unwrap();
            let by_data = forward.gradient(0).unwrap();
            let (w, x) = (counting(&[1, 1, 3, 2]), counting(&[1, 1, 7, 8]));
            let want = crate::common::operation::result(&by_data, &[x, w.clone(), h.clone()]);
            check(&dx, &[&h, &w], &want);
        }
    }
}

/// Two conventions that are easily mixed up: both are there.
#[test]
fn flips() {
    let (x, w) = (tensor(&[1, 1, 2], &[1., 0.]), tensor(&[1, 1, 2], &[1., 10.]));
    for (filter_flip, want) in [(true, [1., 10.]), (false, [10., 1.])] {
        let how = CausalConv1d { filter_flip, ..CausalConv1d::default() };
        check(&how.operation(&[1, 1, 2], &[1, 1, 2]).unwrap(), &[&x, &w], &tensor(&[1, 1, 2], &want));
    }
    // A transposed convolution scatters the filters as the forward one has them: as they are only without the flip.
    let (one, w) = (tensor(&[1, 1, 1, 1], &[1.]), rows(4, &[[1., 2.], [3., 4.]]));
    for (flip, want) in [(true, [[4., 3.], [2., 1.]]), (false, [[1., 2.], [3., 4.]])] {
        let how = NnetConv::default().filter_flip(flip);
        let operation = how.transpose(2, one.shape(), w.shape(), &[Some(2), Some(2)]).unwrap();
        check(&operation, &[&one, &w], &rows(4, &want));
    }
}

/// No shape of these is a limit any more.
#[test]
fn zero_sizes() {
    let shape = |x: &[usize], w: &[usize]| NnetConv::default().forward(2, x, w).unwrap();
    assert_eq!(shape(&[0, 2, 4, 4], &[3, 2, 2, 2]).shape(), [0, 3, 3, 3]);
    assert_eq!(shape(&[1, 2, 4, 4], &[0, 2, 2, 2]).shape(), [1, 0, 3, 3]);
    let no_channels = shape(&[1, 0, 4, 4], &[2, 0, 2, 2]);
    check(
        &no_channels,
        &[&counting(&[1, 0, 4, 4]), &counting(&[2, 0, 2, 2])],
        &tensor(&[1, 2, 3, 3], &[0.; 18]),
    );
}
