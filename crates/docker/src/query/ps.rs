//! The arguments of `docker top`, which the Engine hands to the host's `ps` as root.
//! Must never: let an option through that renames a column or selects processes; the Engine finds the container's
//! processes by the column named PID.

use super::QueryRefusal;

/// Options of one letter that choose columns or rows harmlessly, alone or together (`aux`, `-ef`).
const LETTERS: &str = "AaefFHjlLmTuwx";
/// Columns that may be asked for with `-o`.
const COLUMNS: [&str; 35] = [
    "args", "bsdstart", "bsdtime", "c", "cmd", "comm", "command", "cputime", "egid", "etime", "etimes",
    "euid", "group", "lstart", "lwp", "ni", "nice", "nlwp", "pcpu", "pgid", "pid", "pmem", "ppid", "pri",
    "psr", "rss", "s", "start", "stat", "stime", "time", "tty", "uid", "user", "vsz",
];
/// The most words; the Engine has no limit.
const WORDS_MAX: usize = 16;

/// Accepts what shows columns, refuses the rest.
pub(super) fn judge(arguments: &str) -> Result<(), QueryRefusal> {
    let mut words = arguments.split_whitespace();
    if arguments.split_whitespace().count() > WORDS_MAX || !judge_words(&mut words) {
        return Err(QueryRefusal::new(
            "These options of `docker top` are not passed to ps here. Use letters such as `aux` or `-ef`, or a list \
             of columns that begins with pid: `docker top NAME -o pid,user,etime,args`.",
        ));
    }
    Ok(())
}

fn judge_words<'a>(words: &mut impl Iterator<Item = &'a str>) -> bool {
    while let Some(word) = words.next() {
        let letters = word.strip_prefix('-').unwrap_or(word);
        let fits = match letters.strip_suffix('o') {
            _ if word == "--forest" => true,
            Some(rest) => rest.chars().all(|c| LETTERS.contains(c)) && words.next().is_some_and(are_columns),
            None => !letters.is_empty() && letters.chars().all(|c| LETTERS.contains(c)),
        };
        if !fits {
            return false;
        }
    }
    true
}

/// PID comes first, so that no column with spaces in it can stand before it.
fn are_columns(list: &str) -> bool {
    list.split(',').next() == Some("pid")
        && list.split(',').all(|column| COLUMNS.binary_search(&column).is_ok())
}
