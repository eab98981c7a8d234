//! The stable codes of errors and refusals. It must never change a code that has been released: scripts compare them.

/// The caller already uses all the GPU weight that he may.
pub const GPU_QUOTA: &str = "gpu.quota";
/// More units in one container than the caller may have.
pub const GPU_SLOTS: &str = "gpu.slots";
/// No state of this machine could ever satisfy the wish.
pub const GPU_NEVER: &str = "gpu.never";
/// A whole GPU was asked for by someone who may only have slices.
pub const GPU_FULL: &str = "gpu.full-gpu";
/// A unit was named that this machine does not have.
pub const GPU_UNKNOWN_UNIT: &str = "gpu.unknown-unit";
/// No unit became free within the wait.
pub const GPU_TIMEOUT: &str = "gpu.timeout";
/// The wait was given up: hang-up, stop, kill, remove.
pub const GPU_CANCELLED: &str = "gpu.cancelled";
/// The caller has as many containers as he may.
pub const CONTAINERS_QUOTA: &str = "containers.quota";

/// The caller has asked for as much time for idle containers as he may.
pub const KEEP_BUDGET: &str = "keep.budget";
/// Nothing of this name is exempt.
pub const EXEMPTION_NOT_FOUND: &str = "exemption.not-found";
/// The machine knows no such user.
pub const USER_NOT_FOUND: &str = "user.not-found";

/// No such container, or not the caller's (which looks the same).
pub const CONTAINER_NOT_FOUND: &str = "container.not-found";
/// The container exists and was made with other settings.
pub const CONTAINER_CONFLICT: &str = "container.conflict";
/// The container runs, and what was asked is for those that do not.
pub const CONTAINER_RUNNING: &str = "container.running";
/// The container does not run, and what was asked is for those that do.
pub const CONTAINER_NOT_RUNNING: &str = "container.not-running";
/// The image is not on this machine.
pub const IMAGE_NOT_FOUND: &str = "image.not-found";
/// What a container is to see at a path of the host is not there any more.
pub const BIND_NOT_FOUND: &str = "bind.not-found";
/// No framework of this name is in the machine's catalogue.
pub const FRAMEWORK_UNKNOWN: &str = "framework.unknown";
/// A project name outside the rules of [`crate::names`].
pub const NAME_INVALID: &str = "name.invalid";
/// The workspace or a data directory is not the caller's to mount.
pub const WORKSPACE_DENIED: &str = "workspace.denied";
/// The request cannot be read, or contradicts itself.
pub const REQUEST_INVALID: &str = "request.invalid";
/// The caller may not do this.
pub const NOT_PERMITTED: &str = "request.not-permitted";
/// The Docker Engine does not answer.
pub const ENGINE_UNAVAILABLE: &str = "engine.unavailable";
/// A fault in `ds01d` itself.
pub const INTERNAL: &str = "internal";
