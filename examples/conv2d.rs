//! The README's program: a convolution as a one-liner, then planned once and run.
//!
//!     cargo run --example conv2d

use wgconv::ndarray::{Array4, array};
use wgconv::{Conv, ConvProblem, Device, Operands, Padding, PlanOptions, conv2d};

fn main() -> Result<(), wgconv::Error> {
    let x = Array4::<f32>::ones((1, 1, 4, 4)); // [n, c_in, height, width]
    let w = array![[[[1., 1., 1.], [1., 2., 1.], [1., 1., 1.]]]]; // [c_out, c_in / groups, 3, 3]
    let y = conv2d(&x, &w, &Conv::default().padding(Padding::Same))?;
    assert_eq!((y[[0, 0, 1, 1]], y[[0, 0, 0, 0]]), (10.0, 5.0)); // nine taps, and in a corner four
    println!("a field of ones, summed over windows:\n{}", y.index_axis(wgconv::ndarray::Axis(0), 0));

    // To run one shape often: describe it, plan it, prepare the weights, then run.
    let device = Device::new()?;
    println!("device: {}{}", device.name(), if device.is_cpu() { " (no hardware GPU found)" } else { "" });
    let problem = ConvProblem::new(&[8, 3, 32, 32], &[16, 3, 3, 3], &Conv::default().stride(2))?;
    let plan = device.plan(&problem, &PlanOptions::default())?;
    println!("{}", plan.explain()); // device, algorithm, launches, workspace, who declined and why

    let weights = plan.prepare(&Array4::<f32>::ones((16, 3, 3, 3)))?;
    let x = Array4::<f32>::ones((8, 3, 32, 32));
    let y = plan.run(Operands { input: x.view(), weight: (&weights).into(), ..Default::default() })?;
    assert_eq!(y.shape(), [8, 16, 15, 15]);
    // Three channels of nine taps.
    assert!(y.iter().all(|&v| v == 27.0));
    println!("8 images of 3 x 32 x 32 became {:?}, every value {}", y.shape(), y[[0, 0, 0, 0]]);
    Ok(())
}
