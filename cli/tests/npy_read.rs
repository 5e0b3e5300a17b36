//! `.npy` files that are read: every accepted form, and hostile ones.

use std::path::Path;

use crate::common::npy::{file, header, names, read};
use crate::npy::{self, Limits, NpyArray, NpyError, NpyErrorClass};
use ndarray::{arr0, array};

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
                    assert_eq!(array.to_f64().unwrap(), expected, "{descr} fortran {fortran} v{major}");
                }
            }
            let single = read(&file(1, &header(&descr, false, "()"), bytes)).unwrap();
            assert_eq!(single.to_f64().unwrap(), arr0(value).into_dyn(), "{descr}");
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
    assert_eq!(error.class(), NpyErrorClass::OutOfMemory);
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
