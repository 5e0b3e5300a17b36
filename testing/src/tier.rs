//! How much of the tables a test runs.

use wgconv::Direction;
use wgconv::internals::planner::Choice;

use crate::cases::{self, Case};
use crate::report::report;
use crate::values::seed_of;

/// A tier of tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Plain `cargo test`: a sample of every class of check.
    Quick,
    /// `cargo test -- --include-ignored`: every named case, and a third of the rows of benchdnn.
    Full,
    /// The same with `WGCONV_TESTS=exhaustive`: every case in every configuration.
    Exhaustive,
}

impl Tier {
    /// That of a test that is marked `#[ignore = "full"]`.
    ///
    /// # Panics
    ///
    /// If `WGCONV_TESTS` is neither absent nor `exhaustive`, or `WGCONV_PART` names a part of another tier.
    pub fn full() -> Self {
        let part = std::env::var_os("WGCONV_PART");
        match std::env::var("WGCONV_TESTS").unwrap_or_default().as_str() {
            "exhaustive" => Self::Exhaustive,
            "" if part.is_some() => panic!("WGCONV_PART is {part:?}: only WGCONV_TESTS=exhaustive has parts"),
            "" => Self::Full,
            other => panic!("WGCONV_TESTS is {other:?}, wanted exhaustive or nothing"),
        }
    }

    /// The named cases and the rows of benchdnn. In the quick tier small ones, and of the rows one in `of`; in the full tier of
    /// the rows one in three.
    pub fn cases(self, of: u64) -> Vec<Case> {
        let all = every_case();
        let number = all.len();
        let takes = |case: &Case| match (self, case.name.starts_with("benchdnn_")) {
            (Self::Quick, sparse) => {
                let (most, turn) = if sparse { (1 << 16, of) } else { (1 << 14, 1) };
                case.problem().macs() <= most && seed_of(&case.name).is_multiple_of(turn)
            }
            (Self::Full, true) => seed_of(&case.name).is_multiple_of(3),
            (Self::Full, false) | (Self::Exhaustive, _) => true,
        };
        let taken: Vec<_> = all.into_iter().filter(takes).collect();
        report(&format!("{} cases of {number}", taken.len()));
        if self == Self::Exhaustive { in_part(taken) } else { taken }
    }

    /// Why a case is passed over that [`Self::takes`] refuses.
    pub const ELSEWHERE: &str = "runs in another direction, or in a larger tier";

    /// Whether the case of this name runs in this direction: in the exhaustive tier in all three, else in one.
    pub fn takes(self, name: &str, direction: Direction) -> bool {
        // Of another part of the seed than what chooses the case.
        self == Self::Exhaustive || (seed_of(name) >> 32) % 3 == direction as u64
    }
}

/// The named cases and the rows of benchdnn.
pub fn every_case() -> Vec<Case> {
    cases::named().into_iter().chain(crate::benchdnn::benchdnn()).collect()
}

/// Those of `all` that are in the part that `WGCONV_PART` names, of which `2/8` is the second of eight: every eighth.
fn in_part<T>(all: Vec<T>) -> Vec<T> {
    let Some(text) = std::env::var_os("WGCONV_PART") else { return all };
    let text = text.to_string_lossy();
    let pair = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
    let (k, n) = pair
        .filter(|(k, n)| (1..=*n).contains(k))
        .unwrap_or_else(|| panic!("WGCONV_PART is a part and of how many, as 2/8, not {text}"));
    report(&format!("part {k} of {n} of the table, {} rows in all", all.len()));
    all.into_iter().skip(k - 1).step_by(n).collect()
}

/// Workgroups of a run. A software adapter takes about a third of a millisecond for one that has barriers.
pub fn workgroups(choice: &Choice) -> u64 {
    let of = |grid: [u32; 3]| grid.iter().map(|&extent| u64::from(extent)).product::<u64>();
    choice.program.launches.iter().map(|launch| of(launch.grid.0)).sum()
}
