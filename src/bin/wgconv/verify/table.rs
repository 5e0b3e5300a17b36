//! The built-in problems: small, and each with something that has gone wrong in a convolution before.

use wgconv::ndarray::{ArrayD, IxDyn};
use wgconv::operation::Role;
use wgconv::{Activation, Boundary, Conv, ConvProblem, Direction, Element, Layout, Padding, Rounding};

use super::case::Case;

/// Name, shapes of input and weight, and the rest.
pub(super) type Row = (String, Vec<usize>, Vec<usize>, Conv);

/// Every problem with integers and with reals.
pub(super) fn cases(element: Element) -> Vec<Case> {
    let mut cases = Vec::new();
    let real = match element {
        Element::F16 => |bits| real(bits, 11),
        Element::F32 => |bits| real(bits, 24),
        Element::F64 => |bits| real(bits, 53),
    };
    let directions = [
        ("conv", Direction::Forward),
        ("grad_input", Direction::GradInput),
        ("grad_weight", Direction::GradWeight),
    ];
    let values = [("ints", integer as fn(u64) -> f64), ("reals", real as fn(u64) -> f64)];
    for (row, x, w, conv) in rows() {
        for ((op, direction), (kind, value)) in directions.into_iter().flat_map(|d| values.map(|v| (d, v))) {
            let mut conv = conv.clone().element(element).direction(direction);
            // The gradient of a weight takes none.
            conv.epilogue.bias &= direction != Direction::GradWeight;
            // A test makes sure that every row is one.
            let Ok(problem) = ConvProblem::new(&x, &w, &conv) else { continue };
            let name = format!("{row}/{op}/{kind}");
            let operands = operands(&problem, seed(&name), value);
            cases.push(Case::new(name, problem, operands));
        }
    }
    cases
}

pub(super) fn rows() -> Vec<Row> {
    [every_rank(), boundaries(), paddings(), channels(), layouts(), epilogues()].concat()
}

fn row(name: impl Into<String>, x: &[usize], w: &[usize], conv: Conv) -> Row {
    (name.into(), x.to_vec(), w.to_vec(), conv)
}

/// The first `rank` of three.
fn per_axis<T: Copy>(rank: usize, values: [T; 3]) -> Vec<T> {
    values[..rank].to_vec()
}

fn every_rank() -> Vec<Row> {
    let conv = Conv::default;
    let of_rank = |rank: usize| {
        let asymmetric = Padding::from(per_axis(rank, [(2, 1), (0, 3), (1, 0)]));
        let negative = Padding::from(per_axis(rank, [(1, -2), (0, -1), (2, -3)]));
        let mixed = conv().stride(per_axis(rank, [1, 3, 2])).dilation(per_axis(rank, [3, 1, 2]));
        [
            ("plain", conv()),
            ("flip", conv().flip(true).padding(1)),
            ("stride_2", conv().stride(2).padding(1)),
            ("dilation_2", conv().dilation(2).padding(2)),
            ("per_axis", mixed.padding(2)),
            ("asymmetric", conv().padding(asymmetric)),
            ("negative_end", conv().padding(negative)),
            ("ceil", conv().stride(3).rounding(Rounding::Ceil)),
            ("padding_over_kernel", conv().padding(5)),
        ]
        .map(|(name, conv)| {
            let x = [vec![2, 3], per_axis(rank, [9, 8, 7])].concat();
            let w = [vec![5, 3], per_axis(rank, [3, 2, 3])].concat();
            row(format!("{name}_{rank}d"), &x, &w, conv)
        })
    };
    (1..=3).flat_map(of_rank).collect()
}

fn boundaries() -> Vec<Row> {
    let all = [
        Boundary::Zero,
        Boundary::Constant(-2.0),
        Boundary::Wrap,
        Boundary::Reflect,
        Boundary::Mirror,
        Boundary::Nearest,
    ];
    let of = |boundary: Boundary| {
        let name = boundary.name().replace(':', "_");
        let conv = Conv::default().boundary(boundary).padding(2);
        [
            row(format!("{name}_1d"), &[2, 2, 6], &[3, 2, 5], conv.clone().stride(2)),
            row(format!("{name}_2d"), &[1, 2, 5, 6], &[3, 2, 4, 3], conv.clone().dilation([1, 2])),
            row(format!("{name}_3d"), &[1, 1, 4, 3, 5], &[2, 1, 2, 3, 3], conv.clone().flip(true)),
            // Padding beyond the input's extent repeats it more than once.
            row(format!("{name}_far"), &[1, 1, 2, 1], &[2, 1, 3, 3], conv.padding(7)),
        ]
    };
    all.into_iter().flat_map(of).collect()
}

fn paddings() -> Vec<Row> {
    let names = ["full", "half", "same_upper", "same_lower", "same_centered"];
    let of = |name: &str| {
        let padding = Padding::from_name(name).unwrap_or_default();
        row(name, &[1, 3, 8, 7], &[4, 3, 4, 3], Conv::default().padding(padding).stride([1, 2]))
    };
    names.map(of).to_vec()
}

fn channels() -> Vec<Row> {
    let same = || Conv::default().padding(1);
    vec![
        row("groups_2", &[2, 4, 6, 7], &[6, 2, 3, 3], same().groups(2)),
        row("groups_3_flip", &[1, 9, 6, 5], &[6, 3, 2, 3], same().groups(3).flip(true)),
        row("depthwise", &[2, 6, 9, 8], &[6, 1, 3, 3], same().groups(6)),
        row("depthwise_twice", &[1, 4, 7, 7], &[8, 1, 3, 3], same().groups(4).stride(2)),
        row("pointwise", &[2, 16, 5, 7], &[20, 16, 1, 1], Conv::default()),
        row("channels_16_16", &[1, 16, 10, 9], &[16, 16, 3, 3], same()),
        row("channels_33_5", &[1, 33, 6, 6], &[5, 33, 3, 3], same()),
        row("one_channel", &[1, 1, 20, 19], &[1, 1, 5, 5], Conv::default().padding(2)),
        row("long_sum", &[1, 64, 5, 5], &[3, 64, 5, 5], Conv::default()),
        row("window_is_input", &[3, 2, 6, 5], &[4, 2, 6, 5], Conv::default()),
        row("unshared", &[2, 4, 5, 6], &[6, 3, 4, 2, 3, 3], Conv::default().groups(2).unshared(true)),
        row("one_cell", &[1, 2, 1, 1], &[3, 2, 3, 3], same()),
    ]
}

fn layouts() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, layout) in [("nxc", Layout::Nxc), ("cxn", Layout::Cxn)] {
        let conv = || Conv::default().padding(1).layouts(layout.clone());
        rows.extend([
            row(format!("{name}_1d"), &[3, 4, 9], &[5, 4, 3], conv()),
            row(format!("{name}_2d"), &[2, 8, 6, 7], &[8, 8, 3, 3], conv().stride(2)),
            row(format!("{name}_3d"), &[2, 3, 4, 5, 3], &[4, 3, 3, 2, 3], conv()),
            row(format!("{name}_groups"), &[4, 8, 5, 6], &[4, 4, 3, 3], conv().groups(2)),
            row(format!("{name}_wrap"), &[2, 4, 5, 6], &[4, 4, 3, 3], conv().boundary(Boundary::Wrap)),
        ]);
    }
    rows
}

fn epilogues() -> Vec<Row> {
    let of = |name: &str, bias: bool, activation: Activation| {
        let conv = Conv::default().padding(1).bias(bias).activation(activation);
        row(name, &[2, 3, 7, 6], &[5, 3, 3, 3], conv)
    };
    vec![
        of("bias", true, Activation::Identity),
        of("relu", false, Activation::Relu),
        of("bias_relu", true, Activation::Relu),
        of("clamp", true, Activation::Clamp { low: -3.0, high: 6.0 }),
        of("leaky_relu", true, Activation::LeakyRelu { slope: 0.25 }),
        of("sigmoid", true, Activation::Sigmoid),
        of("tanh", true, Activation::Tanh),
        of("silu", true, Activation::Silu),
        of("gelu", true, Activation::Gelu),
        of("hard_swish", true, Activation::HardSwish),
    ]
}

fn operands(problem: &ConvProblem, seed: u64, value: fn(u64) -> f64) -> Vec<(Role, ArrayD<f64>)> {
    let mut state = seed;
    let mut next = || value(splitmix(&mut state));
    let filled = |role: Role| (role, ArrayD::from_shape_simple_fn(IxDyn(&role.shape(problem)), &mut next));
    Role::ALL.into_iter().filter(|role| role.is_used(problem)).map(filled).collect()
}

/// FNV-1a.
pub(crate) fn seed(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3))
}

/// splitmix64 (Steele, Lea and Flood 2014).
pub(crate) fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// -4 to 4: no sum of the table leaves what f32 holds exactly.
fn integer(bits: u64) -> f64 {
    (bits % 9) as f64 - 4.0
}

/// -4 to 4, in the steps that a significand of `precision` bits holds exactly.
fn real(bits: u64, precision: i32) -> f64 {
    (bits >> (64 - precision)) as f64 / 2f64.powi(precision - 3) - 4.0
}
