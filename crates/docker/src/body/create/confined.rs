//! Answers for: containers in which there is nobody but the caller himself: his numbers, no capabilities, and no program
//! that could give him any.
//!
//! Must never: leave root, or a name that the image could make root, in such a body.

use super::super::fields::texts;
use super::JudgedCreate;
use crate::json::Json;

impl JudgedCreate {
    /// Whether everything inside runs as the caller himself.
    #[must_use]
    pub fn is_confined(&self) -> bool {
        self.confined
    }

    /// Makes everything inside run as the caller himself, without capabilities: in the strict profile, and where a file
    /// system cannot translate owners, so that root inside would be root outside. Admins' bodies are confined like any
    /// other's, but for root's own: he is himself on both sides.
    pub fn confine(&mut self) {
        if self.confined || self.uid == 0 {
            return;
        }
        self.confined = true;
        let own = self.own_user();
        let asked = self.found.user.take().filter(|user| !user.is_empty());
        if asked.as_ref().is_some_and(|asked| *asked != own) {
            self.warnings
                .push(format!("User was set to {own}: everything in this container runs as you yourself."));
        }
        self.set_user(&own);
        let added = texts("CapAdd", self.host.remove("CapAdd").as_ref()).unwrap_or_default();
        if !added.is_empty() {
            self.warnings.push(format!(
                "CapAdd {} was dropped: this container has no capabilities.",
                added.join(", ")
            ));
        }
        self.host.set("CapDrop", Json::texts(["ALL"]));
        self.host.set("SecurityOpt", Json::texts(["no-new-privileges:true"]));
    }

    /// The caller in numbers, with the group that was asked for where it is one of his.
    fn own_user(&self) -> String {
        let asked = self.found.user.as_deref().and_then(|user| user.split_once(':'));
        let group =
            asked.filter(|(user, _)| user.parse() == Ok(self.uid)).and_then(|(_, gid)| gid.parse().ok());
        let own = |gid: &u32| *gid != 0 && (*gid == self.gid || self.groups.contains(gid));
        format!("{}:{}", self.uid, group.filter(own).unwrap_or(self.gid))
    }
}
