//! A weight of its own for every output position.

use wgconv::{Boundary, Conv, ConvProblem, Layout, Padding, Rounding};

use super::{Case, per_axis, shape_of};

pub fn cases() -> Vec<Case> {
    let conv = Conv::default;
    let by_rank = (1..=3).flat_map(|rank| {
        let case = |name: &str, x: [usize; 3], w: [usize; 3], conv: Conv| {
            let (x, w) = (shape_of(2, 3, rank, x), shape_of(4, 3, rank, w));
            unshared(&format!("{name}_rank_{rank}"), &x, &w, conv)
        };
        [
            case("plain", [6, 5, 4], [3, 2, 3], conv()),
            case("flipped", [6, 5, 4], [3, 2, 2], conv().flip(true)),
            case("strided", [9, 8, 6], [3, 2, 3], conv().stride(per_axis(rank, [2, 3, 1]))),
            case("padded", [4, 5, 3], [3; 3], conv().padding(1)),
            case("pointwise", [4, 3, 2], [1; 3], conv()),
        ]
    });
    let (x, w) = ([2, 4, 6, 5], [6, 2, 3, 3]);
    let others = [
        unshared("grouped", &x, &w, conv().groups(2)),
        unshared("depthwise", &[2, 5, 6, 5], &[5, 1, 3, 3], conv().groups(5)),
        unshared("dilated", &[2, 3, 9, 8], &[4, 3, 3, 2], conv().dilation([2, 3])),
        unshared("strided_flipped", &[2, 3, 9, 8], &[4, 3, 3, 2], conv().stride(2).flip(true)),
        unshared("biased", &[2, 3, 5], &[4, 3, 3], conv().bias(true)),
        unshared("wrapped", &[2, 3, 5], &[4, 3, 3], conv().padding(Padding::Same).boundary(Boundary::Wrap)),
        unshared("constant", &[2, 3, 5], &[4, 3, 3], conv().padding(2).boundary(Boundary::Constant(3.0))),
        unshared("ceil", &[2, 3, 6], &[4, 3, 3], conv().stride(2).rounding(Rounding::Ceil)),
        unshared("nxc", &[2, 3, 6, 5], &[4, 3, 3, 2], conv().layouts(Layout::Nxc)),
        unshared("cxn", &[2, 3, 6, 5], &[4, 3, 3, 2], conv().layouts(Layout::Cxn)),
        unshared("one_position", &[2, 3, 4, 4], &[4, 3, 4, 4], conv()),
        unshared("empty_batch", &[0, 3, 5], &[4, 3, 3], conv()),
        unshared("empty_input_channels", &[2, 0, 5], &[4, 0, 3], conv().bias(true)),
    ];
    by_rank.chain(others).collect()
}

/// The case whose weight is `w` again for each output position of the shared convolution.
fn unshared(name: &str, x: &[usize], w: &[usize], conv: Conv) -> Case {
    let shared = ConvProblem::new(x, w, &conv).unwrap_or_else(|e| panic!("unshared_{name}: {e}"));
    let positions = shared.output().shape()[2..].to_vec();
    let weight = [&w[..1], &positions, &w[1..]].concat();
    Case::new(format!("unshared_{name}"), x, &weight, conv.unshared(true))
}
