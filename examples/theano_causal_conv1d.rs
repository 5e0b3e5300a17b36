//! An echo that no sample hears before it sounds: dilated causal convolutions, and how far a stack of them looks back.
//!
//!     cargo run --example theano_causal_conv1d

use wgconv::Error;
use wgconv::ndarray::{Array3, array};
use wgconv::theano::{CausalConv1d, causal_conv1d};

fn main() -> Result<(), Error> {
    // One channel, two clicks. The first tap of the filter is the current sample.
    let clicks = array![[[1f32, 0., 0., 0., 0., 8., 0., 0., 0., 0.]]];
    let echo = array![[[1f32, 0.5]]];
    let late = CausalConv1d { filter_dilation: 3, ..CausalConv1d::default() };
    let heard = causal_conv1d(&clicks, &echo, &late)?;
    println!(
        "clicks  {:?}\nechoed  {:?}",
        clicks.iter().collect::<Vec<_>>(),
        heard.iter().collect::<Vec<_>>()
    );
    assert_eq!(heard, array![[[1., 0., 0., 0.5, 0., 8., 0., 0., 4., 0.]]]);

    // A stack with distances 1, 2, 4, 8 as in WaveNet: two taps each, and together they look 15 samples back.
    let mut signal = Array3::<f32>::zeros((1, 1, 32));
    signal[[0, 0, 4]] = 1.0;
    let taps = array![[[1f32, 1.]]];
    for filter_dilation in [1, 2, 4, 8] {
        signal = causal_conv1d(&signal, &taps, &CausalConv1d { filter_dilation, ..CausalConv1d::default() })?;
    }
    let reached: Vec<_> = signal.indexed_iter().filter(|(_, v)| **v != 0.0).map(|((.., t), _)| t).collect();
    println!("an impulse at 4 reaches samples {:?} to {:?}", reached.first(), reached.last());
    assert_eq!(reached, (4..20).collect::<Vec<_>>());

    // With steps of 2, half of the samples are left.
    let half = CausalConv1d { subsample: 2, ..CausalConv1d::default() };
    println!("every second sample: {:?}", causal_conv1d(&clicks, &echo, &half)?.shape());
    Ok(())
}
