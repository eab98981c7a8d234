//! A compose file as a tree in which every value knows where it stands. It must never guess what a value means, nor follow an alias.

use granit_parser::{Event, Marker, Parser, Span};

/// Collections inside collections.
const DEPTH_MAX: usize = 32;

/// A line, from 1 on, and the characters before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A value and where it stands; a key's value begins with the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) from: Place,
    /// Behind its last character.
    pub(super) to: Place,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
    /// What stands elsewhere in the file: `*name`.
    Alias,
}

impl Node {
    /// A key's value.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    pub(super) fn entries(&self) -> &[(String, Self)] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    pub(super) fn items(&self) -> &[Self] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }
}

/// Reads the first document of a text. The error says where it ends being YAML.
pub(super) fn parse(text: &str) -> Result<Node, String> {
    let options = granit_parser::options! {
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    let mut reader = Reader(Parser::new_from_str_with_options(text, options));
    loop {
        match reader.next()? {
            (Event::DocumentStart(..), _) => {
                let (event, span) = reader.next()?;
                return reader.node(event, span);
            }
            (Event::StreamEnd, _) => return Err("there is nothing in it".to_owned()),
            _ => {}
        }
    }
}

struct Reader<'a>(Parser<'a, granit_parser::StrInput<'a>>);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), String> {
        match self.0.next_event() {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => Err(error.to_string()),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, String> {
        let from = place(&span.start);
        let (value, to) = match event {
            Event::Scalar(text, ..) => (Value::Text(text.into_owned()), place(&span.end)),
            Event::SequenceStart(..) => self.items(from)?,
            Event::MappingStart(..) => self.entries(from)?,
            Event::Alias(_) => (Value::Alias, place(&span.end)),
            _ => return Err(format!("line {}: a value is missing", from.line)),
        };
        Ok(Node { from, to, value })
    }

    fn items(&mut self, from: Place) -> Result<(Value, Place), String> {
        let (mut items, mut to) = (Vec::new(), from);
        loop {
            match self.next()? {
                (Event::SequenceEnd, span) => return Ok((Value::List(items), end(to, &span))),
                (event, span) => {
                    let item = self.node(event, span)?;
                    to = to.max(item.to);
                    items.push(item);
                }
            }
        }
    }

    fn entries(&mut self, from: Place) -> Result<(Value, Place), String> {
        let (mut entries, mut to) = (Vec::new(), from);
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok((Value::Map(entries), end(to, &span)));
            }
            let key = self.node(event, span)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            let value = Node { from: key.from, to: value.to.max(key.to), ..value };
            to = to.max(value.to);
            if let Value::Text(name) = key.value {
                entries.push((name, value));
            }
        }
    }
}

fn place(marker: &Marker) -> Place {
    Place { line: marker.line(), column: marker.col() }
}

/// Where a collection ends. One in brackets ends with its bracket, any other with what is last in it.
fn end(last: Place, span: &Span) -> Place {
    if span.is_empty() { last } else { last.max(place(&span.end)) }
}
