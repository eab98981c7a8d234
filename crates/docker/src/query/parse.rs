//! A raw query as Go's `url.ParseQuery` reads it; what Go would stumble over is refused.

use percent_encoding::percent_decode_str;

use super::QueryRefusal;

/// The most pairs in a query.
const PAIRS_MAX: usize = 512;

/// The decoded pairs in order.
pub(super) fn pairs(raw: &str) -> Result<Vec<(String, String)>, QueryRefusal> {
    if raw.bytes().any(|b| b <= b' ' || b == 0x7f || b == b'#' || !b.is_ascii()) {
        return Err(QueryRefusal::new("The query holds a character that must be percent-encoded."));
    }
    if raw.contains(';') {
        return Err(QueryRefusal::new("invalid semicolon separator in query; separate keys with `&`"));
    }
    let parts: Vec<&str> = raw.split('&').filter(|part| !part.is_empty()).collect();
    if parts.len() > PAIRS_MAX {
        return Err(QueryRefusal::new(format!("The query has more than {PAIRS_MAX} keys; send fewer.")));
    }
    parts
        .into_iter()
        .map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decode(key)?, decode(value)?))
        })
        .collect()
}

fn decode(text: &str) -> Result<String, QueryRefusal> {
    let well_formed = text
        .split('%')
        .skip(1)
        .all(|rest| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)));
    if !well_formed {
        return Err(QueryRefusal::new(
            "invalid URL escape in the query: `%` must be followed by two hex digits",
        ));
    }
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .map(|text| text.into_owned())
        .map_err(|_| QueryRefusal::new("The query is not UTF-8."))
}
