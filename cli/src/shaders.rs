//! `wgconv shaders`: every kernel as drivers get it, for other tools to read.

use std::path::PathBuf;

use wgconv::ErrorKind;
use wgconv::internals::kernel::{Kernel, compose};

use crate::failure::Failure;
use crate::{Outcome, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Directory to write to; made if it is not there
    #[arg(long)]
    output: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<Outcome, Failure> {
    let folder = &options.output;
    std::fs::create_dir_all(folder).map_err(|e| Failure::io("create", folder, &e))?;
    let mut count = 0;
    for &kernel in Kernel::ALL {
        for spec in kernel.specs() {
            let text =
                compose(kernel, &spec).map_err(|e| Failure::new(ErrorKind::Internal, e.to_string()))?;
            let path = folder.join(format!("{}__{spec}.wgsl", kernel.name()));
            std::fs::write(&path, text).map_err(|e| Failure::io("write", &path, &e))?;
            count += 1;
        }
    }
    output::say(&format!("{count} shaders in {}", output::shown(&folder.display().to_string())))?;
    Ok(Outcome::Succeeded)
}
