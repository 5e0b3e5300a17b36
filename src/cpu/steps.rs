//! Steps that loops take, counted where unit tests ask how many there are.

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// So many steps are taken.
#[inline(always)]
pub(super) fn count(steps: usize) {
    #[cfg(test)]
    STEPS.set(STEPS.get() + steps as u64);
    #[cfg(not(test))]
    let _ = steps;
}

/// Steps of this thread since it last asked.
#[cfg(test)]
pub(super) fn taken() -> u64 {
    STEPS.take()
}
