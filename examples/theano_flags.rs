//! Theano's flags that choose an implementation, as options of a plan.
//!
//!     cargo run --example theano_flags

use std::error::Error;

use wgconv::theano::Flags;
use wgconv::{Conv, ConvProblem, Device, Padding};

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::shared()?;
    let small = ConvProblem::new(&[1, 4, 32, 32], &[4, 4, 3, 3], &Conv::default())?;
    let padded = ConvProblem::new(&[1, 4, 32, 32], &[4, 4, 3, 3], &Conv::default().padding(Padding::Full))?;
    for text in [
        "conv_fft_valid:conv_gemm",
        "conv_fft_full",
        "conv_meta",
        "optimizer_including=conv_gemm,optimizer_excluding=no_fft:conv_dnn",
    ] {
        println!("{text}");
        let flags = Flags::parse(text)?;
        for (what, problem) in [("valid", &small), ("full", &padded)] {
            let options = flags.options(problem);
            let prefer: Vec<_> = options.prefer.iter().map(|a| a.name()).collect();
            let exclude: Vec<_> = options.exclude.iter().map(|a| a.name()).collect();
            println!("  {what}: prefers {prefer:?}, excludes {exclude:?}, measures: {}", options.measure);
            print!(
                "    {}",
                device.plan(problem, &options)?.explain().replace('\n', "\n    ").trim_end_matches(' ')
            );
            println!();
        }
    }
    println!("{}", Flags::parse("conv_fastest").expect_err("no such flag"));
    Ok(())
}
