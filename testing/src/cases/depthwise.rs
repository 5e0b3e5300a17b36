//! Groups of one or few channels: every kernel extent and stride that has a kernel of its own, large kernels, few channels
//! that become many, and sums over images that are cut into parts.

use wgconv::{Activation, Boundary, Conv, Epilogue, Layout};

use super::Case;

pub fn cases() -> Vec<Case> {
    [columns(), first_layers(), folded(), large(), shapes()].concat()
}

/// Extents 3, 5 and 7 and others, at strides 1, 2 and 3, in one tile and in several.
fn columns() -> Vec<Case> {
    let mut cases = Vec::new();
    for (k, stride) in [3, 4, 5, 7, 9].into_iter().flat_map(|k| [1, 2, 3].map(|stride| (k, stride))) {
        let conv = Conv::default().groups(3).stride(stride).padding(k / 2);
        let name = format!("depthwise_{k}x{k}_stride_{stride}");
        cases.push(Case::new(name, &[1, 3, 11, 10], &[3, 1, k, k], conv.clone()));
        let name = format!("depthwise_{k}x{k}_stride_{stride}_tiles");
        cases.push(Case::new(name, &[3, 3, 45, 37], &[3, 1, k, k], conv));
    }
    cases
}

fn first_layers() -> Vec<Case> {
    let epilogue = Epilogue { alpha: 2.0, beta: Some(-1.0), bias: true, activation: Activation::Relu };
    let mut cases = Vec::new();
    for (k, stride) in [3, 4, 5, 7].into_iter().flat_map(|k| [1, 2].map(|stride| (k, stride))) {
        let conv = Conv::default().stride(stride).padding(k / 2).epilogue(epilogue);
        let name = format!("first_layer_{k}x{k}_stride_{stride}");
        cases.push(Case::new(name.clone(), &[2, 3, 18, 17], &[9, 3, k, k], conv.clone()));
        let last = conv.layouts(Layout::Nxc);
        cases.push(Case::new(format!("{name}_nxc"), &[1, 3, 18, 17], &[17, 3, k, k], last));
    }
    cases
}

/// Gradients of the input that are folded, of channels taken one by one and together.
fn folded() -> Vec<Case> {
    let each = |k: usize| {
        let conv = Conv::default().padding(k / 2).boundary(Boundary::Wrap);
        Case::new(format!("few_channels_wrapped_{k}x{k}"), &[1, 4, 9, 8], &[2, 4, k, k], conv)
    };
    [3, 4, 5, 7].map(each).to_vec()
}

fn large() -> Vec<Case> {
    let conv = |groups: usize| Conv::default().groups(groups);
    vec![
        Case::new("depthwise_13x13", &[1, 2, 20, 19], &[2, 1, 13, 13], conv(2).padding(6)),
        Case::new("depthwise_31x31", &[1, 2, 33, 34], &[2, 1, 31, 31], conv(2).padding(15)),
        Case::new(
            "depthwise_31x31_mirrored",
            &[1, 1, 34, 33],
            &[1, 1, 31, 31],
            conv(1).padding(15).boundary(Boundary::Mirror),
        ),
        Case::new("depthwise_33x35_dilated", &[1, 1, 70, 75], &[1, 1, 33, 35], conv(1).dilation(2)),
        Case::new("depthwise_1x40", &[1, 2, 6, 90], &[2, 1, 1, 40], conv(2).padding([0, 20])),
        Case::new("depthwise_40x1", &[1, 2, 90, 6], &[2, 1, 40, 1], conv(2).padding([20, 0])),
        Case::new("depthwise_3x100", &[1, 1, 6, 190], &[1, 1, 3, 100], conv(1)),
        Case::new("depthwise_rank_1_500_taps", &[1, 2, 900], &[2, 1, 500], conv(2)),
        Case::new(
            "depthwise_rank_1_channels_last",
            &[2, 40, 50],
            &[40, 1, 31],
            conv(40).padding(15).layouts(Layout::Nxc),
        ),
        Case::new("depthwise_rank_3_5x5x5", &[1, 2, 9, 10, 11], &[2, 1, 5, 5, 5], conv(2).padding(2)),
    ]
}

fn shapes() -> Vec<Case> {
    let conv = |groups: usize| Conv::default().groups(groups);
    vec![
        Case::new("depthwise_rank_1_multiplier_2", &[2, 6, 90], &[12, 1, 5], conv(6).padding(2)),
        Case::new("depthwise_rank_1_dilated_3", &[2, 3, 90], &[3, 1, 5], conv(3).dilation(3).padding(6)),
        Case::new(
            "depthwise_dilated_past_the_rows",
            &[1, 3, 30, 31],
            &[3, 1, 3, 3],
            conv(3).dilation([12, 9]).padding(9),
        ),
        Case::new(
            "depthwise_stride_2_dilated_3",
            &[1, 3, 30, 31],
            &[3, 1, 3, 3],
            conv(3).stride(2).dilation(3),
        ),
        Case::new(
            "depthwise_stride_4_dilated_2",
            &[1, 3, 30, 31],
            &[3, 1, 3, 3],
            conv(3).stride(4).dilation(2),
        ),
        Case::new(
            "depthwise_stride_2_dilated_2",
            &[1, 3, 30, 31],
            &[3, 1, 3, 3],
            conv(3).stride(2).dilation(2),
        ),
        Case::new(
            "depthwise_stride_past_the_kernel",
            &[1, 2, 60, 61],
            &[2, 1, 2, 3],
            conv(2).stride([20, 11]),
        ),
        Case::new("depthwise_small_images", &[9, 37, 7, 7], &[37, 1, 3, 3], conv(37).padding(1)),
        Case::new(
            "depthwise_small_images_nxc",
            &[3, 70, 7, 7],
            &[70, 1, 3, 3],
            conv(70).padding(1).layouts(Layout::Nxc),
        ),
        Case::new("depthwise_wide", &[1, 2, 9, 300], &[2, 1, 3, 3], conv(2).padding(1)),
        Case::new("depthwise_tall", &[1, 2, 300, 9], &[2, 1, 3, 3], conv(2).padding(1).flip(true)),
        Case::new(
            "depthwise_rank_3_strided",
            &[2, 3, 9, 8, 10],
            &[3, 1, 3, 3, 3],
            conv(3).padding(1).stride([2, 1, 2]),
        ),
        Case::new("groups_of_3_to_5", &[2, 6, 12, 13], &[10, 3, 3, 3], conv(2).padding(1)),
        Case::new("groups_of_8_to_3", &[1, 16, 9, 10], &[6, 8, 3, 3], conv(2).padding(1)),
    ]
}
