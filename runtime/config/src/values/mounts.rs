//! Mounts: `lxc.mount.auto`, `lxc.mount.entry` and the lines of fstab files.

/// `lxc.mount.auto`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MountAuto {
    /// `proc…`.
    pub proc: Option<ProcMode>,
    /// `sys…`.
    pub sys: Option<SysMode>,
    /// `cgroup…`.
    pub cgroup: Option<CgroupMount>,
    /// `shmounts:…`.
    pub shmounts: Option<SharedMounts>,
}

/// `shmounts:HOST[:CONTAINER]`: where mounts made on the host later appear inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedMounts {
    /// Directory of the host.
    pub host: String,
    /// Directory inside, `/dev/.lxc-mounts` unless written.
    pub guest: String,
}

/// `proc:…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcMode {
    /// `proc`, `proc:mixed`: /proc/sys and sysrq-trigger read-only, /proc/sys/net writable.
    Mixed,
    /// `proc:rw`.
    Rw,
}

/// `sys:…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SysMode {
    /// `sys`, `sys:mixed`: read-only, /sys/devices/virtual/net writable.
    Mixed,
    /// `sys:ro`.
    Ro,
    /// `sys:rw`.
    Rw,
}

/// `cgroup…`, `cgroup-full…`, `cgroup2…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CgroupMount {
    /// Which hierarchy view is mounted.
    pub kind: CgroupMountKind,
    /// Access; `None` = unspecified (rw when CAP_SYS_ADMIN is kept, else mixed).
    pub access: Option<CgroupAccess>,
    /// `:force` (implied by `cgroup2`).
    pub force: bool,
}

/// The word before the colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupMountKind {
    /// `cgroup`.
    Own,
    /// `cgroup-full`.
    Full,
    /// `cgroup2`.
    Unified,
}

/// The word after the colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupAccess {
    /// `ro`.
    Ro,
    /// `rw`.
    Rw,
    /// `mixed`.
    Mixed,
}

/// One fstab line, as written and split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountEntry {
    /// The line as written.
    pub line: String,
    /// First field, `\040` decoded.
    pub source: String,
    /// Second field, decoded.
    pub target: String,
    /// Third field.
    pub fstype: String,
    /// Fourth field, sorted into what each option means.
    pub options: MountOptions,
}

/// The fourth field of an fstab line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MountOptions {
    /// `create=dir`, `create=file`.
    pub create: Option<Create>,
    /// `optional`: failures are skipped.
    pub optional: bool,
    /// `relative`: the source lies inside the rootfs.
    pub relative: bool,
    /// `bind` or `rbind`.
    pub bind: Option<Bind>,
    /// `move`: the mount at the source is moved, not copied.
    pub moves: bool,
    /// `idmap=…`: whose ids the files show.
    pub idmap: Option<IdmapSource>,
    /// Attributes to set (`ro`, `nosuid`, …) as MOUNT_ATTR-like bits of [`attr`].
    pub set: u64,
    /// Attributes to clear (`rw`, `suid`, …).
    pub clear: u64,
    /// `private`, `rslave`, …
    pub propagation: Option<(Propagation, bool)>,
    /// Everything else, in order: data for the filesystem.
    pub data: Vec<String>,
}

/// Mount attributes, with the bit values of `MOUNT_ATTR_*` in `linux/mount.h`.
pub mod attr {
    /// `ro`.
    pub const RDONLY: u64 = 0x1;
    /// `nosuid`.
    pub const NOSUID: u64 = 0x2;
    /// `nodev`.
    pub const NODEV: u64 = 0x4;
    /// `noexec`.
    pub const NOEXEC: u64 = 0x8;
    /// `noatime`.
    pub const NOATIME: u64 = 0x10;
    /// `strictatime`.
    pub const STRICTATIME: u64 = 0x20;
    /// `nodiratime`.
    pub const NODIRATIME: u64 = 0x80;
    /// `nosymfollow` (Linux 5.10 for mounts, 5.14 for mount_setattr).
    pub const NOSYMFOLLOW: u64 = 0x20_0000;
    /// The three bits of the access-time choice; `relatime` is 0 within them.
    pub const ATIME_MASK: u64 = 0x70;
}

/// `create=…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Create {
    /// Directory, mode 0755, with parents.
    Dir,
    /// Empty file, mode 0000, with parents.
    File,
}

/// `bind`, `rbind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bind {
    /// The mount alone.
    Plain,
    /// With everything mounted below it.
    Recursive,
}

/// Propagation words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// `private`.
    Private,
    /// `shared`.
    Shared,
    /// `slave`.
    Slave,
    /// `unbindable`.
    Unbindable,
}

/// `idmap=…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdmapSource {
    /// `container`: the container's own map.
    Container,
    /// The map of the user namespace that this file stands for.
    Namespace(String),
}
