//! The gradient by the filters with the batch last, as cuda-convnet's `WeightActs`: it is what every window saw, weighted by
//! how much its hidden unit counts.
//!
//!     cargo run --example theano_weight_acts

use wgconv::Error;
use wgconv::ndarray::Array4;
use wgconv::theano::{CudaConvnet, weight_acts};

fn main() -> Result<(), Error> {
    // Two images of 5 x 5, [channel, row, column, batch]: the first counts up, the second is flat.
    let images =
        Array4::from_shape_fn((1, 5, 5, 2), |(_, i, j, b)| if b == 0 { (5 * i + j) as f32 } else { 1.0 });
    // One hidden unit counts: the one in the middle, of the first image. [out channel, row, column, batch]
    let mut hidden = Array4::<f32>::zeros((1, 3, 3, 2));
    hidden[[0, 1, 1, 0]] = 1.0;
    let how = CudaConvnet::default();
    let gradient = weight_acts(&images, &hidden, [3, 3], &how)?;
    println!("the middle window of the first image: {:?}", gradient.iter().collect::<Vec<_>>());
    assert_eq!(gradient.into_raw_vec_and_offset().0, [6., 7., 8., 11., 12., 13., 16., 17., 18.]);

    // All of the second image count: nine windows of ones.
    let flat = Array4::from_shape_fn((1, 3, 3, 2), |(.., b)| b as f32);
    // `partial_sum` told the original how many windows to sum at once; here it is checked and changes nothing.
    let by_rows = CudaConvnet { partial_sum: Some(3), ..how.clone() };
    let gradient = weight_acts(&images, &flat, [3, 3], &by_rows)?;
    println!("all windows of the second: {:?}", gradient.iter().collect::<Vec<_>>());
    assert!(gradient.iter().all(|&sum| sum == 9.0));
    let wrong = CudaConvnet { partial_sum: Some(2), ..how };
    println!(
        "partial_sum 2: {}",
        weight_acts(&images, &flat, [3, 3], &wrong).expect_err("2 does not divide 9")
    );
    Ok(())
}
