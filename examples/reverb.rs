//! A melody played in a hall: a recording convolved with a hall's impulse response, two seconds long.
//!
//!     cargo run --example reverb
//!
//! Writes `target/reverb.wav`, to listen to, and `target/reverb.png`, two spectrograms: above that of the dry recording, where
//! each note begins and ends, below that of the left ear in the hall, where all of them fade slowly, the high frequencies
//! first.

mod common;

use std::error::Error;
use std::f32::consts::TAU;
use std::time::Instant;

use common::canvas::{Align, Canvas, GREY, INK, TEXT, heat, shades};
use common::plot::{self, Axes};
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
/// Of the spectrograms: samples from a column to the next, the lowest and the highest frequency, and the level, in decibels
/// below the loudest, that is black.
const HOP: usize = 300;
const RANGE: [f32; 2] = [60.0, 15_000.0];
const FLOOR: f32 = -70.0;

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
    draw(&[
        ("Dry", "the recording", spectrogram(dry.view())?),
        ("Wet", "the left ear in the hall", spectrogram(wet.row(0))?),
    ])
}

/// Draws spectrograms below each other, each with a title and a note, over the same time.
fn draw(panels: &[(&str, &str, Array2<f32>)]) -> Result<(), Box<dyn Error>> {
    const LEFT: i64 = 84;
    const TOP: i64 = 42;
    const GAP: i64 = 84;
    let (height, width) = panels.first().map_or((0, 0), |(.., panel)| panel.dim());
    let (height, width) = (height as i64, width as i64);
    let pitch = height + GAP;
    let mut canvas = Canvas::new(LEFT + width + 110, TOP + panels.len() as i64 * pitch - 20);
    let seconds = (width as usize * HOP) as f64 / RATE as f64;
    for (row, (title, note, panel)) in (0..).zip(panels) {
        let names = ["100", "200", "500", "1k", "2k", "5k", "10k"];
        let hertz = [100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4];
        let axes = Axes {
            left: LEFT,
            top: TOP + row * pitch,
            width,
            height,
            x: plot::Axis {
                title: "time (s)",
                range: [0.0, seconds],
                logarithmic: false,
                ticks: (0..).map(|t| (f64::from(t), t.to_string())).take_while(|t| t.0 <= seconds).collect(),
            },
            y: plot::Axis {
                title: "frequency (Hz)",
                range: RANGE.map(f64::from),
                logarithmic: true,
                ticks: hertz.into_iter().zip(names.map(String::from)).collect(),
            },
        };
        canvas.heading((LEFT, axes.top - 30), title, note);
        canvas.picture((LEFT, axes.top), &shades(panel.view(), [FLOOR, 0.0], heat));
        axes.draw(&mut canvas, 68);

        // What the colours mean.
        let (bar, thick) = (LEFT + width + 20, 16);
        let levels = Array2::from_shape_fn((height as usize, thick as usize), |(i, _)| -(i as f32));
        canvas.picture((bar, axes.top), &shades(levels.view(), [1.0 - height as f32, 0.0], heat));
        canvas.frame((bar - 1, axes.top - 1), (bar + thick, axes.top + height), GREY);
        for level in (FLOOR as i64 / 20 * 20..=0).step_by(20) {
            let y = axes.top + (level as f32 / FLOOR * height as f32) as i64;
            canvas.frame((bar + thick, y), (bar + thick + 5, y), GREY);
            canvas.text((bar + thick + 9, y - 8), Align::Left, TEXT, INK, &level.to_string());
        }
        canvas.text_up((bar + thick + 44, axes.top + height / 2), TEXT, INK, "level (dB)");
    }
    canvas.save(&common::target("reverb.png"))
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
    let path = common::target(&format!("{name}.wav"));
    std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
    let mut file = WavWriter::create(path, spec)?;
    for instant in sound.columns() {
        for sample in instant {
            file.write_sample((sample * f32::from(i16::MAX)).round() as i16)?;
        }
    }
    file.finalize()?;
    println!("wrote target/{name}.wav: {:.1} s", sound.ncols() as f32 / RATE as f32);
    Ok(())
}

/// Frequencies over time, the highest above, in decibels below the loudest. This is a convolution, too: every [`HOP`]th sample,
/// with a cosine and a sine of each frequency under a window.
fn spectrogram(sound: ArrayView1<'_, f32>) -> Result<Array2<f32>, wgconv::Error> {
    const FREQUENCIES: usize = 240;
    const WINDOW: usize = 2048;
    let waves = Array3::from_shape_fn((2 * FREQUENCIES, 1, WINDOW), |(row, _, i)| {
        let share = ((row / 2) as f32 + 0.5) / FREQUENCIES as f32;
        let frequency = RANGE[0] * (RANGE[1] / RANGE[0]).powf(share);
        let turns = frequency / RATE as f32 * i as f32;
        let window = (TAU / 2.0 * (i as f32 + 0.5) / WINDOW as f32).sin().powi(2);
        window * if row % 2 == 0 { (TAU * turns).cos() } else { (TAU * turns).sin() }
    });
    let sound = sound.insert_axis(Axis(0)).insert_axis(Axis(0));
    let parts = conv1d(&sound, &waves, &Conv::default().stride(HOP).padding(WINDOW / 2))?;
    let magnitude =
        |row: usize, column: usize| parts[[0, 2 * row, column]].hypot(parts[[0, 2 * row + 1, column]]);
    let (rows, columns) = (FREQUENCIES, parts.dim().2);
    let picture = Array2::from_shape_fn((rows, columns), |(i, j)| magnitude(rows - 1 - i, j));
    let most = loudest(picture.view());
    Ok(picture.mapv(|value| (20.0 * (value / most).log10()).max(FLOOR)))
}
