//! Answers for: one pass over the bytes of a body that yields a tree or the place of the mistake.
//!
//! Must never: recurse deeper than [`JSON_DEPTH_MAX`], whatever it is given.

use std::collections::HashSet;

use super::{JSON_BODY_BYTES_MAX, JSON_DEPTH_MAX, JSON_VALUES_MAX, Json, JsonError, Number, Object};

/// Reads one JSON value that fills the whole body.
///
/// # Errors
/// [`JsonError`] names what is wrong and the byte at which it was found.
pub fn parse(body: &[u8]) -> Result<Json, JsonError> {
    if body.len() > JSON_BODY_BYTES_MAX {
        return Err(JsonError::TooLarge { bytes: body.len() });
    }
    let text = std::str::from_utf8(body).map_err(|error| JsonError::Utf8 { at: error.valid_up_to() })?;
    let mut reader = Reader { bytes: text.as_bytes(), text, at: 0, values: 0 };
    reader.skip_space();
    if reader.at == body.len() {
        return Err(JsonError::Empty);
    }
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.at < body.len() {
        return Err(JsonError::Trailing { at: reader.at });
    }
    Ok(value)
}

struct Reader<'a> {
    bytes: &'a [u8],
    text: &'a str,
    at: usize,
    /// Values read so far.
    values: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn wrong(&self, expected: &'static str) -> JsonError {
        JsonError::Syntax { at: self.at, expected }
    }

    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.values += 1;
        if self.values > JSON_VALUES_MAX {
            return Err(JsonError::TooMany { at: self.at });
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) => Err(self.wrong("a value was expected")),
            None => Err(self.wrong("the body ends where a value was expected")),
        }
    }

    fn word(&mut self, word: &'static str, value: Json) -> Result<Json, JsonError> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(value)
        } else {
            Err(self.wrong("a value was expected"))
        }
    }

    fn deeper(&self, depth: usize) -> Result<usize, JsonError> {
        if depth == JSON_DEPTH_MAX {
            return Err(JsonError::Depth { at: self.at });
        }
        Ok(depth + 1)
    }

    fn object(&mut self, depth: usize) -> Result<Json, JsonError> {
        let depth = self.deeper(depth)?;
        self.at += 1;
        let mut members: Vec<(String, Json)> = Vec::new();
        let mut seen: HashSet<String> = HashSet::new();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(Object { members }));
        }
        loop {
            self.skip_space();
            let at = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.wrong("a key in quotes was expected"));
            }
            let key = self.string()?;
            if !seen.insert(key.clone()) {
                return Err(JsonError::DuplicateKey { key, at });
            }
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.wrong("a colon was expected after the key"));
            }
            self.at += 1;
            self.skip_space();
            members.push((key, self.value(depth)?));
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Json::Object(Object { members }));
                }
                _ => return Err(self.wrong("a comma or } was expected")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, JsonError> {
        let depth = self.deeper(depth)?;
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            self.skip_space();
            items.push(self.value(depth)?);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Json::Array(items));
                }
                _ => return Err(self.wrong("a comma or ] was expected")),
            }
        }
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.wrong("a digit was expected"));
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Json::Number(Number(self.text[start..self.at].to_owned())))
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut out = String::new();
        let mut run = self.at;
        loop {
            match self.peek() {
                None => return Err(self.wrong("the body ends inside a string")),
                Some(b'"') => {
                    out.push_str(&self.text[run..self.at]);
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    out.push_str(&self.text[run..self.at]);
                    out.push(self.escape()?);
                    run = self.at;
                }
                Some(0..=0x1F) => {
                    return Err(self.wrong("a control character in a string must be escaped"));
                }
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        self.at += 1;
        let letter = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(start),
            _ => return Err(self.wrong("an escape letter was expected after the backslash")),
        };
        self.at += 1;
        Ok(letter)
    }

    /// `\uXXXX`, or two of them that make one letter. Go writes U+FFFD for a half pair and the
    /// kernel cuts a text at NUL; both would change what was said, so both are refused.
    fn unicode_escape(&mut self, start: usize) -> Result<char, JsonError> {
        const PAIR: &str = "a surrogate half without its other half is not a letter";
        let wrong = |expected| JsonError::Syntax { at: start, expected };
        self.at += 1;
        let first = self.hex4()?;
        let code = match first {
            0xD800..=0xDBFF => {
                if !self.bytes[self.at..].starts_with(b"\\u") {
                    return Err(wrong(PAIR));
                }
                self.at += 2;
                let second = self.hex4()?;
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return Err(wrong(PAIR));
                }
                0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            0 => return Err(wrong("a NUL character is not accepted")),
            other => other,
        };
        char::from_u32(code).ok_or_else(|| wrong(PAIR))
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self
                .peek()
                .and_then(|byte| char::from(byte).to_digit(16))
                .ok_or_else(|| self.wrong("four hexadecimal digits were expected"))?;
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }
}
