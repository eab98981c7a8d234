//! The full screen of `image update`, drawn. It must never change what is on it.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::model::{Model, Origin, Packages, Page};
use crate::dockerfile::{Dockerfile, Installer};

const TITLE: Style = Style::new().add_modifier(Modifier::BOLD);
const QUIET: Style = Style::new().add_modifier(Modifier::DIM);
const HERE: Style = Style::new().add_modifier(Modifier::REVERSED);
const GOOD: Style = Style::new().fg(Color::Green);
const CARE: Style = Style::new().fg(Color::Yellow);
const BAD: Style = Style::new().fg(Color::Red);

/// Draws all of it.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>) {
    let rows = [Constraint::Length(2), Constraint::Min(1), Constraint::Length(1), Constraint::Length(1)];
    let [head, body, told, keys] = Layout::vertical(rows).areas(frame.area());
    match &model.page {
        Page::Projects => {
            frame.render_widget(
                Paragraph::new(vec![title("Images", "which one?"), search(model, "Search")]),
                head,
            );
            list(frame, body, project_lines(model), model.cursor);
        }
        Page::Packages(packages) => {
            let base = Dockerfile::parse(&packages.of.text).base().unwrap_or_default();
            let about = format!("{} · from {base}", packages.of.path);
            frame.render_widget(
                Paragraph::new(vec![title(&packages.of.project, &about), search(model, "Search or add")]),
                head,
            );
            list(frame, body, package_lines(model, packages), model.cursor);
        }
        Page::Difference(packages, from) => {
            let difference = packages.difference();
            let about = if difference.is_empty() { "what would be built" } else { "what would be changed" };
            frame.render_widget(Paragraph::new(title(&packages.of.project, about)), head);
            let text = if difference.is_empty() { &packages.of.text } else { &difference };
            let line = if difference.is_empty() { plain_line } else { difference_line };
            let lines: Vec<Line<'_>> = text.lines().skip(*from).map(line).collect();
            frame.render_widget(Paragraph::new(lines), body);
        }
    }
    frame.render_widget(Paragraph::new(told_line(model)), told);
    frame.render_widget(
        Paragraph::new(Line::styled(format!(" {}", keys_of(&model.page, keys.width)), QUIET)),
        keys,
    );
}

fn title(name: &str, about: &str) -> Line<'static> {
    Line::from(vec![Span::styled(format!(" {name}"), TITLE), Span::styled(format!("  {about}"), QUIET)])
}

fn search(model: &Model, what: &str) -> Line<'static> {
    Line::from(vec![Span::raw(format!(" {what}: {}", model.search)), Span::styled(" ", HERE)])
}

/// The keys of a page; on a narrow one without those that everybody tries.
fn keys_of(page: &Page, columns: u16) -> &'static str {
    let (all, few) = match page {
        Page::Projects => ("↑↓ move · type to search · enter opens · esc leaves", "enter opens · esc leaves"),
        Page::Packages(_) => (
            "↑↓ move · space marks · tab: Python or distribution · enter goes on · esc back",
            "space marks · enter goes on · esc back",
        ),
        Page::Difference(packages, _) if packages.difference().is_empty() => {
            ("↑↓ move · enter builds · esc back", "enter builds · esc back")
        }
        Page::Difference(..) => {
            ("↑↓ move · enter builds · w only writes · esc back", "enter builds · w only writes · esc back")
        }
    };
    if all.chars().count() < usize::from(columns) { all } else { few }
}

fn told_line(model: &Model) -> Line<'static> {
    if !model.told.is_empty() {
        return Line::styled(format!(" {}", model.told), CARE);
    }
    match &model.page {
        Page::Packages(packages) => {
            let (added, removed) = packages.counts();
            match (added, removed) {
                (0, 0) => match packages.of.is_current {
                    Some(true) => Line::default(),
                    Some(false) => {
                        Line::styled(format!(" image: {} · enter builds it", packages.of.state), CARE)
                    }
                    None => Line::styled(" enter builds the image, if the Dockerfile is newer", QUIET),
                },
                _ => Line::styled(format!(" {added} to add, {removed} to remove"), CARE),
            }
        }
        Page::Projects if model.all.is_empty() => {
            Line::styled(" no Dockerfile yet: image create my-project writes one", CARE)
        }
        Page::Projects | Page::Difference(..) => Line::default(),
    }
}

fn project_lines(model: &Model) -> Vec<Line<'static>> {
    let projects = model.projects();
    let widest = projects.iter().map(|opened| opened.project.len()).max().unwrap_or(0);
    let line = |(project, state, path): (&str, &str, &str)| {
        Line::from(vec![
            Span::raw(format!(" {project:widest$}  ")),
            Span::styled(format!("{state:18}  {path}"), QUIET),
        ])
    };
    projects.into_iter().map(|opened| line((&opened.project, &opened.state, &opened.path))).collect()
}

fn package_lines(model: &Model, packages: &Packages) -> Vec<Line<'static>> {
    let shown = packages.shown(&model.search);
    let mut lines: Vec<Line<'static>> = shown
        .into_iter()
        .map(|at| {
            let entry = &packages.entries[at];
            let (mark, style) = match (entry.origin == Origin::Written, entry.wanted) {
                (true, true) => ("[x]", Style::new()),
                (true, false) => ("[-]", BAD),
                (false, true) => ("[+]", GOOD),
                (false, false) => ("[ ]", QUIET),
            };
            let about = match &entry.origin {
                Origin::Known(title) => format!("{}, {}", by(entry.package.installer), title.to_lowercase()),
                Origin::Written | Origin::Typed => by(entry.package.installer).to_owned(),
            };
            Line::from(vec![
                Span::styled(format!(" {mark} {:32}", entry.package.text), style),
                Span::styled(format!(" {about}"), QUIET),
            ])
        })
        .collect();
    if packages.can_add(&model.search) {
        let text = format!(" [ ] add {} ({})", model.search, by(packages.installer));
        lines.push(Line::styled(text, GOOD));
    }
    lines
}

fn by(installer: Installer) -> &'static str {
    match installer {
        Installer::Apt => "distribution",
        Installer::Conda => "conda",
        Installer::Pip => "Python",
    }
}

fn plain_line(line: &str) -> Line<'static> {
    Line::raw(format!(" {line}"))
}

fn difference_line(line: &str) -> Line<'static> {
    let style = match line.as_bytes() {
        [b'+', b'+', ..] | [b'-', b'-', ..] | [b'@', ..] => QUIET,
        [b'+', ..] => GOOD,
        [b'-', ..] => BAD,
        _ => Style::new(),
    };
    Line::styled(format!(" {line}"), style)
}

/// The lines around the cursor, which is always seen.
fn list(frame: &mut Frame<'_>, area: Rect, mut lines: Vec<Line<'static>>, cursor: usize) {
    let room = usize::from(area.height).max(1);
    if let Some(line) = lines.get_mut(cursor) {
        *line = std::mem::take(line).patch_style(HERE);
    }
    let first = (cursor + 1).saturating_sub(room);
    frame.render_widget(Paragraph::new(lines.into_iter().skip(first).collect::<Vec<_>>()), area);
}
