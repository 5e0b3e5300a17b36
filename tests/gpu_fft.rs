//! `Fft` on the GPU: the whole case table in its configurations and all directions, between guard bands and over NaNs, within the
//! bound of transforms; lengths of every kind; laws of the transform.
#![cfg(feature = "gpu")]

use crate::common::plans::{self, candidates};
use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::common::device::{any_gpu, run_guarded};
use crate::common::usual::is_usual;
use wgconv::internals::algorithm::{Config, FftConfig};
use wgconv::internals::cpu::reference;
use wgconv::internals::gpu::{Gpu, GpuPlan};
use wgconv::internals::implementation::PlanContext;
use wgconv::internals::kernel::fft::{AxisSpec, Block};
use wgconv::internals::kernel::{Kernel, Spec};
use wgconv::internals::planner::Choice;
use wgconv::internals::target::DeviceClass;
use wgconv::{Algorithm, Conv, ConvProblem, Direction, Padding, PlanOptions};
use wgconv_testing::spectral::{Ratios, Spectral};
use wgconv_testing::tier::workgroups;
use wgconv_testing::values::Random;
use wgconv_testing::{Case, Data, Tally, Tier, agrees, gpu_for, seed_of};

/// Whether a software adapter runs it in a moment.
fn is_short(choice: &Choice, tier: Tier) -> bool {
    let most = if tier == Tier::Quick { 1 << 12 } else { 1 << 20 };
    choice.problem.macs() <= most && workgroups(choice) <= 1 << 12
}

/// On the device that compiles this configuration.
fn plan(choice: Choice, checked: bool) -> GpuPlan {
    let device = gpu_for(&choice.config.to_string());
    let gpu = device.gpu().expect("a GPU device");
    let options = PlanOptions { checked, ..Default::default() };
    pollster::block_on(GpuPlan::new(gpu, choice, &options)).expect("the plan is built")
}

fn choice(problem: &ConvProblem, gpu: &Gpu, config: FftConfig, budget: Option<u64>) -> Choice {
    let mut context = PlanContext::from(gpu.target());
    if let Some(budget) = budget {
        context.workspace_budget = budget;
    }
    let program = config.lower(problem, &context).expect("a candidate lowers");
    plans::choice(Algorithm::Fft, problem, Config::new(config), program)
}

/// The configuration that a short run takes on a software adapter, which takes seconds to compile one.
fn usual(problem: &ConvProblem, gpu: &Gpu, configs: &[FftConfig]) -> Option<usize> {
    if gpu.target().device_class != DeviceClass::Software {
        return Some(0);
    }
    configs.iter().position(|&config| is_usual(&choice(problem, gpu, config, None).program))
}

/// The configurations that take `problem`.
fn configs(problem: &ConvProblem, gpu: &Gpu) -> Result<Vec<FftConfig>, String> {
    let configs = candidates(Algorithm::Fft, problem, gpu.target()).map_err(|why| why.to_string())?;
    Ok(configs.iter().filter_map(|config| config.get::<FftConfig>().copied()).collect())
}

fn table(direction: Direction, tier: Tier) {
    let Some(device) = any_gpu() else { return };
    let gpu = device.gpu().expect("a GPU device");
    let (cases, ratios) = (tier.cases(16), Mutex::new(Ratios::default()));
    let tally = Tally::of(
        &cases,
        |case| &case.name,
        |case, tally| match case.in_direction(direction) {
            _ if !tier.takes(&case.name, direction) => tally.skip(&case.name, Tier::ELSEWHERE),
            Some(case) => run(gpu, &case, tier, tally, &ratios),
            None => tally.skip(&case.name, "its strides overlap in the result"),
        },
    );
    let ratios = ratios.into_inner().expect("no row panicked").tell();
    tally.finish(&format!("GPU fft, {direction:?}, {ratios}"));
}

/// On a GPU every configuration; on a software adapter, to which a barrier costs a hundred times what it costs a GPU, one,
/// another one in every case, unless the tier is the exhaustive one.
fn run(gpu: &Gpu, case: &Case, tier: Tier, tally: &mut Tally, ratios: &Mutex<Ratios>) {
    let problem = case.problem();
    let software = gpu.target().device_class == DeviceClass::Software;
    let all = tier == Tier::Exhaustive;
    let configs = match configs(&problem, gpu) {
        Ok(configs) => configs,
        Err(why) => {
            tally.skip(&case.name, why);
            return;
        }
    };
    let seed = seed_of(&case.name);
    // The last bits of seeds follow from those that chose the case and its direction.
    let is_integer = Random::new(seed).bits().is_multiple_of(2);
    let data = if is_integer { Data::ints(&problem, seed) } else { Data::reals(&problem, seed) };
    let mut wanted = None;
    let short = if tier == Tier::Quick { usual(&problem, gpu, &configs) } else { None };
    for (i, config) in (0u64..).zip(&configs) {
        // Of those that take long, a full run takes one.
        let in_turn = match tier {
            Tier::Quick => short == Some(i as usize),
            _ => i == seed / 2 % configs.len() as u64,
        };
        if !in_turn && (tier == Tier::Quick || software && !all) {
            tally.skip(format!("{} ({config})", case.name), "runs in another tier");
            continue;
        }
        // A budget that holds nothing: one block of columns after the other.
        for budget in [None, Some(1)] {
            let choice = choice(&problem, gpu, *config, budget);
            if software && !is_short(&choice, tier) && !(in_turn && all) {
                tally.skip(format!("{} ({config})", case.name), "runs in another tier");
                continue;
            }
            let wanted = wanted.get_or_insert_with(|| Spectral::new(&problem, &data));
            let verdict = run_guarded(&plan(choice, false), &data)
                .and_then(|got| wanted.judge(&problem, config.points(), got.view()));
            verdict.iter().for_each(|&ratio| ratios.lock().expect("no row panicked").add(ratio));
            tally.check(verdict.map_err(|e| format!("{}, {config}, budget {budget:?}: {e}", case.name)));
            // Another third of the cases is cut to pieces too.
            if tier == Tier::Quick && !seed.is_multiple_of(3) {
                break;
            }
        }
    }
}

/// Name, input, weight, parameters and what is computed.
type Large = (&'static str, &'static [usize], &'static [usize], Conv, Direction);

/// Results of numbers of up to 10³⁶, which a transform multiplies by its length and more on the way; and of numbers next to the
/// smallest, which are divided by no more than that takes.
#[test]
fn large_and_small_numbers_keep_their_digits() {
    let Some(device) = any_gpu() else { return };
    let gpu = device.gpu().expect("a GPU device");
    let mut tally = Tally::default();
    let (conv, padded) = (Conv::default, Conv::default().padding(3));
    let rows: [Large; 5] = [
        ("mean of 200", &[1, 1, 3000], &[1, 1, 200], conv(), Direction::Forward),
        ("mean 7x7", &[1, 1, 60, 60], &[2, 1, 7, 7], padded.clone(), Direction::Forward),
        ("3 channels", &[2, 3, 9, 12], &[2, 3, 3, 3], conv(), Direction::Forward),
        ("mean 7x7 back", &[1, 1, 30, 31], &[1, 1, 7, 7], padded.clone(), Direction::GradInput),
        ("of the weight", &[2, 1, 30, 31], &[1, 1, 7, 7], padded, Direction::GradWeight),
    ];
    for (name, x, w, conv, direction) in rows {
        let problem = ConvProblem::new(x, w, &conv.direction(direction)).expect("a problem");
        let configs = configs(&problem, gpu).expect("transforms take it");
        // The longest row by the best guess, whose transform is long; in a short run the others by what is compiled anyway.
        let usual = usual(&problem, gpu, &configs).filter(|_| x.len() > 3).unwrap_or(0);
        let plan = plan(choice(&problem, gpu, configs[usual], None), false);
        for (what, size, flat) in [
            ("1e36", 1e36f32, true),
            ("up to 1e36", 1e36, false),
            // Of smaller ones what a GPU may flush to zero would be as much as the bound.
            ("1e-29", 1e-29, true),
            ("near 1e-28", 1e-28, false),
        ] {
            let mut data = Data::reals(&problem, 3);
            let size = f64::from(size);
            let value = |v: f64| f64::from((if flat { size } else { size * v / 6.0 }) as f32);
            let (large, factors, terms) = match direction {
                Direction::Forward => (&mut data.x, &mut data.w, problem.terms()),
                Direction::GradInput => (&mut data.grad_output, &mut data.w, problem.terms()),
                Direction::GradWeight => (&mut data.x, &mut data.grad_output, problem.terms()),
            };
            large.mapv_inplace(value);
            factors.fill(f64::from((1.0 / terms as f64) as f32));
            let verdict = run_guarded(&plan, &data).and_then(|got| {
                let finite = got.iter().all(|v| v.is_finite());
                let points = configs[usual].points();
                let judged = Spectral::new(&problem, &data).judge(&problem, points, got.view());
                if finite { judged } else { Err("infinities or NaNs".into()) }
            });
            tally.check(verdict.map_err(|e| format!("{name}, {what}, {}: {e}", configs[usual])));
        }
    }
    tally.finish("GPU fft, large and small numbers");
}

#[test]
fn the_case_table() {
    for direction in [Direction::Forward, Direction::GradInput, Direction::GradWeight] {
        table(direction, Tier::Quick);
    }
}

#[test]
#[ignore = "full"]
fn the_full_table_forward() {
    table(Direction::Forward, Tier::full());
}

#[test]
#[ignore = "full"]
fn the_full_table_grad_input() {
    table(Direction::GradInput, Tier::full());
}

#[test]
#[ignore = "full"]
fn the_full_table_grad_weight() {
    table(Direction::GradWeight, Tier::full());
}

/// A convolution along the axes that a transform has, of tiles that do not come out even: three taps, somewhat more cells than a
/// tile has, channels, groups and images as given.
fn filling(config: FftConfig, [n, c, groups]: [usize; 3], direction: Direction) -> ConvProblem {
    let lengths = config.lengths().map(|length| length as usize);
    let cells = lengths.map(|length| if length == 1 { 1 } else { length + length / 4 });
    let taps = lengths.map(|length| length.min(3));
    let conv = Conv::default().groups(groups).direction(direction);
    let [x, w] = [[n, c], [c, c / groups]];
    // An axis of one point cannot be padded.
    let padding: Vec<_> = lengths.iter().map(|&length| if length == 1 { (0, 0) } else { (1, 2) }).collect();
    let conv = conv.padding(padding);
    ConvProblem::new(&[x.as_slice(), &cells].concat(), &[w.as_slice(), &taps].concat(), &conv)
        .expect("a problem")
}

/// Every block in workgroup memory, and every length through memory, in place and of products, forward and back.
fn lengths_transform_forward_and_back(tier: Tier) {
    let Some(device) = any_gpu() else { return };
    let gpu = device.gpu().expect("a GPU device");
    let mut configs: Vec<_> =
        Block::all().into_iter().map(|block| FftConfig { block, outer: [1; 3] }).collect();
    let line = Block([1, 1, 16]);
    configs.extend(AxisSpec::LENGTHS.map(|length| FftConfig { block: line, outer: [1, length, 1] }));
    configs.push(FftConfig { block: Block([1, 8, 8]), outer: [20, 1, 1] });
    configs.push(FftConfig { block: line, outer: [4, 8, 1] });
    // As for 63 x 63 taps on a large image.
    configs.push(FftConfig { block: Block([1, 1, 768]), outer: [1, 768, 1] });
    // A line in two parts, with factors between them.
    configs.push(FftConfig { block: Block([1, 1, 256]), outer: [1, 1, 20] });
    configs.push(FftConfig { block: Block([1, 1, 4096]), outer: [1, 1, 2] });
    if tier == Tier::Quick {
        configs = configs.into_iter().filter(|config| config.points() <= 1024).step_by(9).collect();
    }
    let mut tally = Tally::default();
    let mut reached: BTreeSet<(Kernel, Spec)> = BTreeSet::new();
    for config in configs {
        let axes = config.lengths().iter().filter(|&&length| length > 1).count();
        // One channel is multiplied as it is loaded, several are a matrix product.
        for channels in [[3, 1, 1], [1, 4, 2]] {
            let direction = if channels[1] == 1 { Direction::Forward } else { Direction::GradInput };
            if axes == 3 && config.points() > 4096 && channels[1] > 1 {
                continue;
            }
            let problem = filling(config, channels, direction);
            let data = Data::ints(&problem, config.points());
            let made = config.lower(&problem, &gpu.target().into());
            if made.is_err() && config.block.workgroup_bytes() > gpu.target().limits.max_workgroup_bytes {
                tally.skip(config.to_string(), "too little workgroup memory");
                continue;
            }
            let choice = choice(&problem, gpu, config, None);
            let launches = choice.program.prepare.iter().chain(&choice.program.launches);
            reached.extend(launches.map(|launch| (launch.kernel, launch.spec.clone())));
            let verdict = run_guarded(&plan(choice.clone(), false), &data)
                .and_then(|got| agrees(&choice, &data, got.view()));
            tally.check(verdict.map_err(|e| format!("{config}, {channels:?}: {e}")));
        }
    }
    let skipped = tally.skipped.len();
    tally.finish("GPU fft, lengths");
    if tier == Tier::Quick {
        return;
    }
    let kernels = [Kernel::FftAxis, Kernel::FftForward, Kernel::FftInverse];
    let all =
        kernels.into_iter().flat_map(|kernel| kernel.specs().into_iter().map(move |spec| (kernel, spec)));
    let missing: Vec<_> = all.filter(|pair| !reached.contains(pair)).collect();
    assert!(missing.len() <= 2 * skipped, "never ran: {missing:?}");
}

#[test]
fn some_lengths_transform_forward_and_back() {
    lengths_transform_forward_and_back(Tier::Quick);
}

#[test]
#[ignore = "full"]
fn every_length_transforms_forward_and_back() {
    lengths_transform_forward_and_back(Tier::full());
}

/// Sizes that transforms are said to go wrong at: primes, powers of two and their neighbours, a kernel as large as the input and
/// larger, a last tile of one cell, a block of as many new samples as the kernel has old ones, images of one row.
fn sizes(tier: Tier) {
    let Some(device) = any_gpu() else { return };
    let gpu = device.gpu().expect("a GPU device");
    let full = || Conv::default().padding(Padding::Full);
    let conv = Conv::default;
    let mut rows: Vec<(Vec<usize>, Vec<usize>, Conv)> = Vec::new();
    for x in [7, 13, 31, 127, 211, 15, 17, 63, 65, 255, 257, 30, 60, 90, 125, 243] {
        rows.push((vec![1, 1, x], vec![1, 1, 5], conv()));
        rows.push((vec![1, 2, x], vec![3, 2, 7], full().flip(true)));
    }
    for (x, k) in [(16, 16), (33, 33), (5, 9), (1, 8), (16, 17), (3, 64)] {
        rows.push((vec![1, 1, x], vec![1, 1, k], full()));
        rows.push((vec![2, 2, x, 3], vec![2, 2, k, 2], full()));
    }
    // Of 16 samples, 14 are new with 3 taps, and 8 with 9: cells of one tile and one, or of one less.
    rows.extend([15, 29, 43, 13].map(|y| (vec![1, 1, y + 2], vec![1, 1, 3], conv())));
    rows.extend([9, 17, 25, 16].map(|y| (vec![1, 1, y + 8], vec![1, 1, 9], conv())));
    for n in [5, 64, 100] {
        rows.push((vec![1, 1, 1, n], vec![1, 1, 1, 5], conv()));
        rows.push((vec![1, 3, n, 1], vec![2, 3, 5, 1], conv()));
        rows.push((vec![1, 1, 1, n, 1], vec![1, 1, 1, 3, 1], full()));
    }
    let rows: Vec<_> = rows.into_iter().map(|(x, w, conv)| (format!("{x:?} {w:?}"), x, w, conv)).collect();
    let tally = Tally::of(
        &rows,
        |(name, ..)| name,
        |(name, x, w, conv), tally| {
            for direction in [Direction::Forward, Direction::GradInput, Direction::GradWeight] {
                let problem = ConvProblem::new(x, w, &conv.clone().direction(direction)).expect("a problem");
                let data = Data::ints(&problem, 5);
                let configs = configs(&problem, gpu).expect("it takes this");
                let short = if tier == Tier::Quick { usual(&problem, gpu, &configs) } else { None };
                for (i, &config) in configs.iter().enumerate() {
                    if tier == Tier::Quick && Some(i) != short {
                        tally.skip(format!("{name} {direction:?} ({config})"), "runs in the full tier");
                        continue;
                    }
                    let choice = choice(&problem, gpu, config, None);
                    let verdict = run_guarded(&plan(choice.clone(), false), &data)
                        .and_then(|got| agrees(&choice, &data, got.view()));
                    tally.check(verdict.map_err(|e| format!("{name} {direction:?}, {config}: {e}")));
                }
            }
        },
    );
    tally.finish("GPU fft, awkward sizes");
}

#[test]
fn awkward_sizes() {
    sizes(Tier::Quick);
}

#[test]
#[ignore = "full"]
fn awkward_sizes_in_every_configuration() {
    sizes(Tier::full());
}

/// The transform of an impulse is its place: a kernel of one 1 among zeros copies the input, shifted by where that is.
fn impulses(tier: Tier) {
    let Some(device) = any_gpu() else { return };
    let gpu = device.gpu().expect("a GPU device");
    let problem = ConvProblem::new(&[1, 1, 40, 37], &[1, 1, 7, 5], &Conv::default().padding(Padding::Full))
        .expect("a problem");
    let mut tally = Tally::default();
    let mut configs = configs(&problem, gpu).expect("it takes this");
    if tier == Tier::Quick {
        configs = vec![configs[usual(&problem, gpu, &configs).unwrap_or(0)]];
    }
    for config in configs {
        let made = plan(choice(&problem, gpu, config, None), false);
        for at in [0, 1, 17, 34] {
            let mut data = Data::reals(&problem, 11);
            data.w.fill(0.0);
            data.w.as_slice_mut().expect("contiguous")[at] = 1.0;
            let want = reference::run(&problem, &data.operands());
            let got = run_guarded(&made, &data).expect("it runs");
            let largest = data.x.iter().fold(0.0, |a: f64, v| a.max(v.abs()));
            let worst = got.iter().zip(&want).map(|(got, want)| (got - want).abs()).fold(0.0, f64::max);
            // 3·log₂ points units of the largest.
            let allowed = 3.0 * (config.points() as f64).log2() * 2f64.powi(-24) * largest;
            let close = worst <= allowed;
            tally.check(if close {
                Ok(())
            } else {
                Err(format!("{config}, {at}: {worst:.2e}, allowed {allowed:.2e}"))
            });
        }
    }
    tally.finish("GPU fft, impulses");
}

#[test]
fn impulses_copy_and_shifts_shift() {
    impulses(Tier::Quick);
}

#[test]
#[ignore = "full"]
fn impulses_copy_and_shifts_shift_in_every_configuration() {
    impulses(Tier::full());
}

/// The same bits in twenty runs, and with every run-time check on; in the quick tier of a usual kernel.
fn bits_repeat(tier: Tier, checked: bool) {
    let Some(device) = any_gpu() else { return };
    let gpu = device.gpu().expect("a GPU device");
    for direction in [Direction::Forward, Direction::GradInput, Direction::GradWeight] {
        let conv = Conv::default().padding(2).direction(direction);
        let problem = ConvProblem::new(&[2, 3, 21, 18], &[4, 3, 5, 5], &conv).expect("a problem");
        let data = Data::reals(&problem, 3);
        let configs = configs(&problem, gpu).expect("it takes this");
        let short = if tier == Tier::Quick { usual(&problem, gpu, &configs) } else { None };
        let taken = short.map_or(0..2, |at| at..at + 1);
        for config in configs.into_iter().skip(taken.start).take(taken.len()) {
            let bits = |checked| {
                let made = plan(choice(&problem, gpu, config, None), checked);
                let bits = || {
                    run_guarded(&made, &data)
                        .expect("it runs")
                        .iter()
                        .map(|v| v.to_bits())
                        .collect::<Vec<_>>()
                };
                let first = bits();
                for _ in 0..if checked { 1 } else { 20 } {
                    assert_eq!(bits(), first, "{config}");
                }
                first
            };
            let trusted = bits(false);
            if checked {
                assert_eq!(bits(true), trusted, "{config}, checked");
            }
        }
    }
}

#[test]
fn the_same_bits_in_every_run() {
    bits_repeat(Tier::Quick, false);
}

#[test]
#[ignore = "full"]
fn the_same_bits_in_every_run_of_the_best_guesses() {
    bits_repeat(Tier::full(), false);
}

/// Checked, a kernel with barriers takes a software adapter's compiler very long.
#[test]
#[ignore = "full"]
fn the_same_bits_whatever_is_checked() {
    bits_repeat(Tier::full(), true);
}
