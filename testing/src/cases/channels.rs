//! Groups, channel counts around the tile sizes, and empty or very large batches and channels.

use wgconv::{Activation, Conv};

use super::Case;

pub fn cases() -> Vec<Case> {
    [groups(), tails(), extremes(), empty()].concat()
}

fn groups() -> Vec<Case> {
    let conv = |groups: usize| Conv::default().groups(groups);
    vec![
        Case::new("groups_2", &[2, 4, 6, 5], &[6, 2, 3, 3], conv(2)),
        Case::new("groups_3_of_5_and_7", &[1, 15, 6, 5], &[21, 5, 3, 3], conv(3).padding(1)),
        Case::new("groups_with_one_output_channel", &[1, 12, 6, 5], &[3, 4, 3, 3], conv(3)),
        Case::new("groups_with_one_input_channel", &[1, 3, 6, 5], &[12, 1, 3, 3], conv(3)),
        Case::new("groups_of_17", &[1, 34, 5, 4], &[34, 17, 3, 3], conv(2).padding(1)),
        Case::new("groups_32_resnext", &[1, 64, 6, 5], &[64, 2, 3, 3], conv(32).padding(1)),
        Case::new("groups_pointwise", &[2, 12, 5, 4], &[8, 3, 1, 1], conv(4)),
        Case::new(
            "groups_strided_dilated",
            &[2, 6, 11, 10],
            &[4, 3, 3, 2],
            conv(2).stride([2, 3]).dilation(2),
        ),
        Case::new("groups_biased", &[2, 4, 5, 4], &[6, 2, 2, 2], conv(2).bias(true)),
        Case::new("groups_2_rank_1", &[2, 4, 9], &[6, 2, 3], conv(2).padding(1)),
        Case::new("groups_2_rank_3", &[1, 4, 5, 4, 3], &[6, 2, 3, 2, 3], conv(2).padding(1)),
        Case::new("depthwise", &[2, 8, 7, 6], &[8, 1, 3, 3], conv(8).padding(1)),
        Case::new("depthwise_valid_5x5", &[1, 7, 9, 8], &[7, 1, 5, 5], conv(7)),
        Case::new("depthwise_multiplier_2", &[2, 5, 7, 6], &[10, 1, 3, 3], conv(5).padding(1)),
        Case::new("depthwise_multiplier_3", &[1, 4, 6, 5], &[12, 1, 3, 2], conv(4)),
        Case::new("depthwise_stride_2", &[2, 9, 9, 8], &[9, 1, 3, 3], conv(9).padding(1).stride(2)),
        Case::new("depthwise_dilated", &[1, 6, 11, 10], &[6, 1, 3, 3], conv(6).padding(2).dilation(2)),
        Case::new("depthwise_33_channels", &[1, 33, 6, 5], &[33, 1, 3, 3], conv(33).padding(1)),
        Case::new("depthwise_7x7", &[1, 12, 14, 13], &[12, 1, 7, 7], conv(12).padding(3)),
        Case::new("depthwise_pointwise", &[2, 7, 5, 4], &[7, 1, 1, 1], conv(7)),
        Case::new("depthwise_rank_1", &[2, 6, 15], &[6, 1, 4], conv(6).padding([(3, 0)])),
        Case::new("depthwise_rank_3", &[1, 6, 5, 6, 4], &[6, 1, 3, 3, 3], conv(6).padding(1)),
        Case::new("depthwise_biased", &[2, 5, 6, 7], &[5, 1, 3, 3], conv(5).padding(1).bias(true)),
    ]
}

/// Counts beside 4, 8, 16, 32 and 64, in and out.
fn tails() -> Vec<Case> {
    const COUNTS: [usize; 15] = [3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65];
    let conv = Conv::default;
    let mut cases = Vec::new();
    for (i, count) in COUNTS.into_iter().enumerate() {
        let other = COUNTS[COUNTS.len() - 1 - i];
        let name = format!("channels_{count}_to_{count}");
        cases.push(Case::new(name, &[1, count, 6, 7], &[count, count, 3, 3], conv().padding(1)));
        let name = format!("channels_{count}_to_{other}_pointwise");
        cases.push(Case::new(name, &[1, count, 9, 7], &[other, count, 1, 1], conv()));
        let name = format!("channels_{count}_to_2");
        cases.push(Case::new(name, &[2, count, 10], &[2, count, 3], conv()));
        let name = format!("channels_2_to_{count}");
        cases.push(Case::new(name, &[2, 2, 10], &[count, 2, 3], conv()));
    }
    cases
}

fn extremes() -> Vec<Case> {
    let conv = Conv::default;
    vec![
        Case::new("channels_1_to_1", &[1, 1, 8, 9], &[1, 1, 3, 3], conv()),
        Case::new("channels_1_to_64", &[1, 1, 12, 11], &[64, 1, 3, 3], conv().padding(1)),
        Case::new("channels_64_to_1", &[1, 64, 12, 11], &[1, 64, 3, 3], conv().padding(1)),
        Case::new(
            "channels_3_to_64_7x7_stride_2",
            &[1, 3, 22, 23],
            &[64, 3, 7, 7],
            conv().padding(3).stride(2),
        ),
        Case::new("channels_1_to_65537", &[1, 1, 2, 1], &[65_537, 1, 1, 1], conv()),
        Case::new("channels_2_to_65537_kernel_2", &[1, 2, 3], &[65_537, 2, 2], conv().bias(true)),
        Case::new("channels_4099_to_3", &[1, 4099, 2, 2], &[3, 4099, 1, 1], conv()),
        Case::new("channels_513_to_2_kernel_3", &[1, 513, 5], &[2, 513, 3], conv().padding(1)),
        Case::new("depthwise_65537_channels", &[1, 65_537, 3], &[65_537, 1, 2], conv().groups(65_537)),
        Case::new("groups_65536_of_1_to_2", &[1, 65_536, 2], &[131_072, 1, 1], conv().groups(65_536)),
        Case::new("batch_65537", &[65_537, 1, 2], &[1, 1, 2], conv()),
        Case::new("batch_70000_pointwise", &[70_000, 2, 1, 1], &[3, 2, 1, 1], conv()),
        Case::new("batch_65536_depthwise", &[65_536, 2, 2], &[2, 1, 2], conv().groups(2).padding(1)),
        Case::new("batch_33", &[33, 2, 5, 4], &[3, 2, 3, 3], conv()),
        Case::new("dense_layer_as_convolution", &[7, 65, 1, 1], &[33, 65, 1, 1], conv().bias(true)),
        Case::new("dense_layer_over_whole_image", &[5, 6, 4, 3], &[17, 6, 4, 3], conv().bias(true)),
    ]
}

fn empty() -> Vec<Case> {
    let conv = Conv::default;
    vec![
        Case::new("empty_batch", &[0, 3, 5, 6], &[4, 3, 3, 3], conv()),
        Case::new("empty_batch_rank_1", &[0, 3, 5], &[4, 3, 3], conv().bias(true)),
        Case::new("empty_batch_grouped_rank_3", &[0, 4, 5, 4, 3], &[4, 2, 3, 3, 3], conv().groups(2)),
        Case::new("empty_output_channels", &[2, 3, 5, 6], &[0, 3, 3, 3], conv()),
        Case::new("empty_output_channels_biased", &[2, 3, 5], &[0, 3, 3], conv().bias(true)),
        Case::new("empty_input_channels", &[2, 0, 5, 6], &[4, 0, 3, 3], conv()),
        Case::new("empty_input_channels_biased", &[2, 0, 5, 6], &[4, 0, 3, 3], conv().padding(1).bias(true)),
        Case::new("empty_input_channels_rank_1", &[2, 0, 5], &[4, 0, 3], conv().bias(true)),
        Case::new("empty_input_channels_rank_3", &[1, 0, 3, 4, 5], &[2, 0, 1, 2, 3], conv().bias(true)),
        Case::new("empty_input_channels_grouped", &[2, 0, 5], &[4, 0, 3], conv().groups(2).bias(true)),
        Case::new(
            "empty_input_channels_activated",
            &[2, 0, 5],
            &[4, 0, 3],
            conv().bias(true).activation(Activation::Relu),
        ),
        Case::new("empty_batch_and_channels", &[0, 0, 5], &[0, 0, 3], conv()),
    ]
}
