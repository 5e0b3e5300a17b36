pub mod algorithm_name;
pub mod cpu;
pub mod problem;
pub use algorithm_name::Algorithm;
pub use problem::*;
