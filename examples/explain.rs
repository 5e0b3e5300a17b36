//! How problems are planned: by whom, why not by others, and what happens when an algorithm is forced.
//!
//!     cargo run --example explain

use wgconv::{
    Algorithm, Boundary, Conv, ConvProblem, Device, Direction, Element, Layout, Padding, PlanOptions,
};

fn main() -> Result<(), wgconv::Error> {
    let mut devices = vec![Device::new()?];
    if !devices[0].is_cpu() {
        devices.push(Device::cpu());
    }
    for device in devices {
        println!("== On {} ==\n", device.name());
        for (what, problem) in problems()? {
            explain(&device, what, &problem, &PlanOptions::default());
        }
        let transforms = PlanOptions { algorithm: Some(Algorithm::Fft), ..PlanOptions::default() };
        for (what, problem) in problems()? {
            explain(&device, &format!("{what}, by transforms alone"), &problem, &transforms);
        }
    }
    Ok(())
}

/// The plan, or why there is none.
fn explain(device: &Device, what: &str, problem: &ConvProblem, options: &PlanOptions) {
    match device.plan(problem, options) {
        Ok(plan) => println!("{what}\n  {}", indented(&plan.explain())),
        Err(e) => println!("{what}\n  error[{}]: {e}\n", e.kind()),
    }
}

fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n  ") + "\n"
}

/// Convolutions that differ in what they ask of a device.
fn problems() -> Result<Vec<(&'static str, ConvProblem)>, wgconv::Error> {
    let same = Conv::default().padding(Padding::Same);
    let (x, w) = ([8, 64, 56, 56], [64, 64, 3, 3]);
    Ok(vec![
        ("3 x 3, 64 channels, ncx", ConvProblem::new(&x, &w, &same)?),
        ("the same, channels last", ConvProblem::new(&x, &w, &same.clone().layouts(Layout::Nxc))?),
        ("the same in f16", ConvProblem::new(&x, &w, &same.clone().element(Element::F16))?),
        ("the same in f64", ConvProblem::new(&x, &w, &same.clone().element(Element::F64))?),
        (
            "its gradient of the input",
            ConvProblem::new(&x, &w, &same.clone().direction(Direction::GradInput))?,
        ),
        (
            "depthwise 7 x 7, reflected at the border",
            ConvProblem::new(
                &[8, 64, 56, 56],
                &[64, 1, 7, 7],
                &same.clone().groups(64).boundary(Boundary::Reflect),
            )?,
        ),
        (
            "a volume of 256^3 with 4 channels: 256 MiB",
            ConvProblem::new(&[1, 4, 256, 256, 256], &[4, 4, 3, 3, 3], &same)?,
        ),
    ])
}
