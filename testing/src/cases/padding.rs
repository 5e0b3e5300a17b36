//! Named paddings for odd, even and dilated kernels at strides 1 to 3, and output extents rounded up.

use wgconv::{Conv, Padding, Rounding};

use super::{Case, per_axis, shape_of};

pub fn cases() -> Vec<Case> {
    [names_in_rank_2(), names_in_other_ranks(), ceil()].concat()
}

const NAMES: [&str; 6] = ["valid", "full", "half", "same_upper", "same_lower", "same_centered"];

fn named(name: &str) -> Conv {
    Conv::default().padding(Padding::from_name(name).expect("a padding's name"))
}

fn names_in_rank_2() -> Vec<Case> {
    let kernels = [("odd", [3, 5], [1, 1]), ("even", [2, 4], [1, 1]), ("dilated", [3, 2], [2, 3])];
    let mut cases = Vec::new();
    for name in NAMES {
        for (kind, [kh, kw], dilation) in kernels {
            for stride in 1..=3 {
                cases.push(Case::new(
                    format!("padding_{name}_{kind}_kernel_stride_{stride}"),
                    &[1, 2, 11, 10],
                    &[3, 2, kh, kw],
                    named(name).dilation(dilation).stride(stride),
                ));
            }
        }
    }
    cases
}

fn names_in_other_ranks() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in NAMES {
        for rank in [1, 3] {
            let (x, w) = (shape_of(1, 2, rank, [7, 6, 5]), shape_of(3, 2, rank, [4, 3, 2]));
            let conv = named(name).stride(per_axis(rank, [2, 1, 3]));
            cases.push(Case::new(format!("padding_{name}_mixed_stride_rank_{rank}"), &x, &w, conv));
        }
    }
    for name in ["same_upper", "same_lower"] {
        // A stride past the kernel makes the derived end negative.
        let conv = named(name).stride(5);
        cases.push(Case::new(format!("padding_{name}_stride_exceeds_kernel"), &[1, 2, 12], &[3, 2, 2], conv));
        let conv = named(name);
        cases.push(Case::new(
            format!("padding_{name}_kernel_exceeds_input"),
            &[1, 2, 2, 3],
            &[3, 2, 6, 7],
            conv,
        ));
    }
    cases
}

fn ceil() -> Vec<Case> {
    let conv = || Conv::default().rounding(Rounding::Ceil);
    let by_rank = (1..=3).flat_map(|rank| {
        let case = |name: &str, x: [usize; 3], w: [usize; 3], conv: Conv| {
            let (x, w) = (shape_of(2, 2, rank, x), shape_of(3, 2, rank, w));
            Case::new(format!("ceil_{name}_rank_{rank}"), &x, &w, conv)
        };
        [
            case("hangs_over", [8, 6, 7], [3; 3], conv().stride(2)),
            case("fits_exactly", [7, 9, 5], [3; 3], conv().stride(2)),
            case("padded", [8, 7, 6], [3, 2, 3], conv().stride(3).padding(1)),
            // 5 cells, 1 tap: the windows start at cells 0, 3 and 6.
            case("last_window_outside_stride_exceeds_kernel", [5, 5, 5], [1; 3], conv().stride(3)),
            case("padded_windows_outside", [3, 4, 3], [2; 3], conv().stride(2).padding(2)),
            case("kernel_exceeds_padded_input", [2, 3, 2], [3, 4, 3], conv().stride(2)),
            case("dilated", [9, 8, 8], [2, 3, 2], conv().stride(3).dilation(2)),
        ]
    });
    let others = [
        Case::new("ceil_stride_1_is_floor", &[1, 2, 6], &[3, 2, 3], conv()),
        Case::new("ceil_stride_exceeds_input", &[1, 2, 5], &[3, 2, 2], conv().stride(9)),
        Case::new("ceil_one_axis_of_two", &[1, 2, 8, 9], &[3, 2, 3, 3], conv().stride([2, 2])),
        Case::new("ceil_padding_end_negative", &[1, 2, 9], &[3, 2, 3], conv().stride(4).padding([(1, -2)])),
        Case::new("ceil_same_upper", &[1, 2, 9], &[3, 2, 4], conv().stride(2).padding(Padding::SameUpper)),
        Case::new("ceil_full", &[1, 2, 6, 5], &[3, 2, 3, 4], conv().stride(3).padding(Padding::Full)),
        Case::new("ceil_grouped", &[2, 4, 8], &[6, 2, 3], conv().stride(2).groups(2)),
    ];
    by_rank.chain(others).collect()
}
