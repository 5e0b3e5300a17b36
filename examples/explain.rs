//! How problems are planned: on the device at hand, and on made-up ones that need not exist.
//!
//!     cargo run --example explain

use wgconv::program::{DeviceClass, Features, Limits, Target};
use wgconv::{
    Boundary, Conv, ConvProblem, Device, Direction, Element, Layout, Padding, PlanOptions, Planner,
};

fn main() -> Result<(), wgconv::Error> {
    let device = Device::new()?;
    println!("== On this machine: {} ==\n", device.name());
    for (what, problem) in problems()? {
        match device.plan(&problem, &PlanOptions::default()) {
            Ok(plan) => println!("{what}\n  {}", indented(&plan.explain())),
            Err(e) => println!("{what}\n  error[{}]: {e}\n", e.kind()),
        }
    }

    // A plan is data: lowering needs a description of a device, not a device.
    let everywhere = Target::default();
    let large = Target {
        limits: Limits { max_binding_bytes: 4 << 30, max_buffer_bytes: 4 << 30, ..Limits::default() },
        features: Features { f16: true, subgroup: true, timestamps: true },
        device_class: DeviceClass::Discrete,
        subgroup: (32, 32),
        ..Target::default()
    };
    let targets =
        [("what WebGPU guarantees everywhere", everywhere), ("a made-up GPU with f16 and 4 GiB", large)];
    for (name, target) in targets {
        println!("== On {name} (no adapter needed) ==\n");
        let planner = Planner::new(target);
        for (what, problem) in problems()? {
            match planner.choose(&problem, None) {
                Ok(choice) => println!("{what}\n  {}", indented(&choice.explain())),
                Err(declined) => println!("{what}\n  {declined}\n"),
            }
        }
    }
    Ok(())
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
