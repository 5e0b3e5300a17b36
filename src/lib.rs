pub mod algorithm_name;
pub mod problem;
pub use algorithm_name::Algorithm;
pub use problem::*;
