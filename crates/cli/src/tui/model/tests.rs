//! Keys and news as stories.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::*;
use crate::tui::sample;

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

fn names(model: &Model) -> Vec<String> {
    let name = |row: Row<'_>| match row {
        Row::Container(container) => container.short_name().to_owned(),
        other => panic!("{other:?}"),
    };
    model.rows(Pane::Containers).into_iter().map(name).collect()
}

fn chosen(model: &Model) -> String {
    names(model)[model.cursor(Pane::Containers)].clone()
}

#[test]
fn the_cursor_stays_on_its_container() {
    let mut model = sample::model();
    press(&mut model, "j");
    assert_eq!(chosen(&model), "train");
    press(&mut model, "s");
    assert_eq!(
        (names(&model), chosen(&model).as_str()),
        (["next", "parked", "train"].map(str::to_owned).to_vec(), "train")
    );
    let mut snapshot = sample::snapshot(0);
    snapshot.containers.containers.insert(0, sample::container("a-new-one", "alice", 1));
    model.hear(News::Seen(Box::new(snapshot.clone())));
    assert_eq!(chosen(&model), "train");
    // It is gone: the one that stands there now.
    snapshot.containers.containers.retain(|container| container.short_name() != "train");
    model.hear(News::Seen(Box::new(snapshot)));
    assert_eq!(chosen(&model), "parked");
    press(&mut model, "kkkkk");
    assert_eq!(chosen(&model), "a-new-one");
    press(&mut model, "G");
    assert_eq!(chosen(&model), "parked");
}

#[test]
fn every_order() {
    let mut model = sample::model();
    let mut seen = Vec::new();
    for _ in 0..Sort::ALL.len() {
        seen.push(format!("{}: {}", model.sort.word(), names(&model).join(" ")));
        press(&mut model, "s");
    }
    assert_eq!(
        seen,
        [
            "age: next train parked",
            "name: next parked train",
            "user: next train parked",
            "use: train next parked",
            "memory: train next parked",
            "time left: parked train next",
        ]
    );
    assert_eq!(model.sort, Sort::Age);
}

#[test]
fn own_ones_are_kept_and_stopped_after_a_question() {
    let mut model = sample::model();
    let (id, name) = ("train-alice".to_owned(), "train".to_owned());
    assert_eq!(
        press(&mut model, "jK\x08\x0890m\n"),
        Some(Command::Keep { id: id.clone(), name: name.clone(), seconds: 5400 })
    );
    for no in ["n", "\n", "\x1b", "q", " "] {
        assert_eq!(press(&mut model, &format!("x{no}")), None, "{no:?}");
        assert!(matches!(model.mode, Mode::Look));
    }
    assert_eq!(press(&mut model, "xy"), Some(Command::Stop { id, name }));

    let mut snapshot = sample::snapshot(0);
    snapshot.containers.containers = vec![sample::container("eval", "bob", 10)];
    model.hear(News::Seen(Box::new(snapshot)));
    for key in ["x", "K"] {
        assert_eq!(press(&mut model, key), None);
        assert!(
            model.message.as_ref().is_some_and(|message| message.text.contains("eval._.bob is not yours"))
        );
        assert!(matches!(model.mode, Mode::Look), "{key}");
    }
    // An administrator sees why, all the same.
    assert_eq!(press(&mut model, "w"), Some(Command::Why { id: "eval-bob".to_owned() }));
}

#[test]
fn a_container_is_meant_wherever_it_stands() {
    let mut model = sample::model();
    let why = |id: &str| Some(Command::Why { id: id.to_owned() });
    // Of units: bob's, whose container is not shown; then one's own.
    model.pane = Pane::Gpus;
    assert_eq!(press(&mut model, "w"), None);
    assert!(model.message.is_some());
    assert_eq!(press(&mut model, "jw"), why("train-alice"));
    press(&mut model, "\x1b\t\t\t");
    assert_eq!(model.pane, Pane::Line);
    assert_eq!(press(&mut model, "jw"), why("next-alice"));
    press(&mut model, "\x1b\t");
    assert_eq!(press(&mut model, "w"), why("next-alice"), "the newest event");
}

#[test]
fn control_keys_and_the_end() {
    let mut model = sample::model();
    let control = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
    assert_eq!(model.press(control('c')), Some(Command::Leave(130)));
    assert_eq!(model.press(control('z')), Some(Command::Suspend));
    assert_eq!(press(&mut model, "/q"), None, "typed, not meant");
    assert_eq!(model.press(control('c')), Some(Command::Leave(130)), "wherever one is");
    assert_eq!(press(&mut model, "\nq"), Some(Command::Leave(0)));
    assert_eq!(model.filter, "q");
    assert_eq!(press(&mut model, "\x1b"), None);
    assert_eq!(model.filter, "");
}

#[test]
fn nothing_grows_for_ever() {
    let mut model = sample::model();
    for second in 0..600 {
        let line = sample::line(second, "granted", "alice", "train", &[], "");
        model.hear(News::Happened(Box::new(line)));
        let mut snapshot = sample::snapshot(u32::try_from(second % 100).unwrap());
        snapshot.containers.containers = vec![sample::container(&format!("run-{second}"), "alice", 1)];
        // Cards are cut anew, and their slices have new names.
        snapshot.machine.cards[1].units[0].unit.id = format!("MIG-{second}");
        model.hear(News::Seen(Box::new(snapshot)));
        model.hear(News::Used(format!("run-{second}-alice"), Some(Usage::default())));
    }
    assert_eq!(model.events.len(), EVENTS_MAX);
    assert_eq!(model.curves.len(), 4);
    assert_eq!(model.curves["id-0"].newest().count(), curve::SAMPLES_MAX);
    assert_eq!((model.usage.len(), model.to_ask.len()), (1, 1));
}

#[test]
fn events_are_told_once() {
    let mut model = sample::model();
    let known = model.events.len();
    let last = model.events.front().unwrap().clone();
    // The stream broke off and began again in the second of the last line.
    model.hear(News::Happened(Box::new(last.clone())));
    assert_eq!(model.events.len(), known);
    model.hear(News::Happened(Box::new(EventLine { text: "2 GPUs".to_owned(), ..last })));
    assert_eq!(model.events.len(), known + 1);
}

#[test]
fn those_that_are_seen_are_asked_in_turn() {
    let mut model = Model::new();
    let mut snapshot = sample::snapshot(0);
    let names: Vec<String> = (0..6).map(|n| format!("c{n}")).collect();
    snapshot.containers.containers = names.iter().map(|name| sample::container(name, "alice", 1)).collect();
    model.hear(News::Seen(Box::new(snapshot.clone())));
    let shown: Vec<String> = names[..5].iter().map(|name| format!("{name}-alice")).collect();
    let mut asked: Vec<String> = (0..4).flat_map(|_| model.ask_next(&shown, 2)).collect();
    let first = asked[0].clone();
    asked.sort();
    assert_eq!(asked, shown, "each of them once, and nobody again so soon");
    for _ in 0..USE_LOOKS {
        assert_eq!(model.ask_next(&shown, 2), Vec::<String>::new());
        model.hear(News::Seen(Box::new(snapshot.clone())));
    }
    assert_eq!(model.ask_next(&shown, 1), [first], "who has waited longest");
    assert_eq!(model.ask_next(&shown, 0), Vec::<String>::new());
}
