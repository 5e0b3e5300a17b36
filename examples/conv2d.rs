//! One convolution: as a one-liner, then planned once and run twice.
//!
//!     cargo run --example conv2d

use wgconv::ndarray::{Array4, array};
use wgconv::{Conv, ConvProblem, Device, Operands, Padding, PlanOptions};

fn main() -> Result<(), wgconv::Error> {
    // A 5 x 5 image counting up from 0: batch and channels are 1.
    let x = Array4::from_shape_fn((1, 1, 5, 5), |(_, _, i, j)| (5 * i + j) as f32);
    // The difference of the right and the left neighbour.
    let w = array![[[[-1f32, 0., 1.]]]];

    // The one-liner: on a GPU if there is one, else on the CPU path.
    let y = wgconv::conv2d(&x, &w, &Conv::default())?;
    assert_eq!(y, Array4::from_elem((1, 1, 5, 3), 2.0));
    println!("one-liner: every neighbour difference of a ramp is {}", y[[0, 0, 0, 0]]);

    // To run one shape often: describe it, plan it, prepare the weights, then run.
    let device = Device::new()?;
    println!("device: {}{}", device.name(), if device.is_cpu() { " (no hardware GPU found)" } else { "" });
    let conv = Conv::default().stride(2).padding(Padding::Same).bias(true);
    let problem = ConvProblem::new(&[2, 3, 64, 64], &[16, 3, 3, 3], &conv)?;
    let plan = device.plan(&problem, &PlanOptions::default())?;
    print!("plan: {}", plan.explain());

    let weights = plan.prepare(&Array4::<f32>::ones((16, 3, 3, 3)))?;
    let bias = wgconv::ndarray::Array1::from_iter((0..16).map(|channel| channel as f32));
    for value in [1.0, 2.0] {
        let x = Array4::from_elem((2, 3, 64, 64), value);
        let operands =
            Operands { input: x.view(), weight: (&weights).into(), bias: bias.view(), ..Default::default() };
        let y = plan.run(operands)?;
        // Away from the border 3 channels x 9 taps of `value`, and the bias of channel 5.
        assert_eq!(y.shape(), [2, 16, 32, 32]);
        assert_eq!(y[[1, 5, 10, 10]], 27.0 * value + 5.0);
        println!("run on a field of {value}: y[1, 5, 10, 10] = {}, as it must be", y[[1, 5, 10, 10]]);
    }
    Ok(())
}
