//! Each of the six boundaries past the image by more than its extent, on axes of one cell, and mixed
//! with every other option.

use wgconv::{Boundary, Conv, Layout, Padding, Rounding};

use super::{Case, per_axis, shape_of};

const BOUNDARIES: [Boundary; 6] = [
    Boundary::Zero,
    Boundary::Constant(-2.0),
    Boundary::Wrap,
    Boundary::Reflect,
    Boundary::Mirror,
    Boundary::Nearest,
];

pub fn cases() -> Vec<Case> {
    BOUNDARIES.into_iter().flat_map(|b| [every_rank(b), mixed(b)].concat()).collect()
}

fn word(boundary: Boundary) -> String {
    let name = boundary.name();
    name.split(':').next().unwrap_or_default().to_string()
}

fn every_rank(boundary: Boundary) -> Vec<Case> {
    let conv = || Conv::default().boundary(boundary);
    (1..=3)
        .flat_map(|rank| {
            let case = |name: &str, x: [usize; 3], w: [usize; 3], conv: Conv| {
                let (x, w) = (shape_of(1, 2, rank, x), shape_of(2, 2, rank, w));
                Case::new(format!("boundary_{}_{name}_rank_{rank}", word(boundary)), &x, &w, conv)
            };
            let pads = Padding::from(per_axis(rank, [(7usize, 9isize), (5, 8), (6, 4)]));
            [
                case("same", [7, 6, 5], [5, 3, 3], conv().padding(Padding::SameCentered)),
                // Padded by up to three times the extent on each side: several reflections, several wraps.
                case("kernel_exceeds_image", [3, 2, 4], [13, 9, 7], conv().padding(Padding::SameCentered)),
                case("padding_exceeds_image", [3, 2, 2], [3, 2, 3], conv().padding(pads)),
                case("one_cell_axes", [1; 3], [5, 4, 3], conv().padding(Padding::Full)),
                case("two_cell_axes", [2; 3], [4, 5, 3], conv().padding(Padding::Full)),
            ]
        })
        .collect()
}

fn mixed(boundary: Boundary) -> Vec<Case> {
    let conv = || Conv::default().boundary(boundary);
    let case = |name: &str, x: &[usize], w: &[usize], conv: Conv| {
        Case::new(format!("boundary_{}_{name}", word(boundary)), x, w, conv)
    };
    vec![
        case("one_row", &[1, 2, 1, 6], &[2, 2, 3, 5], conv().padding(2)),
        case("even_kernel", &[1, 2, 5, 6], &[2, 2, 4, 2], conv().padding(Padding::SameUpper)),
        case(
            "strided_dilated",
            &[1, 2, 7, 6],
            &[2, 2, 3, 3],
            conv().padding([4, 5]).stride([2, 3]).dilation([3, 2]),
        ),
        case("flipped", &[1, 2, 5, 4], &[2, 2, 3, 4], conv().padding(3).flip(true)),
        case("grouped", &[2, 4, 5, 4], &[6, 2, 3, 3], conv().padding(2).groups(2)),
        case("depthwise", &[2, 5, 6, 7], &[5, 1, 3, 3], conv().padding(1).groups(5)),
        case("ceil", &[1, 2, 8], &[2, 2, 3], conv().padding(1).stride(4).rounding(Rounding::Ceil)),
        case("end_negative", &[1, 2, 8], &[2, 2, 4], conv().padding([(3, -2)])),
        case("end_only", &[1, 2, 4], &[2, 2, 3], conv().padding([(0, 6)])),
        case("channels_last", &[2, 3, 5, 4], &[4, 3, 3, 3], conv().padding(2).layouts(Layout::Nxc)),
        case("biased", &[1, 2, 4, 5], &[3, 2, 3, 3], conv().padding(1).bias(true)),
        case("pointwise_padded", &[1, 2, 3, 4], &[3, 2, 1, 1], conv().padding(2)),
    ]
}
