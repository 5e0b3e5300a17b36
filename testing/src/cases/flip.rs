//! True convolution: the kernel flipped on every axis.

use wgconv::{Conv, Padding};

use super::{Case, per_axis, shape_of};

pub fn cases() -> Vec<Case> {
    let flip = || Conv::default().flip(true);
    let by_rank = (1..=3).flat_map(|rank| {
        let case = |name: &str, x: [usize; 3], w: [usize; 3], conv: Conv| {
            let (x, w) = (shape_of(2, 3, rank, x), shape_of(4, 3, rank, w));
            Case::new(format!("flip_{name}_rank_{rank}"), &x, &w, conv)
        };
        [
            case("odd_kernel", [7, 6, 5], [3, 5, 3], flip()),
            case("even_kernel", [7, 6, 5], [4, 2, 2], flip()),
            case("strided", [9, 8, 7], [3, 2, 3], flip().stride(per_axis(rank, [2, 3, 2])).padding(1)),
            case("dilated", [9, 8, 7], [3, 2, 3], flip().dilation(2)),
            case("full", [5, 4, 3], [3, 2, 4], flip().padding(Padding::Full)),
            case("same_centered", [6, 5, 4], [4, 3, 2], flip().padding(Padding::SameCentered)),
        ]
    });
    let others = [
        Case::new("flip_grouped", &[2, 4, 6, 5], &[6, 2, 3, 2], flip().groups(2)),
        Case::new("flip_depthwise", &[2, 5, 6, 5], &[5, 1, 3, 3], flip().groups(5).padding(1)),
        Case::new("flip_pointwise", &[2, 3, 6, 5], &[4, 3, 1, 1], flip()),
        Case::new("flip_padding_asymmetric", &[1, 2, 6], &[3, 2, 4], flip().padding([(3, 1)])),
        Case::new("flip_biased", &[2, 3, 6, 5], &[4, 3, 3, 3], flip().bias(true)),
        Case::new("flip_1x5", &[1, 2, 4, 9], &[3, 2, 1, 5], flip()),
    ];
    by_rank.chain(others).collect()
}
