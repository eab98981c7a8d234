//! Files of a container, as `docker cp` gets them: an archive on its way. It must never unpack one.

use std::time::Duration;

use bytes::Bytes;
use ds01_api::paths;
use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::body::Incoming;

use super::{ANSWER_MAX, ClientError, Door, within};

/// After so much silence the other side is taken for dead.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A tar archive. Dropping it hangs up.
#[derive(Debug)]
pub(crate) struct Archive(Incoming);

impl Door {
    /// Asks for a path of a container, with all that is below it.
    pub(crate) async fn archive(&self, id: &str, path: &str) -> Result<Archive, ClientError> {
        let target = paths::with_name("/containers/{name}/archive?path=", id) + &paths::encode(path);
        let response = within(ANSWER_MAX, self.send(Method::GET, &target, Bytes::new(), None)).await?;
        Ok(Archive(response.into_body()))
    }
}

impl Archive {
    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        while let Some(frame) = within(SILENCE_MAX, async { Ok(self.0.frame().await) }).await? {
            if let Ok(data) = frame.map_err(ClientError::broken)?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}
