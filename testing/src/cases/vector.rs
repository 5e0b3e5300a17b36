//! Layouts in which the channels summed over lie side by side in fours, for each of the directions, with
//! sums short and long; and long sums at every boundary without such layouts.

use wgconv::Layout::{Cxn, Nxc};
use wgconv::{Activation, Boundary, Conv, Epilogue, Layouts, Padding};

use super::Case;

pub fn cases() -> Vec<Case> {
    [short(), long(), vec![one_position()]].concat()
}

/// Loads of four in the forward direction, in the gradient of the input, and in that of the weight.
fn layouts() -> [(&'static str, Layouts); 3] {
    let all = |input, weight, output| Layouts { input, weight, output };
    [("forward", all(Nxc, Nxc, Nxc)), ("grad_input", all(Nxc, Cxn, Nxc)), ("grad_weight", all(Cxn, Nxc, Cxn))]
}

fn short() -> Vec<Case> {
    let epilogue = Epilogue { alpha: -1.0, beta: Some(2.0), bias: true, activation: Activation::Relu };
    let pads = || Padding::Explicit(vec![(2, 1), (1, 3)]);
    layouts()
        .into_iter()
        .flat_map(|(direction, layouts)| {
            let case = |name: &str, x: [usize; 4], w: [usize; 4], conv: Conv| {
                Case::new(format!("vector_{direction}_{name}"), &x, &w, conv.layouts(layouts.clone()))
            };
            let conv = Conv::default;
            [
                case("plain", [4, 8, 5, 6], [4, 8, 3, 3], conv()),
                case("flipped", [4, 4, 3, 4], [4, 4, 2, 3], conv().flip(true)),
                case("strided", [4, 4, 5, 6], [4, 4, 2, 3], conv().stride([2, 3])),
                case("padded", [4, 4, 5, 6], [8, 4, 3, 3], conv().padding(pads()).epilogue(epilogue)),
                case("wrapped", [4, 8, 5, 6], [4, 8, 3, 3], conv().padding(pads()).boundary(Boundary::Wrap)),
                case(
                    "constant",
                    [8, 4, 6, 5],
                    [4, 4, 3, 3],
                    conv().padding(pads()).boundary(Boundary::Constant(2.0)).flip(true),
                ),
                case(
                    "grouped_strided",
                    [4, 8, 9, 8],
                    [8, 4, 3, 3],
                    conv().groups(2).padding(pads()).stride([2, 1]).dilation([1, 2]),
                ),
            ]
        })
        .collect()
}

/// Unshared weights for a single position, whose stride is no whole number of loads.
fn one_position() -> Case {
    let weight = wgconv::Layout::Strides(vec![1, 1, 12, 4]);
    let layouts = Layouts { weight, output: Nxc, ..Layouts::default() };
    let conv = Conv::default().unshared(true).layouts(layouts);
    Case::new("vector_grad_input_one_position", &[1, 4, 3], &[4, 1, 4, 3], conv)
}

/// Sums that are cut into parts: of 512 loads and more.
fn long() -> Vec<Case> {
    let same = || Conv::default().padding(Padding::SameCentered);
    let (x, w) = ([4, 64, 7, 6], [4, 64, 6, 6]);
    let mut cases: Vec<Case> =
        [("zero", Boundary::Zero), ("reflect", Boundary::Reflect), ("constant", Boundary::Constant(-1.0))]
            .map(|(name, boundary)| {
                let conv = same().boundary(boundary);
                Case::new(format!("vector_none_long_{name}"), &[1, 17, 7, 6], &[3, 17, 6, 6], conv)
            })
            .to_vec();
    for (direction, layouts) in layouts() {
        for (name, boundary) in [("long", Boundary::Zero), ("long_mirrored", Boundary::Mirror)] {
            let name = format!("vector_{direction}_{name}");
            cases.push(Case::new(name, &x, &w, same().boundary(boundary).layouts(layouts.clone())));
        }
    }
    cases
}
