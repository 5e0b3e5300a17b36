//! Orders of the axes in device buffers, and explicit strides: gaps, transposes, repeats.

use wgconv::{Conv, Layout, Layouts};

use super::{Case, per_axis, shape_of};

pub fn cases() -> Vec<Case> {
    [every_rank(), mixed(), with_options(), strided()].concat()
}

fn every_rank() -> Vec<Case> {
    let layouts = [("ncx", Layout::Ncx), ("nxc", Layout::Nxc), ("cxn", Layout::Cxn)];
    layouts
        .into_iter()
        .flat_map(|(name, layout)| {
            (1..=3).map(move |rank| {
                let (x, w) = (shape_of(3, 5, rank, [6, 7, 4]), shape_of(4, 5, rank, [3, 2, 3]));
                let conv = Conv::default().layouts(layout.clone()).padding(1);
                Case::new(format!("layout_{name}_rank_{rank}"), &x, &w, conv)
            })
        })
        .collect()
}

fn mixed() -> Vec<Case> {
    use Layout::{Cxn, Ncx, Nxc};
    let case = |name: &str, input: Layout, weight: Layout, output: Layout| {
        let conv = Conv::default().layouts(Layouts { input, weight, output }).padding(1).stride([1, 2]);
        Case::new(format!("layout_{name}"), &[2, 3, 6, 5], &[5, 3, 3, 2], conv)
    };
    vec![
        case("nxc_input_only", Nxc, Ncx, Ncx),
        case("nxc_weight_only", Ncx, Nxc, Ncx),
        case("nxc_output_only", Ncx, Ncx, Nxc),
        case("cxn_input_only", Cxn, Ncx, Ncx),
        case("cxn_weight_only", Ncx, Cxn, Ncx),
        case("cxn_output_only", Ncx, Ncx, Cxn),
        case("nxc_ncx_weight", Nxc, Ncx, Nxc),
        case("nxc_to_cxn", Nxc, Ncx, Cxn),
        case("cxn_to_nxc", Cxn, Nxc, Nxc),
        case("ncx_cxn_nxc", Ncx, Cxn, Nxc),
    ]
}

fn with_options() -> Vec<Case> {
    let nxc = || Conv::default().layouts(Layout::Nxc);
    let cxn = || Conv::default().layouts(Layout::Cxn);
    vec![
        Case::new("layout_nxc_grouped", &[2, 4, 6, 5], &[6, 2, 3, 3], nxc().groups(2).padding(1)),
        Case::new("layout_nxc_depthwise", &[2, 9, 6, 5], &[9, 1, 3, 3], nxc().groups(9).padding(1)),
        Case::new("layout_nxc_depthwise_multiplier_2", &[2, 5, 6, 5], &[10, 1, 3, 3], nxc().groups(5)),
        Case::new("layout_nxc_pointwise", &[2, 17, 6, 5], &[33, 17, 1, 1], nxc()),
        Case::new(
            "layout_nxc_strided_dilated",
            &[2, 3, 11, 10],
            &[4, 3, 3, 2],
            nxc().stride(2).dilation([2, 3]),
        ),
        Case::new("layout_nxc_biased", &[2, 3, 6, 5], &[4, 3, 3, 3], nxc().padding(1).bias(true)),
        Case::new("layout_nxc_flipped", &[2, 3, 6, 5], &[4, 3, 3, 2], nxc().flip(true)),
        Case::new("layout_nxc_empty_input_channels", &[2, 0, 6], &[4, 0, 3], nxc().bias(true)),
        Case::new("layout_cxn_grouped", &[3, 4, 6, 5], &[6, 2, 3, 3], cxn().groups(2).padding(1)),
        Case::new("layout_cxn_strided", &[3, 3, 9, 8], &[4, 3, 3, 3], cxn().stride(2).padding(1)),
        Case::new("layout_cxn_biased", &[3, 3, 6, 5], &[4, 3, 3, 3], cxn().bias(true)),
    ]
}

/// Strides of a tensor of these extents, innermost last, whose axis `axis` steps `gap` elements more
/// than the axes below it need.
fn gapped(extents: &[usize], axis: usize, gap: u64) -> Layout {
    let mut strides = vec![0; extents.len()];
    let mut next = 1;
    for a in (0..extents.len()).rev() {
        strides[a] = next + if a == axis { gap } else { 0 };
        next = strides[a] * extents[a] as u64;
    }
    Layout::Strides(strides)
}

/// Strides of a tensor of these extents with the first axis innermost.
fn reversed(extents: &[usize]) -> Layout {
    let step = |next: &mut u64, &extent: &usize| {
        let stride = *next;
        *next *= extent as u64;
        Some(stride)
    };
    Layout::Strides(extents.iter().scan(1, step).collect())
}

/// Dense strides with those of `axes` set to 0, so that all indices along them share their elements.
fn repeated(extents: &[usize], axes: &[usize]) -> Layout {
    let Layout::Strides(mut strides) = gapped(extents, 0, 0) else { unreachable!("gapped gives strides") };
    for &axis in axes {
        strides[axis] = 0;
    }
    Layout::Strides(strides)
}

fn strided() -> Vec<Case> {
    let (x, w) = ([2, 3, 6, 5], [4, 3, 3, 2]);
    let y = [2, 4, 4, 4];
    let case = |name: &str, layouts: Layouts| {
        Case::new(format!("strides_{name}"), &x, &w, Conv::default().layouts(layouts))
    };
    let dense = Layouts::default;
    let mut cases = vec![
        case("input_rows_padded", Layouts { input: gapped(&x, 2, 3), ..dense() }),
        case("input_channels_padded", Layouts { input: gapped(&x, 1, 7), ..dense() }),
        case("input_batch_padded", Layouts { input: gapped(&x, 0, 64), ..dense() }),
        case("input_every_second_cell", Layouts { input: gapped(&x, 3, 1), ..dense() }),
        case("input_transposed", Layouts { input: reversed(&x), ..dense() }),
        case("input_columns_before_rows", Layouts { input: Layout::Strides(vec![90, 30, 1, 6]), ..dense() }),
        case("input_repeats_over_batch", Layouts { input: repeated(&x, &[0]), ..dense() }),
        case("input_repeats_over_channels", Layouts { input: repeated(&x, &[1]), ..dense() }),
        case("input_repeats_over_rows", Layouts { input: repeated(&x, &[2]), ..dense() }),
        case("input_windows_overlap", Layouts { input: Layout::Strides(vec![12, 4, 1, 1]), ..dense() }),
        case("weight_rows_padded", Layouts { weight: gapped(&w, 2, 3), ..dense() }),
        case("weight_filters_padded", Layouts { weight: gapped(&w, 0, 5), ..dense() }),
        case("weight_transposed", Layouts { weight: reversed(&w), ..dense() }),
        case("weight_repeats_over_outputs", Layouts { weight: repeated(&w, &[0]), ..dense() }),
        case("weight_repeats_over_inputs", Layouts { weight: repeated(&w, &[1]), ..dense() }),
        case("weight_repeats_over_taps", Layouts { weight: repeated(&w, &[2, 3]), ..dense() }),
        case("weight_one_number", Layouts { weight: Layout::Strides(vec![0; 4]), ..dense() }),
        case("output_rows_padded", Layouts { output: gapped(&y, 2, 3), ..dense() }),
        case("output_channels_padded", Layouts { output: gapped(&y, 1, 1), ..dense() }),
        case("output_every_second_cell", Layouts { output: gapped(&y, 3, 1), ..dense() }),
        case("output_transposed", Layouts { output: reversed(&y), ..dense() }),
        case("all_transposed", Layouts { input: reversed(&x), weight: reversed(&w), output: reversed(&y) }),
        case(
            "all_rows_padded",
            Layouts { input: gapped(&x, 2, 1), weight: gapped(&w, 2, 2), output: gapped(&y, 2, 3) },
        ),
        case(
            "nxc_input_dense_output_padded",
            Layouts { input: Layout::Nxc, weight: Layout::Ncx, output: gapped(&y, 2, 3) },
        ),
    ];
    cases.extend([1, 3].map(|rank| {
        let (x, w) = (shape_of(2, 3, rank, [6, 5, 4]), shape_of(4, 3, rank, [3, 2, 1]));
        let y = [vec![2, 4], per_axis(rank, [4, 4, 4])].concat();
        let layouts =
            Layouts { input: gapped(&x, 1, 3), weight: repeated(&w, &[0]), output: gapped(&y, 1, 2) };
        Case::new(format!("strides_mixed_rank_{rank}"), &x, &w, Conv::default().layouts(layouts))
    }));
    let grouped = Layouts { input: gapped(&[2, 4, 6], 1, 2), ..Layouts::default() };
    cases.push(Case::new(
        "strides_input_padded_grouped",
        &[2, 4, 6],
        &[6, 2, 3],
        Conv::default().layouts(grouped).groups(2),
    ));
    let epilogue = Layouts { output: gapped(&y, 2, 2), ..Layouts::default() };
    cases.push(Case::new(
        "strides_output_padded_biased",
        &x,
        &w,
        Conv::default().layouts(epilogue).bias(true),
    ));
    cases
}
