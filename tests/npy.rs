//! `.npy` files: every accepted form, hostile ones, the writer and the conversions.

use std::path::Path;

use half::f16;
use ndarray::{ArrayD, ArrayView, ArrayViewD, Axis, Dimension, IxDyn, Slice, arr0, array};
use proptest::prelude::*;
use wgconv::npy::{self, Limits, NpyArray, NpyElement, NpyError, NpyErrorClass};

/// A file of version `major`.0 around a header text and data.
fn file(major: u8, text: &str, data: &[u8]) -> Vec<u8> {
    let len = u32::try_from(text.len()).unwrap().to_le_bytes();
    let len = if major == 1 { &len[..2] } else { &len[..] };
    [b"\x93NUMPY", &[major, 0][..], len, text.as_bytes(), data].concat()
}

fn header(descr: &str, fortran: bool, shape: &str) -> String {
    let order = if fortran { "True" } else { "False" };
    format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}   \n")
}

fn read(bytes: &[u8]) -> Result<NpyArray, NpyError> {
    npy::read_from(bytes, bytes.len() as u64, &Limits::default())
}

fn written<T: NpyElement, D: Dimension>(array: ArrayView<'_, T, D>) -> Vec<u8> {
    let mut bytes = Vec::new();
    npy::write_to(&mut bytes, array).unwrap();
    bytes
}

/// The name of each type in Rust and in a header, and -3 or 3 of it in little-endian bytes.
const DTYPES: [(&str, &str, f64, &[u8]); 8] = [
    ("f32", "f4", -3.0, &[0, 0, 0x40, 0xc0]),
    ("f64", "f8", -3.0, &[0, 0, 0, 0, 0, 0, 0x08, 0xc0]),
    ("f16", "f2", -3.0, &[0, 0xc2]),
    ("i8", "i1", -3.0, &[0xfd]),
    ("u8", "u1", 3.0, &[3]),
    ("i16", "i2", -3.0, &[0xfd, 0xff]),
    ("u16", "u2", 3.0, &[3, 0]),
    ("i32", "i4", -3.0, &[0xfd, 0xff, 0xff, 0xff]),
];

#[test]
fn every_dtype_in_every_order() {
    for (name, code, value, little) in DTYPES {
        let big: Vec<u8> = little.iter().rev().copied().collect();
        let zero = vec![0; little.len()];
        let native = if cfg!(target_endian = "big") { &big } else { little };
        let mut orders = vec![("<", little), (">", &big), ("=", native)];
        if little.len() == 1 {
            orders.push(("|", little));
        }
        for (order, bytes) in orders {
            let descr = format!("{order}{code}");
            // The value stands at [0, 1] of a 2 by 3 array, second in C order, third in Fortran's.
            for (fortran, place) in [(false, 1), (true, 2)] {
                let mut data = [&zero[..]; 6];
                data[place] = bytes;
                for major in [1, 2, 3] {
                    let array = read(&file(major, &header(&descr, fortran, "(2, 3)"), &data.concat()));
                    let array = array.unwrap();
                    assert_eq!(array.dtype(), name);
                    assert_eq!(array.shape(), [2, 3]);
                    let expected = array![[0.0, value, 0.0], [0.0, 0.0, 0.0]].into_dyn();
                    assert_eq!(array.to_f64(), expected, "{descr} fortran {fortran} v{major}");
                }
            }
            let single = read(&file(1, &header(&descr, false, "()"), bytes)).unwrap();
            assert_eq!(single.to_f64(), arr0(value).into_dyn(), "{descr}");
            let empty = read(&file(1, &header(&descr, true, "(0, 3)"), &[])).unwrap();
            assert_eq!((empty.dtype(), empty.shape()), (name, &[0, 3][..]));
        }
    }
}

#[test]
fn header_spellings() {
    for text in [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1)}",
        "{'shape':(2,1,),'fortran_order':True,'descr':'|u1',}",
        "  {\n\"descr\" : \"<u1\" , \"shape\" : ( 2L , 1L ) ,\t\"fortran_order\" : False\r\n} \n",
    ] {
        let array = read(&file(1, text, &[7, 8])).unwrap();
        assert_eq!(array, NpyArray::U8(array![[7_u8], [8]].into_dyn()), "{text}");
    }
    let row = read(&file(1, &header("|u1", false, "(2,)"), &[7, 8])).unwrap();
    assert_eq!(row, NpyArray::U8(array![7_u8, 8].into_dyn()));
}

/// Asserts that `bytes` are refused as a bad file with an error matching `$pattern` that says
/// `$fragment`.
macro_rules! refuses {
    ($bytes:expr, $pattern:pat, $fragment:expr) => {{
        let bytes: &[u8] = &$bytes;
        let error = read(bytes).expect_err(&String::from_utf8_lossy(bytes));
        assert!(matches!(error, $pattern), "{error:?} is not {}", stringify!($pattern));
        assert!(error.to_string().contains($fragment), "{error}");
        assert_eq!(error.class(), NpyErrorClass::BadFile);
    }};
}

#[test]
fn hostile_preambles() {
    use NpyError as E;
    let valid = file(1, &header("<f4", false, "(2,)"), &[0; 8]);
    refuses!([], E::Truncated { wanted: 6, found: 0, .. }, "magic string: wanted 6 bytes, found 0");
    refuses!(valid[..5], E::Truncated { .. }, "magic string: wanted 6 bytes, found 5");
    refuses!(valid[..7], E::Truncated { .. }, "format version");
    refuses!(valid[..9], E::Truncated { .. }, "header length");
    refuses!(valid[..40], E::Truncated { .. }, "in the header: wanted");
    refuses!(*b"PK\x03\x04\0\0\0\0\0\0", E::BadMagic { .. }, r"found PK\x03\x04");
    for version in [[0, 0], [1, 1], [4, 0], [255, 255]] {
        let mut bytes = valid.clone();
        bytes[6..8].copy_from_slice(&version);
        refuses!(bytes, E::BadVersion { .. }, &format!("found {}.{}", version[0], version[1]));
    }
    for len in [(1 << 16) + 1, u32::MAX] {
        let bytes = [b"\x93NUMPY\x02\0", &len.to_le_bytes()[..], &[b' '; 200]].concat();
        refuses!(bytes, E::HeaderTooLong { .. }, "at most 65536 bytes");
    }
    let long = header("<f4", false, "(2,)") + &" ".repeat(70_000);
    refuses!(file(2, &long, &[0; 8]), E::HeaderTooLong { .. }, "wanted a header of at most");
}

#[test]
fn hostile_headers() {
    let rest = "'fortran_order': False, 'shape': (1,)";
    let shape = |shape: &str| header("|u1", false, shape);
    let cases: &[(&str, &str)] = &[
        ("", "byte 10 of the file: wanted '{', found the end"),
        ("\n", "wanted '{', found the end"),
        ("[]", "wanted '{', found '['"),
        ("{", "wanted a quoted key or '}', found the end"),
        ("{}", "byte 11 of the file: wanted the key 'descr'"),
        ("{,}", "wanted a quoted key or '}', found ','"),
        ("{'descr': '|u1'}", "wanted the key 'fortran_order'"),
        ("{'descr': '|u1', 'fortran_order': True}", "wanted the key 'shape'"),
        ("{'descr': '|u1', 'descr': '|u1', 'shape': ()}", "once each, found 'descr'"),
        ("{'descr': '|u1', 'shape': (), 'shape': ()}", "once each, found 'shape'"),
        ("{'fortran_order': True, 'fortran_order': True}", "once each, found 'fortran_order'"),
        ("{'extra': 1}", "byte 11 of the file: wanted 'descr', 'fortran_order' and 'shape' once"),
        ("{'descr' '|u1'}", "wanted ':'"),
        ("{'descr': u'|u1'}", "wanted a quoted dtype, found 'u'"),
        ("{'descr': 7}", "wanted a quoted dtype, found '7'"),
        ("{'descr': '|u1}", "closing quote, found the end"),
        ("{'descr': '|u1\"}", "closing quote, found the end"),
        ("{'descr': '|\\x75\\x31'}", "closing quote, found '\\\\'"),
        ("{'descr': '|u1\u{e9}'}", "closing quote, found '\\xc3'"),
        ("{'descr': '|u1'; }", "wanted ',' or '}', found ';'"),
        ("{'descr': '|u1' 'shape': ()}", "wanted ',' or '}', found '\\''"),
        ("{'descr': '|u1',, }", "wanted a quoted key or '}', found ','"),
        ("{'fortran_order': 0}", "wanted True or False, found '0'"),
        ("{'fortran_order': 'True'}", "wanted True or False"),
        ("{'fortran_order': true}", "wanted True or False"),
        ("{'fortran_order': Truest}", "wanted ',' or '}', found 's'"),
        (&shape("3"), "wanted '(', found '3'"),
        (&shape("[3]"), "wanted '(', found '['"),
        (&shape("(3)"), "wanted ',', found ')'"),
        (&shape("(,)"), "wanted an extent of decimal digits, found ','"),
        (&shape("(3,,)"), "wanted an extent of decimal digits, found ','"),
        (&shape("(-1,)"), "wanted an extent of decimal digits, found '-'"),
        (&shape("(+1,)"), "found '+'"),
        (&shape("(1.0,)"), "wanted ',', found '.'"),
        (&shape("(1e3,)"), "found 'e'"),
        (&shape("(0x3,)"), "found 'x'"),
        (&shape("(1_0,)"), "found '_'"),
        (&shape("(1LL,)"), "found 'L'"),
        (&shape("(03,)"), "without leading zeros"),
        (&shape("((3,),)"), "wanted an extent of decimal digits, found '('"),
        (&shape("(1, 2"), "wanted an extent of decimal digits, found '}'"),
        (&shape("(1 2)"), "wanted ',', found '2'"),
        (&shape("(18446744073709551616,)"), "below 2^64"),
        (&format!("{{'descr': '|u1', {rest}}}x"), "after the dictionary, found 'x'"),
        (&format!("{{'descr': '|u1', {rest}}}\0"), "after the dictionary, found '\\x00'"),
        (&format!("# \n{{'descr': '|u1', {rest}}}"), "wanted '{', found '#'"),
        (&"{".repeat(60_000), "byte 11 of the file: wanted a quoted key"),
        (&"{'a".repeat(20_000), "wanted ':', found 'a'"),
    ];
    for (text, fragment) in cases {
        refuses!(file(1, text, &[0]), NpyError::BadHeader { .. }, fragment);
    }
    let text = header("|u1", false, "(x)");
    refuses!(file(2, &text, &[0]), NpyError::BadHeader { position: 63, .. }, "found 'x'");
    assert_eq!(file(2, &text, &[0])[63], b'x');
}

#[test]
fn unsupported_dtypes() {
    for (descr, meaning) in [
        ("'|O'", "(object)"),
        ("'|b1'", "(bool)"),
        ("'<i8'", "(int64)"),
        ("'<u4'", "(uint32)"),
        ("'>u8'", "(uint64)"),
        ("'<c8'", "(complex)"),
        ("'<f16'", "(long double)"),
        ("'|V8'", "(void)"),
        ("'|S3'", "(bytes)"),
        ("'<U3'", "(text)"),
        ("'<M8[ns]'", "(date or time)"),
        ("'<f3'", "(unknown)"),
        ("'|f4'", "(no byte order)"),
        ("'@f4'", "(no byte order)"),
        ("'f4'", "(unknown)"),
        ("''", "(unknown)"),
        ("[('x', '<f4')]", "(structured)"),
        ("('<f4', (2,))", "(structured)"),
        ("[\x1b[2J]", r"found [\x1b[2J]"),
    ] {
        let text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,)}}");
        let bytes = file(1, &text, &[0; 8]);
        refuses!(bytes, NpyError::UnsupportedDtype { .. }, meaning);
    }
    let bytes = file(1, &header(&"z".repeat(60_000), false, "()"), &[]);
    refuses!(bytes, NpyError::UnsupportedDtype { .. }, &format!("found {} (", "z".repeat(32)));
}

#[test]
fn hostile_shapes() {
    use NpyError as E;
    let case = |shape: &str, data: usize| file(1, &header("<f8", false, shape), &vec![0; data]);
    refuses!(case("(1, 1, 1, 1, 1, 1, 1, 1, 1, 1)", 8), E::TooManyAxes { .. }, "9 axes, found 10");
    refuses!(case(&format!("({})", "1,".repeat(30_000)), 8), E::TooManyAxes { axes: 30_000, .. }, "30000");
    for shape in [
        "(18446744073709551615,)",
        "(1152921504606846976,)",
        "(4294967296, 4294967296)",
        "(4294967296, 4294967296, 0)",
        "(0, 4294967296, 4294967296)",
        "(0, 18446744073709551615)",
    ] {
        refuses!(case(shape, 0), E::ShapeOverflow { .. }, "that memory can address, found [");
    }
    refuses!(
        case("(131072, 1048576)", 8),
        E::WrongLength { found: 8, .. },
        "wanted 1099511627776 bytes of data for the shape, found 8"
    );
    refuses!(case("(2,)", 15), E::WrongLength { wanted: 16, found: 15 }, "wanted 16");
    refuses!(case("(2,)", 17), E::WrongLength { wanted: 16, found: 17 }, "found 17");
    refuses!(case("(0, 5)", 1), E::WrongLength { wanted: 0, found: 1 }, "found 1");
    refuses!(case("()", 0), E::WrongLength { wanted: 8, found: 0 }, "wanted 8");
    refuses!(case("(0, 1000000000)", 0), E::TooLarge { .. }, "at most 4294967296 bytes");

    let bytes = case("(3,)", 24);
    let limits = |max_bytes, max_axes| Limits { max_bytes, max_axes };
    let with = |limits| npy::read_from(&bytes[..], bytes.len() as u64, &limits);
    assert!(with(limits(24, 1)).is_ok());
    assert!(matches!(with(limits(23, 1)), Err(E::TooLarge { bytes: 24, max: 23 })));
    assert!(matches!(with(limits(24, 0)), Err(E::TooManyAxes { axes: 1, max: 0 })));
}

#[test]
fn declared_length_is_the_readers() {
    let bytes = file(1, &header("<f4", false, "(2,)"), &[0; 8]);
    let len = bytes.len() as u64;
    let short = npy::read_from(&bytes[..bytes.len() - 3], len, &Limits::default());
    assert!(matches!(short, Err(NpyError::Truncated { part: "data", wanted: 8, found: 5 })));
    let more = [&bytes[..], b"next"].concat();
    assert!(npy::read_from(&more[..], len, &Limits::default()).is_ok());

    // A terabyte that is said to be there meets the limit before any allocation.
    let text = header("<f8", false, "(131072, 1048576)");
    let bytes = file(1, &text, &[]);
    let len = bytes.len() as u64 + (1 << 40);
    let huge = npy::read_from(&bytes[..], len, &Limits::default());
    assert!(matches!(huge, Err(NpyError::TooLarge { .. })));

    // Nor does a reservation that fails abort.
    let bytes = file(1, &header("|u1", false, "(4611686018427387904,)"), &[]);
    let len = bytes.len() as u64 + (1 << 62);
    let limits = Limits { max_bytes: u64::MAX, ..Limits::default() };
    let error = npy::read_from(&bytes[..], len, &limits).unwrap_err();
    assert!(matches!(error, NpyError::OutOfMemory { .. }), "{error:?}");
    assert_eq!(error.class(), NpyErrorClass::Io);
}

#[test]
fn files_that_are_not_there_or_not_files() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits::default();
    let missing = npy::read(directory.path().join("none.npy"), &limits).unwrap_err();
    assert_eq!(missing.class(), NpyErrorClass::Io);
    assert!(missing.to_string().contains("none.npy: cannot open: "), "{missing}");
    let folder = npy::read(directory.path(), &limits).unwrap_err();
    assert_eq!(folder.class(), NpyErrorClass::BadFile);
    assert!(folder.to_string().ends_with(": wanted a regular file, found a directory"), "{folder}");
    assert!(matches!(folder, NpyError::At { ref path, .. } if path == directory.path()));
    let path = directory.path().join("bad.npy");
    std::fs::write(&path, b"").unwrap();
    let empty = npy::read(&path, &limits).unwrap_err();
    assert!(empty.to_string().contains("bad.npy: file ends in the magic string"), "{empty}");
}

#[cfg(unix)]
#[test]
fn special_files_do_not_hang() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo makes a named pipe");
    for path in [pipe.as_path(), Path::new("/dev/zero")] {
        let error = npy::read(path, &Limits::default()).unwrap_err();
        assert!(error.to_string().ends_with("found a special file"), "{error}");
    }
    let error = npy::write(&pipe, array![1.0_f32].view()).unwrap_err();
    assert!(error.to_string().contains("cannot replace: not a regular file"), "{error}");
    assert_eq!(names(directory.path()), ["pipe"]);
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

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
    assert!(f64s(f64::NAN).to_f64()[0].is_nan());

    let f32s = |value| NpyArray::F32(array![value].into_dyn());
    assert_eq!(f32s(65_519.0).to_f16().unwrap()[0], f16::MAX);
    assert_eq!(f32s(65_520.0).to_f16().unwrap_err().class(), NpyErrorClass::NonFinite);
    assert_eq!(f32s(0.1).to_f64()[0], f64::from(0.1_f32));
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
    assert_eq!(array.to_f64().len(), count);
    assert!(array.to_f32().is_ok_and(|array| array.len() == count));
    assert!(array.to_f16().is_ok_and(|array| array.len() == count) || array.dtype() != "u8");
}
