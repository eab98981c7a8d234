//! What a request line means: one row of the closed table, the object it names, and its judged query.
//!
//! Answers for: [`find`], which accepts a raw request target or refuses it with the words and status that Docker's
//! clients understand; and for building the target that goes upstream.
//! Must never: forward any part of a path as it came. What goes upstream is rebuilt from a row and checked parts.

mod op;
mod path;
mod refusal;
mod table;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

pub use op::Op;
pub use refusal::{RouteRefusal, refuse_form_body};
pub use table::ROWS;

use crate::object::ObjectRef;
use crate::query::Query;
use crate::reference::ImageRef;
use crate::version::ApiVersion;

/// The longest request target served, in bytes. A classic build sends its arguments in the query.
pub const TARGET_BYTES_MAX: usize = 64 * 1024;

/// A method that the table knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the methods' names say it")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Options,
}

impl Method {
    /// Reads a method as HTTP spells it, in capitals.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            _ => return None,
        })
    }

    /// As HTTP spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}

/// How far an operation is opened to users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Forwarded as rebuilt; the same for everybody.
    Pass,
    /// Only on the caller's own objects; other people's are 404.
    Own,
    /// The reply, or the set acted on, is cut down to what the caller may see.
    Filtered,
    /// The request, or the reply, is judged and written anew.
    Rewritten,
    /// For administrators only.
    Admin,
    /// For nobody: a sentence saying why and what to do instead.
    Refused(&'static str),
}

/// What the request's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyRule {
    /// No body has a meaning here. What is sent is read up to a small limit and thrown away, never forwarded.
    None,
    /// JSON, read whole up to the cap, judged, written anew.
    Json,
    /// A stream, passed on piece by piece without an end known.
    Stream,
}

/// Whether, and as what, the connection may stop being request and response. It does so only when the Engine's
/// answer says so, never because of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tunnel {
    /// Never: `Upgrade` and `Connection: upgrade` are stripped.
    Never,
    /// After `101 UPGRADED`, or after 200 with a raw or multiplexed stream type.
    Raw,
    /// After `101` to a WebSocket.
    WebSocket,
    /// After `101` to h2c.
    Http2,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The method.
    pub method: Method,
    /// The path without version; `{…}` stands for the object, `{image}` and `{any}` take slashes.
    pub pattern: &'static str,
    /// The operation.
    pub op: Op,
    /// How far it is opened.
    pub class: Class,
    /// The minor version that introduced it.
    pub since: u16,
    /// What its body is.
    pub body: BodyRule,
    /// What its connection may become.
    pub tunnel: Tunnel,
}

/// The object that a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// The path names none.
    None,
    /// A container: name, id or prefix.
    Container(ObjectRef),
    /// An exec: an id.
    Exec(ObjectRef),
    /// A network: name, id or prefix.
    Network(ObjectRef),
    /// A volume: a name.
    Volume(ObjectRef),
    /// An image (a plugin is named likewise).
    Image(ImageRef),
    /// Something that no user's request may reach yet.
    Other,
}

/// An accepted request line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The operation.
    pub op: Op,
    /// The version in the path; `None` means the newest that door and Engine share.
    pub version: Option<ApiVersion>,
    /// The object that the path names.
    pub object: Object,
    /// The query: known keys only, dangerous ones judged.
    pub query: Query,
    /// How far the operation is opened. Never [`Class::Refused`].
    pub class: Class,
    /// What the body is.
    pub body: BodyRule,
    /// What the connection may become.
    pub tunnel: Tunnel,
    method: Method,
    pattern: &'static str,
}

/// Reads a method and a raw request target (path and query as on the wire).
///
/// # Errors
/// Whatever is not exactly a row of the table: see [`RouteRefusal`] for the statuses. A row of class
/// [`Class::Refused`] is refused here, with its sentence, whoever asks.
pub fn find(method: &str, target: &str) -> Result<Route, RouteRefusal> {
    if target.len() > TARGET_BYTES_MAX {
        return Err(RouteRefusal::too_long(TARGET_BYTES_MAX));
    }
    let (raw_path, raw_query) = match target.split_once('?') {
        Some((path, query)) => (path, query),
        None => (target, ""),
    };
    path::check_shape(raw_path)?;
    let (version, rest) = path::split_version(raw_path)?;
    // The one path that the Engine serves in two spellings.
    let rest = if rest == "/networks/" { "/networks" } else { rest };
    let method = Method::parse(method).ok_or_else(RouteRefusal::not_found)?;
    let (row, matched) = ROWS
        .iter()
        .filter(|row| row.method == method)
        .find_map(|row| path::matches(row.pattern, rest).map(|matched| (row, matched)))
        .ok_or_else(RouteRefusal::not_found)?;
    check_version(version, row)?;
    if let Class::Refused(sentence) = row.class {
        return Err(RouteRefusal::refused(row.op, sentence));
    }
    let object = matched.into_object()?;
    let query = Query::judge(row.op, raw_query)?;
    let body = match row.op {
        // Only an import from the client sends an archive; a pull has no body.
        Op::ImageCreate if query.get("fromSrc").is_none() => BodyRule::None,
        _ => row.body,
    };
    Ok(Route {
        op: row.op,
        version,
        object,
        query,
        class: row.class,
        body,
        tunnel: row.tunnel,
        method,
        pattern: row.pattern,
    })
}

fn check_version(version: Option<ApiVersion>, row: &Row) -> Result<(), RouteRefusal> {
    let Some(version) = version else { return Ok(()) };
    if version < ApiVersion::OLDEST {
        return Err(RouteRefusal::too_old(version));
    }
    if version > ApiVersion::NEWEST {
        return Err(RouteRefusal::too_new(version));
    }
    if version.minor() < row.since { Err(RouteRefusal::not_found()) } else { Ok(()) }
}

/// What stays as it is in an image reference within a path.
const IMAGE_ESCAPES: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'/').remove(b':').remove(b'@');

impl Route {
    /// The method, for the request upstream.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The path without version, with `{container}` and the like in place of names: for logs and metrics.
    pub fn pattern(&self) -> &'static str {
        self.pattern
    }

    /// The container named by the path.
    pub fn container(&self) -> Option<&ObjectRef> {
        if let Object::Container(object) = &self.object { Some(object) } else { None }
    }

    /// The exec named by the path.
    pub fn exec(&self) -> Option<&ObjectRef> {
        if let Object::Exec(object) = &self.object { Some(object) } else { None }
    }

    /// The network named by the path.
    pub fn network(&self) -> Option<&ObjectRef> {
        if let Object::Network(object) = &self.object { Some(object) } else { None }
    }

    /// The volume named by the path.
    pub fn volume(&self) -> Option<&ObjectRef> {
        if let Object::Volume(object) = &self.object { Some(object) } else { None }
    }

    /// The image named by the path.
    pub fn image(&self) -> Option<&ImageRef> {
        if let Object::Image(image) = &self.object { Some(image) } else { None }
    }

    /// The target that goes upstream: `/v1.NN`, the row's path with `resolved` (a full id, or the reference as sent
    /// where it is `None`) in the object's place, and the query.
    ///
    /// `version` is what [`ApiVersion::upstream`] says.
    pub fn upstream_target(&self, version: ApiVersion, resolved: Option<&ObjectRef>) -> String {
        let mut target = self.upstream_path(version, resolved);
        let query = self.query.to_string();
        if !query.is_empty() {
            target.push('?');
            target.push_str(&query);
        }
        target
    }

    /// As [`Route::upstream_target`], without the query.
    pub fn upstream_path(&self, version: ApiVersion, resolved: Option<&ObjectRef>) -> String {
        let sent = match &self.object {
            Object::Container(object)
            | Object::Exec(object)
            | Object::Network(object)
            | Object::Volume(object) => object.as_str().to_owned(),
            Object::Image(image) => utf8_percent_encode(image.as_str(), IMAGE_ESCAPES).to_string(),
            Object::None | Object::Other => String::new(),
        };
        let object = resolved.map_or(sent.as_str(), ObjectRef::as_str);
        path::fill(version, self.pattern, object)
    }
}

#[cfg(test)]
mod tests;
