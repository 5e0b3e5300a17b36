//! Every CPU algorithm that adds products and nothing else over the whole case table, in f32 and f64 and all three directions: exact on
//! integers, within the bound on reals. It needs no adapter.

use crate::common::cpu::run_by;
use wgconv::internals::cpu::CpuPlan;
use wgconv::{Algorithm, Direction, Element};
use wgconv_testing::{Case, Data, Tally, Tier, Wanted, seed_of};

/// Every algorithm but the reference in both elements; both are compared with one run of the reference.
fn check(case: &Case, data: &Data, wanted: &Wanted, tally: &mut Tally) {
    for &algorithm in Algorithm::on_cpu().iter().filter(|&&a| a != Algorithm::Reference && a.is_exact()) {
        for element in [Element::F32, Element::F64] {
            let what = format!("{algorithm} in {}", element.name());
            let problem = Case { conv: case.conv.clone().element(element), ..case.clone() }.problem();
            if let Err(why) = CpuPlan::new(&problem, algorithm) {
                tally.skip(format!("{what}, {}", case.name), why.to_string());
                continue;
            }
            let got = match element {
                Element::F64 => run_by::<f64>(&problem, &data.operands(), algorithm),
                _ => run_by::<f32>(&problem, &data.operands(), algorithm),
            };
            tally.check(wanted.judge(&problem, got.view()).map_err(|e| format!("{what}, {e}")));
        }
    }
}

fn table(tier: Tier, ints: bool) {
    let cases = tier.cases(4);
    for direction in [Direction::Forward, Direction::GradInput, Direction::GradWeight] {
        let tally = Tally::of(
            &cases,
            |case| &case.name,
            |case, tally| {
                if tier != Tier::Quick && !ints && !tier.takes(&case.name, direction) {
                    return tally.skip(&case.name, Tier::ELSEWHERE);
                }
                let Some(case) = case.in_direction(direction) else {
                    return tally.skip(&case.name, "its strides overlap in the result");
                };
                // In f32, whose numbers f64 holds too.
                let (problem, seed) = (case.problem(), seed_of(&case.name));
                let data = if ints { Data::ints(&problem, seed) } else { Data::reals(&problem, seed) };
                let wanted = if ints {
                    Wanted::of_integers(&case, &problem, &data)
                } else {
                    Wanted::of_reals(&case, &problem, &data)
                };
                check(&case, &data, &wanted, tally);
            },
        );
        let what = if ints { "integers" } else { "reals" };
        tally.finish(&format!("CPU f32 and f64, {what}, {direction:?}"));
    }
}

#[test]
fn integers_are_exact() {
    table(Tier::Quick, true);
}

#[test]
#[ignore = "full"]
fn integers_are_exact_in_the_full_tier() {
    table(Tier::full(), true);
}

#[test]
fn reals_stay_within_the_bound() {
    table(Tier::Quick, false);
}

#[test]
#[ignore = "full"]
fn reals_stay_within_the_bound_in_the_full_tier() {
    table(Tier::full(), false);
}
