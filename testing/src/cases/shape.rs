//! Extents, explicit paddings, strides and dilations at their borders; lengths that are awkward for an FFT.

use wgconv::{Conv, Padding};

use super::{Case, per_axis, shape_of};

pub fn cases() -> Vec<Case> {
    [every_rank(), kernels(), paddings(), strides(), dilations(), fft_lengths()].concat()
}

/// What is worth doing in each rank.
fn every_rank() -> Vec<Case> {
    let conv = Conv::default;
    (1..=3)
        .flat_map(|rank| {
            let case = |name: &str, x: [usize; 3], w: [usize; 3], conv: Conv| {
                let (x, w) = (shape_of(2, 3, rank, x), shape_of(4, 3, rank, w));
                Case::new(format!("{name}_rank_{rank}"), &x, &w, conv)
            };
            let pads = |pads: [(usize, isize); 3]| Padding::from(per_axis(rank, pads));
            [
                case("plain", [9, 8, 7], [3, 3, 3], conv()),
                case("same_3", [9, 8, 7], [3, 3, 3], conv().padding(1)),
                case("spatial_1_kernel_1", [1; 3], [1; 3], conv()),
                case("spatial_1_kernel_3_padded", [1; 3], [3; 3], conv().padding(1)),
                case("kernel_equals_input", [5, 4, 6], [5, 4, 6], conv()),
                case("kernel_equals_padded_input", [4, 5, 3], [6, 7, 5], conv().padding(1)),
                case("kernel_exceeds_input_within_padding", [4, 5, 3], [5, 6, 4], conv().padding(2)),
                case("pointwise", [5, 6, 4], [1; 3], conv()),
                case("pointwise_padded", [5, 6, 4], [1; 3], conv().padding(2)),
                case("kernel_even", [7, 8, 6], [2, 4, 2], conv()),
                case("kernel_even_padded", [7, 8, 6], [4, 2, 2], conv().padding(1)),
                case("padding_exceeds_kernel", [4, 3, 2], [3, 2, 3], conv().padding(5)),
                case("padding_asymmetric", [6, 5, 4], [3; 3], conv().padding(pads([(2, 1), (0, 3), (1, 0)]))),
                case("padding_end_only", [6, 5, 4], [3; 3], conv().padding(pads([(0, 2), (0, 1), (0, 3)]))),
                case("padding_begin_only", [6, 5, 4], [3; 3], conv().padding(pads([(2, 0), (1, 0), (3, 0)]))),
                case(
                    "padding_end_negative",
                    [8, 7, 6],
                    [3; 3],
                    conv().padding(pads([(1, -2), (0, -1), (2, -3)])),
                ),
                case("stride_2", [9, 8, 7], [3; 3], conv().stride(2)),
                case("stride_equals_kernel", [9, 8, 7], [2; 3], conv().stride(2)),
                case("stride_exceeds_kernel", [11, 9, 8], [2, 1, 2], conv().stride(3)),
                case("stride_exceeds_input", [4, 3, 5], [2; 3], conv().stride(7)),
                case("stride_per_axis", [9, 10, 8], [3, 2, 3], conv().stride(per_axis(rank, [1, 3, 2]))),
                case("stride_with_output_1", [3, 4, 3], [3; 3], conv().stride(2)),
                case("stride_with_output_1_padded", [2, 1, 2], [3; 3], conv().stride(3).padding(1)),
                case("dilation_2", [9, 8, 7], [3, 2, 3], conv().dilation(2)),
                case("dilation_per_axis", [9, 10, 8], [3, 3, 2], conv().dilation(per_axis(rank, [3, 2, 4]))),
                case(
                    "dilated_reach_equals_input",
                    [7, 5, 9],
                    [3, 2, 3],
                    conv().dilation(per_axis(rank, [3, 4, 4])),
                ),
                case("dilated_stride_padded", [9, 8, 7], [3; 3], conv().dilation(2).stride(3).padding(2)),
            ]
        })
        .collect()
}

fn kernels() -> Vec<Case> {
    let conv = Conv::default;
    vec![
        Case::new("kernel_1x5", &[2, 3, 6, 9], &[4, 3, 1, 5], conv()),
        Case::new("kernel_5x1", &[2, 3, 9, 6], &[4, 3, 5, 1], conv()),
        Case::new("kernel_1x7_same", &[1, 2, 5, 12], &[3, 2, 1, 7], conv().padding([0, 3])),
        Case::new("kernel_7x1_same", &[1, 2, 12, 5], &[3, 2, 7, 1], conv().padding([3, 0])),
        Case::new("kernel_3x1x1", &[1, 2, 6, 5, 4], &[3, 2, 3, 1, 1], conv()),
        Case::new("kernel_1x3x1", &[1, 2, 6, 5, 4], &[3, 2, 1, 3, 1], conv()),
        Case::new("kernel_1x1x3", &[1, 2, 6, 5, 4], &[3, 2, 1, 1, 3], conv()),
        Case::new("kernel_1x3x3", &[1, 2, 4, 6, 5], &[3, 2, 1, 3, 3], conv().padding([0, 1, 1])),
        Case::new("image_one_row", &[2, 3, 1, 17], &[4, 3, 1, 5], conv().padding([0, 2])),
        Case::new("image_one_column", &[2, 3, 17, 1], &[4, 3, 5, 1], conv().padding([2, 0])),
        Case::new("volume_one_slice", &[2, 3, 1, 6, 5], &[4, 3, 1, 3, 3], conv()),
        Case::new("volume_one_thread", &[2, 3, 1, 1, 19], &[4, 3, 1, 1, 4], conv()),
        Case::new("kernel_two_taps", &[1, 1, 10], &[1, 1, 2], conv()),
        Case::new("kernel_3x3_one_channel", &[1, 1, 20, 19], &[1, 1, 3, 3], conv().padding(1)),
        Case::new("kernel_11x11", &[1, 2, 15, 14], &[3, 2, 11, 11], conv().padding(5)),
        Case::new("kernel_31x31", &[1, 1, 33, 32], &[1, 1, 31, 31], conv().padding(15)),
        Case::new("kernel_long_1d_257", &[1, 2, 300], &[3, 2, 257], conv().padding(128)),
        Case::new("kernel_5x5x5", &[1, 2, 7, 6, 8], &[3, 2, 5, 5, 5], conv().padding(2)),
    ]
}

fn paddings() -> Vec<Case> {
    let conv = Conv::default;
    vec![
        Case::new("padding_100_around_one_cell", &[2, 16, 1], &[16, 16, 3], conv().padding(100)),
        Case::new("padding_100_before_one_cell", &[2, 16, 1], &[16, 16, 3], conv().padding([(100, 1)])),
        Case::new("padding_100_around_image", &[1, 1, 2, 3], &[2, 1, 3, 2], conv().padding([100, 50])),
        Case::new(
            "padding_outputs_see_only_padding",
            &[1, 2, 3],
            &[2, 2, 2],
            conv().padding([(9, 9)]).stride(8),
        ),
        Case::new("padding_end_leaves_just_the_kernel", &[1, 2, 9], &[3, 2, 3], conv().padding([(0, -6)])),
        Case::new("padding_end_cuts_below_begin", &[1, 2, 5], &[3, 2, 4], conv().padding([(6, -3)])),
        Case::new("padding_end_cuts_whole_input", &[1, 2, 3], &[3, 2, 2], conv().padding([(5, -4)])),
        Case::new(
            "padding_end_negative_strided_pointwise",
            &[2, 8, 8, 8],
            &[4, 8, 1, 1],
            conv().stride(2).padding([(0, -1), (0, -1)]),
        ),
        Case::new("padding_one_axis_only", &[1, 2, 5, 6], &[3, 2, 3, 3], conv().padding([2, 0])),
        Case::new("padding_causal", &[2, 3, 12], &[4, 3, 4], conv().padding([(3, 0)])),
        Case::new("padding_causal_dilated", &[2, 3, 20], &[4, 3, 3], conv().padding([(8, 0)]).dilation(4)),
        Case::new("padding_symmetric_list", &[1, 2, 5, 4, 3], &[2, 2, 3, 3, 3], conv().padding([2, 1, 0])),
    ]
}

fn strides() -> Vec<Case> {
    let conv = Conv::default;
    vec![
        Case::new("stride_3x2", &[2, 3, 10, 9], &[4, 3, 3, 3], conv().stride([3, 2]).padding(1)),
        Case::new("stride_1x4", &[2, 3, 5, 17], &[4, 3, 3, 3], conv().stride([1, 4])),
        Case::new("stride_leaves_unused_tail", &[1, 2, 12], &[3, 2, 3], conv().stride(5)),
        Case::new("stride_leaves_no_tail", &[1, 2, 13], &[3, 2, 3], conv().stride(5)),
        Case::new("stride_16_patches", &[1, 3, 32, 48], &[8, 3, 16, 16], conv().stride(16)),
        Case::new("stride_2_pointwise", &[2, 5, 9, 8], &[6, 5, 1, 1], conv().stride(2)),
        Case::new("stride_million", &[1, 2, 6], &[3, 2, 3], conv().stride(1_000_000)),
        Case::new("stride_5_kernel_2_image", &[1, 2, 13, 12], &[3, 2, 2, 2], conv().stride(5).padding(1)),
    ]
}

fn dilations() -> Vec<Case> {
    let conv = Conv::default;
    vec![
        Case::new("dilation_taps_skip_into_padding", &[1, 2, 3], &[3, 2, 3], conv().dilation(7).padding(7)),
        Case::new(
            "dilation_taps_skip_whole_image",
            &[1, 2, 2, 3],
            &[2, 2, 3, 3],
            conv().dilation([5, 6]).padding([5, 6]),
        ),
        Case::new("dilation_of_one_tap", &[1, 2, 6, 5], &[3, 2, 1, 1], conv().dilation(9)),
        Case::new(
            "dilation_2x3_stride_3x2",
            &[1, 2, 13, 12],
            &[3, 2, 3, 2],
            conv().dilation([2, 3]).stride([3, 2]),
        ),
        Case::new("dilation_equals_stride", &[1, 2, 15], &[3, 2, 4], conv().dilation(3).stride(3)),
        Case::new("dilation_16_atrous", &[1, 2, 20, 20], &[2, 2, 3, 3], conv().dilation(16).padding(16)),
        Case::new("dilation_512_wavenet", &[1, 4, 700], &[4, 4, 2], conv().dilation(512).padding([(512, 0)])),
        Case::new(
            "dilation_1x2x3",
            &[1, 2, 5, 6, 8],
            &[3, 2, 2, 3, 3],
            conv().dilation([1, 2, 3]).padding(1),
        ),
    ]
}

/// Primes, powers of two and their neighbours, factors past 13, kernels past the image.
fn fft_lengths() -> Vec<Case> {
    let line = |name: &str, cells: usize, taps: usize, padding: Padding| {
        Case::new(format!("fft_{name}"), &[2, 2, cells], &[2, 2, taps], Conv::default().padding(padding))
    };
    let image = |name: &str, x: [usize; 2], w: [usize; 2], padding: Padding| {
        let (x, w) = ([1, 2, x[0], x[1]], [2, 2, w[0], w[1]]);
        Case::new(format!("fft_{name}"), &x, &w, Conv::default().padding(padding))
    };
    vec![
        line("prime_127_full", 127, 31, Padding::Full),
        line("prime_131_valid", 131, 37, Padding::Valid),
        line("power_64", 64, 16, Padding::Valid),
        line("power_of_two_minus_1", 63, 17, Padding::SameCentered),
        line("power_of_two_plus_1", 65, 16, Padding::SameCentered),
        line("output_129_full", 98, 32, Padding::Full),
        line("length_17_times_19", 323, 40, Padding::Valid),
        line("kernel_exceeds_signal_full", 9, 40, Padding::Full),
        line("kernel_33_blocks_of_32", 320, 33, Padding::Valid),
        line("kernel_33_last_block_short", 321, 33, Padding::Full),
        line("length_1000_kernel_100", 1000, 100, Padding::SameCentered),
        image("prime_sides_full", [23, 29], [7, 11], Padding::Full),
        image("power_sides_16x32", [16, 32], [9, 8], Padding::Valid),
        image("kernel_exceeds_image_full", [5, 6], [9, 11], Padding::Full),
        image("one_row_257", [1, 257], [1, 64], Padding::SameCentered),
        image("same_even_kernel", [17, 16], [8, 6], Padding::SameCentered),
        Case::new(
            "fft_volume_5x6x7_full",
            &[1, 2, 5, 6, 7],
            &[2, 2, 4, 3, 5],
            Conv::default().padding(Padding::Full),
        ),
    ]
}
