//! Back from hidden units to the image, as cuda-convnet's `ImageActs`: how many windows see each cell.
//!
//!     cargo run --example theano_image_acts

use wgconv::Error;
use wgconv::ndarray::Array4;
use wgconv::theano::{CudaConvnet, filter_acts, image_acts};

fn main() -> Result<(), Error> {
    // [channel, row, column, batch], [in channel, row, column, out channel]
    let images = Array4::<f32>::zeros((1, 8, 8, 1));
    let filters = Array4::<f32>::ones((1, 3, 3, 1));
    let how = CudaConvnet::default().stride(2).pad(1);
    let hidden = filter_acts(&images, &filters, &how)?.mapv(|_| 1f32);
    // Steps leave the size open: 8 rows and 7 rows have the same hidden units.
    let seen = image_acts(&hidden, &filters, Some([8, 8]), &how)?;
    println!("{:?} hidden units; windows over each cell of the image:", hidden.shape());
    for row in seen.index_axis(wgconv::ndarray::Axis(0), 0).outer_iter() {
        println!("{}", row.iter().map(|count| format!("{count} ")).collect::<String>());
    }
    // Windows lie 2 apart and are 3 wide: odd cells belong to two of them on each axis.
    assert_eq!((seen[[0, 2, 2, 0]], seen[[0, 2, 3, 0]], seen[[0, 3, 3, 0]]), (1., 2., 4.));
    println!("without a size: {}", image_acts(&hidden, &filters, None, &how).expect_err("steps of 2"));
    Ok(())
}
