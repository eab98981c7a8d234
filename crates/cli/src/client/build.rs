//! A build by the classic builder: what it is asked, and what it tells while it goes on. Dropping it ends it.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use ds01_api::paths;
use http_body_util::BodyExt as _;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request};
use serde::Deserialize;
use tokio::sync::mpsc::Receiver;

use super::lines::Lines;
use super::upload::Upload;
use super::{ClientError, Door};

/// A step that compiles may say nothing for long.
const SILENCE_MAX: Duration = Duration::from_secs(6 * 60 * 60);

/// What is to be built.
#[derive(Debug, Clone)]
pub(crate) struct BuildWanted<'a> {
    /// The name of the image.
    pub(crate) image: &'a str,
    /// The name of the Dockerfile in the context.
    pub(crate) dockerfile: &'a str,
    /// Written on the image.
    pub(crate) labels: BTreeMap<&'a str, &'a str>,
    /// Whether every step is done anew.
    pub(crate) no_cache: bool,
}

/// A build under way.
#[derive(Debug)]
pub(crate) struct Build {
    lines: Lines,
    /// Printed text that is not a whole line yet.
    unread: String,
    /// What was read and not told yet.
    news: std::collections::VecDeque<BuildNews>,
}

/// Something that a build tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BuildNews {
    /// A step begins: `text` is its instruction.
    Step { number: usize, of: usize, text: String },
    /// The step was done in an earlier build.
    Cached,
    /// A line that a step has printed.
    Printed(String),
    /// What the builder says of its own doings.
    Aside(String),
    /// The step, or the build, has failed.
    Failed(String),
}

/// A line of the Engine's.
#[derive(Debug, Deserialize)]
struct Line {
    stream: Option<String>,
    error: Option<String>,
}

impl Door {
    /// Begins a build of a context, which comes as the pieces of an archive.
    pub(crate) async fn build(
        &self,
        wanted: &BuildWanted<'_>,
        context: Receiver<io::Result<Bytes>>,
    ) -> Result<Build, ClientError> {
        let labels = serde_json::to_string(&wanted.labels).map_err(ClientError::broken)?;
        let path = format!(
            "/build?t={}&dockerfile={}&labels={}&nocache={}&rm=1&forcerm=1",
            paths::encode(wanted.image),
            paths::encode(wanted.dockerfile),
            paths::encode(&labels),
            u8::from(wanted.no_cache),
        );
        let request = Request::builder().method(Method::POST).uri(path);
        let request = request.header(CONTENT_TYPE, "application/x-tar");
        let request = request.body(Upload(context).boxed_unsync()).map_err(ClientError::broken)?;
        let response = self.send_request(request).await?;
        Ok(Build {
            lines: Lines::of(response.into_body(), SILENCE_MAX),
            unread: String::new(),
            news: std::collections::VecDeque::new(),
        })
    }
}

impl Build {
    /// What it tells next; `None` once it has ended.
    pub(crate) async fn next(&mut self) -> Result<Option<BuildNews>, ClientError> {
        loop {
            if let Some(news) = self.news.pop_front() {
                return Ok(Some(news));
            }
            let Some(line) = self.lines.next_printed::<Line>().await? else {
                let rest = std::mem::take(&mut self.unread);
                return Ok((!rest.is_empty()).then(|| read(&rest)));
            };
            if let Some(printed) = line.stream {
                self.unread.push_str(&printed);
            }
            while let Some(end) = self.unread.find('\n') {
                let rest = self.unread.split_off(end + 1);
                let whole = std::mem::replace(&mut self.unread, rest);
                self.news.extend(whole.split(['\r', '\n']).filter(|line| !line.trim().is_empty()).map(read));
            }
            if let Some(error) = line.error {
                self.news.push_back(BuildNews::Failed(shown(&error)));
            }
        }
    }
}

/// What a line means. A step may print what looks like the builder's own words; then it is told as such.
fn read(line: &str) -> BuildNews {
    let line = shown(line);
    if let Some((number, of, text)) = step(&line) {
        return BuildNews::Step { number, of, text: text.to_owned() };
    }
    const ASIDES: [&str; 5] = [
        " --->",
        "Removing intermediate container",
        "Removed intermediate",
        "Successfully built",
        "Successfully tagged",
    ];
    if line.trim() == "---> Using cache" {
        BuildNews::Cached
    } else if ASIDES.iter().any(|aside| line.starts_with(aside)) {
        BuildNews::Aside(line)
    } else {
        BuildNews::Printed(line)
    }
}

/// `Step 2/5 : RUN true`
fn step(line: &str) -> Option<(usize, usize, &str)> {
    let (count, text) = line.strip_prefix("Step ")?.split_once(" : ")?;
    let (number, of) = count.split_once('/')?;
    Some((number.parse().ok()?, of.parse().ok()?, text))
}

/// A line as it can be shown: without colours, and without what else speaks to a terminal.
fn shown(line: &str) -> String {
    let plain = anstream::adapter::strip_str(line).to_string();
    plain.trim_end().chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| !super::speaks(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builders_words() {
        let step = |number, of, text: &str| BuildNews::Step { number, of, text: text.to_owned() };
        for (line, news) in [
            ("Step 2/5 : RUN pip install x", step(2, 5, "RUN pip install x")),
            (" ---> Using cache", BuildNews::Cached),
            (" ---> 87b2b551303b", BuildNews::Aside(" ---> 87b2b551303b".to_owned())),
            ("Step by step", BuildNews::Printed("Step by step".to_owned())),
            ("\u{1b}[31mred\u{1b}[0m\tand \u{7}loud  ", BuildNews::Printed("red and loud".to_owned())),
        ] {
            assert_eq!(read(line), news, "{line}");
        }
    }
}
