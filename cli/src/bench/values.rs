//! Made-up operands: the same for the same name.

use wgconv::ndarray::ArrayD;
use wgconv::operation::Role;
use wgconv::{ConvProblem, ErrorKind};
use wgconv_testing::{seed_of, values::Random};

use crate::failure::Failure;
use crate::operands::Number;

/// The operands that `problem` reads: reals from -1 to 1.
pub(super) fn operands<T: Number>(
    problem: &ConvProblem,
    name: &str,
) -> Result<Vec<(Role, ArrayD<T>)>, Failure> {
    let mut random = Random::new(seed_of(name));
    let mut made = Vec::new();
    for role in Role::ALL.into_iter().filter(|role| role.is_used(problem)) {
        let shape = role.shape(problem);
        let elements = shape.iter().product();
        let no_memory = |_| {
            let message = format!("no memory for {elements} elements of the {}", role.name());
            Failure::new(ErrorKind::OutOfMemory, message)
        };
        wgconv::reserve("made-up operands", (elements as u64).saturating_mul(size_of::<T>() as u64))?;
        let mut values = Vec::new();
        values.try_reserve_exact(elements).map_err(no_memory)?;
        values.extend((0..elements).map(|_| {
            let bits = random.bits() >> 40;
            T::from_f64(bits as f64 / 2f64.powi(23) - 1.0)
        }));
        // No panic: as many values as the shape has elements.
        made.push((role, ArrayD::from_shape_vec(shape, values).expect("a value for each element")));
    }
    Ok(made)
}
