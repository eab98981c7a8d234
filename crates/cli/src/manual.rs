//! The manual: a page for every command under the name of its link, made of the texts that `--help` shows.
//!
//! Pure: pages as values, named and whole. It must never say what `--help` does not.

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use ds01_api::Exit;

use crate::args::Cli;
use crate::args::argv::link_names;

/// What stands in the foot of every page; by it a page is known as ours.
pub(crate) const MANUAL: &str = "DS01";
const PROGRAM: &str = "ds01";

/// A page of section 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// `container-deploy`.
    pub(crate) name: String,
    /// In roff.
    pub(crate) text: String,
}

/// Every page: the program's, each command's, and for each other name of a command one that leads to it.
pub(crate) fn pages() -> Vec<Page> {
    let mut root = Cli::command();
    root.build();
    let mut pages = vec![page(&root, PROGRAM, PROGRAM, &[])];
    for command in shown(&root) {
        let name = of_program(command);
        let see: Vec<String> = vec![PROGRAM.to_owned()];
        pages.push(page(command, &name, &typed(&name), &see));
        for sub in shown(command) {
            let link = link(&name, sub);
            let see = [name.clone(), PROGRAM.to_owned()];
            let typed = format!("{} {}", typed(&name), sub.get_name());
            pages.push(page(sub, &link, &typed, &see));
            let leads =
                |alias: &str| Page { name: format!("{name}-{alias}"), text: format!(".so man1/{link}.1\n") };
            pages.extend(sub.get_visible_aliases().map(leads));
        }
    }
    pages
}

/// The commands below one, without those that every program of this kind has.
fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
}

/// The name by which a command of the program itself is called: `container`, `ds01-whoami`.
fn of_program(command: &Command) -> String {
    let name = command.get_name();
    if link_names().iter().any(|link| link == name) { name.to_owned() } else { format!("{PROGRAM}-{name}") }
}

/// `ds01 whoami` for the page `ds01-whoami`; what has a link is typed as that.
fn typed(name: &str) -> String {
    name.strip_prefix("ds01-").map_or_else(|| name.to_owned(), |command| format!("{PROGRAM} {command}"))
}

fn page(command: &Command, name: &str, typed: &str, see: &[String]) -> Page {
    // Leaked: the command line's names live as long as the program, and so does this one.
    let shown_name: &'static str = name.to_owned().leak();
    let own = command.clone().name(shown_name).display_name(shown_name).bin_name(typed);
    let man = Man::new(own.clone())
        .title(name)
        .section("1")
        // Not none at all: roff would take the next field for it.
        .date(" ")
        .source(format!("DS01 {}", env!("CARGO_PKG_VERSION")))
        .manual(MANUAL);
    let mut text = Vec::new();
    man.render_title(&mut text).expect("a vector takes everything");
    // Commands are there to be copied: no hyphens of our own in them, and no blanks.
    let mut roff = Roff::new();
    roff.control("nh", []).control("ad", ["l"]);
    roff.to_writer(&mut text).expect("a vector takes everything");
    for part in [Man::render_name_section, Man::render_synopsis_section, Man::render_description_section] {
        part(&man, &mut text).expect("a vector takes everything");
    }
    let mut roff = Roff::new();
    for paragraph in paragraphs(command).filter(|paragraph| !is_example(paragraph)) {
        set(&mut roff, &paragraph);
    }
    roff.to_writer(&mut text).expect("a vector takes everything");
    if own.get_arguments().any(|arg| !arg.is_hide_set()) {
        man.render_options_section(&mut text).expect("a vector takes everything");
    }
    let mut roff = Roff::new();
    commands(&mut roff, command, name);
    examples(&mut roff, command);
    ends(&mut roff);
    see_also(&mut roff, command, name, see);
    roff.to_writer(&mut text).expect("a vector takes everything");
    Page { name: name.to_owned(), text: String::from_utf8(text).expect("roff of text is text") }
}

/// The text after a command's help, by its empty lines.
fn paragraphs(command: &Command) -> impl Iterator<Item = String> {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    text.split("\n\n").map(|paragraph| paragraph.trim_end().to_owned()).collect::<Vec<_>>().into_iter()
}

fn is_example(paragraph: &str) -> bool {
    paragraph.starts_with("Example")
}

/// A paragraph; one with indented lines keeps its lines.
fn set(roff: &mut Roff, paragraph: &str) {
    roff.control("PP", []);
    let as_it_is = paragraph.lines().any(|line| line.starts_with(' '));
    if as_it_is {
        roff.control("nf", []);
    }
    for line in paragraph.lines() {
        roff.text([roman(line)]);
    }
    if as_it_is {
        roff.control("fi", []);
    }
}

fn commands(roff: &mut Roff, command: &Command, name: &str) {
    if shown(command).next().is_none() {
        return;
    }
    roff.control("SH", ["COMMANDS"]);
    for sub in shown(command) {
        roff.control("TP", []);
        roff.text([bold(link(name, sub)), roman("(1)")]);
        roff.text([roman(sub.get_about().map(ToString::to_string).unwrap_or_default())]);
    }
}

/// The page of a command below the page `name`.
fn link(name: &str, sub: &Command) -> String {
    if name == PROGRAM {
        return of_program(sub);
    }
    // A group whose name alone is another program's has commands with links of their own all the same.
    let group = name.strip_prefix("ds01-").unwrap_or(name);
    let link = format!("{group}-{}", sub.get_name());
    if link_names().contains(&link) { link } else { format!("{name}-{}", sub.get_name()) }
}

fn examples(roff: &mut Roff, command: &Command) {
    for paragraph in paragraphs(command).filter(|paragraph| is_example(paragraph)) {
        roff.control("SH", ["EXAMPLES"]);
        roff.control("nf", []);
        for line in paragraph.lines().skip(1) {
            roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
        }
        roff.control("fi", []);
    }
}

fn ends(roff: &mut Roff) {
    let meaning = |exit: Exit| match exit {
        Exit::Done => "done",
        Exit::Failed => "it was tried and failed",
        Exit::Usage => "the command line is wrong; nothing was tried",
        Exit::NoResources => "no GPU or no container to be had: quota, or the wait ended",
        Exit::NotFound => "no such container, image or unit",
        Exit::NotPermitted => "not permitted",
        Exit::Interrupted => "broken off with Ctrl-C",
    };
    roff.control("SH", ["EXIT STATUS"]);
    for exit in Exit::ALL {
        roff.control("TP", ["6"]);
        roff.text([bold(exit.code().to_string())]);
        roff.text([roman(meaning(exit))]);
    }
}

fn see_also(roff: &mut Roff, command: &Command, name: &str, see: &[String]) {
    let all = see.iter().cloned().chain(shown(command).map(|sub| link(name, sub)));
    let mut line = Vec::new();
    for page in all {
        if !line.is_empty() {
            line.push(roman(", "));
        }
        line.extend([bold(page), roman("(1)")]);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text(line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_for_every_link_and_every_command_of_the_program() {
        let names: Vec<String> = pages().into_iter().map(|page| page.name).collect();
        for link in link_names() {
            assert!(names.contains(&link), "{link}");
        }
        for name in ["ds01", "ds01-whoami", "ds01-why", "ds01-completion"] {
            assert!(names.contains(&name.to_owned()), "{name}");
        }
        let mut once = names.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), names.len(), "{names:?}");
    }

    #[test]
    fn a_page_says_what_the_help_says() {
        let pages = pages();
        let text = |name: &str| &pages.iter().find(|page| page.name == name).unwrap().text;
        assert_eq!(text("container-ls"), ".so man1/container-list.1\n");
        let logs = text("container-logs");
        for words in [
            ".TH container-logs 1",
            "container\\-logs \\- Show what a container",
            "\\fBcontainer logs\\fR",
            "\\-\\-follow",
            ".SH EXAMPLES",
            "container logs training \\-\\-tail 100",
            ".SH \"EXIT STATUS\"",
            "\\fBcontainer\\fR(1), \\fBds01\\fR(1)",
        ] {
            assert!(logs.contains(words), "{words} is not in {logs}");
        }
        assert!(
            text("ds01").contains("\\fBcontainer\\fR(1)")
                && text("ds01").contains("\\fBds01\\-whoami\\fR(1)")
        );
        assert!(text("container").contains("\\fBcontainer\\-deploy\\fR(1)"));
    }
}
