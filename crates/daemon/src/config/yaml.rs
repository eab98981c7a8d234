//! YAML as a tree in which every key and value knows its line and column.
//!
//! The only module that knows the parser. It must never guess what a value means: scalars stay text, and the module
//! that wants a number reads one. A tree is made even where keys are repeated, so that one reading finds all mistakes.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};

use super::mistake::{Findings, Place};

/// Nodes that one file may come to, aliases counted each time they are used: a page of aliases of aliases is an attack.
const NODES_MAX: usize = 50_000;
/// Collections inside collections.
const DEPTH_MAX: usize = 32;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What a value is, before anybody asks what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing, `~` or `null`, written without quotes.
    Null,
    /// Text as written; `plain` if without quotes, so that it may be a number or a truth value.
    Scalar { text: String, plain: bool },
    /// `[a, b]` or lines with dashes.
    List(Vec<Node>),
    /// `key: value`.
    Map(Vec<Entry>),
}

/// One key of a mapping with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) value: Node,
}

impl Node {
    /// What it is, for a sentence: "`32x`", "a list".
    pub(super) fn kind(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Scalar { text, .. } => format!("`{}`", super::mistake::shorten(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    fn size(&self) -> usize {
        1 + match &self.value {
            Value::Null | Value::Scalar { .. } => 0,
            Value::List(items) => items.iter().map(Node::size).sum(),
            Value::Map(entries) => entries.iter().map(|entry| 1 + entry.value.size()).sum::<usize>(),
        }
    }
}

/// Reads one document. `None` where there is none, or where the text is no YAML; the findings say which.
pub(super) fn parse(text: &str, findings: &mut Findings) -> Option<Node> {
    let options = granit_parser::options! {
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
        disallow_directives: true,
    };
    let parser = Parser::new_from_str_with_options(text, options);
    let mut reader = Reader { parser, anchors: HashMap::new(), nodes: 0, findings };
    match reader.stream() {
        Ok(root) => root,
        Err(Broken { place, message }) => {
            reader.findings.mistake(place, message);
            None
        }
    }
}

/// The text ends being YAML here.
struct Broken {
    place: Place,
    message: String,
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    findings: &'a mut Findings,
}

impl<'a> Reader<'a> {
    fn stream(&mut self) -> Result<Option<Node>, Broken> {
        let mut root = None;
        let mut documents = 0;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::DocumentStart(..) if documents == 1 => {
                    let message = "a second document starts here; the file must hold one".to_owned();
                    return Err(Broken { place: place(span), message });
                }
                Event::DocumentStart(..) => {
                    documents += 1;
                    let (event, span) = self.next()?;
                    root = Some(self.node(event, span)?);
                }
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Broken> {
        match self.parser.next_event() {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => {
                let at = error.marker();
                let place = Place::new(at.line(), at.col() + 1);
                Err(Broken { place, message: explain(&error) })
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, Broken> {
        let at = place(span);
        self.count(1, at)?;
        let (anchor, tag, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref());
                (anchor, tag, value)
            }
            Event::SequenceStart(_, anchor, tag) => (anchor, tag, Value::List(self.items()?)),
            Event::MappingStart(_, anchor, tag) => (anchor, tag, Value::Map(self.entries()?)),
            Event::Alias(anchor) => return self.alias(anchor, at),
            _ => return Err(Broken { place: at, message: "a value is missing here".to_owned() }),
        };
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema() && tag.original() != "!") {
            self.findings.mistake(at, format!("the tag {} means nothing here; leave it out", tag.original()));
        }
        let node = Node { place: at, value };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, at: Place) -> Result<Node, Broken> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(Broken {
                place: at,
                message: "this alias stands inside what it stands for".to_owned(),
            });
        };
        self.count(node.size(), at)?;
        Ok(node)
    }

    fn count(&mut self, nodes: usize, at: Place) -> Result<(), Broken> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > NODES_MAX {
            let message = format!("the file comes to more than {NODES_MAX} values here, aliases counted");
            return Err(Broken { place: at, message });
        }
        Ok(())
    }

    fn items(&mut self) -> Result<Vec<Node>, Broken> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn entries(&mut self) -> Result<Vec<Entry>, Broken> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Node> = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => break,
                (event, span) => self.node(event, span)?,
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            match key.value {
                Value::Scalar { text, plain: true } if text == "<<" => merged.push(value),
                Value::Scalar { text, .. } => {
                    self.add(&mut entries, Entry { key: text, place: key.place, value });
                }
                Value::Null => {
                    let entry = Entry { key: "null".to_owned(), place: key.place, value };
                    self.add(&mut entries, entry);
                }
                Value::List(_) | Value::Map(_) => {
                    self.findings.mistake(key.place, "a key must be a word, not a list or a mapping");
                }
            }
        }
        for source in merged {
            self.merge(&mut entries, source);
        }
        Ok(entries)
    }

    fn add(&mut self, entries: &mut Vec<Entry>, entry: Entry) {
        match entries.iter().find(|earlier| earlier.key == entry.key) {
            None => entries.push(entry),
            Some(earlier) => {
                let line = earlier.place.line;
                let message = format!("`{}` is already set on line {line}; keep one of the two", entry.key);
                self.findings.mistake(entry.place, message);
            }
        }
    }

    /// `<<: *defaults`: what the mapping itself says goes first, then the earlier source.
    fn merge(&mut self, entries: &mut Vec<Entry>, source: Node) {
        match source.value {
            Value::Map(more) => {
                for entry in more {
                    if !entries.iter().any(|own| own.key == entry.key) {
                        entries.push(entry);
                    }
                }
            }
            Value::List(sources) if sources.iter().all(|one| matches!(one.value, Value::Map(_))) => {
                for one in sources {
                    self.merge(entries, one);
                }
            }
            _ => self.findings.mistake(source.place, "`<<` takes a mapping, or a list of mappings"),
        }
    }
}

fn place(span: Span) -> Place {
    Place::new(span.start.line(), span.start.col() + 1)
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let is_text = tag.is_some_and(|tag| tag.core_suffix() == Some("str") || tag.original() == "!");
    let plain = matches!(style, ScalarStyle::Plain) && !is_text;
    match text {
        "" | "~" | "null" | "Null" | "NULL" if plain => Value::Null,
        _ => Value::Scalar { text: text.to_owned(), plain },
    }
}

/// The parser's words, and what to do about the commonest slip.
fn explain(error: &granit_parser::ScanError) -> String {
    use granit_parser::ErrorKind;
    let hint = match error.kind() {
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation => {
            "; indent with spaces"
        }
        ErrorKind::InvalidIndentation | ErrorKind::ExpectedBlockMappingKey | ErrorKind::SimpleKeyExpected => {
            "; look at the indentation of this line and the one before"
        }
        _ => "",
    };
    format!("not YAML: {}{hint}", error.info())
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
