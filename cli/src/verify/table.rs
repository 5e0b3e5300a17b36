//! The built-in problems: a sample of those that every algorithm is tested with.

use wgconv::operation::Role;
use wgconv::{Direction, Element};
use wgconv_testing::{Data, cases::sample, seed_of};

use super::case::Case;

/// Every problem in every direction, with integers and with reals.
pub(super) fn cases(element: Element) -> Vec<Case> {
    let directions = [
        ("conv", Direction::Forward),
        ("grad_input", Direction::GradInput),
        ("grad_weight", Direction::GradWeight),
    ];
    let mut cases = Vec::new();
    // A residual is no operand of a job.
    for row in sample().into_iter().filter(|row| row.conv.epilogue.beta.is_none()) {
        for (op, direction) in directions {
            // Refused where explicit strides let the result overlap itself.
            let Some(case) = row.in_direction(direction) else { continue };
            let Ok(problem) = case.problem().with_element(element) else { continue };
            for kind in ["ints", "reals"] {
                let name = format!("{}/{op}/{kind}", row.name);
                let seed = seed_of(&name);
                let data =
                    if kind == "ints" { Data::ints(&problem, seed) } else { Data::reals(&problem, seed) };
                let used = |role: &Role| role.is_used(&problem);
                let operands = Role::ALL.into_iter().filter(used).filter_map(|role| {
                    let array = match role {
                        Role::Input => data.x.clone(),
                        Role::Weight => data.w.clone(),
                        Role::GradOutput => data.grad_output.clone(),
                        Role::Bias => data.bias.clone()?.into_dyn(),
                        Role::Residual => data.residual.clone()?,
                    };
                    Some((role, array))
                });
                cases.push(Case::new(name, problem.clone(), operands.collect()));
            }
        }
    }
    cases
}
