//! Correlation as a product of matrices, as Theano's `GpuCorrMM`: the matrix of windows, by hand and by the library.
//!
//!     cargo run --example theano_corr_mm

use wgconv::ndarray::{Array2, array};
use wgconv::theano::{CorrMm, corr_mm, corr3d_mm};
use wgconv::{Device, Element, Error, PlanOptions};

fn main() -> Result<(), Error> {
    let img = array![[[[1f32, 2., 3.], [4., 5., 6.], [7., 8., 9.]]]];
    let kern = array![[[[1f32, 2.], [3., 4.]]]];
    // One row per tap, one column per output: (c * rows * columns, out_rows * out_columns).
    let windows =
        Array2::from_shape_fn((4, 4), |(tap, out)| img[[0, 0, out / 2 + tap / 2, out % 2 + tap % 2]]);
    println!("windows:\n{windows}");
    let product = array![[1f32, 2., 3., 4.]].dot(&windows);
    let y = corr_mm(&img, &kern, &CorrMm::default())?;
    println!("kernel times windows: {product}, corr_mm: {:?}", y.iter().collect::<Vec<_>>());
    assert!(y.iter().eq(product.iter()));

    // Which algorithm runs it, and with how much scratch memory, is the device's matter: it says so.
    let operation = CorrMm::default().forward(2, &[16, 32, 28, 28], &[64, 32, 3, 3])?;
    let plan = Device::shared()?.plan_operation(&operation, Element::F32, &PlanOptions::default())?;
    print!("a layer of 32 to 64 channels: {}", plan.explain());

    let cube = wgconv::ndarray::Array5::<f32>::ones((1, 1, 3, 3, 3));
    println!("three dimensions: {}", corr3d_mm(&cube, &cube, &CorrMm::default())?[[0, 0, 0, 0, 0]]);
    Ok(())
}
