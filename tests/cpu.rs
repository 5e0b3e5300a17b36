//! Every CPU algorithm that adds products and nothing else over the whole case table, in f32 and f64 and all three directions: exact on
//! integers, within the bound on reals. It needs no adapter.

use crate::common::cpu::run_by;
use wgconv::internals::cpu::{CPU_ALGORITHMS, CpuPlan};
use wgconv::{Algorithm, Direction, Element};
use wgconv_testing::Tally;
use wgconv_testing::Wanted;
use wgconv_testing::benchdnn::benchdnn;
use wgconv_testing::cases::{self, Case};
use wgconv_testing::values::{Data, seed_of};

/// Every algorithm but the reference in both elements; both are compared with one run of the reference.
fn check(case: &Case, data: &Data, wanted: &Wanted, tally: &mut Tally) {
    for &algorithm in CPU_ALGORITHMS.iter().filter(|&&a| a != Algorithm::Reference && a.is_exact()) {
        for element in [Element::F32, Element::F64] {
            let what = format!("{algorithm} in {}", element.name());
            let problem = Case { conv: case.conv.clone().element(element), ..case.clone() }.problem();
            if let Err(why) = CpuPlan::new(&problem, Some(algorithm)) {
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

fn table(cases: &[Case], ints: bool, what: &str) {
    for direction in [Direction::Forward, Direction::GradInput, Direction::GradWeight] {
        let mut tally = Tally::default();
        for case in cases {
            let Some(case) = case.in_direction(direction) else {
                tally.skip(&case.name, "its strides overlap in the result");
                continue;
            };
            // In f32, whose numbers f64 holds too.
            let (problem, seed) = (case.problem(), seed_of(&case.name));
            let data = if ints { Data::ints(&problem, seed) } else { Data::reals(&problem, seed) };
            let wanted = if ints {
                Wanted::of_integers(&case, &problem, &data)
            } else {
                Wanted::of_reals(&case, &problem, &data)
            };
            check(&case, &data, &wanted, &mut tally);
        }
        tally.finish(&format!("CPU f32 and f64, {what}, {direction:?}"));
    }
}

#[test]
fn named_cases_are_exact_on_integers() {
    table(&cases::named(), true, "named cases, integers");
}

#[test]
fn benchdnn_rows_are_exact_on_integers() {
    table(&benchdnn(), true, "benchdnn rows, integers");
}

#[test]
fn named_cases_stay_within_the_bound_on_reals() {
    table(&cases::named(), false, "named cases, reals");
}

#[test]
fn benchdnn_rows_stay_within_the_bound_on_reals() {
    table(&benchdnn(), false, "benchdnn rows, reals");
}
