//! The named image kernels: exact small values, sums, symmetry, and what is refused.

use wgconv::filters::{self, FilterError, MAX_SIZE};
use wgconv::ndarray::{Array2, array};

fn sum(kernel: &Array2<f32>) -> f64 {
    kernel.iter().map(|&v| f64::from(v)).sum()
}

#[test]
fn small_kernels_are_the_published_ones() {
    assert_eq!(filters::sharpen(), array![[0., -1., 0.], [-1., 5., -1.], [0., -1., 0.]]);
    assert_eq!(filters::sobel_x(), array![[-1., 0., 1.], [-2., 0., 2.], [-1., 0., 1.]]);
    assert_eq!(filters::sobel_y(), array![[-1., -2., -1.], [0., 0., 0.], [1., 2., 1.]]);
    assert_eq!(filters::emboss(), array![[-2., -1., 0.], [-1., 1., 1.], [0., 1., 2.]]);
    assert_eq!(filters::laplacian(), array![[0., 1., 0.], [1., -4., 1.], [0., 1., 0.]]);
    let sums = [filters::sharpen(), filters::emboss(), filters::sobel_x(), filters::sobel_y()];
    assert_eq!(sums.map(|k| sum(&k)), [1.0, 1.0, 0.0, 0.0]);
    assert_eq!(sum(&filters::laplacian()), 0.0);
    assert_eq!(filters::box_blur(1).unwrap(), array![[1.0]]);
    assert_eq!(filters::box_blur(3).unwrap(), Array2::from_elem((3, 3), 1.0 / 9.0));
}

#[test]
fn gaussians_are_symmetric_bells_of_sum_one() {
    for size in [1, 3, 5, 9, 31, 101] {
        let g = filters::gaussian(size, None).unwrap();
        assert_eq!(g.dim(), (size, size));
        // Half a unit of rounding per cell, of cells that add up to 1.
        assert!((sum(&g) - 1.0).abs() <= f64::from(f32::EPSILON) / 2.0, "size {size}: sum {}", sum(&g));
        assert_eq!(g, g.t());
        assert_eq!(g, g.slice(wgconv::ndarray::s![..;-1, ..;-1]));
        let row: Vec<f32> = g.row(size / 2).iter().copied().collect();
        assert!(row[..=size / 2].windows(2).all(|w| w[0] < w[1]), "size {size} does not rise to its centre");
    }
    assert_eq!(filters::gaussian(1, None).unwrap(), array![[1.0]]);
}

#[test]
fn the_width_follows_the_rule_or_the_caller() {
    // 0.3·((5 − 1)/2 − 1) + 0.8 = 1.1, up to the rounding of that sum.
    let (by_rule, by_hand) = (filters::gaussian(5, None).unwrap(), filters::gaussian(5, Some(1.1)).unwrap());
    assert!(by_rule.iter().zip(&by_hand).all(|(a, b)| (a - b).abs() <= f32::EPSILON * b));
    // Neighbours of a Gaussian of sigma 1 differ by exp(1/2).
    let g = filters::gaussian(3, Some(1.0)).unwrap();
    assert!((g[[1, 1]] / g[[1, 0]] - 0.5f32.exp()).abs() < 1e-6);
    // So narrow that only the centre is left, and so wide that it is a box.
    let delta = filters::gaussian(3, Some(1e-300)).unwrap();
    assert_eq!(delta, array![[0., 0., 0.], [0., 1., 0.], [0., 0., 0.]]);
    assert_eq!(filters::gaussian(3, Some(1e300)).unwrap(), filters::box_blur(3).unwrap());
}

#[test]
fn refusals_say_what_was_wanted() {
    for size in [0, 2, MAX_SIZE + 1, usize::MAX] {
        assert_eq!(filters::box_blur(size), Err(FilterError::Size { filter: "box_blur", size }));
        assert_eq!(filters::gaussian(size, None), Err(FilterError::Size { filter: "gaussian", size }));
    }
    for sigma in [0.0, -1.0, f64::INFINITY, f64::NAN] {
        assert!(matches!(filters::gaussian(3, Some(sigma)), Err(FilterError::Sigma { .. })), "{sigma}");
    }
}
