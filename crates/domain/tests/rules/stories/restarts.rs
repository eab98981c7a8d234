//! Restart policies, carried out through the line.

use expect_test::expect;

use crate::script::check;

#[test]
fn restarts_back_off_and_stop_when_the_user_says_so() {
    check(
        "
        card A100 80g
        person alice
        alice creates a 1 restart=always
        a starts
        a exits 1
        next
        +1s
        a exits 1
        next
        +1s
        a exits 1
        next
        +1s
        +15s
        a exits 0
        next
        +1s
        a stops
        next
        +1h
        a starts
        show
        ",
        &expect![[r#"
            card A100 80g
            person alice
            alice creates a 1 restart=always -> created
            a starts                     -> alice/a gets 0
            a exits 1
                -> alice/a ended (exit 1)
                -> alice/a released 0
            next                         -> in 100 ms
            +1s
                -> alice/a is restarted (try 1)
                -> alice/a gets 0
            a exits 1
                -> alice/a ended (exit 1)
                -> alice/a released 0
            next                         -> in 200 ms
            +1s
                -> alice/a is restarted (try 2)
                -> alice/a gets 0
            a exits 1
                -> alice/a ended (exit 1)
                -> alice/a released 0
            next                         -> in 400 ms
            +1s
                -> alice/a is restarted (try 3)
                -> alice/a gets 0
            +15s
            a exits 0
                -> alice/a ended (exit 0)
                -> alice/a released 0
            next                         -> in 100 ms
            +1s
                -> alice/a is restarted (try 4)
                -> alice/a gets 0
            a stops
                -> alice/a ended (exit 137)
                -> alice/a released 0
            next                         -> never
            +1h
            a starts                     -> alice/a gets 0
            show                         -> 0 alice/a running
        "#]],
    );
}

#[test]
fn a_failing_container_is_restarted_so_often_and_a_good_end_is_an_end() {
    check(
        "
        card A100 80g
        person alice
        alice creates a 1 restart=on-failure:2
        a starts
        a exits 0
        next
        a starts
        a exits 1
        +1s
        a exits 1
        +1s
        a exits 1
        next
        a starts
        a exits 1
        next
        ",
        &expect![[r#"
            card A100 80g
            person alice
            alice creates a 1 restart=on-failure:2 -> created
            a starts                     -> alice/a gets 0
            a exits 0
                -> alice/a ended (exit 0)
                -> alice/a released 0
            next                         -> never
            a starts                     -> alice/a gets 0
            a exits 1
                -> alice/a ended (exit 1)
                -> alice/a released 0
            +1s
                -> alice/a is restarted (try 1)
                -> alice/a gets 0
            a exits 1
                -> alice/a ended (exit 1)
                -> alice/a released 0
            +1s
                -> alice/a is restarted (try 2)
                -> alice/a gets 0
            a exits 1
                -> alice/a ended (exit 1)
                -> alice/a released 0
            next                         -> never
            a starts                     -> alice/a gets 0
            a exits 1
                -> alice/a ended (exit 1)
                -> alice/a released 0
            next                         -> in 100 ms
        "#]],
    );
}

#[test]
fn a_restart_takes_its_place_in_the_line() {
    check(
        "
        card A100 80g
        person alice
        person bob
        person carol
        alice creates a 1 restart=always
        bob creates b 1
        a starts
        b starts
        a exits 1
        show
        +1s
        show
        +3min
        next
        b exits 0
        +1min
        ",
        &expect![[r#"
            card A100 80g
            person alice
            person bob
            person carol
            alice creates a 1 restart=always -> created
            bob creates b 1              -> created
            a starts                     -> alice/a gets 0
            b starts                     -> waits 1 of 1: no GPU that would do is free; held by alice/a (GPU 0 for 0 s)
            a exits 1
                -> alice/a ended (exit 1)
                -> alice/a released 0
                -> bob/b gets 0
            show                         -> 0 bob/b running
            +1s
                -> alice/a is restarted (try 1)
                -> waits 1 of 1: no GPU that would do is free; held by bob/b (GPU 0 for 0 s)
            show
                -> 0 bob/b running
                -> 1. alice/a: no GPU that would do is free
            +3min
                -> alice/a: denied gpu.timeout: GPU allocation failed after 3 minutes.
                   Suggestions:
                     1. Stop an idle container: container stop <name> (none of yours has a GPU)
                     2. Wait for a release: held by bob/b (GPU 0 for 3 min)
                     3. Check GPU status: gpu-status
                -> alice/a is restarted (try 2)
                -> waits 1 of 1: no GPU that would do is free; held by bob/b (GPU 0 for 3 min)
            next                         -> in 179096 ms
            b exits 0
                -> bob/b ended (exit 0)
                -> bob/b released 0
                -> alice/a gets 0
            +1min
        "#]],
    );
}

#[test]
fn changing_the_restart_policy_ends_the_restarts() {
    check(
        "
        card A100 80g
        person alice
        alice creates a 1 restart=always
        a starts
        a exits 1
        a restart policy no
        next
        ",
        &expect![[r#"
            card A100 80g
            person alice
            alice creates a 1 restart=always -> created
            a starts                     -> alice/a gets 0
            a exits 1
                -> alice/a ended (exit 1)
                -> alice/a released 0
            a restart policy no
            next                         -> never
        "#]],
    );
}

#[test]
fn a_container_that_is_being_restarted_keeps_its_units() {
    check(
        "
        card A100 80g
        person alice
        person bob
        alice creates a 1
        bob creates b 1
        a starts
        b starts
        a is restarting
        a cgroup stays occupied exits 143
        a cgroup empty
        look
        show
        a runs 0
        a is unanswered
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
            a is restarting
            a cgroup stays occupied exits 143
            a cgroup empty
            look
            show
                -> 0 alice/a running
                -> 1. bob/b: no GPU that would do is free
            a runs 0
            a is unanswered
            show
                -> 0 alice/a running
                -> 1. bob/b: no GPU that would do is free
        "#]],
    );
}

#[test]
fn what_was_asked_of_a_run_is_not_asked_of_the_next() {
    check(
        "
        card A100 80g
        person alice
        alice creates a 1 restart=on-failure:2
        a starts
        a exits 1
        +1s
        a exits 1
        +1s
        a is told to end
        a is bound anew
        +1s
        look
        a exits 1
        next
        ",
        &expect![[r#"
            card A100 80g
            person alice
            alice creates a 1 restart=on-failure:2 -> created
            a starts                     -> alice/a gets 0
            a exits 1
                -> alice/a ended (exit 1)
                -> alice/a released 0
            +1s
                -> alice/a is restarted (try 1)
                -> alice/a gets 0
            a exits 1
                -> alice/a ended (exit 1)
                -> alice/a released 0
            +1s
                -> alice/a is restarted (try 2)
                -> alice/a gets 0
            a is told to end
            a is bound anew
            +1s                          -> alice/a runs
            look
            a exits 1
                -> alice/a ended (exit 1)
                -> alice/a released 0
            next                         -> in 100 ms
        "#]],
    );
}

#[test]
fn a_restart_that_waits_is_called_off() {
    check(
        "
        card A100 80g
        person alice
        person bob
        alice creates a 1 restart=always
        bob creates b 1
        a starts
        b starts
        a exits 1
        +1s
        a is told to end
        a cancels
        next
        b exits 0
        +1h
        show
        ",
        &expect![[r#"
            card A100 80g
            person alice
            person bob
            alice creates a 1 restart=always -> created
            bob creates b 1              -> created
            a starts                     -> alice/a gets 0
            b starts                     -> waits 1 of 1: no GPU that would do is free; held by alice/a (GPU 0 for 0 s)
            a exits 1
                -> alice/a ended (exit 1)
                -> alice/a released 0
                -> bob/b gets 0
            +1s
                -> alice/a is restarted (try 1)
                -> waits 1 of 1: no GPU that would do is free; held by bob/b (GPU 0 for 0 s)
            a is told to end
            a cancels
            next                         -> never
            b exits 0
                -> bob/b ended (exit 0)
                -> bob/b released 0
            +1h
            show                         -> 0 free
        "#]],
    );
}
