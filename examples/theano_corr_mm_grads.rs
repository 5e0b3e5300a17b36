//! The gradients that `GpuCorrMM` once lacked, and gradients of gradients.
//!
//!     cargo run --example theano_corr_mm_grads

use wgconv::ndarray::{Array4, Array5, ArrayD};
use wgconv::theano::{
    CorrMm, corr_mm, corr_mm_grad_inputs, corr_mm_grad_weights, corr3d_mm_grad_inputs, corr3d_mm_grad_weights,
};
use wgconv::{Device, Element, Error, PlanOptions};

fn dot<'a>(a: impl IntoIterator<Item = &'a f32>, b: impl IntoIterator<Item = &'a f32>) -> f32 {
    a.into_iter().zip(b).map(|(a, b)| a * b).sum()
}

fn main() -> Result<(), Error> {
    let small = |i: usize| ((i * i + 3 * i) % 7) as f32 - 3.0;
    let x = Array4::from_shape_fn((2, 3, 7, 6), |(b, c, i, j)| small(b + 2 * c + 3 * i + 5 * j));
    let w = Array4::from_shape_fn((4, 3, 3, 2), |(o, c, i, j)| small(3 * o + c + 2 * i + j));
    let how = CorrMm { border_mode: [(1, 0), (0, 2)].into(), ..CorrMm::default() };
    let y = corr_mm(&x, &w, &how)?;
    let h = y.mapv(|v| v.rem_euclid(5.0) - 2.0);

    // <h, x * w> is the same sum, whether the gradient by the kernel or that by the image is taken.
    let by_kernel = corr_mm_grad_weights(&x, &h, &how)?;
    let by_image = corr_mm_grad_inputs(&w, &h, &how)?;
    let sums = [dot(&h, &y), dot(&by_kernel, &w), dot(&by_image, &x)];
    println!("<h, y> {}, <dW, w> {}, <dX, x> {}", sums[0], sums[1], sums[2]);
    assert!(sums.iter().all(|sum| *sum == sums[0]));

    // As an operation, a gradient has gradients: that of <dW, v> by the image is linear in v.
    let gradient = how.forward(2, x.shape(), w.shape())?.gradient(1)?;
    let second = gradient.gradient(0)?;
    println!(
        "{}: operands {:?}",
        second.name(),
        second.operands().iter().map(|(name, _)| *name).collect::<Vec<_>>()
    );
    let plan = Device::cpu().plan_operation(&second, Element::F32, &PlanOptions::default())?;
    let v: ArrayD<f32> = by_kernel.mapv(|v| v.signum());
    let of_second = plan.run(&[x.view().into_dyn(), w.view().into_dyn(), h.view().into_dyn(), v.view()])?;
    assert_eq!(dot(&of_second, &x), dot(&by_kernel, &v));
    println!("<d²/dX, x> {} = <dW, v> {}", dot(&of_second, &x), dot(&by_kernel, &v));

    // In three dimensions the same; shapes that follow from the operands may be left out.
    let (volume, top) = (Array5::<f32>::ones((1, 1, 4, 4, 4)), Array5::<f32>::ones((1, 1, 3, 3, 3)));
    let by_kernel = corr3d_mm_grad_weights(&volume, &top, &CorrMm::default())?;
    let by_image = corr3d_mm_grad_inputs(&Array5::<f32>::ones((1, 1, 2, 2, 2)), &top, &CorrMm::default())?;
    println!("3-D: by the kernel {:?}, by the image {:?}", by_kernel.shape(), by_image.shape());
    assert_eq!((by_kernel[[0, 0, 0, 0, 0]], by_image[[0, 0, 1, 1, 1]]), (27.0, 8.0));
    Ok(())
}
