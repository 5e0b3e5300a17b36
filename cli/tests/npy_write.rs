//! `.npy` files that are written, the conversions, and both ways back again.

use std::path::Path;

use crate::common::npy::{file, header, names, read, written};
use crate::npy::{self, Limits, NpyArray, NpyError, NpyErrorClass};
use half::f16;
use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn, Slice, arr0, array};
use proptest::prelude::*;

#[test]
fn writes_numpys_bytes() {
    let cases = [
        (written(array![1.5_f32, -2.0, 0.0].view()), "<f4", "(3,)"),
        (written(array![[1.0_f64], [2.0]].view()), "<f8", "(2, 1)"),
        (written(arr0(f16::ONE).view()), "<f2", "()"),
        (written(ArrayD::<f32>::zeros(vec![4, 0, 2]).view()), "<f4", "(4, 0, 2)"),
    ];
    for (bytes, descr, shape) in cases {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        let expected = [b"\x93NUMPY\x01\0v\0", format!("{text:117}\n").as_bytes()].concat();
        assert_eq!(bytes[..128], expected, "{shape}");
    }
    let bytes = written(array![[1.0_f32, 2.0], [3.0, 4.0]].reversed_axes().view());
    let data: Vec<u8> = [1.0_f32, 3.0, 2.0, 4.0].into_iter().flat_map(f32::to_le_bytes).collect();
    assert_eq!(bytes[128..], data);
    let many = ArrayD::<f32>::zeros(vec![1; 18]);
    let bytes = written(many.view());
    assert_eq!((bytes.len() - 4) % 64, 0);
}

#[test]
fn writes_whole_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.npy");
    for length in [60_000, 3] {
        let array = ndarray::Array1::from_iter((0_u16..length).map(f32::from));
        npy::write(&path, array.view()).unwrap();
        let back = npy::read(&path, &Limits::default()).unwrap();
        assert_eq!(back, NpyArray::F32(array.into_dyn()));
        assert_eq!(names(directory.path()), ["out.npy"]);
    }
}

#[cfg(unix)]
#[test]
fn links_stay_links() {
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (directory.path().join("file.npy"), directory.path().join("link.npy"));
    std::fs::write(&file, b"old").unwrap();
    std::os::unix::fs::symlink("file.npy", &link).unwrap();
    npy::write(&link, array![1.0_f32].view()).unwrap();
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(npy::read(&file, &Limits::default()).unwrap(), NpyArray::F32(array![1.0].into_dyn()));
    assert_eq!(names(directory.path()), ["file.npy", "link.npy"]);
}

#[test]
fn failed_writes_leave_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let array = array![1.0_f32, 2.0];
    let folder = directory.path().join("folder.npy");
    std::fs::create_dir(&folder).unwrap();
    let mut targets = vec![
        directory.path().join("missing").join("out.npy"),
        folder.clone(),
        directory.path().join(""),
        Path::new("").to_path_buf(),
    ];
    if cfg!(unix) {
        // Found to be unusable only at the rename.
        targets.push(directory.path().join("out.npy/"));
    }
    for target in targets {
        let error = npy::write(&target, array.view()).unwrap_err();
        assert_eq!(error.class(), NpyErrorClass::Io, "{error}");
        assert!(matches!(error, NpyError::At { ref path, .. } if *path == target), "{error}");
        assert_eq!(names(directory.path()), ["folder.npy"], "{}", target.display());
    }
    assert!(names(&folder).is_empty());

    let axes = array.slice(ndarray::s![..1]).into_dyn();
    let axes = axes.broadcast(IxDyn(&[1; 30_000])).unwrap();
    let path = directory.path().join("old.npy");
    std::fs::write(&path, "old").unwrap();
    let error = npy::write(&path, axes).unwrap_err();
    assert!(error.to_string().contains("old.npy: wanted a header of at most 65535"), "{error}");
    assert_eq!(names(directory.path()), ["folder.npy", "old.npy"]);
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
}

#[test]
fn failing_writers_are_io() {
    let mut small = [0_u8; 100];
    let error = npy::write_to(&mut small[..], array![1.0_f32].view()).unwrap_err();
    assert_eq!(error.class(), NpyErrorClass::Io);
    assert!(error.to_string().starts_with("cannot write: "), "{error}");
}

#[test]
fn integers_convert_exactly_or_not_at_all() {
    let i32s = |last| NpyArray::I32(array![[0, 1], [2, last]].into_dyn());
    assert_eq!(i32s(16_777_216).to_f32().unwrap(), array![[0.0, 1.0], [2.0, 16_777_216.0]].into_dyn());
    assert_eq!(i32s(i32::MIN).to_f32().unwrap()[[1, 1]], -2_147_483_648.0);
    let error = i32s(16_777_217).to_f32().unwrap_err();
    assert_eq!(error.to_string(), "wanted integers that f32 holds exactly, found 16777217 (i32) at [1, 1]");
    assert_eq!(error.class(), NpyErrorClass::BadFile);
    assert!(matches!(error.at("a.npy"), NpyError::At { .. }));
    assert!(matches!(i32s(i32::MAX).to_f32(), Err(NpyError::Inexact { .. })));

    let i16s = |value| NpyArray::I16(array![value].into_dyn());
    assert_eq!(i16s(-2048).to_f16().unwrap()[0], f16::from_f32(-2048.0));
    assert_eq!(i16s(2050).to_f16().unwrap()[0], f16::from_f32(2050.0));
    assert!(matches!(i16s(2049).to_f16(), Err(NpyError::Inexact { wanted: "f16", .. })));
    let u16s = NpyArray::U16(array![65_504, 65_520].into_dyn());
    let error = u16s.to_f16().unwrap_err();
    assert!(error.to_string().contains("found 65520 (u16) at [1]"), "{error}");
    assert_eq!(u16s.to_f32().unwrap()[1], 65_520.0);
    assert_eq!(NpyArray::I8(array![-128].into_dyn()).to_f16().unwrap()[0], f16::from_f32(-128.0));
}

#[test]
fn floats_round_but_stay_finite() {
    let f64s = |value| NpyArray::F64(array![value].into_dyn());
    assert_eq!(f64s(0.1).to_f32().unwrap()[0], 0.1_f32);
    assert_eq!(f64s(1e-300).to_f32().unwrap()[0], 0.0);
    let error = f64s(1e300).to_f32().unwrap_err();
    assert_eq!(error.to_string(), "wanted numbers that stay finite in f32, found 1e300 (f64) at [0]");
    assert_eq!(error.at("a.npy").class(), NpyErrorClass::NonFinite);
    assert_eq!(f64s(-f64::INFINITY).to_f32().unwrap()[0], -f32::INFINITY);
    assert_eq!(f64s(-f64::INFINITY).to_f16().unwrap()[0], f16::NEG_INFINITY);
    assert!(f64s(f64::NAN).to_f32().unwrap()[0].is_nan());
    assert!(f64s(f64::NAN).to_f16().unwrap()[0].is_nan());
    assert!(f64s(f64::NAN).to_f64().unwrap()[0].is_nan());

    let f32s = |value| NpyArray::F32(array![value].into_dyn());
    assert_eq!(f32s(65_519.0).to_f16().unwrap()[0], f16::MAX);
    assert_eq!(f32s(65_520.0).to_f16().unwrap_err().class(), NpyErrorClass::NonFinite);
    assert_eq!(f32s(0.1).to_f64().unwrap()[0], f64::from(0.1_f32));
    assert_eq!(NpyArray::F16(array![f16::MAX].into_dyn()).to_f32().unwrap()[0], 65_504.0);
}

#[test]
fn f16_rounds_once() {
    let half = |value: f64| NpyArray::F64(array![value].into_dyn()).to_f16().unwrap()[0];
    let (tie, speck) = (1.0 + 2_f64.powi(-11), 2_f64.powi(-40));
    assert_eq!(half(tie), f16::ONE);
    assert_eq!(half(tie + speck).to_f64(), 1.0 + 2_f64.powi(-10));
    assert_eq!(half(tie - speck), f16::ONE);
    assert_eq!(half(-tie - speck).to_f64(), -1.0 - 2_f64.powi(-10));
    let tie = 1.0 + 3.0 * 2_f64.powi(-11);
    assert_eq!(half(tie).to_f64(), 1.0 + 2_f64.powi(-9));
    assert_eq!(half(tie - speck).to_f64(), 1.0 + 2_f64.powi(-10));
    // Half the smallest subnormal and a little more; and less than any f32.
    assert_eq!(half(2_f64.powi(-25)), f16::ZERO);
    assert_eq!(half(2_f64.powi(-25) * (1.0 + 2_f64.powi(-50))), f16::from_bits(1));
    assert_eq!(half(-1e-310).to_bits(), 0x8000);
    // Just below the first number that rounds to infinity.
    assert_eq!(half(65_520.0 - speck * 1024.0), f16::MAX);
}

/// Extents, a step for each axis and a sort key for its place.
fn layouts() -> impl Strategy<Value = Vec<(usize, isize, u8)>> {
    let step = prop::sample::select(vec![1_isize, -1, 2, -2]);
    prop::collection::vec((0_usize..5, step, any::<u8>()), 1..6)
}

/// A view of `base` with each axis stepped and all of them permuted.
fn strided<'a, T>(base: &'a ArrayD<T>, layout: &[(usize, isize, u8)]) -> ArrayViewD<'a, T> {
    let mut view = base.view();
    for (axis, &(_, step, _)) in layout.iter().enumerate() {
        view.slice_axis_inplace(Axis(axis), Slice::new(0, None, step));
    }
    let mut axes: Vec<usize> = (0..layout.len()).collect();
    axes.sort_by_key(|&axis| layout[axis].2);
    view.permuted_axes(axes)
}

/// Numbers with nothing in common but their seed.
fn scrambled(layout: &[(usize, isize, u8)], seed: u64) -> ArrayD<u64> {
    let mut state = seed;
    let shape: Vec<usize> = layout.iter().map(|&(extent, ..)| extent).collect();
    ArrayD::from_shape_simple_fn(shape, || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state ^ (state >> 29)
    })
}

fn low<T: TryFrom<u64>>(bits: u64, width: u32) -> T {
    T::try_from(bits >> (64 - width)).ok().unwrap()
}

proptest! {
    #[test]
    fn written_arrays_read_back(layout in layouts(), seed: u64) {
        let bits = scrambled(&layout, seed);

        let array = bits.mapv(f64::from_bits);
        let view = strided(&array, &layout);
        let Ok(NpyArray::F64(back)) = read(&written(view.view())) else { panic!() };
        prop_assert_eq!(back.mapv(f64::to_bits), view.mapv(f64::to_bits));

        let array = bits.mapv(|bits| f32::from_bits(low(bits, 32)));
        let view = strided(&array, &layout);
        let Ok(NpyArray::F32(back)) = read(&written(view.view())) else { panic!() };
        prop_assert_eq!(back.mapv(f32::to_bits), view.mapv(f32::to_bits));

        let array = bits.mapv(|bits| f16::from_bits(low(bits, 16)));
        let view = strided(&array, &layout);
        let Ok(NpyArray::F16(back)) = read(&written(view.view())) else { panic!() };
        prop_assert_eq!(back.mapv(f16::to_bits), view.mapv(f16::to_bits));
    }

    /// Neither neighbour is nearer, and a tie goes to the even one.
    #[test]
    fn f16_is_the_nearest(
        bits in 0x3e30_0000_0000_0000_u64..0x40ef_fdff_ffff_ffff,
        speck in prop::option::of(0_u64..3),
    ) {
        // Mostly a number of few bits, to meet ties, or next to one.
        let few = bits & !((1 << 41) - 1);
        let value = f64::from_bits(speck.map_or(bits, |speck| few + speck - 1));
        let array = NpyArray::F64(array![value, -value].into_dyn()).to_f16().unwrap();
        prop_assert_eq!(array[1], -array[0]);
        let near = array[0].to_bits();
        let error = |bits: u16| (f16::from_bits(bits).to_f64() - value).abs();
        for other in [near.saturating_sub(1), near + 1] {
            let tie = error(near) == error(other) && near.is_multiple_of(2);
            prop_assert!(other == near || error(near) < error(other) || tie, "{value:e}");
        }
    }

    #[test]
    fn damaged_files_are_read_or_refused(
        major in 1_u8..4,
        fortran: bool,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        keep in prop::option::of(any::<prop::sample::Index>()),
        tail in prop::collection::vec(any::<u8>(), 0..3),
    ) {
        let mut bytes = file(major, &header("<f4", fortran, "(2, 3)"), &[0x11; 24]);
        for (place, value) in edits {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Some(keep) = keep {
            bytes.truncate(keep.index(bytes.len()));
        }
        bytes.extend(tail);
        check_outcome(&bytes);
    }

    #[test]
    fn scrambled_headers_are_read_or_refused(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "(", ")", ",", ":", "'", "\"", " ", "\n", "\\", "0", "1", "2", "L", "-",
            "'descr'", "'fortran_order'", "'shape'", "True", "False", "'|u1'", "'<f4'", "'|O'",
            "'descr': '|u1',", "'fortran_order': False,", "'shape': (1, ),", "(2,)", "\u{e9}", "\0",
        ]), 0..16),
        braces: bool,
        data in 0_usize..5,
    ) {
        let text = tokens.concat();
        let text = if braces { format!("{{{text}}}") } else { text };
        check_outcome(&file(1, &text, &vec![0; data]));
    }
}

/// Whatever is accepted has a shape that fits the bytes, and converts or is refused.
fn check_outcome(bytes: &[u8]) {
    let Ok(array) = read(bytes) else { return };
    let count: usize = array.shape().iter().product();
    assert!(count <= bytes.len());
    assert_eq!(array.to_f64().unwrap().len(), count);
    assert!(array.to_f32().is_ok_and(|array| array.len() == count));
    assert!(array.to_f16().is_ok_and(|array| array.len() == count) || array.dtype() != "u8");
}
