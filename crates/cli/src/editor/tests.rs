//! The screens as people see them, driven by keys.

use expect_test::{Expect, expect};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::*;
use crate::catalogue::built_in_use_cases;

const DOCKERFILE: &str = "\
FROM lab/torch:2.8
RUN apt-get update && apt-get install -y git
# mine
RUN pip install \\
    numpy==1.26 \\
    wandb
CMD bash
";

fn model() -> Model {
    let opened = |project: &str, state: &str| Opened {
        project: project.to_owned(),
        path: format!("~/workspace/{project}/Dockerfile"),
        text: DOCKERFILE.to_owned(),
        state: state.to_owned(),
        is_current: Some(state == "up to date"),
    };
    Model::new(
        vec![opened("paper", "up to date"), opened("thesis", "Dockerfile changed")],
        built_in_use_cases(),
    )
}

/// Presses keys: a letter is itself, the others are called by name.
fn press(model: &mut Model, keys: &str) -> Option<Outcome> {
    let mut outcome = None;
    for key in keys.split(' ') {
        let codes: Vec<KeyCode> = match key {
            "enter" => vec![KeyCode::Enter],
            "space" => vec![KeyCode::Char(' ')],
            "down" => vec![KeyCode::Down],
            "end" => vec![KeyCode::End],
            "esc" => vec![KeyCode::Esc],
            "tab" => vec![KeyCode::Tab],
            text => text.chars().map(KeyCode::Char).collect(),
        };
        for code in codes {
            assert_eq!(outcome, None, "it had ended before {key}");
            outcome = model.press(KeyEvent::new(code, KeyModifiers::NONE));
        }
    }
    outcome
}

/// What is seen in a window of this size.
fn drawn(model: &Model, columns: u16, rows: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| view::draw(model, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let rows = buffer.content.chunks(columns.into()).map(|row| {
        let row: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        format!("|{}\n", row.trim_end())
    });
    rows.collect()
}

fn screen(model: &Model, expected: &Expect) {
    expected.assert_eq(&drawn(model, 80, 24));
}

#[test]
fn from_the_choice_to_the_difference() {
    let mut model = model();
    screen(
        &model,
        &expect![[r#"
        | Images  which one?
        | Search:
        | paper   up to date          ~/workspace/paper/Dockerfile
        | thesis  Dockerfile changed  ~/workspace/thesis/Dockerfile
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        | ↑↓ move · type to search · enter opens · esc leaves
    "#]],
    );
    assert_eq!(press(&mut model, "th enter down down space"), None);
    assert_eq!(press(&mut model, "einops>=0.8 space tab ffm"), None);
    screen(
        &model,
        &expect![[r#"
        | thesis  ~/workspace/thesis/Dockerfile · from lab/torch:2.8
        | Search or add: ffm
        | [ ] ffmpeg                           distribution, reinforcement learning
        | [ ] add ffm (distribution)
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        | 1 to add, 1 to remove
        | ↑↓ move · space marks · tab: Python or distribution · enter goes on · esc back
    "#]],
    );
    assert_eq!(press(&mut model, "space esc"), None);
    screen(
        &model,
        &expect![[r#"
            | thesis  ~/workspace/thesis/Dockerfile · from lab/torch:2.8
            | Search or add:
            | [x] git                              distribution
            | [x] numpy==1.26                      Python
            | [-] wandb                            Python
            | [+] einops>=0.8                      Python
            | [ ] scikit-learn                     Python, machine learning
            | [ ] scipy                            Python, machine learning
            | [ ] pandas                           Python, machine learning
            | [ ] matplotlib                       Python, machine learning
            | [ ] seaborn                          Python, machine learning
            | [ ] xgboost                          Python, machine learning
            | [ ] lightgbm                         Python, machine learning
            | [ ] optuna                           Python, machine learning
            | [ ] opencv-python-headless           Python, computer vision
            | [ ] pillow                           Python, computer vision
            | [ ] albumentations                   Python, computer vision
            | [ ] timm~=1.0                        Python, computer vision
            | [ ] scikit-image                     Python, computer vision
            | [ ] transformers>=4.44,<5            Python, natural language
            | [ ] tokenizers                       Python, natural language
            | [ ] datasets                         Python, natural language
            | 2 to add, 1 to remove
            | ↑↓ move · space marks · tab: Python or distribution · enter goes on · esc back
        "#]],
    );
    assert_eq!(press(&mut model, "enter"), None);
    screen(
        &model,
        &expect![[r#"
            | thesis  what would be changed
            |
            | --- ~/workspace/thesis/Dockerfile
            | +++ ~/workspace/thesis/Dockerfile
            | @@ -2,6 +2,15 @@
            |  RUN apt-get update && apt-get install -y git
            |  # mine
            |  RUN pip install \
            | -    numpy==1.26 \
            | -    wandb
            | +    numpy==1.26
            | +
            | +# Packages of the distribution that were added later.
            | +RUN apt-get update \
            | + && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends
            | +    ffmpeg \
            | + && rm -rf /var/lib/apt/lists/*
            | +
            | +# Added later, and apart: a build takes all above from the one before.
            | +RUN pip install --no-cache-dir \
            | +    "einops>=0.8"
            |  CMD bash
            |
            | ↑↓ move · enter builds · w only writes · esc back
        "#]],
    );
    let outcome = press(&mut model, "enter");
    let Some(Outcome::Changed { project, text, build: true }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(project, "thesis");
    assert!(text.contains("    \"einops>=0.8\"\n") && text.contains("    ffmpeg \\\n"), "{text}");
    assert!(!text.contains("wandb") && text.contains("# mine\n"), "{text}");
}

#[test]
fn what_was_marked_is_dropped_only_by_a_second_esc() {
    let mut model = model();
    assert_eq!(press(&mut model, "enter space esc"), None);
    assert_eq!(model.told, "Esc again drops what you have marked");
    assert_eq!(press(&mut model, "esc esc"), Some(Outcome::Left));
    let mut model = self::model();
    assert_eq!(
        press(&mut model, "enter space enter w")
            .map(|outcome| matches!(outcome, Outcome::Changed { build: false, .. })),
        Some(true)
    );
}

#[test]
fn keys_that_lead_nowhere_change_nothing() {
    let mut model = model();
    assert_eq!(press(&mut model, "zzz enter esc enter enter"), None);
    assert!(model.told.starts_with("nothing is changed yet"), "{}", model.told);
    assert_eq!(press(&mut model, "a;b space"), None);
    assert_eq!(model.told, "a;b is not the name of a package");
    let mut empty = Model::new(Vec::new(), Vec::new());
    assert_eq!(press(&mut empty, "enter down space"), None);
    screen(
        &empty,
        &expect![[r#"
        | Images  which one?
        | Search:
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        | no Dockerfile yet: image create my-project writes one
        | ↑↓ move · type to search · enter opens · esc leaves
    "#]],
    );
    let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(empty.press(ctrl_c), Some(Outcome::Left));
}

#[test]
fn a_project_that_was_named_is_open_and_built_without_a_change() {
    let all = model().all;
    let at = |project: &str| Model::at(all.clone(), built_in_use_cases(), project);
    let mut stale = at("thesis");
    let head = |model: &Model| drawn(model, 80, 24).lines().next().unwrap().to_owned();
    let told = |model: &Model| drawn(model, 80, 24).lines().nth(22).unwrap().to_owned();
    assert_eq!(head(&stale), "| thesis  ~/workspace/thesis/Dockerfile · from lab/torch:2.8");
    assert_eq!(told(&stale), "| image: Dockerfile changed · enter builds it");
    assert_eq!(press(&mut stale, "enter"), None);
    expect![[r#"
        | thesis  what would be built
        |
        | FROM lab/torch:2.8
        | RUN apt-get update && apt-get install -y git
        | # mine
        | RUN pip install \
        |     numpy==1.26 \
        |     wandb
        | CMD bash
        |
        |
        | ↑↓ move · enter builds · esc back
    "#]]
    .assert_eq(&drawn(&stale, 80, 12));
    assert_eq!(press(&mut stale, "w"), None, "there is nothing to write");
    let built = press(&mut stale, "enter");
    assert_eq!(
        built,
        Some(Outcome::Changed { project: "thesis".to_owned(), text: DOCKERFILE.to_owned(), build: true })
    );

    let mut current = at("paper");
    assert_eq!(press(&mut current, "enter"), None);
    assert!(current.told.starts_with("nothing is changed yet"), "{}", current.told);
    assert_eq!(press(&mut current, "esc"), None);
    assert_eq!(head(&current), "| Images  which one?", "the others are a step away");
    assert_eq!(head(&at("gone")), "| Images  which one?");
}

#[test]
fn on_a_large_screen() {
    let mut model = Model::at(model().all, built_in_use_cases(), "paper");
    assert_eq!(press(&mut model, "space down down space end"), None);
    expect![[r#"
        | paper  ~/workspace/paper/Dockerfile · from lab/torch:2.8
        | Search or add:
        | [-] git                              distribution
        | [x] numpy==1.26                      Python
        | [-] wandb                            Python
        | [ ] scikit-learn                     Python, machine learning
        | [ ] scipy                            Python, machine learning
        | [ ] pandas                           Python, machine learning
        | [ ] matplotlib                       Python, machine learning
        | [ ] seaborn                          Python, machine learning
        | [ ] xgboost                          Python, machine learning
        | [ ] lightgbm                         Python, machine learning
        | [ ] optuna                           Python, machine learning
        | [ ] opencv-python-headless           Python, computer vision
        | [ ] pillow                           Python, computer vision
        | [ ] albumentations                   Python, computer vision
        | [ ] timm~=1.0                        Python, computer vision
        | [ ] scikit-image                     Python, computer vision
        | [ ] transformers>=4.44,<5            Python, natural language
        | [ ] tokenizers                       Python, natural language
        | [ ] datasets                         Python, natural language
        | [ ] sentencepiece                    Python, natural language
        | [ ] evaluate                         Python, natural language
        | [ ] spacy~=3.7                       Python, natural language
        | [ ] gymnasium~=1.0                   Python, reinforcement learning
        | [ ] stable-baselines3~=2.4           Python, reinforcement learning
        | [ ] tensorboard                      Python, reinforcement learning
        | [ ] moviepy                          Python, reinforcement learning
        | [ ] ffmpeg                           distribution, reinforcement learning
        | [ ] swig                             distribution, reinforcement learning
        | [ ] librosa~=0.10                    Python, audio and speech
        | [ ] soundfile                        Python, audio and speech
        | [ ] audiomentations                  Python, audio and speech
        | [ ] libsndfile1                      distribution, audio and speech
        | [ ] statsmodels~=0.14                Python, time series
        | [ ] pmdarima                         Python, time series
        | [ ] sktime                           Python, time series
        | [ ] prophet~=1.1                     Python, time series
        | [ ] accelerate~=1.0                  Python, large language models
        | [ ] peft                             Python, large language models
        | [ ] bitsandbytes                     Python, large language models
        | [ ] git-lfs                          distribution, large language models
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        | 0 to add, 2 to remove
        | ↑↓ move · space marks · tab: Python or distribution · enter goes on · esc back
    "#]]
    .assert_eq(&drawn(&model, 200, 60));
    assert_eq!(press(&mut model, "enter"), None);
    expect![[r#"
        | paper  what would be changed
        |
        | --- ~/workspace/paper/Dockerfile
        | +++ ~/workspace/paper/Dockerfile
        | @@ -1,7 +1,5 @@
        |  FROM lab/torch:2.8
        | -RUN apt-get update && apt-get install -y git
        |  # mine
        |  RUN pip install \
        | -    numpy==1.26 \
        | -    wandb
        | +    numpy==1.26
        |  CMD bash
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        |
        | ↑↓ move · enter builds · w only writes · esc back
    "#]]
    .assert_eq(&drawn(&model, 200, 60));
}

#[test]
fn any_window_can_be_drawn_in() {
    let mut model = model();
    for keys in ["", "end", "enter", "end", "einops>=0.8 space", "no-such tab", "esc enter", "end end"] {
        if !keys.is_empty() {
            assert_eq!(press(&mut model, keys), None);
        }
        for (columns, rows) in [(1, 1), (2, 3), (10, 4), (39, 12), (40, 12), (80, 24), (200, 60), (300, 100)]
        {
            drawn(&model, columns, rows);
        }
    }
    assert_eq!(press(&mut model, "esc"), None);
    expect![[r#"
        | thesis  ~/workspace/thesis/Dockerfile ·
        | Search or add:
        | [x] git                              di
        | [x] numpy==1.26                      Py
        | [x] wandb                            Py
        | [+] einops>=0.8                      Py
        | [ ] scikit-learn                     Py
        | [ ] scipy                            Py
        | [ ] pandas                           Py
        | [ ] matplotlib                       Py
        | 1 to add, 0 to remove
        | space marks · enter goes on · esc back
    "#]]
    .assert_eq(&drawn(&model, 40, 12));
}
