//! How much of the tables runs, as the environment has it.

use wgconv::internals::planner::Choice;

/// Whether only a part is run that a slow second driver gets through: `WGCONV_QUICK`.
pub fn quick() -> bool {
    std::env::var_os("WGCONV_QUICK").is_some()
}

/// Whether what takes a software adapter long is run there too: `WGCONV_FULL`.
pub fn full() -> bool {
    std::env::var_os("WGCONV_FULL").is_some()
}

/// Those of `all` that are in the part that `WGCONV_PART` names, of which `2/8` is the second of eight: every eighth.
pub fn in_part<T>(all: Vec<T>) -> Vec<T> {
    let Some(text) = std::env::var_os("WGCONV_PART") else { return all };
    let text = text.to_string_lossy();
    let pair = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
    let (k, n) = pair
        .filter(|(k, n)| (1..=*n).contains(k))
        .unwrap_or_else(|| panic!("WGCONV_PART is a part and of how many, as 2/8, not {text}"));
    crate::report::report(&format!("part {k} of {n} of the table, {} rows in all", all.len()));
    all.into_iter().skip(k - 1).step_by(n).collect()
}

/// Workgroups of a run. A software adapter takes about a third of a millisecond for one that has barriers.
pub fn workgroups(choice: &Choice) -> u64 {
    let of = |grid: [u32; 3]| grid.iter().map(|&extent| u64::from(extent)).product::<u64>();
    choice.program.launches.iter().map(|launch| of(launch.grid.0)).sum()
}
