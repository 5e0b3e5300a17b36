//! Shapes that others publish as tests or that well-known networks use, scaled down to test size.

use wgconv::{Conv, Layout, Padding, Rounding};

use super::Case;

pub fn cases() -> Vec<Case> {
    [pytorch(), cuda_convnet(), networks()].concat()
}

/// The samples of PyTorch's `OpInfo` for `conv2d`.
fn pytorch() -> Vec<Case> {
    let conv = Conv::default;
    let case = |name: &str, x: [usize; 4], w: [usize; 4], conv: Conv| {
        Case::new(format!("pytorch_{name}"), &x, &w, conv)
    };
    let (x, filters) = ([2, 4, 6, 6], [4, 1, 3, 3]);
    let (small, single) = ([1, 4, 5, 5], [1, 4, 2, 3]);
    vec![
        case("stride_2_padding_2", [1, 3, 4, 4], [3, 3, 3, 3], conv().stride(2).padding(2).bias(true)),
        case(
            "stride_3x2_padding_2x1_groups_2_dilation_4",
            [2, 4, 8, 8],
            [2, 2, 3, 3],
            conv().stride([3, 2]).padding([2, 1]).groups(2).dilation(4).bias(true),
        ),
        case("dilation_2x3", small, single, conv().stride(2).padding(1).dilation([2, 3]).bias(true)),
        case("kernel_3x4", [1, 2, 4, 3], [4, 2, 3, 4], conv().stride(2).padding(1)),
        case("valid", small, single, conv().stride(2).padding(Padding::Valid).bias(true)),
        case("same_dilation_3", small, single, conv().padding(Padding::Same).dilation(3).bias(true)),
        case("groups_4", x, filters, conv().groups(4).bias(true)),
        case("groups_4_multiplier_2", x, [8, 1, 3, 3], conv().groups(4).bias(true)),
        case("groups_4_multiplier_2_no_bias", x, [8, 1, 3, 3], conv().groups(4)),
        case("groups_4_stride_3x2", x, filters, conv().groups(4).stride([3, 2]).bias(true)),
        case("groups_4_padding_1", x, filters, conv().groups(4).padding(1).bias(true)),
        case("groups_4_dilation_2", [2, 4, 5, 5], [4, 1, 2, 2], conv().groups(4).dilation(2).bias(true)),
        case("groups_2_kernel_3x2", [2, 4, 6, 5], [6, 2, 3, 2], conv().groups(2).bias(true)),
        case("defaults", small, [3, 4, 3, 3], conv()),
    ]
}

/// cuda-convnet's order of the axes, rounding and filter counts (multiples of 16).
fn cuda_convnet() -> Vec<Case> {
    let conv = || Conv::default().layouts(Layout::Cxn).rounding(Rounding::Ceil);
    let case = |name: &str, x: [usize; 4], w: [usize; 4], conv: Conv| {
        Case::new(format!("cuda_convnet_{name}"), &x, &w, conv)
    };
    vec![
        case("3x3_kernel_2", [1, 1, 3, 3], [16, 1, 2, 2], conv()),
        case("3x3_kernel_2_stride_2", [1, 1, 3, 3], [16, 1, 2, 2], conv().stride(2)),
        // The windows of the last row and column lie wholly outside the image.
        case("3x3_kernel_2_stride_2_padding_1", [1, 1, 3, 3], [16, 1, 2, 2], conv().stride(2).padding(1)),
        case("cifar_layer_1", [2, 3, 32, 32], [16, 3, 5, 5], conv().padding(2)),
        case("cifar_layer_2", [2, 16, 8, 8], [32, 16, 5, 5], conv().padding(2)),
        case("alexnet_layer_1", [2, 3, 37, 37], [16, 3, 11, 11], conv().stride(4)),
        case("batch_128", [128, 1, 6, 6], [16, 1, 3, 3], conv().stride(2)),
        case("channels_4_stride_3", [5, 4, 11, 11], [16, 4, 3, 3], conv().stride(3).padding(1)),
    ]
}

fn networks() -> Vec<Case> {
    let conv = Conv::default;
    vec![
        Case::new("resnet_stem", &[1, 3, 32, 32], &[16, 3, 7, 7], conv().stride(2).padding(3)),
        Case::new("resnet_3x3", &[2, 16, 14, 14], &[16, 16, 3, 3], conv().padding(1)),
        Case::new("resnet_shortcut", &[2, 32, 8, 8], &[64, 32, 1, 1], conv().stride(2).bias(true)),
        Case::new("vit_patches", &[1, 3, 32, 32], &[24, 3, 16, 16], conv().stride(16).bias(true)),
        Case::new(
            "mobilenet_depthwise",
            &[1, 32, 14, 14],
            &[32, 1, 3, 3],
            conv().groups(32).stride(2).padding(Padding::Same),
        ),
        Case::new("convnext_depthwise_7x7", &[1, 24, 14, 14], &[24, 1, 7, 7], conv().groups(24).padding(3)),
        Case::new("deeplab_atrous", &[1, 8, 17, 17], &[8, 8, 3, 3], conv().dilation(6).padding(6)),
        Case::new("unet_valid", &[1, 4, 28, 28], &[8, 4, 3, 3], conv()),
        Case::new("super_resolution_9x9", &[1, 3, 24, 24], &[8, 3, 9, 9], conv().padding(4)),
        Case::new("wavenet_causal", &[1, 16, 64], &[16, 16, 2], conv().dilation(16).padding([(16, 0)])),
        Case::new("whisper_stem", &[1, 20, 60], &[32, 20, 3], conv().stride(2).padding(1)),
        Case::new("mamba_causal_depthwise", &[2, 32, 40], &[32, 1, 4], conv().groups(32).padding([(3, 0)])),
        Case::new("wav2vec_stem", &[1, 1, 400], &[16, 1, 10], conv().stride(5)),
        Case::new("c3d_3x3x3", &[1, 3, 6, 12, 12], &[8, 3, 3, 3, 3], conv().padding(1)),
        Case::new("r2plus1d_temporal", &[1, 8, 8, 7, 7], &[8, 8, 3, 1, 1], conv().padding([1, 0, 0])),
        Case::new("image_filter_gaussian_5", &[1, 1, 40, 37], &[1, 1, 5, 5], conv().padding(2).flip(true)),
        Case::new("theano_full_2d", &[2, 3, 7, 6], &[4, 3, 3, 4], conv().flip(true).padding(Padding::Full)),
        Case::new("theano_half_2d", &[2, 3, 7, 6], &[4, 3, 4, 4], conv().flip(true).padding(Padding::Half)),
    ]
}
