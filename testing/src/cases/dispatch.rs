//! Grids: more workgroups than one dispatch dimension holds, and outputs that no tile size divides.

use wgconv::Conv;

use super::Case;

pub fn cases() -> Vec<Case> {
    [tile_tails(), long_axes(), many_outputs()].concat()
}

fn tile_tails() -> Vec<Case> {
    const SIDES: [usize; 15] = [1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 129];
    let conv = || Conv::default().padding(1);
    let images = SIDES
        .iter()
        .zip(SIDES.iter().rev())
        .map(|(&h, &w)| Case::new(format!("tile_tail_image_{h}x{w}"), &[1, 2, h, w], &[3, 2, 3, 3], conv()));
    let lines =
        SIDES.iter().map(|&w| Case::new(format!("tile_tail_line_{w}"), &[1, 2, w], &[3, 2, 3], conv()));
    let volumes = [[1, 5, 17], [9, 8, 3], [4, 4, 4], [3, 9, 33], [17, 3, 5]].map(|[d, h, w]| {
        Case::new(format!("tile_tail_volume_{d}x{h}x{w}"), &[1, 2, d, h, w], &[3, 2, 3, 3, 3], conv())
    });
    // The matrices of a product: channels, output positions and terms all just past a tile.
    let products = [(63, 65, 17), (65, 63, 9), (33, 129, 15), (17, 31, 33)].map(|(m, n, k)| {
        let name = format!("tile_tail_product_{m}x{n}x{k}");
        Case::new(name, &[1, k, n], &[m, k, 1], Conv::default())
    });
    images.chain(lines).chain(volumes).chain(products).collect()
}

/// Axes past 65 535, which as grid dimensions would not fit.
fn long_axes() -> Vec<Case> {
    let conv = Conv::default;
    vec![
        Case::new("axis_65537_line", &[1, 1, 65_537], &[1, 1, 3], conv()),
        Case::new("axis_65537_rows", &[1, 1, 65_537, 2], &[1, 1, 3, 2], conv()),
        Case::new("axis_65537_columns", &[1, 1, 2, 65_537], &[1, 1, 2, 3], conv()),
        Case::new("axis_65537_slices", &[1, 1, 65_537, 1, 2], &[1, 1, 2, 1, 1], conv()),
        Case::new("axis_65536_outputs", &[1, 1, 65_538], &[1, 1, 3], conv()),
        Case::new("axis_65535_outputs", &[1, 1, 65_537], &[1, 1, 3], conv().bias(true)),
    ]
}

fn many_outputs() -> Vec<Case> {
    // The most workgroups of one dispatch dimension, and their invocations at 64 each.
    const GROUPS: usize = 65_535;
    const OUTPUTS: usize = GROUPS * 64;
    let case = |name: &str, x: &[usize], c_out: usize| {
        let w = [vec![c_out, x[1]], vec![1; x.len() - 2]].concat();
        Case::new(format!("dispatch_{name}"), x, &w, Conv::default())
    };
    vec![
        case("65535_workgroups_of_64", &[1, 1, OUTPUTS], 1),
        case("65535_workgroups_of_64_and_one_output", &[1, 1, OUTPUTS + 1], 1),
        case("beyond_65535_workgroups_image", &[1, 1, 2049, 2048], 1),
        case("beyond_65535_workgroups_volume", &[1, 1, 162, 162, 160], 1),
        case("beyond_65535_workgroups_channels", &[1, 1, 1025, 1024], 4),
        // Sums as long as one invocation makes them, along the outermost axis, and enough of them to fill a device.
        Case::new("dispatch_depth_4096_taps", &[1, 1, 20_479, 1, 1], &[1, 1, 4_096, 1, 1], Conv::default()),
        case("beyond_65535_workgroups_batch", &[66_000, 1, 8, 8], 1),
    ]
}
