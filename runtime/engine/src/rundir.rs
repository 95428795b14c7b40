//! The run directory, where LXC keeps what need not outlive the machine.

use lxc_kernel::users;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// `/run` for whoever owns it, else the user's own (defaults section 1): C LXC looks in the same
/// place for locks and for lxc-monitord's pipe.
pub fn run_directory() -> PathBuf {
    let system = PathBuf::from("/run");
    let ours = std::fs::metadata(&system)
        .is_ok_and(|run| run.uid() == users::euid() || run.gid() == users::egid());
    match std::env::var_os("XDG_RUNTIME_DIR") {
        _ if ours => system,
        Some(runtime) => PathBuf::from(runtime),
        None => {
            let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
            home.join(".cache/lxc/run")
        }
    }
}
