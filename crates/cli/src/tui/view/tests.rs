//! The screens as people see them, driven by keys.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ds01_api::{Fact, Why};
use expect_test::{Expect, expect};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::failure::Failure;
use crate::tui::model::{Command, News};
use crate::tui::sample;

const PLAIN: Look = Look { colour: false, unicode: true };

/// The screen as text, without the blanks at the ends of its lines.
fn screen(model: &Model, columns: u16, rows: u16, look: Look) -> String {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| drop(draw(frame, model, look))).unwrap();
    let buffer = terminal.backend().buffer();
    let line =
        |y| (0..columns).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned() + "\n";
    (0..rows).map(line).collect()
}

fn press(model: &mut Model, keys: &str) -> Option<Command> {
    let mut wanted = None;
    for c in keys.chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            '\x1b' => KeyCode::Esc,
            '\x08' => KeyCode::Backspace,
            c => KeyCode::Char(c),
        };
        wanted = model.press(KeyEvent::new(code, KeyModifiers::NONE));
    }
    wanted
}

fn check(model: &Model, columns: u16, rows: u16, expected: &Expect) {
    let text = screen(model, columns, rows, PLAIN);
    for line in text.lines() {
        assert!(line.width() <= columns.into(), "{line}");
    }
    expected.assert_eq(&text);
}

#[test]
fn at_first() {
    check(
        &sample::model(),
        80,
        24,
        &expect![[r#"
            dgx1  1 of 4 GPU units free · 2 in line                                 14:00:00
            ─ GPUs ─────────────────────────────────────────────────────────────────────────
            GPU  WHAT     BUSY               FULL       MEMORY       WHO                LEFT
            0    A100      97%  ▂▄▇▇▇▇▃▁▁▄▇  ███▌░░░░░  31.2/80 GiB  bob
            1:0  3g.40gb        ▁▁▁▁▁▁▁▁▁▁▁  ▏░░░░░░░░  0.6/40 GiB   alice/train        22 h
            1:1  2g.20gb        ▁▁▁▁▁▁▁▁▁▁▁  ░░░░░░░░░  0.0/20 GiB   free, carol first
            1:2  1g.10gb                                9.5 GiB      lost
            2    A100                                   80 GiB       no slices
            ─ Containers 3, by age ─────────────────────────────────────────────────────────
            NAME    GPU          BUSY  GPU MEM  CPU   MEMORY   STATUS     AGE   LEFT
            next    (1 GPU)      -     -        -     -        waits 2/2  40 s  -
            train   1:0 3g.40gb  -     700 MiB  150%  1.5 GiB  running    2 h   22 h
            parked  -            -     -        -     -        running    1 d   4 min, idle
            ─ People 3 ─ Line 2 ─ What happened ────────────────────────────────────────────
            TIME      EVENT    OF            GPU
            13:59:30  queued   alice/next         1 GPU
            13:59:00  unit                   1:2  is gone from the machine
            13:50:00  warned   alice/parked  1:1  its GPU is idle; it is stopped in 15 min
            13:10:00  granted  alice/train   1:0  after a wait of 5 s




            q quit  Tab list  s sort  / filter  w why  K keep  x stop  ? help
        "#]],
    );
}

#[test]
fn a_machine_of_which_nothing_is_told() {
    let mut model = Model::new();
    let mut snapshot = sample::snapshot(0);
    snapshot.machine.figures_age_seconds = None;
    for unit in snapshot.machine.cards.iter_mut().flat_map(|card| &mut card.units) {
        unit.figures = ds01_api::Figures::default();
    }
    model.hear(News::Seen(Box::new(snapshot)));
    check(
        &model,
        80,
        24,
        &expect![[r#"
        dgx1  1 of 4 GPU units free · 2 in line                                 14:00:00
        ─ GPUs ─────────────────────────────────────────────────────────────────────────
        GPU  WHAT                       MEMORY   WHO                HELD  LEFT
        0    A100     ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒  80 GiB   bob                2 h
        1:0  3g.40gb  ▒▒▒▒▒▒▒▒          40 GiB   alice/train        2 h   22 h
        1:1  2g.20gb  ░░░░              20 GiB   free, carol first
        1:2  1g.10gb  ▒                 9.5 GiB  lost
        2    A100                       80 GiB   no slices
        ─ Containers 3, by age ─────────────────────────────────────────────────────────
        NAME    GPU          BUSY  GPU MEM  CPU  MEMORY  STATUS     AGE   LEFT
        next    (1 GPU)      -     -        -    -       waits 2/2  40 s  -
        train   1:0 3g.40gb  -     700 MiB  -    -       running    2 h   22 h
        parked  -            -     -        -    -       running    1 d   4 min, idle
        ─ People 3 ─ Line 2 ─ What happened ────────────────────────────────────────────
        Nothing in the last hour.








        q quit  Tab list  s sort  / filter  w why  K keep  x stop  ? help
    "#]],
    );
    assert_eq!(screen(&model, 200, 60, PLAIN).lines().nth(4).unwrap().split_whitespace().next(), Some("1:0"));
}

#[test]
fn on_a_large_screen() {
    check(
        &sample::model(),
        200,
        60,
        &expect![[r#"
            dgx1  1 of 4 GPU units free · 2 in line                                                                                                                                                         14:00:00
            ─ GPUs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
            GPU  WHAT     BUSY                                                                                                                                            MEMORY       WHO                HELD  LEFT
            0    A100      97%  ███████████████████████▎                                                                                                      ▁▆▇▇▇    ▇  31.2/80 GiB  bob                2 h
                                █████████▎░░░░░░░░░░░░░░                                                                                                  ▁▁▁▅█████▆▁▁██
            1:0  3g.40gb                                                                                                                                                  0.6/40 GiB   alice/train        2 h   22 h
                                ▍░░░░░░░░░░░░░░░░░░░░░░░                                                                                                  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁
            1:1  2g.20gb                                                                                                                                                  0.0/20 GiB   free, carol first
                                ░░░░░░░░░░░░░░░░░░░░░░░░                                                                                                  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁
            1:2  1g.10gb                                                                                                                                                  9.5 GiB      lost

            2    A100                                                                                                                                                     80 GiB       no slices

            ─ Containers 3, by age ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
            NAME    GPU          BUSY  GPU MEM  CPU   MEMORY   STATUS     AGE   LEFT         IMAGE
            next    (1 GPU)      -     -        -     -        waits 2/2  40 s  -            ds01-alice/next:latest
            train   1:0 3g.40gb  -     700 MiB  150%  1.5 GiB  running    2 h   22 h         ds01-alice/train:latest
            parked  -            -     -        -     -        running    1 d   4 min, idle  ds01-alice/parked:latest












            ─ People 3 ──────────────────────────────── ─ Line 2 ───────────────────────────────────────────────────────────────── ─ What happened ────────────────────────────────────────────────────────────────
            USER   GPUS  UNITS  IN LINE  RUNNING            USER   CONTAINER  LEFT        EXPECTED                                 TIME      EVENT    OF            GPU
            bob    1     0      -        -              1.  carol  -          1 min 30 s  expected 14:20, if bob stays idle; at t… 13:59:30  queued   alice/next         1 GPU
            alice  0.5   1:0    1        2              2.  alice  next       2 min 30 s  all 4 units are held                     13:59:00  unit                   1:2  is gone from the machine
            carol  0            1        -                                                                                         13:50:00  warned   alice/parked  1:1  its GPU is idle; it is stopped in 15 min
                                                                                                                                   13:10:00  granted  alice/train   1:0  after a wait of 5 s























            q quit  Tab list  s sort  / filter  w why  K keep  x stop  ? help
        "#]],
    );
}

#[test]
fn sorted_and_filtered() {
    let mut model = sample::model();
    press(&mut model, "sjj/par");
    check(
        &model,
        80,
        24,
        &expect![[r#"
            dgx1  1 of 4 GPU units free · 2 in line                                 14:00:00
            ─ GPUs ─────────────────────────────────────────────────────────────────────────
            GPU  WHAT     BUSY               FULL       MEMORY       WHO                LEFT
            0    A100      97%  ▂▄▇▇▇▇▃▁▁▄▇  ███▌░░░░░  31.2/80 GiB  bob
            1:0  3g.40gb        ▁▁▁▁▁▁▁▁▁▁▁  ▏░░░░░░░░  0.6/40 GiB   alice/train        22 h
            1:1  2g.20gb        ▁▁▁▁▁▁▁▁▁▁▁  ░░░░░░░░░  0.0/20 GiB   free, carol first
            1:2  1g.10gb                                9.5 GiB      lost
            2    A100                                   80 GiB       no slices
            ─ Containers 1, by name ────────────────────────────────────────────────────────
            NAME    GPU  BUSY  GPU MEM  CPU  MEMORY  STATUS   AGE  LEFT
            parked  -    -     -        -    -       running  1 d  4 min, idle

            ─ People 0 ─ Line 0 ─ What happened ────────────────────────────────────────────
            TIME      EVENT   OF            GPU
            13:50:00  warned  alice/parked  1:1  its GPU is idle; it is stopped in 15 min








            show only what has in it: par
        "#]],
    );
    assert_eq!(press(&mut model, "\nx"), None);
    check(
        &model,
        80,
        24,
        &expect![[r#"
            dgx1  1 of 4 GPU units free · 2 in line                                 14:00:00
            ─ GPUs ─────────────────────────────────────────────────────────────────────────
            GPU  WHAT     BUSY               FULL       MEMORY       WHO                LEFT
            0    A100      97%  ▂▄▇▇▇▇▃▁▁▄▇  ███▌░░░░░  31.2/80 GiB  bob
            1:0  3g.40gb        ▁▁▁▁▁▁▁▁▁▁▁  ▏░░░░░░░░  0.6/40 GiB   alice/train        22 h
            1:1  2g.20gb        ▁▁▁▁▁▁▁▁▁▁▁  ░░░░░░░░░  0.0/20 GiB   free, carol first
            1:2  1g.10gb                                9.5 GiB      lost
            2    A100                                   80 GiB       no slices
            ─ Containers 1, by name ────────────────────────────────────────────────────────
            NAME    GPU  BUSY  GPU MEM  CPU  MEMORY  STATUS   AGE  LEFT
            parked  -    -     -        -    -       running  1 d  4 min, idle

            ─ People 0 ─ Line 0 ─ What happened ────────────────────────────────────────────
            TIME      EVENT   OF            GPU
            13:50:00  warned  alice/parked  1:1  its GPU is idle; it is stopped in 15 min








            stop parked? What runs in it ends. y/n
        "#]],
    );
}

#[test]
fn lists_below() {
    let mut model = sample::model();
    press(&mut model, "\t");
    check(
        &model,
        80,
        24,
        &expect![[r#"
            dgx1  1 of 4 GPU units free · 2 in line                                 14:00:00
            ─ GPUs ─────────────────────────────────────────────────────────────────────────
            GPU  WHAT     BUSY               FULL       MEMORY       WHO                LEFT
            0    A100      97%  ▂▄▇▇▇▇▃▁▁▄▇  ███▌░░░░░  31.2/80 GiB  bob
            1:0  3g.40gb        ▁▁▁▁▁▁▁▁▁▁▁  ▏░░░░░░░░  0.6/40 GiB   alice/train        22 h
            1:1  2g.20gb        ▁▁▁▁▁▁▁▁▁▁▁  ░░░░░░░░░  0.0/20 GiB   free, carol first
            1:2  1g.10gb                                9.5 GiB      lost
            2    A100                                   80 GiB       no slices
            ─ Containers 3, by age ─────────────────────────────────────────────────────────
            NAME    GPU          BUSY  GPU MEM  CPU   MEMORY   STATUS     AGE   LEFT
            next    (1 GPU)      -     -        -     -        waits 2/2  40 s  -
            train   1:0 3g.40gb  -     700 MiB  150%  1.5 GiB  running    2 h   22 h
            parked  -            -     -        -     -        running    1 d   4 min, idle
            ─ People 3 ─ Line 2 ─ What happened ────────────────────────────────────────────
            USER   GPUS  UNITS  IN LINE  RUNNING
            bob    1     0      -        -
            alice  0.5   1:0    1        2
            carol  0            1        -





            q quit  Tab list  s sort  / filter  w why  K keep  x stop  ? help
        "#]],
    );
    press(&mut model, "\tj");
    check(
        &model,
        80,
        24,
        &expect![[r#"
            dgx1  1 of 4 GPU units free · 2 in line                                 14:00:00
            ─ GPUs ─────────────────────────────────────────────────────────────────────────
            GPU  WHAT     BUSY               FULL       MEMORY       WHO                LEFT
            0    A100      97%  ▂▄▇▇▇▇▃▁▁▄▇  ███▌░░░░░  31.2/80 GiB  bob
            1:0  3g.40gb        ▁▁▁▁▁▁▁▁▁▁▁  ▏░░░░░░░░  0.6/40 GiB   alice/train        22 h
            1:1  2g.20gb        ▁▁▁▁▁▁▁▁▁▁▁  ░░░░░░░░░  0.0/20 GiB   free, carol first
            1:2  1g.10gb                                9.5 GiB      lost
            2    A100                                   80 GiB       no slices
            ─ Containers 3, by age ─────────────────────────────────────────────────────────
            NAME    GPU          BUSY  GPU MEM  CPU   MEMORY   STATUS     AGE   LEFT
            next    (1 GPU)      -     -        -     -        waits 2/2  40 s  -
            train   1:0 3g.40gb  -     700 MiB  150%  1.5 GiB  running    2 h   22 h
            parked  -            -     -        -     -        running    1 d   4 min, idle
            ─ People 3 ─ Line 2 ─ What happened ────────────────────────────────────────────
                USER   CONTAINER  WANTS   LEFT        EXPECTED
            1.  carol  -          2 GPUs  1 min 30 s  expected 14:20, if bob stays idle; at…
            2.  alice  next       1 GPU   2 min 30 s  all 4 units are held






            q quit  Tab list  s sort  / filter  w why  K keep  x stop  ? help
        "#]],
    );
}

#[test]
fn why_and_help() {
    let mut model = sample::model();
    assert_eq!(press(&mut model, "jw"), Some(Command::Why { id: "train-alice".to_owned() }));
    let fact = |label: &str, text: &str| Fact { label: label.to_owned(), text: text.to_owned() };
    let why = Why {
        name: "train._.alice".to_owned(),
        verdict: "train runs and holds GPU 1:0 (A100-SXM4-80GB 3g.40gb, 40 GiB)".to_owned(),
        facts: vec![
            fact(
                "idle",
                "since 12 min, of 30 min: after that it is stopped, with a warning on your terminals before",
            ),
            fact("run time", "2 h 10 min of 1 d"),
        ],
        next: vec!["ds01 keep train --for 2h".to_owned()],
    };
    model.hear(News::Why(Ok(why)));
    check(
        &model,
        80,
        24,
        &expect![[r#"
            dgx1  1 of 4 GPU units free · 2 in line                                 14:00:00
            ─ GPUs ─────────────────────────────────────────────────────────────────────────
            GPU  WHAT     BUSY               FULL       MEMORY       WHO                LEFT
            0    A100      97%  ▂▄▇▇▇▇▃▁▁▄▇  ███▌░░░░░  31.2/80 GiB  bob
            1:0  3g.40gb        ▁▁▁▁▁▁▁▁▁▁▁  ▏░░░░░░░░  0.6/40 GiB   alice/train        22 h
            1:1  2g.20gb        ▁▁▁▁▁▁▁▁▁▁▁  ░░░░░░░░░  0.0/20 GiB   free, carol first
            1:2  1g.10gb                                9.5 GiB      lost
            2 ┌ why train ───────────────────────────────────────────────────────────────┐
            ─ │ train runs and holds GPU 1:0 (A100-SXM4-80GB 3g.40gb, 40 GiB)            │──
            NA│                                                                          │
            ne│ idle      since 12 min, of 30 min: after that it is stopped, with a      │
            tr│           warning on your terminals before                               │
            pa│ run time  2 h 10 min of 1 d                                              │e
            ─ │                                                                          │──
            TI│ ds01 keep train --for 2h                                                 │
            13└──────────────────────────────────────────────────── any other key closes ┘
            13:59:00  unit                   1:2  is gone from the machine
            13:50:00  warned   alice/parked  1:1  its GPU is idle; it is stopped in 15 min
            13:10:00  granted  alice/train   1:0  after a wait of 5 s




            q quit  Tab list  s sort  / filter  w why  K keep  x stop  ? help
        "#]],
    );
    press(&mut model, "q?");
    check(
        &model,
        80,
        24,
        &expect![[r#"
            dgx1  1 of 4 GPU units free · 2 in line                                 14:00:00
            ─ GPUs ─────────────────────────────────────────────────────────────────────────
            GPU  WHAT     BUSY               FULL       MEMORY       WHO                LEFT
            0    A100      97%  ▂▄▇▇▇▇▃▁▁▄▇  ███▌░░░░░  31.2/80 GiB  bob
            1:┌ help ────────────────────────────────────────────────────────────────────┐ h
            1:│ arrows, j k  up and down; Page Up, Page Down, g, G go further            │
            1:│ Tab, h l     to the next list, or the one before                         │
            2 │ s            sort containers: age, name, user, use, memory, time left    │
            ─ │ /            show only what has a word in it; Esc shows all again        │──
            NA│ w, Enter     why a container is as it is                                 │
            ne│ K            keep a container of yours whose GPU is idle                 │
            tr│ x            stop a container of yours; you are asked first              │
            pa│ r            look at everything anew, now                                │e
            ─ │ Ctrl-Z       put this into the background; fg brings it back             │──
            TI│ q, Ctrl-C    leave                                                       │
            13│ BUSY, curve  the card's computing in the last minutes; a slice's curve   │
            13│              is its memory, for the driver tells no more                 │
            13│ FULL         memory in use, whoever uses it                              │
            13│ LEFT         until DS01 stops it; in brackets where it only observes     │
              └──────────────────────────────────────────────────── any other key closes ┘



            q quit  Tab list  s sort  / filter  w why  K keep  x stop  ? help
        "#]],
    );
}

#[test]
fn what_is_longer_than_the_window_is_scrolled() {
    let mut model = sample::model();
    press(&mut model, "?");
    let seen = screen(&model, 60, 14, PLAIN);
    assert!(
        seen.contains("arrows, j k") && seen.contains("arrows scroll") && !seen.contains("LEFT   "),
        "{seen}"
    );
    press(&mut model, &"j".repeat(40));
    let seen = screen(&model, 60, 14, PLAIN);
    assert!(!seen.contains("arrows, j k") && seen.contains("LEFT "), "{seen}");
    press(&mut model, "x");
    assert!(!screen(&model, 60, 14, PLAIN).contains("help ──"), "any other key closes it");
}

#[test]
fn questions_and_answers() {
    let mut model = sample::model();
    press(&mut model, "jK");
    let last = |model: &Model| screen(model, 80, 24, PLAIN).lines().last().unwrap().to_owned();
    assert_eq!(last(&model), "keep train for how long? 2h");
    press(&mut model, "m\n");
    assert_eq!(last(&model), "write a duration such as 90s, 3m or 1h30m");
    model.hear(News::Done(Err(Failure::usage("the budget is spent").with_hint("ask an admin"))));
    assert_eq!(last(&model), "the budget is spent (ask an admin)");
    model.hear(News::Done(Ok("train is not stopped for an idle GPU for 2 h.\n".to_owned())));
    assert_eq!(last(&model), "train is not stopped for an idle GPU for 2 h.");
}

#[test]
fn in_ascii_without_colours() {
    let text = screen(&sample::model(), 80, 24, Look { colour: false, unicode: false });
    assert!(text.is_ascii(), "{text}");
    expect![[r#"
        dgx1  1 of 4 GPU units free - 2 in line                                 14:00:00
        - GPUs -------------------------------------------------------------------------
        GPU  WHAT     BUSY               FULL       MEMORY       WHO                LEFT
        0    A100      97%  .:####:__:#  ####.....  31.2/80 GiB  bob
        1:0  3g.40gb        ___________  :........  0.6/40 GiB   alice/train        22 h
        1:1  2g.20gb        ___________  .........  0.0/20 GiB   free, carol first
        1:2  1g.10gb                                9.5 GiB      lost
        2    A100                                   80 GiB       no slices
        - Containers 3, by age ---------------------------------------------------------
    "#]]
    .assert_eq(&text.lines().take(9).fold(String::new(), |text, line| text + line + "\n"));
}

#[test]
fn colours_are_left_out_where_they_are_refused() {
    let colours = |colour| {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| drop(draw(frame, &sample::model(), Look { colour, unicode: true }))).unwrap();
        let cells = terminal.backend().buffer().content().iter();
        cells.filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset).count()
    };
    assert!(colours(true) > 50);
    assert_eq!(colours(false), 0);
}

#[test]
fn any_window_can_be_drawn_in() {
    let mut model = sample::model();
    for keys in ["", "?", "\x1b\tw", "\x1b\t\t\tjjjj", "/some thing long that nobody has\n"] {
        press(&mut model, keys);
        for (columns, rows) in
            [(1, 1), (39, 11), (40, 12), (41, 13), (60, 15), (80, 24), (131, 39), (132, 40), (300, 100)]
        {
            screen(&model, columns, rows, PLAIN);
        }
    }
    check(
        &model,
        30,
        2,
        &expect![[r#"
            too small: 40x12 needed

        "#]],
    );
}

#[test]
fn a_door_that_went_away_is_told_of_above_what_was_seen_last() {
    let mut model = sample::model();
    model
        .hear(News::Trouble("ds01d does not answer at /run/ds01/docker.sock: Connection refused".to_owned()));
    let text = screen(&model, 80, 24, PLAIN);
    expect!["dgx1  1 of 4 GPU units free · 2 in line · ds01d does not answer at /run/ds01/do…"]
        .assert_eq(text.lines().next().unwrap());
    assert!(text.contains("train"), "{text}");
    model.hear(News::Seen(Box::new(sample::snapshot(3))));
    assert!(!screen(&model, 80, 24, PLAIN).contains("answer"));
}
