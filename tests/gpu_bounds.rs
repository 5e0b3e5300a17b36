//! Every index that a kernel takes, into a storage buffer or into workgroup memory, is below the length of what is bound: also
//! that of a read whose value is dropped afterwards, which no comparison of results sees, and which nothing checks in shaders
//! that are built without run-time checks.
#![cfg(feature = "gpu")]

use crate::common::plans::{self, candidates, lower};
use std::collections::{BTreeMap, BTreeSet};
use wgconv::internals::implementation::PlanContext;

use crate::common::device::{own_gpu, run_guarded, with_small_bindings};
use crate::common::indices::{BEYOND, WITHIN, watched};
use crate::common::usual::{is_short, is_usual, usual_choice};
use crate::common::watched::{Beyond, Change, Watcher};
use naga::{AddressSpace, Expression, TypeInner};
use ndarray::ArrayD;
use wgconv::internals::gpu::{Gpu, GpuPlan};
use wgconv::internals::kernel::{Kernel, Spec, SpecValue, compose};
use wgconv::internals::planner::Choice;
use wgconv::internals::program::{Buffer, Program};
use wgconv::internals::target::Target;
use wgconv::{Algorithm, Conv, ConvProblem, Direction, Element, Epilogue, PlanOptions};
use wgconv_testing::Tally;
use wgconv_testing::cases::{Case, sample};
use wgconv_testing::report;
use wgconv_testing::values::{Data, seed_of};
use wgconv_testing::{Tier, Turn};

const DIRECTIONS: [Direction; 3] = [Direction::Forward, Direction::GradInput, Direction::GradWeight];

/// No problem becomes a probe.
const PROBES: [Kernel; 2] = [Kernel::ProbeFma, Kernel::ProbeCopy];

/// A device that has the storage buffers that watched kernels take.
fn device() -> Option<Turn> {
    let device = own_gpu()?;
    let got = device.gpu().expect("a GPU device").target().limits.max_storage_buffers;
    if got < Watcher::STORAGE_BUFFERS {
        report(&format!("SKIPPED, only {got} storage buffers on {}", device.name()));
        return None;
    }
    Some(device)
}

/// What an algorithm makes of a problem in one of its configurations, another one in every case and direction, in a short run a
/// usual one, in f16 one of the two best guesses: for the device as it is, or for one with little scratch memory, small bindings
/// or a small grid; and whether that is another program.
fn choice(
    target: &Target,
    name: &str,
    problem: &ConvProblem,
    algorithm: Algorithm,
    tier: Tier,
) -> Result<(Choice, bool), String> {
    let mut configs = candidates(algorithm, problem, target).map_err(|why| why.to_string())?;
    if is_short(tier, target) {
        configs.retain(|config| lower(algorithm, problem, target, config).is_ok_and(|p| is_usual(&p)));
        if configs.is_empty() {
            return Err("runs in the full tier".into());
        }
    }
    let turn = seed_of(name) as usize;
    let few = if problem.element() == Element::F16 { 2 } else { configs.len() };
    let config = configs[turn % configs.len().min(few)].clone();
    let mut less = PlanContext::from(target);
    match turn / 16 % 4 {
        0 => less.workspace_budget = 1 << 10,
        1 => less = PlanContext::new(with_small_bindings(target, problem, algorithm)),
        2 => less.target.limits.max_grid = 7,
        _ => {}
    }
    let whole = lower(algorithm, problem, target, &config).map_err(|why| why.to_string())?;
    let program = lower(algorithm, problem, &less, &config).unwrap_or_else(|_| whole.clone());
    let differs = program != whole;
    Ok((plans::choice(algorithm, problem, config, program), differs))
}

/// No index past the end, and the bits that the library's own run gives.
fn check(watcher: &mut Watcher<'_>, gpu: &Gpu, choice: Choice, data: &Data) -> Result<(), String> {
    let (got, beyond) = watcher.run(&choice.program, &choice.problem, data)?;
    if !beyond.is_empty() {
        return Err(beyond.iter().map(Beyond::to_string).collect::<Vec<_>>().join("; "));
    }
    let plan = pollster::block_on(GpuPlan::new(gpu, choice, &PlanOptions::default()));
    let plain = run_guarded(&plan.map_err(|e| e.to_string())?, data)?;
    let bits = |a: &ArrayD<f64>| a.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    if bits(&got) == bits(&plain) { Ok(()) } else { Err("watched kernels give other bits".into()) }
}

fn table(element: Element, cases: &[Case], tier: Tier) {
    let Some(device) = device() else { return };
    let gpu = device.gpu().expect("a GPU device");
    if element == Element::F16 && !gpu.target().features.f16 {
        report(&format!("SKIPPED, no f16 on {}", device.name()));
        return;
    }
    let (mut watcher, mut tally) = (Watcher::new(gpu), Tally::default());
    let mut ran: BTreeMap<String, [u32; 2]> = BTreeMap::new();
    for case in cases {
        for case in DIRECTIONS.iter().filter_map(|&direction| case.in_direction(direction)) {
            let problem = Case { conv: case.conv.clone().element(element), ..case.clone() }.problem();
            let data = Data::ints(&problem, seed_of(&case.name));
            for &algorithm in Algorithm::on_gpu() {
                let name = format!("{algorithm} {}", case.name);
                let (choice, differs) = match choice(gpu.target(), &name, &problem, algorithm, tier) {
                    Ok(choice) => choice,
                    Err(why) => {
                        tally.skip(name, why);
                        continue;
                    }
                };
                let counts = ran.entry(format!("{algorithm} {:?}", problem.direction())).or_default();
                counts[0] += 1;
                counts[1] += u32::from(differs);
                let name = format!("{name} ({})", choice.config);
                let verdict = check(&mut watcher, gpu, choice, &data);
                tally.check(verdict.map_err(|e| format!("{name}: {e}")));
            }
        }
    }
    let (name, cases, kernels) = (element.name(), cases.len(), watcher.kernels().len());
    tally.finish(&format!("GPU {name}, indices, {cases} cases, {kernels} kernels"));
    report(&format!("{name}, pairs and those for a device with less: {ran:?}"));
    let less: u32 = ran.values().map(|[_, less]| less).sum();
    // Spectra are of f32 alone.
    let algorithms = Algorithm::on_gpu().len() - usize::from(element == Element::F16);
    let few = if tier == Tier::Quick { 3 } else { 20 };
    assert!(ran.len() == algorithms * DIRECTIONS.len() && less >= few, "{ran:?}");
    if tier != Tier::Quick {
        reaches(element, &watcher.kernels());
    }
}

/// Every kernel ran with every combination of its switches that it has for `element`.
fn reaches(element: Element, reached: &[&(Kernel, Spec)]) {
    let switches = |spec: &Spec| {
        let on = |&(name, value)| matches!(value, SpecValue::Bool(true)).then_some(name);
        spec.values().iter().filter_map(on).collect::<Vec<_>>()
    };
    let is_of = |spec: &Spec| {
        let scalar = spec.values().iter().find(|(name, _)| *name == "Scalar");
        scalar.is_some_and(|(_, value)| *value == SpecValue::Type(element.name()))
    };
    let all = Kernel::ALL.iter().filter(|kernel| !PROBES.contains(kernel));
    let all = all.flat_map(|&kernel| kernel.specs().into_iter().map(move |spec| (kernel, spec)));
    let all: BTreeSet<_> =
        all.filter(|(_, spec)| is_of(spec)).map(|(k, spec)| (k, switches(&spec))).collect();
    let reached: BTreeSet<_> = reached.iter().map(|(kernel, spec)| (*kernel, switches(spec))).collect();
    assert_eq!(all.difference(&reached).collect::<Vec<_>>(), Vec::<&(Kernel, Vec<&str>)>::new(), "never ran");
}

#[test]
fn indices_stay_within_their_arrays() {
    table(Element::F32, &every(7), Tier::Quick);
}

#[test]
#[ignore = "full"]
fn indices_stay_within_their_arrays_in_every_kernel() {
    table(Element::F32, &sample(), Tier::full());
}

/// Two elements of f16 share a word.
#[test]
fn indices_of_halves_stay_within_their_arrays() {
    let Some(device) = device() else { return };
    let gpu = device.gpu().expect("a GPU device");
    if !gpu.target().features.f16 {
        report(&format!("SKIPPED, no f16 on {}", device.name()));
        return;
    }
    let (mut watcher, mut tally) = (Watcher::new(gpu), Tally::default());
    for direction in DIRECTIONS {
        let problem = halves(direction);
        let choice = usual_choice(Algorithm::Direct, &problem, gpu.target()).expect("a usual kernel");
        let data = Data::ints(&problem, 3);
        tally.check(check(&mut watcher, gpu, choice, &data).map_err(|e| format!("{direction:?}: {e}")));
    }
    tally.finish("GPU f16, indices, direct");
}

/// Rows of an odd length, so that the last word of each tensor is half full.
fn halves(direction: Direction) -> ConvProblem {
    let conv = Conv::default().padding(1).direction(direction).element(Element::F16);
    ConvProblem::new(&[1, 3, 5, 3], &[1, 3, 3, 3], &conv).expect("a problem")
}

#[test]
#[ignore = "full"]
fn indices_stay_within_their_arrays_in_f16() {
    table(Element::F16, &every(7), Tier::full());
}

fn every(step: usize) -> Vec<Case> {
    sample().into_iter().step_by(step).collect()
}

/// Needs no adapter: in what naga reads, no array in a storage buffer or in workgroup memory is indexed otherwise than by what
/// the watching function returns.
#[test]
fn every_index_of_every_kernel_is_watched() {
    let (mut shaders, mut indices) = (0, 0);
    for (kernel, spec) in Kernel::ALL.iter().flat_map(|&k| k.specs().into_iter().map(move |spec| (k, spec))) {
        let source = watched(&compose(kernel, &spec).expect("composes"), 15);
        let name = format!("{} {spec}", kernel.name());
        let parsed = naga::front::wgsl::parse_str(&source.text);
        let module = parsed.unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(&source.text)));
        let is_array = |handle: naga::Handle<naga::GlobalVariable>| {
            let global = &module.global_variables[handle];
            let memory = matches!(global.space, AddressSpace::Storage { .. } | AddressSpace::WorkGroup);
            let array = matches!(module.types[global.ty].inner, TypeInner::Array { .. });
            memory && array && global.name.as_deref() != Some(BEYOND)
        };
        let mut found = 0;
        for (_, function) in module.functions.iter() {
            let within = |index: &naga::Handle<Expression>| match &function.expressions[*index] {
                Expression::CallResult(called) => module.functions[*called].name.as_deref() == Some(WITHIN),
                _ => false,
            };
            for (_, expression) in function.expressions.iter() {
                let (base, index) = match expression {
                    Expression::Access { base, index } => (base, Some(index)),
                    Expression::AccessIndex { base, .. } => (base, None),
                    _ => continue,
                };
                match &function.expressions[*base] {
                    Expression::GlobalVariable(global) if is_array(*global) => {
                        assert!(index.is_some_and(within), "{name}: an index in {:?}", function.name);
                        found += 1;
                    }
                    _ => {}
                }
            }
        }
        assert_eq!(found, source.sites.len(), "{name}: {:?}", source.sites);
        (shaders, indices) = (shaders + 1, indices + found);
    }
    report(&format!("{indices} indices in {shaders} kernels are watched"));
}

/// All that an epilogue has, and windows that reach both ends.
fn small(direction: Direction) -> ConvProblem {
    let forward = direction != Direction::GradWeight;
    let epilogue = Epilogue { beta: Some(2.0), bias: forward, ..Epilogue::default() };
    let conv = Conv::default().epilogue(epilogue).direction(direction);
    ConvProblem::new(&[2, 6, 6, 5], &[5, 6, 3, 2], &conv).expect("a problem")
}

fn lowered(target: &Target, problem: &ConvProblem, algorithm: Algorithm) -> Program {
    let config = candidates(algorithm, problem, target).expect("takes it")[0].clone();
    lower(algorithm, problem, target, &config).expect("a candidate lowers")
}

/// Each binding of each launch, cut by its last sixteen bytes, a vector at most: just its last element is told.
#[test]
fn a_binding_that_is_too_short_is_told() {
    let Some(device) = device() else { return };
    let gpu = device.gpu().expect("a GPU device");
    let (mut watcher, mut cuts) = (Watcher::new(gpu), 0);
    for (&algorithm, direction) in Algorithm::on_gpu().iter().flat_map(|a| DIRECTIONS.map(|d| (a, d))) {
        let problem = small(direction);
        let data = Data::ints(&problem, 1);
        let program = lowered(gpu.target(), &problem, algorithm);
        let launches: Vec<_> = program.prepare.iter().chain(&program.launches).collect();
        for (i, launch) in launches.iter().enumerate() {
            for (j, binding) in launch.bindings.iter().enumerate() {
                if matches!(binding.buffer, Buffer::Table(_)) {
                    // Tables stand in for what is not there, too.
                    continue;
                }
                let mut cut = program.clone();
                cut.prepare.iter_mut().chain(&mut cut.launches).nth(i).expect("as many").bindings[j].size -=
                    16;
                let (_, beyond) = watcher.run(&cut, &problem, &data).expect("runs");
                let is_last =
                    |index: u32| [4, 16].iter().any(|size| (u64::from(index) + 1) * size == binding.size);
                let told = |b: &Beyond| b.launch == i && is_last(b.index);
                let name = format!("{algorithm}, {direction:?}, launch {i}, {binding:?}");
                assert!(!beyond.is_empty() && beyond.iter().all(told), "{name}: {beyond:?}");
                cuts += 1;
            }
        }
        assert_eq!(watcher.run(&program, &problem, &data).expect("runs").1, [], "{algorithm}, {direction:?}");
    }
    report(&format!("{cuts} bindings that are too short are told"));
}

/// A kernel that reads what it then drops, one that leaves workgroup memory, and some that miss by a few elements.
#[test]
fn an_index_that_is_moved_is_told() {
    let Some(device) = device() else { return };
    let gpu = device.gpu().expect("a GPU device");
    let dropped = (Kernel::Depthwise, "select(vec4<u32>(0u), offset, inside)", "offset");
    let changes: [(Algorithm, Change, &str); 4] = [
        (Algorithm::Depthwise, dropped, "a"),
        (Algorithm::Depthwise, (Kernel::Depthwise, "planes[local] =", "planes[local + 64u] ="), "planes"),
        (Algorithm::Direct, (Kernel::Direct, "bias[q]", "bias[q + 1u]"), "bias"),
        (Algorithm::Direct, (Kernel::Direct, "r[at] =", "r[at + 4u] ="), "r"),
    ];
    let problem = small(Direction::Forward);
    let data = Data::ints(&problem, 1);
    for (algorithm, change, array) in changes {
        let program = lowered(gpu.target(), &problem, algorithm);
        let (right, none) = Watcher::new(gpu).run(&program, &problem, &data).expect("runs");
        assert_eq!(none, [], "{algorithm}");
        let (got, beyond) = Watcher::with_change(gpu, change).run(&program, &problem, &data).expect("runs");
        let told = |b: &Beyond| b.site.array == array && b.kernel == change.0 && b.index >= b.length;
        assert!(!beyond.is_empty() && beyond.iter().all(told), "{change:?}: {beyond:?}");
        // What is dropped changes nothing: no comparison of results would see it.
        assert!(change != dropped || got == right, "{change:?}");
    }
}
