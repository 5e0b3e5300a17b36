//! What each boundary reads, against numpy 2.4 `pad` and scipy 1.17 `ndimage.correlate1d`, which agree.

use wgconv::{Boundary, Source};

/// Indices read at the coordinates −9 to 12 of an input of the given extent.
const READS: [(Boundary, u64, &str); 16] = [
    (Boundary::Wrap, 1, "0000000000000000000000"),
    (Boundary::Wrap, 2, "1010101010101010101010"),
    (Boundary::Wrap, 3, "0120120120120120120120"),
    (Boundary::Wrap, 4, "3012301230123012301230"),
    (Boundary::Reflect, 1, "0000000000000000000000"),
    (Boundary::Reflect, 2, "0011001100110011001100"),
    (Boundary::Reflect, 3, "2100122100122100122100"),
    (Boundary::Reflect, 4, "0012332100123321001233"),
    (Boundary::Mirror, 1, "0000000000000000000000"),
    (Boundary::Mirror, 2, "1010101010101010101010"),
    (Boundary::Mirror, 3, "1012101210121012101210"),
    (Boundary::Mirror, 4, "3210123210123210123210"),
    (Boundary::Nearest, 1, "0000000000000000000000"),
    (Boundary::Nearest, 2, "0000000000111111111111"),
    (Boundary::Nearest, 3, "0000000000122222222222"),
    (Boundary::Nearest, 4, "0000000000123333333333"),
];

#[test]
fn reads_are_those_of_numpy_and_scipy() {
    for (boundary, extent, want) in READS {
        for (at, digit) in (-9..=12).zip(want.bytes()) {
            let want = Source::Cell(u64::from(digit - b'0'));
            assert_eq!(boundary.source(at, extent), want, "{boundary:?}, extent {extent}, coordinate {at}");
        }
    }
}

#[test]
fn zero_and_constant_lie_outside() {
    for boundary in [Boundary::Zero, Boundary::Constant(7.0)] {
        for extent in 1..=4 {
            for at in -9..=12 {
                let inside = (0..extent as i64).contains(&at);
                let want = if inside { Source::Cell(at as u64) } else { Source::Outside };
                assert_eq!(boundary.source(at, extent), want);
            }
        }
    }
    assert_eq!((Boundary::Zero.fill(), Boundary::Constant(7.0).fill()), (0.0, 7.0));
}

#[test]
fn far_coordinates_do_not_overflow() {
    for boundary in [Boundary::Wrap, Boundary::Reflect, Boundary::Mirror, Boundary::Nearest] {
        for extent in [1, 2, 3, 1 << 40, i64::MAX as u64] {
            for at in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
                let Source::Cell(cell) = boundary.source(at, extent) else { panic!("{boundary:?} at {at}") };
                assert!(cell < extent, "{boundary:?}, extent {extent}, coordinate {at}: {cell}");
            }
        }
    }
}
