//! A melody played in a hall: a recording convolved with a hall's impulse response, two seconds long.
//!
//!     cargo run --example reverb
//!
//! Writes `target/reverb.wav`, to listen to, and `target/reverb.png`: how much of each frequency sounds when, of the dry
//! recording above, of the left ear in the hall below.

mod common;

use std::error::Error;
use std::f32::consts::TAU;
use std::path::PathBuf;
use std::time::Instant;

use hound::{SampleFormat, WavSpec, WavWriter};
use wgconv::ndarray::{Array1, Array2, Array3, ArrayView1, ArrayView2, Axis, concatenate, s};
use wgconv::signal::{Convolve, Mode};
use wgconv::{Conv, Device, Element, PlanOptions, conv1d};

/// Samples per second.
const RATE: usize = 48_000;
/// When a note is plucked, in eighths of a second, and its pitch, in semitones from the A of 440 Hz.
const MELODY: [(usize, i32); 12] = [
    (0, -9),
    (2, -5),
    (4, -2),
    (6, 3),
    (8, -4),
    (10, -2),
    (12, 0),
    (14, 7),
    (16, 5),
    (18, -21),
    (18, -9),
    (18, -5),
];
/// Seconds until the hall is quieter by 60 dB.
const DECAY: f32 = 1.6;

fn main() -> Result<(), Box<dyn Error>> {
    let (dry, hall) = (melody(3 * RATE), hall(2 * RATE));
    let device = Device::new()?;

    // One recording, an impulse response for each ear: the recording is repeated along the first axis.
    let how = Convolve::from(Mode::Full).axes([1]);
    let operation = how.fftconvolve(dry.shape(), hall.shape())?;
    let plan = device.plan_operation(&operation, Element::F32, &PlanOptions::default())?;
    let start = Instant::now();
    let wet: Array2<f32> =
        plan.run(&[dry.view().into_dyn(), hall.view().into_dyn()])?.into_dimensionality()?;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} on {}: {} samples with {} taps for each of two ears, {} samples each",
        plan.algorithm(),
        plan.device_name(),
        dry.ncols(),
        hall.ncols(),
        wet.ncols()
    );
    let products = (2 * dry.ncols() * hall.ncols()) as f64;
    println!(
        "took {seconds:.2} s, transfers included; the sum has {:.1} billion products, that is {:.1} billion a second",
        products * 1e-9,
        products * 1e-9 / seconds
    );
    println!("largest error of some samples: {:.1e} of the loudest one", error(&dry, &hall, &wet));

    // As loud as it can be.
    let wet = &wet * (0.9 / loudest(wet.view()));
    save_wav("reverb", wet.view())?;
    let silence = Array1::zeros(wet.ncols() - dry.ncols());
    let dry = concatenate![Axis(0), dry.row(0), silence];
    let (above, below) = (spectrogram(dry.view())?, spectrogram(wet.row(0))?);
    let gap = Array2::zeros((6, above.ncols()));
    common::save("reverb", concatenate![Axis(0), above, gap, below].view())
}

/// Plucked strings, as `[1, samples]`: a burst of noise in a loop as long as a period, which loses its high frequencies first.
///
/// Karplus and Strong, "Digital Synthesis of Plucked-String and Drum Timbres", Computer Music Journal 7(2), 1983.
fn melody(samples: usize) -> Array2<f32> {
    let mut noise = common::noise(7);
    let mut sound = Array2::zeros((1, samples));
    for (eighth, semitones) in MELODY {
        let frequency = 440.0 * 2f32.powf(semitones as f32 / 12.0);
        // Averaging neighbours delays by half a sample.
        let period = (RATE as f32 / frequency - 0.5).round() as usize;
        let mut string: Vec<f32> = (0..period).map(|_| noise()).collect();
        let begin = eighth * RATE / 8;
        for (i, sample) in sound.slice_mut(s![0, begin..]).iter_mut().enumerate() {
            let at = i % period;
            *sample += 0.25 * string[at];
            string[at] = 0.498 * (string[at] + string[(at + 1) % period]);
        }
    }
    // The strings are damped at the end.
    let fade = RATE / 10;
    for (i, sample) in sound.slice_mut(s![0, samples - fade..]).iter_mut().enumerate() {
        *sample *= 1.0 - i as f32 / fade as f32;
    }
    sound
}

/// What each ear hears of a clap in a hall: the clap itself, a few walls, then ever more and fainter of them, `[2, taps]`.
fn hall(taps: usize) -> Array2<f32> {
    let mut noise = common::noise(11);
    let mut response = Array2::zeros((2, taps));
    for mut ear in response.rows_mut() {
        // The high frequencies of the many reflections go first: a smoothing that grows with time.
        let mut smooth = 0.0;
        for (i, tap) in ear.iter_mut().enumerate() {
            let time = i as f32 / RATE as f32;
            let kept = 0.9 * (1.0 - (-2.0 * time).exp());
            smooth = kept * smooth + (1.0 - kept).sqrt() * noise();
            let grows = 1.0 - (-time / 0.03).exp();
            *tap = 0.06 * grows * 10f32.powf(-3.0 * time / DECAY) * smooth;
        }
        ear[0] += 1.0;
        for wall in 1..=8 {
            let delay = 0.008 * wall as f32 + 0.004 * noise();
            ear[(delay * RATE as f32) as usize] += 0.5 / wall as f32 * noise().signum();
        }
    }
    response
}

/// The largest difference from the sum itself, in f64, at samples spread over the result, relative to the loudest one.
fn error(dry: &Array2<f32>, hall: &Array2<f32>, wet: &Array2<f32>) -> f64 {
    let mut worst = 0f64;
    for at in (0..wet.ncols()).step_by(wet.ncols() / 37) {
        let first = (at + 1).saturating_sub(hall.ncols());
        for ear in 0..2 {
            let exact: f64 = (first..=at.min(dry.ncols() - 1))
                .map(|i| f64::from(dry[[0, i]]) * f64::from(hall[[ear, at - i]]))
                .sum();
            worst = worst.max((f64::from(wet[[ear, at]]) - exact).abs());
        }
    }
    let error = worst / f64::from(loudest(wet.view()));
    assert!(error < 1e-5, "{error}");
    error
}

fn loudest(sound: ArrayView2<'_, f32>) -> f32 {
    sound.iter().fold(f32::MIN_POSITIVE, |most, sample| most.max(sample.abs()))
}

/// Writes `[ears, samples]` to `target/NAME.wav`, and says so.
fn save_wav(name: &str, sound: ArrayView2<'_, f32>) -> Result<(), Box<dyn Error>> {
    let channels = u16::try_from(sound.nrows())?;
    let (sample_rate, bits_per_sample) = (RATE as u32, 16);
    let spec = WavSpec { channels, sample_rate, bits_per_sample, sample_format: SampleFormat::Int };
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target");
    std::fs::create_dir_all(&folder)?;
    let mut file = WavWriter::create(folder.join(name).with_extension("wav"), spec)?;
    for instant in sound.columns() {
        for sample in instant {
            file.write_sample((sample * f32::from(i16::MAX)).round() as i16)?;
        }
    }
    file.finalize()?;
    println!("wrote target/{name}.wav: {:.1} s", sound.ncols() as f32 / RATE as f32);
    Ok(())
}

/// Frequencies over time, the highest above, in decibels from -70 on. This is a convolution, too: every 512th sample, with a
/// cosine and a sine of each frequency under a window.
fn spectrogram(sound: ArrayView1<'_, f32>) -> Result<Array2<f32>, wgconv::Error> {
    const FREQUENCIES: usize = 180;
    const WINDOW: usize = 2048;
    let waves = Array3::from_shape_fn((2 * FREQUENCIES, 1, WINDOW), |(row, _, i)| {
        // From 60 Hz to 15 kHz.
        let frequency = 60.0 * 250f32.powf((row / 2) as f32 / FREQUENCIES as f32);
        let turns = frequency / RATE as f32 * i as f32;
        let window = (TAU / 2.0 * (i as f32 + 0.5) / WINDOW as f32).sin().powi(2);
        window * if row % 2 == 0 { (TAU * turns).cos() } else { (TAU * turns).sin() }
    });
    let sound = sound.insert_axis(Axis(0)).insert_axis(Axis(0));
    let parts = conv1d(&sound, &waves, &Conv::default().stride(512).padding(WINDOW / 2))?;
    let magnitude =
        |row: usize, column: usize| parts[[0, 2 * row, column]].hypot(parts[[0, 2 * row + 1, column]]);
    let (rows, columns) = (FREQUENCIES, parts.dim().2);
    let picture = Array2::from_shape_fn((rows, columns), |(i, j)| magnitude(rows - 1 - i, j));
    let most = loudest(picture.view());
    Ok(picture.mapv(|value| (20.0 * (value / most).log10()).max(-70.0)))
}
