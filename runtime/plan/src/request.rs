//! What a caller asks of a start, apart from the configuration.

/// A start, as the caller wants it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StartRequest {
    /// Container name, already checked to be one path component.
    pub name: String,
    /// Directory of all containers, without a trailing slash.
    pub lxcpath: String,
    /// Program and arguments; empty = the configuration's, else `/sbin/init`.
    pub argv: Vec<String>,
    /// Run the program as a child of a minimal init (lxc-execute).
    pub mini_init: bool,
    /// The monitor is the caller's own process and its terminal the console.
    pub foreground: bool,
    /// Where the installation mounts a rootfs when the configuration does not say; `None` when it
    /// has no such directory: the rootfs is then mounted over itself.
    pub default_mount_point: Option<String>,
    /// The file that has the profiles of containers that name none, where the installation has it.
    pub default_profiles: Option<String>,
    /// The installation's `lxc.cgroup.pattern`.
    pub cgroup_pattern: Option<String>,
}
