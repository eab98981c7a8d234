//! Stories: people, GPUs and hours, beside what comes of them.

use expect_test::expect;

use crate::script::check;

#[test]
fn the_smallest_sufficient_unit_is_taken_and_the_next_one_waits() {
    check(
        "
        card A100 80g
        card A100 80g mig 3/4 2/2 1/1 1/1
        person alice quota=2
        person bob quota=2
        alice creates train 1
        train starts
        bob creates x 1 min=15g
        x starts
        bob creates big full
        big starts
        alice creates y full
        y starts
        show
        train starts
        big exits 0
        show
        ",
        &expect![[""]],
    );
}
