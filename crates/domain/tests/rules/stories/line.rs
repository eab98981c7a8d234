//! Who waits, in which order, and how a wait ends.

use expect_test::expect;

use crate::script::check;

#[test]
fn a_waiter_takes_a_kept_unit_at_once_and_its_owner_waits_like_others() {
    check(
        "
        card A100 80g
        person alice
        person bob
        alice creates train 1
        bob creates x 1
        train starts
        x starts
        train exits 0
        train starts
        x exits 0
        ",
        &expect![[r#"
            card A100 80g
            person alice
            person bob
            alice creates train 1        -> created
            bob creates x 1              -> created
            train starts                 -> alice/train gets 0
            x starts                     -> waits 1 of 1: no GPU that would do is free; held by alice/train (GPU 0 for 0 s)
            train exits 0
                -> alice/train ended (exit 0)
                -> alice/train released 0
                -> bob/x gets 0
            train starts                 -> waits 1 of 1: no GPU that would do is free; held by bob/x (GPU 0 for 0 s)
            x exits 0
                -> bob/x ended (exit 0)
                -> bob/x released 0
                -> alice/train gets 0
        "#]],
    );
}

#[test]
fn the_line_goes_by_priority_then_recent_use_then_arrival() {
    check(
        "
        card A100 80g
        person heavy
        person light
        person light2
        person prof priority=10
        heavy creates h1 1
        heavy creates h2 1
        light creates l1 1
        light2 creates l2 1
        prof creates p1 1
        h1 starts
        +5h
        h2 starts
        l1 starts
        l2 starts
        p1 starts
        show
        h1 exits 0
        p1 exits 0
        l1 exits 0
        l2 exits 0
        ",
        &expect![[r#"
            card A100 80g
            person heavy
            person light
            person light2
            person prof priority=10
            heavy creates h1 1           -> created
            heavy creates h2 1           -> created
            light creates l1 1           -> created
            light2 creates l2 1          -> created
            prof creates p1 1            -> created
            h1 starts                    -> heavy/h1 gets 0
            +5h
            h2 starts                    -> waits 1 of 1: no GPU that would do is free; held by heavy/h1 (GPU 0 for 5 h)
            l1 starts                    -> waits 1 of 2: no GPU that would do is free; held by heavy/h1 (GPU 0 for 5 h)
            l2 starts                    -> waits 2 of 3: no GPU that would do is free; held by heavy/h1 (GPU 0 for 5 h)
            p1 starts                    -> waits 1 of 4: no GPU that would do is free; held by heavy/h1 (GPU 0 for 5 h)
            show
                -> 0 heavy/h1 running
                -> 1. prof/p1: no GPU that would do is free
                -> 2. light/l1: no GPU that would do is free
                -> 3. light2/l2: no GPU that would do is free
                -> 4. heavy/h2: no GPU that would do is free
            h1 exits 0
                -> heavy/h1 ended (exit 0)
                -> heavy/h1 released 0
                -> prof/p1 gets 0
            p1 exits 0
                -> prof/p1 ended (exit 0)
                -> prof/p1 released 0
                -> light/l1 gets 0
            l1 exits 0
                -> light/l1 ended (exit 0)
                -> light/l1 released 0
                -> light2/l2 gets 0
            l2 exits 0
                -> light2/l2 ended (exit 0)
                -> light2/l2 released 0
                -> heavy/h2 gets 0
        "#]],
    );
}

#[test]
fn recent_use_is_forgotten() {
    check(
        "
        card A100 80g
        person heavy
        person light
        person third
        heavy creates h 1
        light creates l 1
        third creates t 1
        h starts
        +2h
        h exits 0
        t starts
        h starts
        l starts
        show
        h cancels
        l cancels
        +14d
        h starts
        l starts
        show
        ",
        &expect![[r#"
            card A100 80g
            person heavy
            person light
            person third
            heavy creates h 1            -> created
            light creates l 1            -> created
            third creates t 1            -> created
            h starts                     -> heavy/h gets 0
            +2h
            h exits 0
                -> heavy/h ended (exit 0)
                -> heavy/h released 0
            t starts                     -> third/t gets 0
            h starts                     -> waits 1 of 1: no GPU that would do is free; held by third/t (GPU 0 for 0 s)
            l starts                     -> waits 1 of 2: no GPU that would do is free; held by third/t (GPU 0 for 0 s)
            show
                -> 0 third/t running
                -> 1. light/l: no GPU that would do is free
                -> 2. heavy/h: no GPU that would do is free
            h cancels
            l cancels
            +14d
            h starts                     -> waits 1 of 1: no GPU that would do is free; held by third/t (GPU 0 for 14 d)
            l starts                     -> waits 2 of 2: no GPU that would do is free; held by third/t (GPU 0 for 14 d)
            show
                -> 0 third/t running
                -> 1. heavy/h: no GPU that would do is free
                -> 2. light/l: no GPU that would do is free
        "#]],
    );
}

#[test]
fn a_wait_ends_with_the_documented_message() {
    check(
        "
        card A100 80g
        card A100 80g mig 1/1
        person alice
        person bob quota=2
        alice creates train full
        train starts
        bob creates small 1
        small starts
        +2h
        bob creates big full
        big starts
        +2min
        alice creates more full
        more starts
        +1min
        +1min
        ",
        &expect![[r#"
            card A100 80g
            card A100 80g mig 1/1
            person alice
            person bob quota=2
            alice creates train full     -> created
            train starts                 -> alice/train gets 0
            bob creates small 1          -> created
            small starts                 -> bob/small gets 1:0
            +2h
            bob creates big full         -> created
            big starts                   -> waits 1 of 1: no GPU that would do is free; held by alice/train (GPU 0 for 2 h)
            +2min
            alice creates more full      -> created
            more starts                  -> waits 2 of 2: no GPU that would do is free; held by alice/train (GPU 0 for 2 h)
            +1min
                -> bob/big: denied gpu.timeout: GPU allocation failed after 3 minutes.
                   Suggestions:
                     1. Stop an idle container: container stop small
                     2. Wait for a release: you were 1st of 2 in line; held by alice/train (GPU 0 for 2 h)
                     3. Check GPU status: gpu-status
            +1min
        "#]],
    );
}

#[test]
fn who_says_how_long_he_waits_is_taken_at_his_word_and_none_is_no_wait() {
    check(
        "
        card A100 80g
        person alice
        person bob wait=45s
        alice creates train 1
        train starts
        bob creates x 1 rm
        x starts patience=0s
        x starts patience=10s
        next
        +10s
        bob creates y 1
        y starts
        +60s
        y starts patience=90s
        next
        +80s
        +20s
        ",
        &expect![[r#"
            card A100 80g
            person alice
            person bob wait=45s
            alice creates train 1        -> created
            train starts                 -> alice/train gets 0
            bob creates x 1 rm           -> created
            x starts patience=0s
                -> denied gpu.timeout: GPU allocation failed: no GPU is free.
                   Suggestions:
                     1. Stop an idle container: container stop <name> (none of yours has a GPU)
                     2. Wait for a release: held by alice/train (GPU 0 for 0 s)
                     3. Check GPU status: gpu-status
            x starts patience=10s        -> waits 1 of 1: no GPU that would do is free; held by alice/train (GPU 0 for 0 s)
            next                         -> in 10000 ms
            +10s
                -> bob/x: denied gpu.timeout: GPU allocation failed after 10 seconds.
                   Suggestions:
                     1. Stop an idle container: container stop <name> (none of yours has a GPU)
                     2. Wait for a release: held by alice/train (GPU 0 for 10 s)
                     3. Check GPU status: gpu-status
                -> remove bob/x
            bob creates y 1              -> created
            y starts                     -> waits 1 of 1: no GPU that would do is free; held by alice/train (GPU 0 for 10 s)
            +60s
                -> bob/y: denied gpu.timeout: GPU allocation failed after 45 seconds.
                   Suggestions:
                     1. Stop an idle container: container stop <name> (none of yours has a GPU)
                     2. Wait for a release: held by alice/train (GPU 0 for 55 s)
                     3. Check GPU status: gpu-status
            y starts patience=90s        -> waits 1 of 1: no GPU that would do is free; held by alice/train (GPU 0 for 1 min)
            next                         -> in 90000 ms
            +80s
            +20s
                -> bob/y: denied gpu.timeout: GPU allocation failed after 1 minute 30 seconds.
                   Suggestions:
                     1. Stop an idle container: container stop <name> (none of yours has a GPU)
                     2. Wait for a release: held by alice/train (GPU 0 for 2 min)
                     3. Check GPU status: gpu-status
        "#]],
    );
}

#[test]
fn hanging_up_leaves_the_line_and_one_start_waits_once() {
    check(
        "
        card A100 80g
        person alice
        person bob
        alice creates train 1
        train starts
        bob creates x 1
        x starts
        x starts
        x cancels
        x starts
        x is removed
        show
        ",
        &expect![[r#"
            card A100 80g
            person alice
            person bob
            alice creates train 1        -> created
            train starts                 -> alice/train gets 0
            bob creates x 1              -> created
            x starts                     -> waits 1 of 1: no GPU that would do is free; held by alice/train (GPU 0 for 0 s)
            x starts
                -> denied gpu.waiting: x waits for a gpu already
                   hint: ds01 queue shows its place in the line
            x cancels
            x starts                     -> waits 1 of 1: no GPU that would do is free; held by alice/train (GPU 0 for 0 s)
            x is removed
                -> bob/x is gone
                -> 000000000000: denied gpu.cancelled: the wait of x for a gpu was cancelled
            show                         -> 0 alice/train running
        "#]],
    );
}

#[test]
fn who_wants_many_does_not_hoard() {
    check(
        "
        card A100 80g
        card A100 80g
        person alice quota=4
        person bob quota=4
        person carol quota=4
        alice creates a1 1
        alice creates a2 1
        a1 starts
        a2 starts
        bob creates pair 2
        pair starts
        carol creates one 1
        one starts
        show
        a1 exits 0
        a2 exits 0
        show
        one exits 0
        ",
        &expect![[r#"
            card A100 80g
            card A100 80g
            person alice quota=4
            person bob quota=4
            person carol quota=4
            alice creates a1 1           -> created
            alice creates a2 1           -> created
            a1 starts                    -> alice/a1 gets 0
            a2 starts                    -> alice/a2 gets 1
            bob creates pair 2           -> created
            pair starts                  -> waits 1 of 1: no GPU that would do is free; held by alice/a1 (GPU 0 for 0 s), alice/a2 (GPU 1 for 0 s)
            carol creates one 1          -> created
            one starts                   -> waits 2 of 2: no GPU that would do is free; held by alice/a1 (GPU 0 for 0 s), alice/a2 (GPU 1 for 0 s)
            show
                -> 0 alice/a1 running
                -> 1 alice/a2 running
                -> 1. bob/pair: no GPU that would do is free
                -> 2. carol/one: no GPU that would do is free
            a1 exits 0
                -> alice/a1 ended (exit 0)
                -> alice/a1 released 0
                -> carol/one gets 0
            a2 exits 0
                -> alice/a2 ended (exit 0)
                -> alice/a2 released 1
            show
                -> 0 carol/one running
                -> 1 free, kept for alice/a2
                -> 1. bob/pair: 1 of the 2 GPUs is free
            one exits 0
                -> carol/one ended (exit 0)
                -> carol/one released 0
                -> bob/pair gets 0 1
        "#]],
    );
}

#[test]
fn who_wants_many_is_not_overtaken_for_ever() {
    check(
        "
        rules overtakes=2
        card A100 80g
        card A100 80g
        person alice quota=4 wait=1h
        person bob quota=4 wait=1h
        person carol quota=4 wait=1h
        alice creates a1 1
        alice creates a2 1
        a1 starts
        a2 starts
        bob creates pair 2
        pair starts
        carol creates c1 1
        carol creates c2 1
        carol creates c3 1
        c1 starts
        c2 starts
        c3 starts
        a1 exits 0
        c1 exits 0
        show
        c2 exits 0
        show
        carol creates c4 1
        c4 starts
        a2 exits 0
        pair exits 0
        ",
        &expect![[r#"
            rules overtakes=2
            card A100 80g
            card A100 80g
            person alice quota=4 wait=1h
            person bob quota=4 wait=1h
            person carol quota=4 wait=1h
            alice creates a1 1           -> created
            alice creates a2 1           -> created
            a1 starts                    -> alice/a1 gets 0
            a2 starts                    -> alice/a2 gets 1
            bob creates pair 2           -> created
            pair starts                  -> waits 1 of 1: no GPU that would do is free; held by alice/a1 (GPU 0 for 0 s), alice/a2 (GPU 1 for 0 s)
            carol creates c1 1           -> created
            carol creates c2 1           -> created
            carol creates c3 1           -> created
            c1 starts                    -> waits 2 of 2: no GPU that would do is free; held by alice/a1 (GPU 0 for 0 s), alice/a2 (GPU 1 for 0 s)
            c2 starts                    -> waits 3 of 3: no GPU that would do is free; held by alice/a1 (GPU 0 for 0 s), alice/a2 (GPU 1 for 0 s)
            c3 starts                    -> waits 4 of 4: no GPU that would do is free; held by alice/a1 (GPU 0 for 0 s), alice/a2 (GPU 1 for 0 s)
            a1 exits 0
                -> alice/a1 ended (exit 0)
                -> alice/a1 released 0
                -> carol/c1 gets 0
            c1 exits 0
                -> carol/c1 ended (exit 0)
                -> carol/c1 released 0
                -> carol/c2 gets 0
            show
                -> 0 carol/c2 running
                -> 1 alice/a2 running
                -> 1. bob/pair: no GPU that would do is free
                -> 2. carol/c3: no GPU that would do is free
            c2 exits 0
                -> carol/c2 ended (exit 0)
                -> carol/c2 released 0
            show
                -> 0 free, kept for carol/c2
                -> 1 alice/a2 running
                -> 1. bob/pair: 1 of the 2 GPUs is free
                -> 2. carol/c3: the next free GPU goes to somebody who has waited longer
            carol creates c4 1           -> created
            c4 starts                    -> waits 3 of 3: the next free GPU goes to somebody who has waited longer; held by alice/a2 (GPU 1 for 0 s)
            a2 exits 0
                -> alice/a2 ended (exit 0)
                -> alice/a2 released 1
                -> bob/pair gets 0 1
            pair exits 0
                -> bob/pair ended (exit 0)
                -> bob/pair released 0 1
                -> carol/c3 gets 0
                -> carol/c4 gets 1
        "#]],
    );
}

#[test]
fn a_unit_that_is_named_is_waited_for() {
    check(
        "
        card A100 80g mig 1/1 1/1
        person alice quota=2
        person bob quota=2
        alice creates a 0:0
        a starts
        bob creates b 0:0
        b starts
        bob creates c 0:1,0:0
        c starts
        b cancels
        c cancels
        a exits 0
        c starts
        show
        ",
        &expect![[r#"
            card A100 80g mig 1/1 1/1
            person alice quota=2
            person bob quota=2
            alice creates a 0:0          -> created
            a starts                     -> alice/a gets 0:0
            bob creates b 0:0            -> created
            b starts                     -> waits 1 of 1: no GPU that would do is free; held by alice/a (GPU 0:0 for 0 s)
            bob creates c 0:1,0:0        -> created
            c starts                     -> waits 2 of 2: 1 of the 2 GPUs is free; held by alice/a (GPU 0:0 for 0 s)
            b cancels
            c cancels
            a exits 0
                -> alice/a ended (exit 0)
                -> alice/a released 0:0
            c starts                     -> bob/c gets 0:1 0:0
            show
                -> 0:0 bob/c running
                -> 0:1 bob/c running
        "#]],
    );
}

#[test]
fn a_grant_that_uses_up_the_quota_ends_the_other_wait() {
    check(
        "
        card A100 80g
        card A100 80g
        person alice quota=1
        person bob quota=2
        bob creates b1 1
        bob creates b2 1
        b1 starts
        b2 starts
        alice creates a1 1
        alice creates a2 1
        a1 starts
        a2 starts
        b1 exits 0
        ",
        &expect![[r#"
            card A100 80g
            card A100 80g
            person alice quota=1
            person bob quota=2
            bob creates b1 1             -> created
            bob creates b2 1             -> created
            b1 starts                    -> bob/b1 gets 0
            b2 starts                    -> bob/b2 gets 1
            alice creates a1 1           -> created
            alice creates a2 1           -> created
            a1 starts                    -> waits 1 of 1: no GPU that would do is free; held by bob/b1 (GPU 0 for 0 s), bob/b2 (GPU 1 for 0 s)
            a2 starts                    -> waits 2 of 2: no GPU that would do is free; held by bob/b1 (GPU 0 for 0 s), bob/b2 (GPU 1 for 0 s)
            b1 exits 0
                -> bob/b1 ended (exit 0)
                -> bob/b1 released 0
                -> alice/a1 gets 0
                -> alice/a2: denied gpu.quota: gpu quota reached: alice holds 1 of 1 (a1)
                   hint: stop one, or ask an admin for more
        "#]],
    );
}

#[test]
fn what_a_user_stopped_is_waited_for_not_held_against_him() {
    check(
        "
        card A100 80g
        card A100 80g
        person alice quota=1
        alice creates a 1
        alice creates b 1
        a starts
        a cgroup stays occupied exits 0
        b starts
        a starts
        a cgroup empty
        look
        ",
        &expect![[r#"
            card A100 80g
            card A100 80g
            person alice quota=1
            alice creates a 1            -> created
            alice creates b 1            -> created
            a starts                     -> alice/a gets 0
            a cgroup stays occupied exits 0
                -> alice/a ended (exit 0)
                -> 0 is dirty
            b starts                     -> waits 1 of 1: a container that you stopped is being cleared away; held by alice/a (GPU 0 for 0 s)
            a starts                     -> waits 2 of 2: the last run of this container is being cleared away; held by alice/a (GPU 0 for 0 s)
            a cgroup empty
            look
                -> 0 is available
                -> alice/a released 0
                -> alice/b gets 0
                -> alice/a: denied gpu.quota: gpu quota reached: alice holds 1 of 1 (b)
                   hint: stop one, or ask an admin for more
        "#]],
    );
}
