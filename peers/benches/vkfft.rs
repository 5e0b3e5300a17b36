//! Times complex transforms by vkfft-rs and by our kernel on the same device.
//!
//!     cargo bench -p wgconv-peers
//!
//! `WGPU_ADAPTER_NAME` names a software adapter; without one it takes a hardware GPU.

use std::time::Duration;

use wgconv::internals::kernel::fft::Block;
use wgconv::{Device, DeviceChoice};
use wgconv_peers as peer;

/// Complex points of all transforms together. With more of them vkfft-rs has more workgroups along x than there may be.
const POINTS: u32 = 1 << 19;
/// Transforms in a row, and how often of which the median counts.
const TIMES: u32 = 10;
const RUNS: usize = 7;
const BLOCKS: [[u32; 3]; 8] =
    [[1, 1, 64], [1, 1, 256], [1, 1, 1024], [1, 1, 4096], [1, 16, 16], [1, 32, 32], [1, 32, 64], [1, 64, 64]];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::open(&DeviceChoice::Gpu)?;
    let gpu = device.gpu().ok_or("a GPU")?;
    println!("{}: milliseconds for {POINTS} complex points in all", device.name());
    println!("{:>9} {:>7} {:>9} {:>9} {:>7} {:>6}", "points", "batch", "ours", "vkfft-rs", "passes", "ratio");
    for extents in BLOCKS {
        let block = Block(extents);
        let batch = POINTS / block.points();
        let shape = if extents[1] == 1 { &extents[2..] } else { &extents[1..] };
        let points = shape.iter().map(u32::to_string).collect::<Vec<_>>().join(" x ");
        let ours = peer::ours(gpu, block, batch)?;
        let theirs = match peer::vkfft(gpu, shape, batch) {
            Ok(theirs) => theirs,
            Err(why) => {
                println!("{points:>9} {batch:>7} vkfft-rs does not run: {why}");
                continue;
            }
        };
        // In turns, so that their ratio holds although clocks drift; the first is a warm-up.
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for _ in 0..=RUNS {
            a.push(ours.time(gpu, TIMES)?);
            b.push(theirs.time(gpu, TIMES)?);
        }
        let [a, b] = [a, b].map(|times| median(&times[1..]).as_secs_f64() * 1e3);
        println!("{points:>9} {batch:>7} {a:>9.3} {b:>9.3} {:>7} {:>6.2}", theirs.passes(), b / a);
    }
    Ok(())
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times[times.len() / 2]
}
