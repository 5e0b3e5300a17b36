//! Our transform in workgroup memory against that of the crate vkfft-rs on the same device, and both against the sum in f64.

use std::f64::consts::TAU;

use peer::Complex;
use wgconv::internals::kernel::fft::Block;
use wgconv_peers as peer;
use wgconv_testing::{any_gpu, report};

type Wide = [f64; 2];

/// Reals from -1 to 1.
fn values(count: usize) -> Vec<Complex> {
    let mut state = 12_345u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| [next(), next()]).collect()
}

/// `Z[k] = sum over i of z[i]·exp(-2πi·i·k/n)` along an axis of `n` points, neighbours `inner` apart.
fn dft(z: &[Wide], n: usize, inner: usize) -> Vec<Wide> {
    let roots: Vec<Wide> = (0..n).map(|i| TAU * i as f64 / n as f64).map(|a| [a.cos(), -a.sin()]).collect();
    let at = |place: usize| {
        let (k, first) = (place / inner % n, place / (inner * n) * (inner * n) + place % inner);
        (0..n).fold([0.0; 2], |sum, i| {
            let ([a, b], [c, d]) = (z[first + i * inner], roots[i * k % n]);
            [sum[0] + a * c - b * d, sum[1] + a * d + b * c]
        })
    };
    (0..z.len()).map(at).collect()
}

/// The difference in the Euclidean norm, relative.
fn apart(got: &[Complex], want: &[Wide]) -> f64 {
    assert_eq!(got.len(), want.len());
    let square = |parts: [f64; 2]| parts[0] * parts[0] + parts[1] * parts[1];
    let error =
        got.iter().zip(want).map(|(g, w)| square([0, 1].map(|i| f64::from(g[i]) - w[i]))).sum::<f64>();
    (error / want.iter().copied().map(square).sum::<f64>()).sqrt()
}

#[test]
fn both_are_the_sum() {
    let Some(device) = any_gpu() else { return };
    let gpu = device.gpu().expect("a GPU device");
    for (extents, batch) in
        [([1, 1, 64], 5), ([1, 1, 1024], 3), ([1, 1, 320], 2), ([1, 16, 64], 3), ([1, 64, 64], 1)]
    {
        let block = Block(extents);
        let z = values((block.points() * batch) as usize);
        let wide: Vec<Wide> = z.iter().map(|v| v.map(f64::from)).collect();
        let [_, y, x] = extents.map(|n| n as usize);
        let want = dft(&dft(&wide, x, 1), y, x);

        let ours = peer::ours(gpu, block, batch).expect("our kernel");
        let ours = peer::spectra_of(block, &ours.run(gpu, &peer::ours_of(block, &z)).expect("a run"));
        let shape = if y == 1 { &extents[2..] } else { &extents[1..] };
        let theirs = peer::vkfft(gpu, shape, batch).expect("a plan");
        let passes = theirs.passes();
        let theirs = theirs.run(gpu, z.as_flattened()).expect("a run");
        let theirs: Vec<Complex> = theirs.chunks_exact(2).map(|v| [v[0], v[1]]).collect();

        let (ours, theirs) = (apart(&ours, &want), apart(&theirs, &want));
        let depth = f64::from(block.points()).log2();
        report(&format!("{extents:?}: ours {ours:.1e}, vkfft-rs {theirs:.1e} in {passes} passes"));
        // Each of log2 points butterflies rounds; Higham, Accuracy and Stability of Numerical Algorithms, section 24.1.
        assert!(ours <= depth * 2f64.powi(-24), "{extents:?}: {ours:e}");
        // Its roots are computed by the device, which may be off by 2^-11 (WGSL, accuracy of cos and sin).
        assert!(theirs <= depth * 2f64.powi(-11), "{extents:?}: {theirs:e}");
    }
}
