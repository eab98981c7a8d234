//! How a build goes on, told while it does: finished steps line by line, the present one in place. All of it is kept in a
//! log. It must never fail a build: a log that cannot be written is a warning.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ds01_api::names::Project;
use tokio::time::Instant;

use super::recipe;
use crate::client::BuildNews;
use crate::render;
use crate::terminal;
use crate::ui::Ui;

/// How often the present step's time goes on.
const TICK: Duration = Duration::from_secs(1);
/// Lines of a step that are kept for the case that it fails.
const LINES_KEPT: usize = 200;

/// A build, as it was told so far.
pub(super) struct Progress {
    ui: Ui,
    /// Of the terminal on which the present step stands; `None` for a pipe.
    columns: Option<u16>,
    log: Option<(PathBuf, BufWriter<File>)>,
    began: Instant,
    step: Option<Step>,
    steps: usize,
    cached: usize,
}

struct Step {
    number: usize,
    of: usize,
    text: String,
    began: Instant,
    cached: bool,
    lines: VecDeque<String>,
}

/// What there is to tell of a build that has ended.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) seconds: f64,
    pub(super) steps: usize,
    pub(super) cached: usize,
    pub(super) log: Option<PathBuf>,
    /// The last step's instruction and what it printed last.
    pub(super) last: Option<(String, Vec<String>)>,
}

impl Progress {
    /// Says that it begins, and begins a log.
    pub(super) fn begin(project: &Project, image: &str, dockerfile: &Path, ui: Ui) -> Self {
        ui.note(&format!("building {image} from {}", recipe::spoken(dockerfile)));
        let log = match log_path(project).and_then(|path| Ok((path.clone(), BufWriter::new(create(&path)?))))
        {
            Ok(log) => Some(log),
            Err(error) => {
                ui.warn(&format!("what the build prints is not kept: {error}"));
                None
            }
        };
        let columns = terminal::error_columns().filter(|_| !ui.json);
        Self { ui, columns, log, began: Instant::now(), step: None, steps: 0, cached: 0 }
    }

    /// Waits for `next`; the present step's time goes on meanwhile.
    pub(super) async fn until<T>(&mut self, next: impl Future<Output = T>) -> T {
        let mut next = std::pin::pin!(next);
        loop {
            match tokio::time::timeout(TICK, &mut next).await {
                Ok(done) => return done,
                Err(_) => self.show(),
            }
        }
    }

    /// Takes the next news.
    pub(super) fn take(&mut self, news: BuildNews) {
        self.write(&news);
        match news {
            BuildNews::Step { number, of, text } => {
                self.finish(true);
                // The last one writes our own label, which is nobody's news.
                let of = of.saturating_sub(1);
                if number > of {
                    return;
                }
                self.steps = of;
                let began = Instant::now();
                self.step = Some(Step { number, of, text, began, cached: false, lines: VecDeque::new() });
            }
            BuildNews::Cached => {
                if let Some(step) = &mut self.step {
                    step.cached = true;
                    self.cached += 1;
                }
            }
            BuildNews::Printed(line) => {
                if let Some(step) = &mut self.step {
                    if step.lines.len() == LINES_KEPT {
                        step.lines.pop_front();
                    }
                    step.lines.push_back(line);
                }
            }
            BuildNews::Aside(_) | BuildNews::Failed(_) => return,
        }
        self.show();
    }

    /// It has ended.
    pub(super) fn end(mut self, well: bool) -> Told {
        let last = self.step.as_ref().map(|step| (step.text.clone(), step.lines.iter().cloned().collect()));
        self.finish(well);
        let log = self.log.take().and_then(|(path, mut file)| file.flush().is_ok().then_some(path));
        Told {
            seconds: self.began.elapsed().as_secs_f64(),
            steps: self.steps,
            cached: self.cached,
            log,
            last,
        }
    }

    /// The present step is over: it gets a line of its own.
    fn finish(&mut self, well: bool) {
        if self.columns.is_some() {
            self.ui.passing("");
        }
        let Some(step) = self.step.take() else { return };
        let end = match (well, step.cached) {
            (false, _) => render::StepEnd::Failed,
            (true, true) => render::StepEnd::Cached,
            (true, false) => render::StepEnd::Took(step.began.elapsed().as_secs_f64()),
        };
        self.ui.note(&render::step(step.number, step.of, &step.text, end, self.columns));
    }

    /// The present step, on a terminal.
    fn show(&self) {
        if let (Some(columns), Some(step)) = (self.columns, &self.step) {
            let last = step.lines.back().map_or("", String::as_str);
            let passed = step.began.elapsed().as_secs();
            self.ui.passing(&render::present_step(step.number, step.of, &step.text, passed, last, columns));
        }
    }

    fn write(&mut self, news: &BuildNews) {
        let Some((_, log)) = &mut self.log else { return };
        let written = match news {
            BuildNews::Step { number, of, text } => writeln!(log, "Step {number}/{of} : {text}"),
            BuildNews::Cached => writeln!(log, " ---> Using cache"),
            BuildNews::Printed(line) | BuildNews::Aside(line) | BuildNews::Failed(line) => {
                writeln!(log, "{line}")
            }
        };
        // Who looks into the log while a step runs should find what it has printed.
        if let Err(error) = written.and_then(|()| log.flush()) {
            self.log = None;
            self.ui.warn(&format!("what the build prints is kept no longer: {error}"));
        }
    }
}

/// Where the log of a project's last build is.
fn log_path(project: &Project) -> std::io::Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = match cache {
        Some(cache) => cache,
        None => {
            recipe::home().map_err(|failure| std::io::Error::other(failure.error.message))?.join(".cache")
        }
    };
    Ok(cache.join("ds01").join("builds").join(format!("{project}.log")))
}

fn create(path: &Path) -> std::io::Result<File> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    File::create(path)
}
