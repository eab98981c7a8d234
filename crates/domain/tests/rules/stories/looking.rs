//! What a look frees, and what it must leave alone.

use expect_test::expect;

use crate::script::check;

#[test]
fn releasing_is_looking() {
    check(
        "
        card A100 80g
        person alice
        person bob
        alice creates a 1
        a starts
        bob creates b 1
        b starts
        a cgroup stays occupied exits 0
        show
        look
        a cgroup unknown
        look
        a cgroup empty
        unit 0 busy
        look
        next
        +40s
        show
        unit 0 unknown
        look
        unit 0 clean
        look
        show
        ",
        &expect![[r#"
            card A100 80g
            person alice
            person bob
            alice creates a 1            -> created
            a starts                     -> alice/a gets 0
            bob creates b 1              -> created
            b starts                     -> waits 1 of 1: no GPU that would do is free; held by alice/a (GPU 0 for 0 s)
            a cgroup stays occupied exits 0
                -> alice/a ended (exit 0)
                -> 0 is dirty
            show
                -> 0 alice/a ending, dirty
                -> 1. bob/b: no GPU that would do is free
            look
            a cgroup unknown
            look
            a cgroup empty
            unit 0 busy
            look
            next                         -> in 29994 ms
            +40s                         -> 0 is draining
            show
                -> 0 alice/a ending, draining
                -> 1. bob/b: no GPU that would do is free
            unit 0 unknown
            look
            unit 0 clean
            look
                -> 0 is available
                -> alice/a released 0
                -> bob/b gets 0
            show                         -> 0 bob/b running
        "#]],
    );
}

#[test]
fn units_that_nobody_can_look_into_are_freed_by_the_cgroup() {
    check(
        "
        card A100 80g
        person alice
        alice creates a 1
        unit 0 unknowable
        a starts
        a exits 0
        show
        ",
        &expect![[r#"
            card A100 80g
            person alice
            alice creates a 1            -> created
            unit 0 unknowable
            a starts                     -> alice/a gets 0
            a exits 0
                -> alice/a ended (exit 0)
                -> alice/a released 0
            show                         -> 0 free, kept for alice/a
        "#]],
    );
}

#[test]
fn what_the_engine_does_not_say_changes_nothing() {
    check(
        "
        card A100 80g
        person alice
        alice creates a 1
        a starts
        a unclear
        look
        +1h
        show
        ",
        &expect![[r#"
            card A100 80g
            person alice
            alice creates a 1            -> created
            a starts                     -> alice/a gets 0
            a unclear
            look
            +1h
            show                         -> 0 alice/a running
        "#]],
    );
}

#[test]
fn a_late_look_frees_nothing() {
    check(
        "
        card A100 80g
        person alice
        alice creates a 1
        a starts
        a exits 0
        remember
        a starts
        late look
        show
        ",
        &expect![[r#"
            card A100 80g
            person alice
            alice creates a 1            -> created
            a starts                     -> alice/a gets 0
            a exits 0
                -> alice/a ended (exit 0)
                -> alice/a released 0
            remember
            a starts                     -> alice/a gets 0
            late look
            show                         -> 0 alice/a running
        "#]],
    );
}

#[test]
fn a_start_in_flight_keeps_its_units_and_a_failed_one_gives_them_back() {
    check(
        "
        card A100 80g
        person alice
        alice creates a 1
        a hangs
        a starts
        look
        +1min
        show
        a starts
        a fails
        show
        a starts
        a is unanswered
        show
        next
        +11s
        show
        ",
        &expect![[r#"
            card A100 80g
            person alice
            alice creates a 1            -> created
            a hangs
            a starts                     -> alice/a gets 0
            look
            +1min
            show                         -> 0 alice/a reserved
            a starts                     -> holds its units already
            a fails                      -> alice/a released 0
            show                         -> 0 free, kept for alice/a
            a starts                     -> alice/a gets 0
            a is unanswered
            show                         -> 0 alice/a reserved
            next                         -> in 9999 ms
            +11s
                -> alice/a ended (no exit code)
                -> alice/a released 0
            show                         -> 0 free, kept for alice/a
        "#]],
    );
}

#[test]
fn a_start_whose_answer_was_lost_and_that_worked_is_found_running() {
    check(
        "
        card A100 80g
        person alice
        alice creates a 1
        a hangs
        a starts
        a runs 0 epoch=0
        a is unanswered
        show
        ",
        &expect![[r#"
            card A100 80g
            person alice
            alice creates a 1            -> created
            a hangs
            a starts                     -> alice/a gets 0
            a runs 0 epoch=0             -> alice/a runs
            a is unanswered
            show                         -> 0 alice/a running
        "#]],
    );
}

#[test]
fn a_dirty_unit_that_somebody_unclear_may_have_is_kept_back() {
    check(
        "
        card A100 80g
        person alice
        person bob
        stray runs 0 epoch=3
        other runs 0 epoch=5
        show
        stray unclear
        other exits 0
        show
        stray runs 0 epoch=3
        stray exits 0
        look
        show
        ",
        &expect![[r#"
            card A100 80g
            person alice
            person bob
            stray runs 0 epoch=3         -> adopted unknown root/000000000000 with 0 (epoch 3)
            other runs 0 epoch=5
                -> 0 is dirty
                -> conflict: ?/other holds 0, root/000000000000 can open it too
                -> adopted unknown root/000000000000 with 0 (epoch 5)
            show                         -> 0 root/000000000000 running, dirty
            stray unclear
            other exits 0
                -> root/000000000000 ended (exit 0)
                -> root/000000000000 released 0
            show                         -> 0 free, dirty, kept for root/000000000000
            stray runs 0 epoch=3         -> adopted root/000000000000 with 0 (epoch 3)
            stray exits 0
                -> root/000000000000 ended (exit 0)
                -> 0 is available
                -> root/000000000000 released 0
            look
            show                         -> 0 free, kept for root/000000000000
        "#]],
    );
}

#[test]
fn a_look_that_began_before_a_start_does_not_adopt_or_end_it() {
    check(
        "
        card A100 80g
        card A100 80g
        person alice quota=2
        alice creates a 1
        a starts
        remember
        a exits 0
        late look
        show
        a hangs
        a starts
        late look
        show
        ",
        &expect![[r#"
            card A100 80g
            card A100 80g
            person alice quota=2
            alice creates a 1            -> created
            a starts                     -> alice/a gets 0
            remember
            a exits 0
                -> alice/a ended (exit 0)
                -> alice/a released 0
            late look
            show
                -> 0 free, kept for alice/a
                -> 1 free
            a hangs
            a starts                     -> alice/a gets 0
            late look
            show
                -> 0 alice/a reserved
                -> 1 free
        "#]],
    );
}

#[test]
fn what_the_engine_binds_anew_is_not_freed_by_an_older_look() {
    check(
        "
        card A100 80g
        person alice
        person bob
        alice creates a 1
        bob creates b 1
        a starts
        b starts
        a dies unseen
        remember
        a is bound anew
        late look
        show
        a runs 0
        show
        ",
        &expect![[r#"
            card A100 80g
            person alice
            person bob
            alice creates a 1            -> created
            bob creates b 1              -> created
            a starts                     -> alice/a gets 0
            b starts                     -> waits 1 of 1: no GPU that would do is free; held by alice/a (GPU 0 for 0 s)
            a dies unseen
            remember
            a is bound anew
            late look
            show
                -> 0 alice/a bound
                -> 1. bob/b: no GPU that would do is free
            a runs 0                     -> alice/a runs
            show
                -> 0 alice/a running
                -> 1. bob/b: no GPU that would do is free
        "#]],
    );
}

#[test]
fn a_unit_on_which_somebody_computes_is_not_given_out() {
    check(
        "
        card A100 80g
        card A100 80g
        person alice
        unit 0 busy
        look
        show
        alice creates a 1
        a starts
        alice creates b 1
        b starts
        unit 0 clean
        look
        show
        ",
        &expect![[r#"
            card A100 80g
            card A100 80g
            person alice
            unit 0 busy
            look                         -> 0 is dirty
            show
                -> 0 free, dirty
                -> 1 free
            alice creates a 1            -> created
            a starts                     -> alice/a gets 1
            alice creates b 1            -> created
            b starts                     -> waits 1 of 1: no GPU that would do is free; held by alice/a (GPU 1 for 0 s)
            unit 0 clean
            look
                -> 0 is available
                -> alice/b gets 0
            show
                -> 0 alice/b running
                -> 1 alice/a running
        "#]],
    );
}

#[test]
fn who_computes_on_what_he_was_not_granted() {
    check(
        "
        card A100 80g mig 3/4 3/4
        card H100 80g
        person alice
        alice creates a 1
        a starts
        a computes on 0:0
        a computes on 0:0 0:1
        a computes on 0:1
        a computes on 0:0 1
        a cgroup stays occupied exits 0
        a computes on 0:0
        a cgroup empty
        look
        a computes on 0:0
        ",
        &expect![[r#"
            card A100 80g mig 3/4 3/4
            card H100 80g
            person alice
            alice creates a 1            -> created
            a starts                     -> alice/a gets 0:0
            a computes on 0:0            -> as granted
            a computes on 0:0 0:1        -> as granted
            a computes on 0:1            -> without a grant on 0:1
            a computes on 0:0 1          -> without a grant on 1
            a cgroup stays occupied exits 0
                -> alice/a ended (exit 0)
                -> 0:0 is dirty
            a computes on 0:0            -> as granted
            a cgroup empty
            look
                -> 0:0 is available
                -> alice/a released 0:0
            a computes on 0:0            -> without a grant on 0:0
        "#]],
    );
}
