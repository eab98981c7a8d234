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
        &expect![[r#"
            card A100 80g
            card A100 80g mig 3/4 2/2 1/1 1/1
            person alice quota=2
            person bob quota=2
            alice creates train 1        -> created
            train starts                 -> alice/train gets 1:2
            bob creates x 1 min=15g      -> created
            x starts                     -> bob/x gets 1:1
            bob creates big full         -> created
            big starts                   -> bob/big gets 0
            alice creates y full         -> created
            y starts                     -> waits 1 of 1: no GPU that would do is free; held by bob/big (GPU 0 for 0 s)
            show
                -> 0 bob/big running
                -> 1:0 free
                -> 1:1 bob/x running
                -> 1:2 alice/train running
                -> 1:3 free
                -> 1. alice/y: no GPU that would do is free
            train starts                 -> holds its units already
            big exits 0
                -> bob/big ended (exit 0)
                -> bob/big released 0
                -> alice/y gets 0
            show
                -> 0 alice/y running
                -> 1:0 free
                -> 1:1 bob/x running
                -> 1:2 alice/train running
                -> 1:3 free
        "#]],
    );
}

#[test]
fn what_can_never_be_is_denied_at_create() {
    check(
        "
        card A100 80g
        card H100 80g mig 3/4 2/2 1/1
        person alice quota=1.2 slots=2
        person bob quota=4 full=no
        person eve quota=0.5
        person root admin
        alice creates a 3
        root creates a 9
        root creates a 1 min=100g
        root creates a 1 model=b200
        root creates a 1 model=h100 min=40g
        alice creates a 2 min=40g
        eve creates a full
        bob creates a full
        bob creates a 1 min=60g
        bob creates a 1 model=A100
        alice creates b #0
        alice creates c #1
        alice creates c GPU-1
        alice creates c #7
        alice creates c 1:5
        alice creates c GPU-1234
        alice creates c 1:1,1:1,mig-1-2
        alice creates d 0
        bob creates e none
        e starts
        ",
        &expect![[r#"
            card A100 80g
            card H100 80g mig 3/4 2/2 1/1
            person alice quota=1.2 slots=2
            person bob quota=4 full=no
            person eve quota=0.5
            person root admin
            alice creates a 3
                -> denied gpu.slots: gpu limit per container: 3 asked for, 2 allowed
                   hint: ask for fewer GPUs in one container
            root creates a 9
                -> denied gpu.never: this machine cannot give 9 GPUs: 4 would do, and it has 0 (A100), 1:0 (3g.40gb), 1:1 (2g.20gb), 1:2 (1g.10gb)
                   hint: ask for less; gpu-status shows what there is
            root creates a 1 min=100g
                -> denied gpu.never: this machine cannot give 1 GPU with at least 100 GiB: it has 0 (A100), 1:0 (3g.40gb), 1:1 (2g.20gb), 1:2 (1g.10gb)
                   hint: ask for less; gpu-status shows what there is
            root creates a 1 model=b200
                -> denied gpu.never: this machine cannot give 1 GPU of model b200: it has 0 (A100), 1:0 (3g.40gb), 1:1 (2g.20gb), 1:2 (1g.10gb)
                   hint: ask for less; gpu-status shows what there is
            root creates a 1 model=h100 min=40g -> created
            alice creates a 2 min=40g
                -> denied gpu.quota: gpu quota exceeded: 2 GPUs with at least 40 GiB would count as 1.5, and alice may hold 1.2
                   hint: ask for less, or ask an admin for more
            eve creates a full
                -> denied gpu.quota: gpu quota exceeded: 1 full GPU would count as 1, and eve may hold 0.5
                   hint: ask for less, or ask an admin for more
            bob creates a full
                -> denied gpu.full-gpu: only a full GPU would do for 1 full GPU, and you may not take one
                   hint: ask for a slice, or ask an admin to allow full GPUs
            bob creates a 1 min=60g
                -> denied gpu.full-gpu: only a full GPU would do for 1 GPU with at least 60 GiB, and you may not take one
                   hint: ask for a slice, or ask an admin to allow full GPUs
            bob creates a 1 model=A100
                -> denied gpu.full-gpu: only a full GPU would do for 1 GPU of model A100, and you may not take one
                   hint: ask for a slice, or ask an admin to allow full GPUs
            alice creates b #0           -> created
            alice creates c #1
                -> denied gpu.unknown-unit: gpu 1 is cut into slices: 1:0 (3g.40gb), 1:1 (2g.20gb), 1:2 (1g.10gb)
                   hint: name one of the slices, or ask for a number of GPUs
            alice creates c GPU-1
                -> denied gpu.unknown-unit: gpu GPU-1 is cut into slices: 1:0 (3g.40gb), 1:1 (2g.20gb), 1:2 (1g.10gb)
                   hint: name one of the slices, or ask for a number of GPUs
            alice creates c #7
                -> denied gpu.unknown-unit: there is no gpu 7; there are 0 (A100), 1:0 (3g.40gb), 1:1 (2g.20gb), 1:2 (1g.10gb)
                   hint: ask for a number of GPUs instead, or look at gpu-status
            alice creates c 1:5
                -> denied gpu.unknown-unit: there is no gpu 1:5; there are 0 (A100), 1:0 (3g.40gb), 1:1 (2g.20gb), 1:2 (1g.10gb)
                   hint: ask for a number of GPUs instead, or look at gpu-status
            alice creates c GPU-1234
                -> denied gpu.unknown-unit: there is no gpu GPU-1234; there are 0 (A100), 1:0 (3g.40gb), 1:1 (2g.20gb), 1:2 (1g.10gb)
                   hint: ask for a number of GPUs instead, or look at gpu-status
            alice creates c 1:1,1:1,mig-1-2 -> created
            alice creates d 0            -> created
            bob creates e none           -> created
            e starts                     -> needs no gpu
        "#]],
    );
}

#[test]
fn a_machine_without_gpus_says_so() {
    check(
        "
        person alice
        alice creates a 1
        alice creates a #0
        ",
        &expect![[r#"
            person alice
            alice creates a 1
                -> denied gpu.never: this machine has no gpu
                   hint: ask for less; gpu-status shows what there is
            alice creates a #0
                -> denied gpu.unknown-unit: there is no gpu 0: this machine has no gpu
                   hint: ask for a number of GPUs instead, or look at gpu-status
        "#]],
    );
}

#[test]
fn containers_per_user_are_counted() {
    check(
        "
        person alice containers=1
        alice creates a none
        a starts
        alice creates b none
        ",
        &expect![[r#"
            person alice containers=1
            alice creates a none         -> created
            a starts                     -> needs no gpu
            alice creates b none
                -> denied containers.quota: container quota reached: 1 of 1 containers run
                   hint: stop one; container list shows them
        "#]],
    );
}

#[test]
fn the_quota_says_who_holds_what() {
    check(
        "
        card A100 80g
        card A100 80g
        card A100 80g mig 1/1 1/1
        person alice quota=2
        alice creates train-a full
        alice creates train-b full
        alice creates train-c full
        alice creates small 1
        train-a starts
        train-b starts
        train-c starts
        small starts
        train-b exits 0
        train-c starts
        ",
        &expect![[r#"
            card A100 80g
            card A100 80g
            card A100 80g mig 1/1 1/1
            person alice quota=2
            alice creates train-a full   -> created
            alice creates train-b full   -> created
            alice creates train-c full   -> created
            alice creates small 1        -> created
            train-a starts               -> alice/train-a gets 0
            train-b starts               -> alice/train-b gets 1
            train-c starts
                -> denied gpu.quota: gpu quota reached: alice holds 2 of 2 (train-a, train-b)
                   hint: stop one, or ask an admin for more
            small starts
                -> denied gpu.quota: gpu quota reached: alice holds 2 of 2 (train-a, train-b)
                   hint: stop one, or ask an admin for more
            train-b exits 0
                -> alice/train-b ended (exit 0)
                -> alice/train-b released 1
            train-c starts               -> alice/train-c gets 1
        "#]],
    );
}

#[test]
fn within_the_quota_a_smaller_unit_is_taken() {
    check(
        "
        card A100 80g mig 4/4 1/1
        card A100 80g
        person alice quota=1
        alice creates first 1 min=40g
        first starts
        alice creates second 1
        second starts
        alice creates third 1
        third starts
        alice creates fourth full
        fourth starts
        ",
        &expect![[r#"
            card A100 80g mig 4/4 1/1
            card A100 80g
            person alice quota=1
            alice creates first 1 min=40g -> created
            first starts                 -> alice/first gets 0:0
            alice creates second 1       -> created
            second starts                -> alice/second gets 0:1
            alice creates third 1        -> created
            third starts
                -> denied gpu.quota: gpu quota reached: alice holds 0.714 of 1 (first, second), and 1 GPU needs 1 more
                   hint: stop one, or ask an admin for more
            alice creates fourth full    -> created
            fourth starts
                -> denied gpu.quota: gpu quota reached: alice holds 0.714 of 1 (first, second), and 1 full GPU needs 1 more
                   hint: stop one, or ask an admin for more
        "#]],
    );
}

#[test]
fn slices_of_one_card_never_weigh_more_than_the_card() {
    check(
        "
        card A100 80g mig 4/4 3/4
        person alice quota=1
        alice creates both 2
        both starts
        ",
        &expect![[r#"
            card A100 80g mig 4/4 3/4
            person alice quota=1
            alice creates both 2         -> created
            both starts                  -> alice/both gets 0:0 0:1
        "#]],
    );
}

#[test]
fn a_stopped_container_has_its_unit_kept_to_the_last() {
    check(
        "
        card A100 80g
        card A100 80g
        card A100 80g
        person alice quota=3
        person bob quota=3
        alice creates train full
        train starts
        alice creates eval full
        eval starts
        train stops
        show
        bob creates x full
        x starts
        eval stops
        show
        train starts
        +20min
        show
        ",
        &expect![[r#"
            card A100 80g
            card A100 80g
            card A100 80g
            person alice quota=3
            person bob quota=3
            alice creates train full     -> created
            train starts                 -> alice/train gets 0
            alice creates eval full      -> created
            eval starts                  -> alice/eval gets 1
            train stops
                -> alice/train ended (exit 137)
                -> alice/train released 0
            show
                -> 0 free, kept for alice/train
                -> 1 alice/eval running
                -> 2 free
            bob creates x full           -> created
            x starts                     -> bob/x gets 2
            eval stops
                -> alice/eval ended (exit 137)
                -> alice/eval released 1
            show
                -> 0 free, kept for alice/train
                -> 1 free, kept for alice/eval
                -> 2 bob/x running
            train starts                 -> alice/train gets 0
            +20min
            show
                -> 0 alice/train running
                -> 1 free
                -> 2 bob/x running
        "#]],
    );
}

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
fn the_owner_of_a_kept_unit_gets_it_in_a_new_container_too() {
    check(
        "
        card A100 80g
        card A100 80g
        person alice
        person bob
        alice creates old 1
        alice creates other 1
        old starts
        other starts
        other is removed
        show
        alice creates new 1
        old stops
        bob creates x 1
        new starts
        x starts
        ",
        &expect![[r#"
            card A100 80g
            card A100 80g
            person alice
            person bob
            alice creates old 1          -> created
            alice creates other 1        -> created
            old starts                   -> alice/old gets 0
            other starts                 -> alice/other gets 1
            other is removed
                -> alice/other ended (no exit code)
                -> alice/other released 1
                -> alice/other is gone
            show
                -> 0 alice/old running
                -> 1 free, kept for 000000000000
            alice creates new 1          -> created
            old stops
                -> alice/old ended (exit 137)
                -> alice/old released 0
            bob creates x 1              -> created
            new starts                   -> alice/new gets 0
            x starts                     -> bob/x gets 1
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
fn patience_shortens_a_wait_and_none_is_no_wait() {
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
fn units_come_and_go() {
    check(
        "
        card A100 80g
        card A100 80g
        person alice quota=2
        alice creates a #1
        alice creates b #0
        a starts
        unit 1 gone
        show
        a exits 0
        a starts
        unit 0 gone
        b starts
        alice creates c 1
        ",
        &expect![[r#"
            card A100 80g
            card A100 80g
            person alice quota=2
            alice creates a #1           -> created
            alice creates b #0           -> created
            a starts                     -> alice/a gets 1
            unit 1 gone                  -> 1 is gone
            show
                -> 0 free
                -> 1 alice/a running, lost
            a exits 0
                -> alice/a ended (exit 0)
                -> alice/a released 1
            a starts
                -> denied gpu.unknown-unit: there is no gpu GPU-1; there are 0 (A100)
                   hint: ask for a number of GPUs instead, or look at gpu-status
            unit 0 gone                  -> 0 is gone
            b starts
                -> denied gpu.unknown-unit: there is no gpu GPU-0: this machine has no gpu
                   hint: ask for a number of GPUs instead, or look at gpu-status
            alice creates c 1
                -> denied gpu.never: this machine has no gpu
                   hint: ask for less; gpu-status shows what there is
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

#[test]
fn an_admin_has_no_quota_and_shares_no_unit() {
    check(
        "
        card A100 80g
        person root admin
        root creates a 1
        root creates b 1
        a starts
        b starts
        ",
        &expect![[r#"
            card A100 80g
            person root admin
            root creates a 1             -> created
            root creates b 1             -> created
            a starts                     -> root/a gets 0
            b starts                     -> waits 1 of 1: no GPU that would do is free; held by root/a (GPU 0 for 0 s)
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
