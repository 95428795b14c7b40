//! Where things are: LXC's paths, and this installation's own.

use lxc_config::GlobalConfig;
use lxc_engine::origin;
use std::path::{Path, PathBuf};

/// Directory of all containers when nothing else is said.
const LXCPATH: &str = "/var/lib/lxc";

/// What an installation consists of, found from the library's file or the running program.
pub(crate) struct Installation {
    /// `PREFIX` of `cargo xtask install`; `None` for a program run from a build directory.
    prefix: Option<PathBuf>,
}

impl Installation {
    /// Finds it: a prefix is where libexec/lxc lies beside the directory of library or program.
    pub fn discover() -> Installation {
        let mut prefixes = origin::prefixes().into_iter();
        Installation {
            prefix: prefixes.find(|p| p.join("libexec/lxc").is_dir()),
        }
    }

    /// Where a rootfs is mounted before it becomes the root; `None` = over itself.
    pub fn mount_point(&self) -> Option<String> {
        let path = self.prefix.as_ref()?.join("lib/lxc/rootfs");
        path.is_dir().then(|| path.to_string_lossy().into_owned())
    }

    /// The file of AppArmor profiles of containers that name none; whether it is there is not looked at.
    pub fn profiles(&self) -> Option<String> {
        let path = self
            .prefix
            .as_ref()?
            .join("share/lxc/apparmor/lxc-containers");
        Some(path.to_string_lossy().into_owned())
    }

    /// The program of the template `name`.
    pub fn template(&self, name: &str) -> Option<PathBuf> {
        let file = format!("lxc-{name}");
        let own = self.prefix.as_ref().map(|p| p.join("share/lxc/templates"));
        let places = [own, Some(PathBuf::from("/usr/share/lxc/templates"))];
        places
            .into_iter()
            .flatten()
            .map(|p| p.join(&file))
            .find(|p| p.is_file())
    }

    /// Directory of lxc.conf and default.conf: the installation's own where it has one.
    fn configuration(&self) -> PathBuf {
        if rustix_euid() != 0 {
            return home().join(".config/lxc");
        }
        let own = self
            .prefix
            .as_ref()
            .map(|p| p.join("etc/lxc"))
            .filter(|p| p.is_dir());
        own.unwrap_or_else(|| PathBuf::from("/etc/lxc"))
    }
}

fn rustix_euid() -> u32 {
    lxc_engine::caller_euid()
}

fn home() -> PathBuf {
    std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from)
}

pub(crate) fn global() -> GlobalConfig {
    let path = Installation::discover().configuration().join("lxc.conf");
    // A file that cannot be read says nothing; LXC goes on with the defaults as well.
    GlobalConfig::load(&path).unwrap_or_else(|_| GlobalConfig::parse(""))
}

/// `lxc.cgroup.pattern` and `lxc.cgroup.use` of lxc.conf.
pub(crate) fn cgroup_settings() -> (Option<String>, Option<String>) {
    let global = global();
    (
        global.get("lxc.cgroup.pattern"),
        global.get("lxc.cgroup.use"),
    )
}

/// Tells where the library was loaded from: its installation is found from there instead of from the
/// running program. Only the first call counts.
pub fn set_library(file: &Path) {
    origin::set_library(file);
}

/// Directory of all containers: `lxc.lxcpath` of lxc.conf, else LXC's default for this user.
pub fn default_lxcpath() -> PathBuf {
    if let Some(path) = global().get("lxc.lxcpath") {
        return PathBuf::from(path);
    }
    match rustix_euid() {
        0 => PathBuf::from(LXCPATH),
        _ => home().join(".local/share/lxc"),
    }
}

/// The file a new container's configuration begins with: `lxc.default_config` of lxc.conf, else
/// default.conf beside it.
pub fn default_config() -> PathBuf {
    if let Some(path) = global().get("lxc.default_config") {
        return PathBuf::from(path);
    }
    Installation::discover()
        .configuration()
        .join("default.conf")
}

/// `path` without trailing slashes, as text: the command socket's name is made of it.
pub(crate) fn spelled(path: &Path) -> String {
    let text = path.to_string_lossy();
    let trimmed = text.trim_end_matches('/');
    if trimmed.is_empty() {
        "/".into()
    } else {
        trimmed.to_string()
    }
}
