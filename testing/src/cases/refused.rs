//! Invalid and hostile descriptions.

use wgconv::{
    Activation, Boundary, Conv, Direction, Element, Epilogue, Layout, Layouts, Padding, PerAxis, ProblemError,
};

/// A description and the error that it gives.
#[derive(Clone, Debug)]
pub struct Refused {
    pub name: &'static str,
    pub x: Vec<usize>,
    pub w: Vec<usize>,
    pub conv: Conv,
    pub error: ProblemError,
}

fn refused(name: &'static str, x: &[usize], w: &[usize], conv: Conv, error: ProblemError) -> Refused {
    Refused { name, x: x.to_vec(), w: w.to_vec(), conv, error }
}

pub fn all() -> Vec<Refused> {
    [shapes(), channels(), reaches(), lists(), sizes(), numbers(), results()].concat()
}

fn shapes() -> Vec<Refused> {
    let conv = Conv::default;
    let rank = |input, weight| ProblemError::Rank { input, weight };
    let empty = |tensor, axis| ProblemError::EmptyExtent { tensor, axis };
    vec![
        refused("input_of_5_axes_weight_of_4", &[1, 2, 3, 4, 5], &[1, 2, 3, 4], conv(), rank(5, 4)),
        refused("input_of_3_axes_weight_of_4", &[1, 2, 3], &[1, 2, 3, 4], conv(), rank(3, 4)),
        refused("rank_0", &[1, 2], &[1, 2], conv(), rank(2, 2)),
        refused("rank_4", &[1, 2, 3, 4, 5, 6], &[1, 2, 1, 1, 1, 1], conv(), rank(6, 6)),
        refused("input_of_1_axis", &[4], &[4], conv(), rank(1, 1)),
        refused("no_axes", &[], &[], conv(), rank(0, 0)),
        refused("weight_of_no_axes", &[1, 2, 3], &[], conv(), rank(3, 0)),
        refused(
            "unshared_with_a_shared_weight",
            &[1, 2, 3, 4],
            &[1, 2, 1, 1],
            conv().unshared(true),
            rank(4, 4),
        ),
        refused("shared_with_an_unshared_weight", &[1, 2, 3, 4], &[1, 3, 4, 2, 1, 1], conv(), rank(4, 6)),
        refused("kernel_extent_0", &[1, 2, 5, 5], &[1, 2, 3, 0], conv(), empty("kernel", 1)),
        refused("kernel_extent_0_padded", &[1, 2, 5], &[1, 2, 0], conv().padding(4), empty("kernel", 0)),
        refused("spatial_0_padded", &[1, 2, 0, 5], &[1, 2, 1, 1], conv().padding(1), empty("input", 0)),
        refused(
            "spatial_0_last_axis_padded",
            &[1, 2, 5, 0],
            &[1, 2, 3, 3],
            conv().padding(2),
            empty("input", 1),
        ),
    ]
}

fn channels() -> Vec<Refused> {
    let conv = Conv::default;
    let groups = |groups, c_in, c_out| ProblemError::Groups { groups, c_in, c_out };
    let channels = |input, groups, wanted, got| ProblemError::Channels { input, groups, wanted, got };
    let huge = usize::MAX;
    vec![
        refused("groups_0", &[1, 4, 5], &[6, 4, 3], conv().groups(0), groups(0, 4, 6)),
        refused(
            "groups_do_not_divide_input_channels",
            &[1, 4, 5],
            &[6, 1, 3],
            conv().groups(3),
            groups(3, 4, 6),
        ),
        refused(
            "groups_do_not_divide_output_channels",
            &[1, 4, 5],
            &[6, 1, 3],
            conv().groups(4),
            groups(4, 4, 6),
        ),
        refused("groups_exceed_channels", &[1, 4, 5], &[4, 1, 3], conv().groups(8), groups(8, 4, 4)),
        refused("groups_huge", &[1, 4, 5], &[4, 1, 3], conv().groups(huge), groups(huge as u64, 4, 4)),
        refused("channels_differ", &[1, 4, 5], &[6, 3, 3], conv(), channels(4, 1, 4, 3)),
        refused(
            "channels_not_divided_by_groups",
            &[1, 4, 5],
            &[6, 4, 3],
            conv().groups(2),
            channels(4, 2, 2, 4),
        ),
        refused("weight_of_no_input_channels", &[1, 4, 5], &[6, 0, 3], conv(), channels(4, 1, 4, 0)),
        refused("input_of_no_channels", &[1, 0, 5], &[6, 2, 3], conv(), channels(0, 1, 0, 2)),
    ]
}

fn reaches() -> Vec<Refused> {
    let conv = Conv::default;
    let large = |axis, span, padded| ProblemError::KernelTooLarge { axis, span, padded };
    let stride = |axis| ProblemError::Stride { axis };
    let dilation = |axis| ProblemError::Dilation { axis };
    vec![
        refused("kernel_10_on_input_4", &[1, 1, 4, 4], &[1, 1, 10, 10], conv(), large(0, 10, 4)),
        refused("kernel_exceeds_second_axis", &[1, 1, 4, 4], &[1, 1, 4, 5], conv(), large(1, 5, 4)),
        refused("kernel_exceeds_padded_input", &[1, 1, 4], &[1, 1, 9], conv().padding(2), large(0, 9, 8)),
        refused("dilation_exceeds_input", &[1, 1, 5], &[1, 1, 3], conv().dilation(3), large(0, 7, 5)),
        refused("spatial_0", &[1, 2, 0, 5], &[1, 2, 1, 1], conv(), large(0, 1, 0)),
        refused("end_eats_whole_input", &[1, 1, 5], &[1, 1, 1], conv().padding([(0, -5)]), large(0, 1, 0)),
        refused(
            "end_eats_more_than_input",
            &[1, 1, 5],
            &[1, 1, 1],
            conv().padding([(0, -9)]),
            large(0, 1, -4),
        ),
        refused(
            "end_leaves_less_than_kernel",
            &[1, 1, 5],
            &[1, 1, 3],
            conv().padding([(1, -4)]),
            large(0, 3, 2),
        ),
        refused("kernel_2_to_55", &[1, 1, 4], &[1, 1, 1 << 55], conv(), large(0, 1 << 55, 4)),
        refused("stride_0", &[1, 1, 4, 4], &[1, 1, 2, 2], conv().stride(0), stride(0)),
        refused("stride_0_on_one_axis", &[1, 1, 4, 4], &[1, 1, 2, 2], conv().stride([1, 0]), stride(1)),
        refused("stride_0_same", &[1, 1, 4], &[1, 1, 2], conv().stride(0).padding(Padding::Same), stride(0)),
        refused("dilation_0", &[1, 1, 4, 4], &[1, 1, 2, 2], conv().dilation(0), dilation(0)),
        refused("dilation_0_on_one_axis", &[1, 1, 4, 4], &[1, 1, 2, 2], conv().dilation([1, 0]), dilation(1)),
    ]
}

fn lists() -> Vec<Refused> {
    let conv = Conv::default;
    let (x, w) = ([1, 2, 5, 5], [3, 2, 3, 3]);
    let lengths = |tensor, got| ProblemError::StrideCount { tensor, wanted: 4, got };
    let short = || Layout::Strides(vec![50, 25, 5]);
    vec![
        refused(
            "three_strides_for_two_axes",
            &x,
            &w,
            conv().stride([1, 1, 1]),
            ProblemError::StridesPerAxis { wanted: 2, got: 3 },
        ),
        refused(
            "no_strides_for_two_axes",
            &x,
            &w,
            conv().stride(Vec::new()),
            ProblemError::StridesPerAxis { wanted: 2, got: 0 },
        ),
        refused(
            "one_dilation_for_two_axes",
            &x,
            &w,
            conv().dilation([2]),
            ProblemError::DilationsPerAxis { wanted: 2, got: 1 },
        ),
        refused(
            "one_padding_for_two_axes",
            &x,
            &w,
            conv().padding([1]),
            ProblemError::PaddingCount { wanted: 2, got: 1 },
        ),
        refused(
            "three_paddings_for_two_axes",
            &x,
            &w,
            conv().padding([(1, 1), (1, 1), (0, 0)]),
            ProblemError::PaddingCount { wanted: 2, got: 3 },
        ),
        refused(
            "three_input_strides_for_four_axes",
            &x,
            &w,
            conv().layouts(Layouts { input: short(), ..Layouts::default() }),
            lengths("input", 3),
        ),
        refused(
            "three_weight_strides_for_four_axes",
            &x,
            &w,
            conv().layouts(Layouts { weight: short(), ..Layouts::default() }),
            lengths("weight", 3),
        ),
        refused(
            "five_output_strides_for_four_axes",
            &x,
            &w,
            conv().layouts(Layouts { output: Layout::Strides(vec![1; 5]), ..Layouts::default() }),
            lengths("output", 5),
        ),
    ]
}

/// Numbers near the end of 64 bits.
fn sizes() -> Vec<Refused> {
    let conv = Conv::default;
    let over = |what| ProblemError::Overflow { what };
    let macs = "the number of multiply-accumulates";
    let (x, w) = ([1, 1, 4], [1, 1, 3]);
    let strides = |tensor: &str| {
        let far = Layout::Strides(vec![1, 1, 1 << 61]);
        let layouts = Layouts::default();
        conv().layouts(match tensor {
            "input" => Layouts { input: far, ..layouts },
            "weight" => Layouts { weight: far, ..layouts },
            _ => Layouts { output: far, ..layouts },
        })
    };
    let far_dilation = Conv { dilation: PerAxis::Uniform(u64::MAX), ..conv() };
    let far_padding = conv().padding(Padding::Symmetric(u64::MAX));
    let far_end = conv().padding(Padding::Explicit(vec![(0, i64::MIN)]));
    vec![
        refused("padding_2_to_62", &x, &w, conv().padding(1usize << 62), over("padding")),
        refused("padding_2_to_64", &x, &w, far_padding, over("padding")),
        refused("padding_list_2_to_63", &x, &w, conv().padding([1usize << 63]), over("padding")),
        refused("padding_end_minus_2_to_63", &x, &w, far_end, over("padding")),
        refused("padding_2_to_61_on_both_sides", &x, &w, conv().padding(1usize << 61), over("window reach")),
        refused("kernel_2_to_55_full", &x, &[1, 1, 1 << 55], conv().padding(Padding::Full), over(macs)),
        refused("kernel_2_to_62", &x, &[1, 1, 1 << 62], conv(), over("kernel extent")),
        refused("kernel_2_to_64", &x, &[1, 1, usize::MAX], conv(), over("kernel extent")),
        refused("dilation_2_to_62", &x, &w, conv().dilation(1usize << 62), over("kernel reach")),
        refused("dilation_2_to_64", &x, &w, far_dilation, over("kernel reach")),
        refused("stride_2_to_62", &x, &w, conv().stride(1usize << 62), over("stride")),
        refused("input_extent_2_to_62", &[1, 1, 1 << 62], &w, conv(), over("input extent")),
        refused(
            "input_extent_2_to_61",
            &[1, 1, 1 << 61],
            &[1, 1, 1],
            conv().stride(1usize << 61),
            over("input"),
        ),
        refused("output_channels_2_to_61", &[1, 1, 1], &[1 << 61, 1, 1], conv(), over("weight")),
        refused("output_of_2_to_62_elements", &[1 << 31, 0, 1], &[1 << 31, 0, 1], conv(), over("output")),
        refused(
            "batch_and_channels_overflow",
            &[1 << 32, 1 << 16, 1 << 16],
            &[1, 1 << 16, 1],
            conv(),
            over(macs),
        ),
        refused(
            "empty_batch_of_absurd_extents",
            &[0, 1 << 32, 1 << 32],
            &[1, 1 << 32, 1],
            conv(),
            over("input"),
        ),
        refused(
            "kernel_volume_overflows",
            &[1, 1, 1, 1, 1],
            &[1, 1, 1 << 30, 1 << 30, 1 << 30],
            padded(),
            over(macs),
        ),
        refused("input_strides_2_to_61", &x, &w, strides("input"), over("input")),
        refused("weight_strides_2_to_61", &x, &w, strides("weight"), over("weight")),
        refused("output_strides_2_to_61", &x, &w, strides("output"), over("output")),
    ]
}

fn padded() -> Conv {
    Conv::default().padding(Padding::SameUpper)
}

fn numbers() -> Vec<Refused> {
    let (x, w) = ([1, 1, 4], [1, 1, 3]);
    let conv = Conv::default;
    let bad = |what, value| ProblemError::NonFinite { what, value, element: Element::F32 };
    let epilogue = |alpha, beta| Conv::default().epilogue(Epilogue { alpha, beta, ..Epilogue::default() });
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let fill = |value| conv().padding(1).boundary(Boundary::Constant(value));
    vec![
        refused("constant_nan", &x, &w, fill(nan), bad("boundary constant", nan)),
        refused("constant_infinite", &x, &w, fill(-inf), bad("boundary constant", -inf)),
        refused("alpha_nan", &x, &w, epilogue(nan, None), bad("alpha", nan)),
        refused("alpha_infinite", &x, &w, epilogue(inf, None), bad("alpha", inf)),
        refused("beta_infinite", &x, &w, epilogue(1.0, Some(-inf)), bad("beta", -inf)),
        refused(
            "leaky_relu_slope_nan",
            &x,
            &w,
            conv().activation(Activation::LeakyRelu { slope: nan }),
            bad("activation parameter", nan),
        ),
        refused(
            "clamp_nan",
            &x,
            &w,
            conv().activation(Activation::Clamp { low: 0.0, high: nan }),
            bad("activation parameter", nan),
        ),
        refused(
            "clamp_upside_down",
            &x,
            &w,
            conv().activation(Activation::Clamp { low: 3.0, high: 1.0 }),
            ProblemError::EmptyClamp { low: 3.0, high: 1.0 },
        ),
        refused("constant_past_f32", &x, &w, fill(1e300), bad("boundary constant", 1e300)),
    ]
}

/// Results that have no place of their own, or no place for a bias.
fn results() -> Vec<Refused> {
    let conv = Conv::default;
    let (x, w) = ([2, 3, 6], [4, 3, 3]);
    let overlap = |tensor, extents: [u64; 3], strides: [u64; 3]| ProblemError::OverlappingStrides {
        tensor,
        extents: extents.to_vec(),
        strides: strides.to_vec(),
    };
    let output =
        |strides: [u64; 3]| Layouts { output: Layout::Strides(strides.to_vec()), ..Layouts::default() };
    let input = Layouts { input: Layout::Strides(vec![0, 6, 1]), ..Layouts::default() };
    let weight = Layouts { weight: Layout::Strides(vec![9, 0, 1]), ..Layouts::default() };
    let positions = |axis, wanted, got| ProblemError::UnsharedOutput { axis, wanted, got };
    let (plane, unshared) = ([1, 2, 5, 5], conv().unshared(true));
    vec![
        refused(
            "output_strides_repeat",
            &x,
            &w,
            conv().layouts(output([0, 4, 1])),
            overlap("output", [2, 4, 4], [0, 4, 1]),
        ),
        refused(
            "output_strides_overlap",
            &x,
            &w,
            conv().layouts(output([16, 3, 1])),
            overlap("output", [2, 4, 4], [16, 3, 1]),
        ),
        refused(
            "output_batches_overlap",
            &x,
            &w,
            conv().layouts(output([15, 4, 1])),
            overlap("output", [2, 4, 4], [15, 4, 1]),
        ),
        refused(
            "input_gradient_repeats",
            &x,
            &w,
            conv().layouts(input).direction(Direction::GradInput),
            overlap("input", [2, 3, 6], [0, 6, 1]),
        ),
        refused(
            "weight_gradient_repeats",
            &x,
            &w,
            conv().layouts(weight).direction(Direction::GradWeight),
            overlap("weight", [4, 3, 3], [9, 0, 1]),
        ),
        refused(
            "weight_gradient_with_bias",
            &x,
            &w,
            conv().bias(true).direction(Direction::GradWeight),
            ProblemError::BiasOnGradWeight,
        ),
        refused("unshared_for_other_rows", &plane, &[4, 2, 3, 2, 3, 3], unshared.clone(), positions(0, 3, 2)),
        refused(
            "unshared_for_other_columns",
            &plane,
            &[4, 3, 4, 2, 3, 3],
            unshared.clone(),
            positions(1, 3, 4),
        ),
        refused("unshared_for_no_positions", &plane, &[4, 3, 0, 2, 3, 3], unshared, positions(1, 3, 0)),
    ]
}
