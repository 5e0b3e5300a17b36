//! Spectra as they stand in memory, of signals whose spectra are known, in every block and through memory.
#![cfg(feature = "gpu")]

use std::collections::BTreeSet;
use std::f64::consts::TAU;

use crate::common::device::{any_gpu, run_and_read};
use crate::common::plans;
use wgconv::internals::algorithm::{Config, FftConfig};
use wgconv::internals::gpu::{Gpu, GpuPlan};
use wgconv::internals::kernel::Params;
use wgconv::internals::kernel::fft::Block;
use wgconv::{Algorithm, Conv, ConvProblem, Direction, Operands, PlanOptions};
use wgconv_testing::values::{Data, Random, reals};
use wgconv_testing::{Tally, Tier};

type Complex = [f64; 2];
type Place = [u64; 3];

/// A tile's samples and spectra.
struct Signals {
    lengths: Place,
    impulse: Place,
    wave: Place,
    shift: Place,
}

/// One tile each, in the order in which they are images.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Signal {
    /// 1 at the origin: 1 at every frequency.
    Origin,
    /// 1 at n: `exp(-2πi·u·n)`.
    Impulse,
    /// 1 everywhere: as many as there are samples at frequency 0, 0 elsewhere.
    Constant,
    /// `cos(2π·k·n)`: half as many at k and at −k.
    Wave,
    /// Anything: the sum of squares of its spectrum is that of its samples, times their number.
    Noise,
    /// The same, wrapped around by d: its spectrum times `exp(-2πi·u·d)`.
    Shifted,
}

use Signal::{Constant, Impulse, Noise, Origin, Shifted, Wave};

const ALL: [Signal; 6] = [Origin, Impulse, Constant, Wave, Noise, Shifted];

/// All samples or frequencies of so many along each axis, in the order of memory.
fn places([z, y, x]: Place) -> Vec<Place> {
    (0..z * y * x).map(|at| [at / (y * x), at / x % y, at % x]).collect()
}

/// Which one of [`places`] it is.
fn number([i, j, k]: Place, [_, y, x]: Place) -> u64 {
    (i * y + j) * x + k
}

fn negative(u: Place, lengths: Place) -> Place {
    std::array::from_fn(|i| (lengths[i] - u[i]) % lengths[i])
}

impl Signals {
    fn new(lengths: Place, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut place = || lengths.map(|n| random.below(n));
        Self { lengths, impulse: place(), wave: place(), shift: place() }
    }

    fn points(&self) -> u64 {
        self.lengths.iter().product()
    }

    /// Turns of `u` at `n`.
    fn turns(&self, u: Place, n: Place) -> f64 {
        (0..3).map(|i| (u[i] * n[i] % self.lengths[i]) as f64 / self.lengths[i] as f64).sum()
    }

    fn samples(&self, signal: Signal) -> Vec<f64> {
        let one_at =
            |place| (0..self.points()).map(|at| f64::from(at == number(place, self.lengths))).collect();
        let noise = || reals(self.points(), self.points() as usize);
        match signal {
            Origin => one_at([0; 3]),
            Impulse => one_at(self.impulse),
            Constant => vec![1.0; self.points() as usize],
            Wave => {
                places(self.lengths).into_iter().map(|n| (TAU * self.turns(self.wave, n)).cos()).collect()
            }
            Noise => noise(),
            Shifted => {
                let noise = noise();
                let from = |n: Place| {
                    let back = |i| (n[i] + self.lengths[i] - self.shift[i]) % self.lengths[i];
                    noise[number(std::array::from_fn(back), self.lengths) as usize]
                };
                places(self.lengths).into_iter().map(from).collect()
            }
        }
    }

    /// At frequency `u`, where `noise` is what there is of the noise.
    fn spectrum(&self, signal: Signal, u: Place, noise: Complex) -> Complex {
        let phase = |n| {
            let angle = TAU * self.turns(u, n);
            [angle.cos(), -angle.sin()]
        };
        let negative = negative(self.wave, self.lengths);
        let points = self.points() as f64;
        match signal {
            Origin => [1.0, 0.0],
            Impulse => phase(self.impulse),
            Constant => [if u == [0; 3] { points } else { 0.0 }, 0.0],
            Wave => [points / 2.0 * (f64::from(u == self.wave) + f64::from(u == negative)), 0.0],
            Noise => noise,
            Shifted => {
                let ([a, b], [c, d]) = (noise, phase(self.shift));
                [a * c - b * d, a * d + b * c]
            }
        }
    }
}

/// Of every frequency of a block and its negative the first in the row.
fn kept(block: Block) -> Vec<Place> {
    let lengths = block.0.map(u64::from);
    let is_first = |&u: &Place| number(u, lengths) <= number(negative(u, lengths), lengths);
    places(lengths).into_iter().filter(is_first).collect()
}

/// The frequencies in the order in which they lie in memory: those of a block that are kept, of each those that are transformed
/// through memory, which are multiples of the block apart where an axis is in two parts, and the axis itself where it is not.
fn frequencies(config: &FftConfig) -> Vec<Place> {
    let (slices, block) = (places(config.outer.map(u64::from)), config.block.0.map(u64::from));
    let of = |u: Place| {
        slices
            .iter()
            .map(move |slice| std::array::from_fn(|i| u[i] + block[i] * slice[i]))
            .collect::<Vec<_>>()
    };
    kept(config.block).into_iter().flat_map(of).collect()
}

/// What convolution with a single 1 read and made of all signals, and their spectra as they lie in memory, twice what they are.
struct Run {
    x: Vec<f64>,
    spectra: Vec<f32>,
    y: Vec<f64>,
}

fn run(gpu: &Gpu, config: FftConfig, signals: &Signals) -> Result<Run, String> {
    let extents = signals.lengths.map(|n| n as usize);
    let problem =
        ConvProblem::new(&[[ALL.len(), 1].as_slice(), &extents].concat(), &[1, 1, 1, 1, 1], &Conv::default())
            .map_err(|e| e.to_string())?;
    let program = config.lower(&problem, &gpu.target().into()).map_err(|e| e.to_string())?;
    let config = Config::new(config);
    let mut data = Data::ints(&problem, 1);
    let samples = ALL.iter().flat_map(|&signal| signals.samples(signal));
    data.x.iter_mut().zip(samples).for_each(|(to, value)| *to = f64::from(value as f32));
    data.w.fill(1.0);
    // Samples were multiplied by a power of two.
    let factor = program.launches.iter().find_map(|launch| match &launch.params {
        Params::FftForward(block) => Some(f32::from_bits(block.counts[3])),
        _ => None,
    });
    let factor = factor.ok_or("no transform")?;
    let choice = plans::choice(Algorithm::Fft, &problem, config, program);
    let plan = pollster::block_on(GpuPlan::new(gpu, choice, &PlanOptions::default()));
    let (y, spectra) = run_and_read(&plan.map_err(|e| e.to_string())?, &data, Some(0))?;
    let spectra = spectra.into_iter().map(|part| part / factor).collect();
    Ok(Run { x: data.x.into_iter().collect(), spectra, y: y.into_iter().collect() })
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|v| v * v).sum::<f64>().sqrt()
}

/// Every law at every frequency, to within `u·log2 points` in the Euclidean norm.
fn check(gpu: &Gpu, config: FftConfig) -> Result<(), String> {
    let signals = Signals::new(config.lengths(), config.points());
    let Run { x, spectra: made, y } = run(gpu, config, &signals)?;
    let frequencies = frequencies(&config);
    // Of each frequency pairs of tiles, two complex numbers each; of every image one tile, and one that fills the pair.
    if made.len() != frequencies.len() * ALL.len() * 4 {
        return Err(format!("{} numbers of {} frequencies", made.len(), frequencies.len()));
    }
    let spectrum = |tile: usize, at: usize| {
        let first = 4 * (at * ALL.len() + tile);
        [made[first], made[first + 1]].map(|part| f64::from(part) / 2.0)
    };
    let allowed = 2f64.powi(-24) * (config.points() as f64).log2();
    let noise = ALL.iter().position(|&signal| signal == Noise).expect("one of them");
    for (tile, &signal) in ALL.iter().enumerate() {
        let (mut error, mut size) = (Vec::new(), Vec::new());
        for (at, &u) in frequencies.iter().enumerate() {
            let (got, want) = (spectrum(tile, at), signals.spectrum(signal, u, spectrum(noise, at)));
            error.extend([got[0] - want[0], got[1] - want[1]]);
            size.extend(want);
        }
        let relative = norm(error.into_iter()) / norm(size.into_iter());
        // Both that is compared and what it is compared with were computed.
        let allowed = if signal == Shifted { 2.0 * allowed } else { allowed };
        if relative.is_nan() || relative > allowed {
            return Err(format!("{signal:?}: {relative:.2e}, allowed {allowed:.2e}"));
        }
    }
    // Parseval: a frequency stands for its negative too, unless that is there as well, or it is its own.
    let lengths = config.lengths();
    let there: BTreeSet<Place> = frequencies.iter().copied().collect();
    let weight = |&u: &Place| if there.contains(&negative(u, lengths)) { 1.0 } else { 2.0 };
    let square = |at: usize| spectrum(noise, at).iter().map(|part| part * part).sum::<f64>();
    let energy = frequencies.iter().enumerate().map(|(at, u)| weight(u) * square(at)).sum::<f64>();
    let points = signals.points() as usize;
    let of_samples = norm(x[noise * points..][..points].iter().copied()).powi(2) * points as f64;
    if (energy / of_samples - 1.0).abs() > 2.0 * allowed {
        return Err(format!("energy {energy}, of the samples {of_samples}"));
    }
    let back = norm(x.iter().zip(&y).map(|(x, y)| x - y)) / norm(x.iter().copied());
    // Transforms of the samples, of the 1 and back.
    if back.is_nan() || back > 2.0 * allowed {
        return Err(format!("there and back: {back:.2e}, allowed {:.2e}", 2.0 * allowed));
    }
    Ok(())
}

fn spectra(tier: Tier) {
    let Some(device) = any_gpu() else { return };
    let gpu = device.gpu().expect("a GPU device");
    let line = Block([1, 1, 16]);
    let mut configs: Vec<_> =
        Block::all().into_iter().map(|block| FftConfig { block, outer: [1; 3] }).collect();
    configs.extend([
        FftConfig { block: line, outer: [1, 20, 1] },
        FftConfig { block: line, outer: [4, 8, 1] },
        FftConfig { block: Block([1, 8, 8]), outer: [20, 1, 1] },
        FftConfig { block: Block([1, 1, 256]), outer: [1, 1, 20] },
        FftConfig { block: Block([1, 1, 4096]), outer: [1, 1, 2] },
    ]);
    if tier == Tier::Quick {
        // Of each rank one, and an axis in two parts.
        configs = configs
            .into_iter()
            .step_by(18)
            .chain([FftConfig { block: Block([8, 8, 8]), outer: [1; 3] }])
            .collect();
    }
    let mut tally = Tally::default();
    for config in configs {
        if config.block.workgroup_bytes() > gpu.target().limits.max_workgroup_bytes {
            tally.skip(config.to_string(), "too little workgroup memory");
            continue;
        }
        tally.check(check(gpu, config).map_err(|e| format!("{config}: {e}")));
    }
    tally.finish("GPU fft, spectra of known signals");
}

#[test]
fn spectra_of_known_signals() {
    spectra(Tier::Quick);
}

#[test]
#[ignore = "full"]
fn spectra_of_known_signals_in_every_block() {
    spectra(Tier::full());
}

/// Two tiles share a complex transform, but not those of two images: beside one that is 10⁷ times larger an image has the same
/// bits as alone.
#[test]
fn an_image_has_the_same_bits_alone_and_beside_others() {
    let Some(device) = any_gpu() else { return };
    let options = PlanOptions { algorithm: Some(Algorithm::Fft), ..Default::default() };
    for direction in [Direction::Forward, Direction::GradInput] {
        for (cells, channels) in [([9, 7], 1), ([9, 7], 3), ([40, 33], 2)] {
            let conv = Conv::default().padding(1).direction(direction);
            let problem = |n: usize| {
                ConvProblem::new(&[n, channels, cells[0], cells[1]], &[2, channels, 3, 3], &conv)
                    .expect("a problem")
            };
            let (alone, batch) = (problem(1), problem(3));
            let data = Data::reals(&batch, 7);
            let mut large = data.clone();
            for tensor in [&mut large.x, &mut large.grad_output] {
                tensor.index_axis_mut(ndarray::Axis(0), 0).mapv_inplace(|v| v * 1e7);
                tensor.index_axis_mut(ndarray::Axis(0), 2).mapv_inplace(|v| v * 1e7);
            }
            let plans = [&batch, &alone].map(|problem| device.plan(problem, &options).expect("a plan"));
            let configs =
                plans.each_ref().map(|plan| plan.gpu().expect("a GPU plan").choice().config.clone());
            assert_eq!(configs[0], configs[1], "of other transforms the bits are others");
            let one = |tensor: &ndarray::ArrayD<f64>| {
                tensor.slice_axis(ndarray::Axis(0), (1..2).into()).mapv(|v| v as f32)
            };
            let run = |plan: &wgconv::Plan, x: ndarray::ArrayD<f32>, w: &ndarray::ArrayD<f64>| {
                let w = w.mapv(|v| v as f32);
                let operands = match direction {
                    Direction::Forward => {
                        Operands { input: x.view(), weight: w.view().into(), ..Default::default() }
                    }
                    _ => Operands { grad_output: x.view(), weight: w.view().into(), ..Default::default() },
                };
                plan.run(operands).expect("a result")
            };
            let source = if direction == Direction::Forward { &large.x } else { &large.grad_output };
            let both = run(&plans[0], source.mapv(|v| v as f32), &data.w);
            let single = run(&plans[1], one(source), &data.w);
            let bits =
                |values: ndarray::ArrayViewD<'_, f32>| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            let beside = both.slice_axis(ndarray::Axis(0), (1..2).into());
            assert_eq!(bits(beside), bits(single.view()), "{direction:?} {cells:?}, {channels} channels");
        }
    }
}
