//! Files of a container through Docker's routes, running or not. It must never write one.

use std::collections::BTreeMap;
use std::io::Read as _;

use ds01_api::paths;
use http_body_util::{BodyExt as _, Limited};
use hyper::Method;

use super::{ANSWER_MAX, Bytes, ClientError, Door, speaks, within};

/// What dpkg writes of a machine with everything on it is a tenth of that.
const FILE_BYTES_MAX: usize = 32 * 1024 * 1024;

impl Door {
    /// Reads text files of a container; those that are not there, or are no files, are left out.
    pub(crate) async fn files(
        &self,
        id: &str,
        wanted: &[String],
    ) -> Result<BTreeMap<String, String>, ClientError> {
        let mut files = BTreeMap::new();
        for path in wanted {
            if let Some(text) = self.file(id, path).await? {
                files.insert(path.clone(), text);
            }
        }
        Ok(files)
    }

    async fn file(&self, id: &str, path: &str) -> Result<Option<String>, ClientError> {
        let asked = paths::with_name("/containers/{name}/archive", id) + "?path=" + &paths::encode(path);
        let archive = within(ANSWER_MAX, async {
            let response = self.send(Method::GET, &asked, Bytes::new(), None).await?;
            let body = Limited::new(response.into_body(), FILE_BYTES_MAX);
            Ok(body.collect().await.map_err(ClientError::broken)?.to_bytes())
        });
        match archive.await {
            Ok(archive) => Ok(first_file(&archive)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The file that an archive of the Engine's begins with. A link counts as one with nothing in it: it is there.
fn first_file(archive: &[u8]) -> Option<String> {
    let mut archive = tar::Archive::new(archive);
    let mut entry = archive.entries().ok()?.next()?.ok()?;
    if entry.header().entry_type().is_dir() {
        return None;
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    Some(text.chars().map(|c| if speaks(c) { char::REPLACEMENT_CHARACTER } else { c }).collect())
}
