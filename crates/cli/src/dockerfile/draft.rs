//! A new Dockerfile, as a person would have written it: what changes seldom stands above, so that a build takes it from the
//! one before.

use super::edit::{PROJECTS, SYSTEM, install, requirements};
use super::packages::Installer;

/// What an image is to have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    /// Whose image it is.
    pub(crate) project: String,
    /// What it is for, in a few words; may be empty.
    pub(crate) purpose: String,
    /// The image to begin with.
    pub(crate) base: String,
    /// Whether that brings a framework, which pip must leave alone.
    pub(crate) has_framework: bool,
    /// Packages of the distribution.
    pub(crate) system: Vec<String>,
    /// Packages that come together, each group with its title.
    pub(crate) groups: Vec<Group>,
    /// A file of the workspace that names more of them.
    pub(crate) requirements: Option<String>,
    /// Packages that were asked for by name.
    pub(crate) packages: Vec<String>,
}

/// Packages for one purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) title: String,
    pub(crate) packages: Vec<String>,
}

/// Settings that every image is the better for.
const SETTINGS: &str = "\
# An image has one Python for everything: pip may install into it. What a program prints is seen at once.
ENV PIP_BREAK_SYSTEM_PACKAGES=1 \\
    PIP_DISABLE_PIP_VERSION_CHECK=1 \\
    PIP_ROOT_USER_ACTION=ignore \\
    PYTHONUNBUFFERED=1
";

/// Keeps pip from replacing what the base brings by a build for another CUDA.
const KEPT: &str = "\
# What the base brings of its framework stays: it was built for this CUDA.
RUN (pip list --format=freeze 2>/dev/null \\
     | grep -E '^(torch|torchvision|torchaudio|tensorflow|jax|jaxlib)==' || true) >/etc/pip-kept.txt
ENV PIP_CONSTRAINT=/etc/pip-kept.txt
";

impl Draft {
    /// The text.
    pub(crate) fn text(&self) -> String {
        let purpose = if self.purpose.is_empty() { String::new() } else { format!(": {}", self.purpose) };
        let mut parts = vec![
            format!(
                "# The image of {project}{purpose}.\n# After a change: image update {project} --rebuild\nFROM {}\n",
                self.base,
                project = self.project
            ),
            SETTINGS.to_owned(),
        ];
        parts.extend(layer(SYSTEM, Installer::Apt, &self.system));
        if self.has_framework && self.installs_by_pip() {
            parts.push(KEPT.to_owned());
        }
        for group in &self.groups {
            parts.extend(layer(&format!("# {}", group.title), Installer::Pip, &group.packages));
        }
        parts.extend(layer(PROJECTS, Installer::Pip, &self.packages));
        if let Some(file) = &self.requirements {
            parts.push(format!("# What {file} of the workspace names\n{}\n", requirements(file).join("\n")));
        }
        parts.push("WORKDIR /workspace\n".to_owned());
        parts.join("\n")
    }

    fn installs_by_pip(&self) -> bool {
        !self.packages.is_empty()
            || self.requirements.is_some()
            || self.groups.iter().any(|group| !group.packages.is_empty())
    }
}

/// An instruction that installs packages, with its title; none without packages.
fn layer(title: &str, installer: Installer, packages: &[String]) -> Option<String> {
    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
    (!packages.is_empty()).then(|| format!("{title}\n{}\n", install(installer, &packages, '\\')))
}
