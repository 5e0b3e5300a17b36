//! Sums of so many products that a device may have to take them in several launches.

use wgconv::{Activation, Boundary, Conv, Epilogue, Layout, Padding};

use super::Case;

pub fn cases() -> Vec<Case> {
    let conv = Conv::default;
    let epilogue = Epilogue { alpha: 2.0, beta: Some(-3.0), bias: true, activation: Activation::Relu };
    let explicit = |pairs: &[(u64, i64)]| Padding::Explicit(pairs.to_vec());
    vec![
        Case::new("long_row_8192_taps", &[1, 1, 8_195], &[2, 1, 8_192], conv()),
        Case::new("long_row_8193_taps", &[1, 1, 8_196], &[2, 1, 8_193], conv()),
        Case::new("long_row_flipped", &[1, 1, 70_003], &[1, 1, 70_000], conv().flip(true)),
        Case::new(
            "long_row_past_both_ends",
            &[1, 1, 40_000],
            &[1, 1, 70_001],
            conv().padding(explicit(&[(15_003, 15_001)])),
        ),
        Case::new(
            "long_row_reflected",
            &[1, 1, 20_001],
            &[1, 1, 70_001],
            conv().padding(explicit(&[(25_002, 25_003)])).boundary(Boundary::Reflect).flip(true),
        ),
        Case::new(
            "long_row_constant_dilated_strided",
            &[1, 2, 9_001],
            &[2, 1, 20_000],
            conv()
                .groups(2)
                .dilation(3)
                .stride(2)
                .padding(explicit(&[(25_500, 25_502)]))
                .boundary(Boundary::Constant(2.0)),
        ),
        Case::new("long_plane_epilogue", &[2, 3, 201, 200], &[2, 3, 200, 200], conv().epilogue(epilogue)),
        Case::new("long_channels", &[1, 70_000, 1, 2], &[1, 70_000, 1, 1], conv()),
        Case::new(
            "long_channels_last",
            &[1, 140_004, 2],
            &[4, 140_004, 1],
            conv().layouts(Layout::Nxc).epilogue(epilogue),
        ),
        // One cell that stands for a whole padded axis, in the gradient of the input.
        Case::new(
            "long_wrap_of_one_cell",
            &[1, 1, 1],
            &[6, 1, 60],
            conv().padding(2_000).boundary(Boundary::Wrap),
        ),
        Case::new(
            "long_depth_of_one_cell",
            &[1, 1, 1, 1, 1],
            &[1, 1, 3, 1, 1],
            conv().padding([4_090, 0, 0]).boundary(Boundary::Nearest),
        ),
        Case::new("long_volume_flipped", &[1, 2, 33, 34, 33], &[1, 2, 33, 33, 33], conv().flip(true)),
    ]
}
