//! Answers for: `manifest.json` in an archive of images: which of its files become images, and what they are called.
//!
//! Must never: pass on a name that was not read, or a word by which a loaded image enters the cache of other people's
//! builds.

use super::desk::{Desk, Stage};
use super::fields::{text, texts};
use super::refusal::Refusal;
use super::rules::Rules;
use super::table::Rule::{Check, Drop};
use super::table::{Table, judge_object, row};
use crate::json::{Json, Object, parse};
use crate::reference::ImageRef;

type Judged = Result<Option<Json>, Refusal>;

/// The largest manifest that is read: a hundred images of fifty layers need a tenth of it.
pub const MANIFEST_BYTES_MAX: usize = 1024 * 1024;
/// Images in one archive.
const IMAGES_MAX: usize = 128;
/// Names of all images in one archive: each is looked up.
const TAGS_MAX: usize = 256;
/// Layers of one image; the Engine takes fewer.
const LAYERS_MAX: usize = 256;

/// An image as `docker save` lists it. The Engine reads the list at any version alike.
pub(crate) const SAVED_IMAGE: Table = &[
    row("Config", 40, Check(config), "the file that becomes the image"),
    row("RepoTags", 40, Check(tags), "names that the image gets, whoever has them"),
    row("Layers", 40, Check(layers), "files of the archive"),
    row(
        "Parent",
        40,
        Drop,
        "as the child of a shared image it would be taken for a step of everybody's builds",
    ),
    row("LayerSources", 40, Drop, "layers come from the archive, not from where somebody says"),
];

/// One image of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedImage {
    /// The file of the archive with its configuration.
    pub config: String,
    /// The names that it is to get.
    pub tags: Vec<ImageRef>,
    /// The files with its layers.
    pub layers: Vec<String>,
}

/// A manifest that was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedManifest {
    images: Vec<LoadedImage>,
}

/// The path of a file as archives have it, and the Engine finds it: beneath the root, without turns.
fn inside(path: &str, name: &str) -> Result<(), Refusal> {
    let clean = !name.contains('\0') && name.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if clean { Ok(()) } else { Err(Refusal::bad(format!("\"{path}\" names no file of the archive"))) }
}

fn config(_desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let name = text(path, value)?;
    inside(path, &name)?;
    Ok(Some(Json::text(name)))
}

fn layers(_desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let names = texts(path, value)?;
    if names.len() > LAYERS_MAX {
        return Err(Refusal::bad(format!("\"{path}\" has more than {LAYERS_MAX} layers")));
    }
    names.iter().try_for_each(|name| inside(path, name))?;
    Ok(Some(Json::texts(names)))
}

fn tags(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let mut given = Vec::new();
    for name in texts(path, value)? {
        let image = ImageRef::parse(&name).map_err(|wrong| Refusal::bad(wrong.to_string()))?;
        let tagged = image.familiar_tagged().filter(|_| image.tag().is_some() && image.digest().is_none());
        given.push(tagged.ok_or_else(|| Refusal::bad(format!("\"{path}\" must be NAME:TAG, not {image}")))?);
    }
    desk.found.images.extend(given.iter().cloned());
    if desk.found.images.len() > TAGS_MAX {
        return Err(Refusal::bad(format!("the archive gives its images more than {TAGS_MAX} names")));
    }
    Ok((!given.is_empty()).then(|| Json::texts(given)))
}

/// Judges `manifest.json` of an archive of images.
///
/// # Errors
/// A [`Refusal`] that says what the Engine could read otherwise, or what is not understood.
pub fn judge_manifest(content: &[u8], rules: &Rules) -> Result<JudgedManifest, Refusal> {
    let within =
        |wrong: String| Refusal::bad(format!("manifest.json in the archive cannot be read: {wrong}"));
    let tree = parse(content).map_err(|error| within(error.to_string()))?;
    let items = tree.as_array().ok_or_else(|| within(format!("it is {}, not a list", tree.kind())))?;
    if items.is_empty() {
        return Err(Refusal::bad("the archive holds no image"));
    }
    if items.len() > IMAGES_MAX {
        return Err(Refusal::bad(format!("the archive holds more than {IMAGES_MAX} images")));
    }
    let mut desk = Desk::new(rules, Stage::Create);
    let mut images = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        images.push(read(&judge_object(SAVED_IMAGE, &mut desk, &format!("manifest[{index}]"), item)?)?);
    }
    // The Engine tells the ids of the images only if the last one has no name. Whose an image without one is must be
    // written down.
    images.sort_by_key(|image| image.tags.is_empty());
    Ok(JudgedManifest { images })
}

/// An image out of the object that was written for it.
fn read(judged: &Object) -> Result<LoadedImage, Refusal> {
    let names = |key: &str| texts(key, judged.get(key));
    let tags = names("RepoTags")?.iter().map(|name| ImageRef::parse(name)).collect::<Result<_, _>>();
    Ok(LoadedImage {
        config: text("Config", judged.get("Config"))?,
        tags: tags.map_err(|wrong| Refusal::bad(wrong.to_string()))?,
        layers: names("Layers")?,
    })
}

impl JudgedManifest {
    /// The images, those without a name last.
    #[must_use]
    pub fn images(&self) -> &[LoadedImage] {
        &self.images
    }

    /// The file for the Engine.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let written = |image: &LoadedImage| {
            let tags = image.tags.iter().filter_map(ImageRef::familiar_tagged);
            let mut object = Object::new();
            object.set("Config", Json::text(image.config.as_str()));
            object.set("RepoTags", Json::texts(tags));
            object.set("Layers", Json::texts(image.layers.iter().cloned()));
            Json::Object(object)
        };
        Json::Array(self.images.iter().map(written).collect()).to_bytes()
    }
}
