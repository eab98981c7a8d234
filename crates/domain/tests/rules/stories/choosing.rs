//! Which unit a start gets: the smallest that will do, the kept ones last, the named one or none.

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
                -> denied gpu.never: this machine cannot give 1 GPU (b200): it has 0 (A100), 1:0 (3g.40gb), 1:1 (2g.20gb), 1:2 (1g.10gb)
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
                -> denied gpu.full-gpu: only a full GPU would do for 1 GPU (A100), and you may not take one
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
fn what_people_call_a_unit() {
    check(
        "
        card A100 80g mig 3/4 2/2 1/2 1/1
        card H100 80g
        person alice
        alice creates a 1 model=2g
        a starts
        alice creates b 1 model=1g.20GB
        b starts
        alice creates c 1 model=h100
        c starts
        alice creates d 1 model=1g
        d starts
        alice creates e 1 model=7g
        alice creates f 1 model=b200
        ",
        &expect![[r#"
            card A100 80g mig 3/4 2/2 1/2 1/1
            card H100 80g
            person alice
            alice creates a 1 model=2g   -> created
            a starts                     -> alice/a gets 0:1
            alice creates b 1 model=1g.20GB -> created
            b starts                     -> alice/b gets 0:2
            alice creates c 1 model=h100 -> created
            c starts                     -> alice/c gets 1
            alice creates d 1 model=1g   -> created
            d starts                     -> alice/d gets 0:3
            alice creates e 1 model=7g
                -> denied gpu.never: this machine cannot give 1 GPU (7g): it has 0:0 (3g.40gb), 0:1 (2g.20gb), 0:2 (1g.20gb), 0:3 (1g.10gb), 1 (H100)
                   hint: ask for less; gpu-status shows what there is
            alice creates f 1 model=b200
                -> denied gpu.never: this machine cannot give 1 GPU (b200): it has 0:0 (3g.40gb), 0:1 (2g.20gb), 0:2 (1g.20gb), 0:3 (1g.10gb), 1 (H100)
                   hint: ask for less; gpu-status shows what there is
        "#]],
    );
}
