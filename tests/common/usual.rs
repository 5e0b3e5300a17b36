//! The kernels that short runs keep to. A software adapter takes seconds to compile one, and there are hundreds.

use crate::common::plans::{self, candidates, lower};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use wgconv::internals::kernel::{Kernel, Spec, SpecValue};
use wgconv::internals::planner::Choice;
use wgconv::internals::program::Program;
use wgconv::internals::target::{DeviceClass, Target};
use wgconv::{Algorithm, ConvProblem};
use wgconv_testing::Tier;

/// Those that have kernels.
pub const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::Direct, Algorithm::Depthwise, Algorithm::ImplicitGemm, Algorithm::Im2colGemm, Algorithm::Fft];

/// Whether the constant says how much a kernel does at once, not what it does.
fn is_size(name: &str, value: &SpecValue) -> bool {
    matches!(value, SpecValue::U32(_)) && name != "CHECK"
}

/// A kernel with its types and the switches that are on, without sizes.
pub fn without_sizes(kernel: Kernel, spec: &Spec) -> String {
    let rest = spec
        .values()
        .iter()
        .filter(|(name, value)| !is_size(name, value) && *value != SpecValue::Bool(false));
    format!("{} {:?}", kernel.name(), rest.collect::<Vec<_>>())
}

/// The less, the less there is to compile.
fn size(spec: &Spec) -> u64 {
    let numbers = spec.values().iter().filter_map(|(name, value)| match value {
        SpecValue::U32(number) if is_size(name, value) => Some(u64::from(*number).max(1)),
        _ => None,
    });
    numbers.fold(1, u64::saturating_mul)
}

/// Of the specs of a kernel with the same switches the smallest.
fn usual() -> &'static BTreeSet<(Kernel, Spec)> {
    static USUAL: OnceLock<BTreeSet<(Kernel, Spec)>> = OnceLock::new();
    USUAL.get_or_init(|| {
        let mut groups: BTreeMap<String, (u64, (Kernel, Spec))> = BTreeMap::new();
        for &kernel in Kernel::ALL {
            for spec in kernel.specs() {
                let (group, size) = (without_sizes(kernel, &spec), size(&spec));
                let least = groups.entry(group).or_insert((size, (kernel, spec.clone())));
                if size < least.0 {
                    *least = (size, (kernel, spec));
                }
            }
        }
        groups.into_values().map(|(_, pair)| pair).collect()
    })
}

/// Whether all launches of the program are of usual kernels.
pub fn is_usual(program: &Program) -> bool {
    let launches = program.prepare.iter().chain(&program.launches);
    launches.into_iter().all(|launch| {
        // The others have no barriers and are compiled in a moment.
        let quick = matches!(launch.kernel, Kernel::Fold | Kernel::Im2col | Kernel::Pack);
        quick || usual().contains(&(launch.kernel, launch.spec.clone()))
    })
}

/// Whether a run of this tier keeps to usual programs on such a device.
pub fn is_short(tier: Tier, target: &Target) -> bool {
    tier == Tier::Quick && target.device_class == DeviceClass::Software
}

/// The best guess of those that the algorithm makes of the problem and that are usual.
pub fn usual_choice(algorithm: Algorithm, problem: &ConvProblem, target: &Target) -> Option<Choice> {
    let configs = candidates(algorithm, problem, target).ok()?;
    configs.into_iter().find_map(|config| {
        let program = lower(algorithm, problem, target, &config).ok().filter(is_usual)?;
        Some(plans::choice(algorithm, problem, config, program))
    })
}
