//! Descriptions become checked problems with the right extents and counts, or the right error.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use wgconv::{
    Boundary, Conv, ConvProblem, Direction, Element, Epilogue, Layout, Layouts, Padding, ProblemError,
    Rounding, Source,
};
use wgconv_testing::benchdnn;
use wgconv_testing::cases::{self, MAX_MACS};

fn problem(x: &[usize], w: &[usize], conv: &Conv) -> ConvProblem {
    ConvProblem::new(x, w, conv).expect("a valid convolution")
}

#[test]
fn every_named_case_is_a_problem() {
    for (theme, cases) in cases::themes() {
        println!("{theme}: {} cases", cases.len());
        for case in cases {
            let problem = case.problem();
            let dispatch = case.name.starts_with("dispatch_");
            assert!(dispatch || problem.macs() < MAX_MACS, "{}: {} MACs", case.name, problem.macs());
        }
    }
}

#[test]
fn names_are_unique_and_tables_large() {
    let (named, benchdnn) = (cases::named(), benchdnn::benchdnn());
    assert!(named.len() >= 150, "{} named cases", named.len());
    assert!(benchdnn.len() >= 600, "{} rows of benchdnn", benchdnn.len());
    let refused = cases::refused();
    let mut seen = HashSet::new();
    let names = named.iter().chain(&benchdnn).map(|case| case.name.as_str());
    for name in names.chain(refused.iter().map(|r| r.name)) {
        assert!(seen.insert(name), "{name} is there twice");
        let plain = |c: char| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit();
        assert!(name.chars().all(plain), "{name} is not in snake case");
    }
}

#[test]
fn benchdnn_output_extents() {
    for row in benchdnn::rows() {
        let problem = row.case.problem();
        assert_eq!(problem.output().extents[2..], row.output, "{}", row.case.name);
    }
}

#[test]
fn refused_with_the_exact_error() {
    for case in cases::refused() {
        let got = ConvProblem::new(&case.x, &case.w, &case.conv).map(|p| p.output().extents.clone());
        // As text, because the NaN in an error does not equal itself.
        assert_eq!(format!("{got:?}"), format!("{:?}", Err::<Vec<u64>, _>(case.error)), "{}", case.name);
    }
}

#[test]
fn huge_extents_are_computed_without_trouble() {
    let line = problem(&[1, 1, 4_294_967_311], &[1, 1, 3], &Conv::default());
    assert_eq!(line.output().extents, [1, 1, 4_294_967_309]);
    assert_eq!(line.macs(), 12_884_901_927);
    assert_eq!(line.bytes(), 4 * (4_294_967_311 + 3 + 4_294_967_309));
    assert_eq!(line.output().span, 4_294_967_309);

    let wide = problem(&[1, 134_217_732, 27], &[1, 134_217_732, 3], &Conv::default());
    assert_eq!(wide.output().extents, [1, 1, 25]);
    assert_eq!(wide.terms(), 402_653_196);

    let deep = problem(&[1, 4_294_967_311, 1], &[1, 4_294_967_311, 1], &Conv::default());
    assert_eq!(deep.macs(), 4_294_967_311);

    let many = problem(&[1, 1, 27], &[1_342_177_321, 1, 3], &Conv::default());
    assert_eq!(many.output().len(), 33_554_433_025);
}

#[test]
fn named_paddings() {
    // Cells, taps, stride, dilation, name, then begin, end, outputs.
    type Row = ([usize; 4], &'static str, [i64; 3]);
    const TABLE: [Row; 30] = [
        ([5, 3, 1, 1], "valid", [0, 0, 3]),
        ([5, 3, 1, 1], "full", [2, 2, 7]),
        ([5, 3, 1, 1], "half", [1, 1, 5]),
        ([5, 3, 1, 1], "same_upper", [1, 1, 5]),
        ([5, 3, 1, 1], "same_lower", [1, 1, 5]),
        ([5, 3, 1, 1], "same_centered", [1, 1, 5]),
        ([5, 4, 1, 1], "valid", [0, 0, 2]),
        ([5, 4, 1, 1], "full", [3, 3, 8]),
        ([5, 4, 1, 1], "half", [2, 2, 6]),
        ([5, 4, 1, 1], "same_upper", [1, 2, 5]),
        ([5, 4, 1, 1], "same_lower", [2, 1, 5]),
        ([5, 4, 1, 1], "same_centered", [2, 1, 5]),
        ([9, 3, 1, 2], "valid", [0, 0, 5]),
        ([9, 3, 1, 2], "full", [4, 4, 13]),
        ([9, 3, 1, 2], "half", [2, 2, 9]),
        ([9, 2, 1, 3], "same_upper", [1, 2, 9]),
        ([9, 2, 1, 3], "same_lower", [2, 1, 9]),
        ([9, 2, 1, 3], "same_centered", [2, 1, 9]),
        ([6, 3, 2, 1], "valid", [0, 0, 2]),
        ([6, 3, 2, 1], "full", [2, 2, 4]),
        ([6, 3, 2, 1], "half", [1, 1, 3]),
        ([6, 3, 2, 1], "same_upper", [0, 1, 3]),
        ([6, 3, 2, 1], "same_lower", [1, 0, 3]),
        ([6, 3, 2, 1], "same_centered", [1, 1, 3]),
        ([7, 2, 3, 1], "same_upper", [0, 1, 3]),
        ([7, 2, 3, 1], "same_lower", [1, 0, 3]),
        ([8, 1, 3, 1], "same_upper", [0, -1, 3]),
        ([8, 1, 3, 1], "same_lower", [0, -1, 3]),
        ([1, 1, 5, 1], "same_upper", [0, 0, 1]),
        ([2, 7, 1, 1], "same_upper", [3, 3, 2]),
    ];
    for ([cells, taps, stride, dilation], name, want) in TABLE {
        let padding = Padding::from_name(name).expect("a padding's name");
        let conv = Conv::default().stride(stride).dilation(dilation).padding(padding);
        let axis = problem(&[1, 1, cells], &[1, 1, taps], &conv).axes()[0];
        let got = [axis.pad_begin as i64, axis.pad_end, axis.output as i64];
        assert_eq!(got, want, "{name}: {taps} taps on {cells}, stride {stride}");
        // Both rounded paddings fit their stride exactly; the others are symmetric.
        if name.starts_with("same_") && name != "same_centered" {
            let ceil = problem(&[1, 1, cells], &[1, 1, taps], &conv.rounding(Rounding::Ceil));
            assert_eq!(ceil.axes()[0].output as i64, want[2], "{name}: rounding changed an exact fit");
        }
    }
}

#[test]
fn extents_rounded_down_and_up() {
    // Cells, taps, stride, begin, end, then outputs rounded down (0: refused) and up.
    const TABLE: [(usize, usize, usize, usize, isize, u64, u64); 15] = [
        (8, 3, 1, 0, 0, 6, 6),
        (8, 3, 2, 0, 0, 3, 4),
        (7, 3, 2, 0, 0, 3, 3),
        (3, 2, 2, 0, 0, 1, 2),
        (3, 2, 2, 1, 1, 2, 3),
        (37, 11, 4, 0, 0, 7, 8),
        (5, 1, 3, 0, 0, 2, 3),
        (4, 2, 7, 0, 0, 1, 2),
        (2, 3, 2, 0, 0, 0, 1),
        (3, 2, 2, 2, 2, 3, 4),
        (9, 3, 1, 0, -6, 1, 1),
        (9, 3, 4, 1, -2, 2, 3),
        (1, 3, 1, 100, 1, 100, 100),
        (1, 3, 1, 100, 100, 199, 199),
        (55, 1, 2, 0, -1, 27, 28),
    ];
    for (cells, taps, stride, begin, end, down, up) in TABLE {
        let conv = Conv::default().stride(stride).padding([(begin, end)]);
        let outputs = |rounding| {
            ConvProblem::new(&[1, 1, cells], &[1, 1, taps], &conv.clone().rounding(rounding))
                .map(|p| p.axes()[0].output)
        };
        let row = format!("{taps} taps on {cells} + ({begin}, {end}), stride {stride}");
        if down == 0 {
            assert!(matches!(outputs(Rounding::Floor), Err(ProblemError::KernelTooLarge { .. })), "{row}");
        } else {
            assert_eq!(outputs(Rounding::Floor), Ok(down), "{row}");
        }
        assert_eq!(outputs(Rounding::Ceil), Ok(up), "{row}, rounded up");
    }
}

#[test]
fn counts_of_a_resnet_layer() {
    let conv = Conv::default().padding(Padding::Same);
    let layer = problem(&[8, 64, 56, 56], &[64, 64, 3, 3], &conv);
    assert_eq!(layer.output().extents, [8, 64, 56, 56]);
    assert_eq!(layer.macs(), 8 * 64 * 56 * 56 * 64 * 9);
    assert_eq!(layer.bytes(), 4 * (8 * 64 * 56 * 56 + 64 * 64 * 9 + 8 * 64 * 56 * 56));
    assert_eq!(layer.terms(), 64 * 9);
    let weight = layer.with_direction(Direction::GradWeight).expect("a dense weight");
    assert_eq!((weight.terms(), weight.macs()), (8 * 56 * 56, layer.macs()));
    let grouped = problem(&[8, 64, 56, 56], &[32, 4, 3, 3], &conv.groups(16));
    assert_eq!(grouped.macs(), 8 * 32 * 56 * 56 * 4 * 9);
    let input = grouped.with_direction(Direction::GradInput).expect("a dense input");
    assert_eq!((grouped.terms(), input.terms()), (36, 18));
}

fn hash(problem: &ConvProblem) -> u64 {
    let mut hasher = DefaultHasher::new();
    problem.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn equal_problems_hash_alike() {
    let with = |boundary, epilogue| {
        let conv = Conv::default().padding(1).boundary(boundary).epilogue(epilogue);
        problem(&[1, 2, 5], &[3, 2, 3], &conv)
    };
    let plain = Epilogue::default;
    let zero = with(Boundary::Constant(0.0), plain());
    let minus = with(Boundary::Constant(-0.0), plain());
    assert_eq!((&zero, hash(&zero)), (&minus, hash(&minus)));
    assert_ne!(zero, with(Boundary::Constant(1.0), plain()));
    assert_ne!(zero, with(Boundary::Zero, plain()));

    let beta = |v| with(Boundary::Zero, Epilogue { beta: Some(v), ..plain() });
    assert_eq!((&beta(0.0), hash(&beta(0.0))), (&beta(-0.0), hash(&beta(-0.0))));
    assert_ne!(beta(0.0), with(Boundary::Zero, plain()), "a residual of factor 0 is still an operand");

    // The same strides, named or spelled out.
    let spelled = Layouts { input: Layout::Strides(vec![10, 5, 1]), ..Layouts::default() };
    let conv = Conv::default().padding(1);
    let named = problem(&[1, 2, 5], &[3, 2, 3], &conv);
    let spelled = problem(&[1, 2, 5], &[3, 2, 3], &conv.layouts(spelled));
    assert_eq!((&named, hash(&named)), (&spelled, hash(&spelled)));
}

/// As other programs lay out the same axes in memory.
#[test]
fn layouts_order_axes_in_memory() {
    // x: [2, 6, 3, 5], w: [4, 6, 2, 2]
    let strides = |layout: Layout| {
        let conv = Conv::default().layouts(layout);
        let problem = problem(&[2, 6, 3, 5], &[4, 6, 2, 2], &conv);
        [problem.input(), problem.weight()].map(|tensor| tensor.strides.clone())
    };
    assert_eq!(strides(Layout::Ncx), [[90, 15, 5, 1], [24, 4, 2, 1]]);
    assert_eq!(strides(Layout::Nxc), [[90, 1, 30, 6], [24, 1, 12, 6]]);
    assert_eq!(strides(Layout::Cxn), [[1, 30, 10, 2], [1, 16, 8, 4]]);
}

/// A constant outside is an element like those inside.
#[test]
fn a_constant_outside_is_rounded_to_the_element() {
    let stored = |value: f64, element| {
        let conv = Conv::default().padding(1).boundary(Boundary::Constant(value)).element(element);
        ConvProblem::new(&[1, 1, 4], &[1, 1, 3], &conv).map(|problem| problem.boundary().fill())
    };
    assert_eq!(stored(0.1, Element::F16), Ok(0.0999755859375));
    assert_eq!(stored(0.1, Element::F32), Ok(0.1));
    assert_eq!(stored(65_504.0, Element::F16), Ok(65_504.0));
    let why = ProblemError::NonFinite { what: "boundary constant", value: 1e5, element: Element::F16 };
    assert_eq!(stored(1e5, Element::F16), Err(why));
}

#[test]
fn boundaries_read_the_cells_that_scipy_names() {
    // Of the input `a b c d`, coordinates -9 to 12; `-` is outside.
    const TABLE: [(Boundary, &str); 6] = [
        (Boundary::Zero, "---------abcd---------"),
        (Boundary::Constant(1.0), "---------abcd---------"),
        (Boundary::Wrap, "dabcdabcdabcdabcdabcda"),
        (Boundary::Reflect, "aabcddcbaabcddcbaabcdd"),
        (Boundary::Mirror, "dcbabcdcbabcdcbabcdcba"),
        (Boundary::Nearest, "aaaaaaaaaabcdddddddddd"),
    ];
    for (boundary, cells) in TABLE {
        for (at, cell) in (-9..13).zip(cells.chars()) {
            let got = match boundary.source(at, 4) {
                Source::Cell(index) => char::from(b'a' + index as u8),
                Source::Outside => '-',
            };
            assert_eq!(got, cell, "{} at {at}", boundary.name());
        }
    }
}
