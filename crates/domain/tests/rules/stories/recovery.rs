//! What is found again after a crash, and what is adopted.

use expect_test::expect;

use crate::script::check;

#[test]
fn the_daemon_dies_and_finds_everything_again() {
    check(
        "
        card A100 80g
        card A100 80g
        person alice quota=2
        person bob quota=2
        alice creates a 1
        bob creates b 1
        bob creates c 1
        a starts
        b starts
        c starts
        b exits 0
        a starts
        crash
        show
        a exits 3
        crash
        show
        ",
        &expect![[r#"
            card A100 80g
            card A100 80g
            person alice quota=2
            person bob quota=2
            alice creates a 1            -> created
            bob creates b 1              -> created
            bob creates c 1              -> created
            a starts                     -> alice/a gets 0
            b starts                     -> bob/b gets 1
            c starts                     -> waits 1 of 1: no GPU that would do is free; held by alice/a (GPU 0 for 0 s), bob/b (GPU 1 for 0 s)
            b exits 0
                -> bob/b ended (exit 0)
                -> bob/b released 1
                -> bob/c gets 1
            a starts                     -> holds its units already
            crash
            show
                -> 0 alice/a running
                -> 1 bob/c running
            a exits 3
                -> alice/a ended (exit 3)
                -> alice/a released 0
            crash
            show
                -> 0 free, kept for alice/a
                -> 1 bob/c running
        "#]],
    );
}

#[test]
fn containers_that_the_engine_forgot_are_forgotten() {
    check(
        "
        card A100 80g
        person alice
        person bob
        alice creates a 1
        alice creates idle 1
        a starts
        idle is removed
        a is removed
        show
        look
        ",
        &expect![[r#"
            card A100 80g
            person alice
            person bob
            alice creates a 1            -> created
            alice creates idle 1         -> created
            a starts                     -> alice/a gets 0
            idle is removed              -> alice/idle is gone
            a is removed
                -> alice/a ended (no exit code)
                -> alice/a released 0
                -> alice/a is gone
            show                         -> 0 free, kept for 000000000000
            look
        "#]],
    );
}

#[test]
fn what_runs_unrecorded_is_adopted() {
    check(
        "
        card A100 80g
        card A100 80g
        card A100 80g
        person alice quota=1
        person bob
        stray runs 0
        lost runs 1 epoch=40 owner=alice
        show
        alice creates a 1
        a starts
        bob creates b 1
        b starts
        stray exits 0
        lost exits 0
        a starts
        show
        ",
        &expect![[r#"
            card A100 80g
            card A100 80g
            card A100 80g
            person alice quota=1
            person bob
            stray runs 0                 -> adopted unknown root/000000000000 with 0 (epoch 1)
            lost runs 1 epoch=40 owner=alice -> adopted unknown alice/lost with 1 (epoch 40)
            show
                -> 0 root/000000000000 running
                -> 1 alice/lost running
                -> 2 free
            alice creates a 1            -> created
            a starts
                -> denied gpu.quota: gpu quota reached: alice holds 1 of 1 (lost)
                   hint: stop one, or ask an admin for more
            bob creates b 1              -> created
            b starts                     -> bob/b gets 2
            stray exits 0
                -> root/000000000000 ended (exit 0)
                -> root/000000000000 released 0
            lost exits 0
                -> alice/lost ended (exit 0)
                -> alice/lost released 1
            a starts                     -> alice/a gets 1
            show
                -> 0 free, kept for root/000000000000
                -> 1 alice/a running
                -> 2 bob/b running
        "#]],
    );
}

#[test]
fn two_with_one_unit_the_later_grant_keeps_it_and_nobody_else_gets_it() {
    check(
        "
        card A100 80g
        person alice
        person bob
        alice creates a 1
        a starts
        thief runs 0
        show
        a exits 0
        show
        bob creates b 1
        b starts
        thief exits 0
        show
        ",
        &expect![[r#"
            card A100 80g
            person alice
            person bob
            alice creates a 1            -> created
            a starts                     -> alice/a gets 0
            thief runs 0
                -> 0 is dirty
                -> conflict: alice/a holds 0, ?/thief can open it too
            show                         -> 0 alice/a running, dirty
            a exits 0
                -> alice/a ended (exit 0)
                -> alice/a released 0
                -> adopted unknown root/000000000000 with 0 (epoch 2)
            show                         -> 0 root/000000000000 running, dirty, kept for alice/a
            bob creates b 1              -> created
            b starts                     -> waits 1 of 1: no GPU that would do is free; held by root/000000000000 (GPU 0 for 0 s)
            thief exits 0
                -> root/000000000000 ended (exit 0)
                -> 0 is available
                -> root/000000000000 released 0
                -> bob/b gets 0
            show                         -> 0 bob/b running
        "#]],
    );
}

#[test]
fn an_older_record_gives_way_to_a_later_receipt() {
    check(
        "
        card A100 80g
        person alice
        person bob
        alice creates a 1
        a starts
        b runs 0 epoch=9 owner=bob
        show
        b exits 0
        a exits 0
        show
        ",
        &expect![[r#"
            card A100 80g
            person alice
            person bob
            alice creates a 1            -> created
            a starts                     -> alice/a gets 0
            b runs 0 epoch=9 owner=bob
                -> 0 is dirty
                -> conflict: ?/b holds 0, alice/a can open it too
                -> adopted unknown bob/b with 0 (epoch 9)
            show                         -> 0 bob/b running, dirty
            b exits 0
                -> bob/b ended (exit 0)
                -> bob/b released 0
                -> adopted alice/a with 0 (epoch 1)
            a exits 0
                -> alice/a ended (exit 0)
                -> 0 is available
                -> alice/a released 0
            show                         -> 0 free, kept for alice/a
        "#]],
    );
}

#[test]
fn a_container_that_runs_with_other_units_is_recorded_as_it_runs() {
    check(
        "
        card A100 80g
        card A100 80g
        person alice quota=2
        alice creates a 1
        a starts
        a runs 1 epoch=1
        show
        ",
        &expect![[r#"
            card A100 80g
            card A100 80g
            person alice quota=2
            alice creates a 1            -> created
            a starts                     -> alice/a gets 0
            a runs 1 epoch=1             -> adopted alice/a with 1 (epoch 1)
            show
                -> 0 free
                -> 1 alice/a running
        "#]],
    );
}
