//! Three layers whose activations stay on the device: one upload, one read-back.
//!
//!     cargo run --example chain

use std::time::Instant;

use wgconv::ndarray::{Array4, ArrayD};
use wgconv::{Activation, Conv, ConvProblem, Device, Operands, Padding, Plan, PlanOptions, PreparedWeights};

/// Channels from layer to layer; every other layer halves the picture.
const CHANNELS: [usize; 4] = [3, 16, 32, 8];
const STRIDES: [usize; 3] = [1, 2, 1];
const IMAGES: usize = 4;
const EXTENT: usize = 64;

/// A layer planned, its weights where the device wants them.
struct Layer {
    plan: Plan,
    weights: PreparedWeights,
}

fn layer(device: &Device, input: &[usize], at: usize) -> Result<Layer, wgconv::Error> {
    let conv = Conv::default().padding(Padding::Same).stride(STRIDES[at]).activation(Activation::Relu);
    let shape = [CHANNELS[at + 1], CHANNELS[at], 3, 3];
    let problem = ConvProblem::new(input, &shape, &conv)?;
    let plan = device.plan(&problem, &PlanOptions::default())?;
    // Small fractions of two, so that every device gives the same bits.
    let w = Array4::from_shape_fn(shape, |(q, c, i, j)| ((q * 7 + c * 5 + i * 3 + j) % 9) as f32 / 8.0 - 0.5);
    Ok(Layer { weights: plan.prepare(&w)?, plan })
}

fn main() -> Result<(), wgconv::Error> {
    let device = Device::new()?;
    println!("device: {}", device.name());
    let mut shape = vec![IMAGES, CHANNELS[0], EXTENT, EXTENT];
    let mut layers = Vec::new();
    for at in 0..3 {
        let layer = layer(&device, &shape, at)?;
        shape = layer.plan.problem().output().shape();
        println!("layer {at}: {:?} after {}", shape, layer.plan.algorithm());
        layers.push(layer);
    }
    let x = Array4::from_shape_fn([IMAGES, CHANNELS[0], EXTENT, EXTENT], |(n, c, i, j)| {
        ((n + 2 * c + 3 * i + 5 * j) % 17) as f32 / 16.0
    });

    let mut last = None;
    for run in 0..3 {
        let start = Instant::now();
        let mut tensor = device.upload(&x)?;
        for Layer { plan, weights } in &layers {
            tensor =
                plan.run_on(&Operands { input: &tensor, weight: weights.into(), ..Default::default() })?;
        }
        let y: ArrayD<f32> = tensor.download()?;
        println!("run {run}: {:?} in {:.2} ms", y.shape(), start.elapsed().as_secs_f64() * 1e3);
        last = Some(y);
    }

    // The same with every activation brought back and sent again.
    let start = Instant::now();
    let mut y = x.into_dyn();
    for Layer { plan, weights } in &layers {
        y = plan.run(Operands { input: y.view(), weight: weights.into(), ..Default::default() })?;
    }
    println!("through the host: {:.2} ms, the same numbers", start.elapsed().as_secs_f64() * 1e3);
    assert_eq!(last, Some(y));
    Ok(())
}
