//! What the busybox template writes: directories, files, and lines of the configuration.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The directories and their modes.
pub const DIRECTORIES: &[(&str, u32)] = &[
    ("selinux", 0o755),
    ("dev", 0o755),
    ("dev/pts", 0o755),
    ("home", 0o755),
    ("root", 0o755),
    ("etc", 0o755),
    ("etc/init.d", 0o755),
    ("bin", 0o755),
    ("sbin", 0o755),
    ("lib", 0o755),
    ("lib64", 0o755),
    ("usr", 0o755),
    ("usr/bin", 0o755),
    ("usr/sbin", 0o755),
    ("usr/lib", 0o755),
    ("usr/lib64", 0o755),
    ("proc", 0o755),
    ("sys", 0o755),
    ("mnt", 0o755),
    ("tmp", 0o1777),
    ("var", 0o755),
    ("var/log", 0o755),
    ("var/run", 0o755),
];

/// The only user.
pub const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n";

/// The only group.
pub const GROUP: &str = "root:x:0:root\n";

/// What busybox' init does: once at boot, on the first tty, on the console.
pub const INITTAB: &str = "\
# ID:RUNLEVELS:ACTION:PROCESS as busybox' init reads it
::sysinit:/etc/init.d/rcS
tty1::respawn:/bin/getty -L tty1 115200 vt100
console::askfirst:/bin/sh
";

/// Run once at boot.
pub const RC_S: &str = "\
#!/bin/sh
# Runs once at boot: the log, the mounts of /etc/fstab, an address if there is a network.
/bin/syslogd
/bin/mount -a
/bin/udhcpc
";

/// Run by udhcpc with the lease in its environment.
pub const UDHCPC_SCRIPT: &str = r#"#!/bin/sh
# Called by udhcpc with what happened as the argument and the lease in the environment.

configure() {
  ip addr add "$ip/${mask:-24}" ${broadcast:+broadcast "$broadcast"} dev "$interface"
  for gateway in $router; do
    ip route del default 2>/dev/null
    ip route add default via "$gateway" dev "$interface"
    break
  done
  if [ -n "$domain" ]; then
    echo "search $domain" >/etc/resolv.conf
  fi
  for server in $dns; do
    line="nameserver $server"
    grep -qxF "$line" /etc/resolv.conf 2>/dev/null || echo "$line" >>/etc/resolv.conf
  done
}

case "$1" in
  deconfig) ip addr flush dev "$interface" ;;
  renew | bound) configure ;;
esac
exit 0
"#;

/// Directories of the host that a dynamically linked busybox needs.
const LIBRARY_DIRECTORIES: [&str; 4] = ["lib", "usr/lib", "lib64", "usr/lib64"];

/// Where a busybox without a word about it looks for udhcpc's script.
const DEFAULT_UDHCPC_SCRIPT: &str = "usr/share/udhcpc/default.script";

/// The place of udhcpc's script that its help text names, relative to the root.
pub fn udhcpc_script_path(help: &str) -> &str {
    help.split(['(', ')', ' ', '\n'])
        .filter_map(|word| word.strip_prefix('/'))
        .find(|path| path.ends_with("/default.script") && !path.split('/').any(|part| part == ".."))
        .unwrap_or(DEFAULT_UDHCPC_SCRIPT)
}

/// Whether a word of `busybox --list` becomes a link in /bin.
pub fn is_applet(word: &str) -> bool {
    !word.is_empty() && word != "busybox" && word != "." && word != ".." && !word.contains('/')
}

/// The directory in the configuration's last lxc.rootfs.path, without its storage type.
pub fn rootfs_path(config: &str) -> Option<PathBuf> {
    let mut values = config.lines().filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "lxc.rootfs.path").then(|| value.trim())
    });
    let value = values.next_back().filter(|value| !value.is_empty())?;
    Some(PathBuf::from(value.strip_prefix("dir:").unwrap_or(value)))
}

/// The lines to append to the configuration. A name or path that would break out of its line is an
/// error.
pub fn config_lines(name: &str, rootfs: &Path, has_rootfs: bool) -> Result<String, String> {
    let mut text = String::new();
    if name.chars().any(char::is_control) {
        return Err(format!(
            "the name {name:?} cannot be written into a configuration"
        ));
    }
    if !has_rootfs {
        let path = rootfs
            .to_str()
            .filter(|path| !path.chars().any(char::is_control));
        let path = path.ok_or_else(|| {
            format!(
                "the path {} cannot be written into a configuration",
                rootfs.display()
            )
        })?;
        let _ = writeln!(text, "lxc.rootfs.path = {path}");
    }
    let _ = write!(
        text,
        "\
lxc.signal.halt = SIGUSR1
lxc.signal.reboot = SIGTERM
lxc.uts.name = {name}
lxc.autodev = 1
lxc.tty.max = 5
lxc.pty.max = 1
lxc.cap.drop = sys_module mac_admin mac_override sys_time

# To run without an AppArmor profile, remove the # of the next line:
#lxc.apparmor.profile = unconfined

lxc.mount.auto = cgroup:mixed proc:mixed sys:ro
lxc.mount.entry = shm dev/shm tmpfs defaults,create=dir 0 0
lxc.mount.entry = mqueue dev/mqueue mqueue defaults,optional,create=dir 0 0
"
    );
    for directory in LIBRARY_DIRECTORIES {
        if Path::new("/").join(directory).is_dir() {
            let _ = writeln!(
                text,
                "lxc.mount.entry = /{directory} {directory} none ro,bind 0 0"
            );
        }
    }
    text.push_str(
        "lxc.mount.entry = /sys/kernel/security sys/kernel/security none ro,bind,optional 0 0\n",
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(
        "-s PROG\tRun (default /etc/udhcpc/default.script)\n",
        "etc/udhcpc/default.script"
    )]
    #[case(
        "(default /usr/share/udhcpc/default.script)",
        "usr/share/udhcpc/default.script"
    )]
    #[case("(default /../../etc/default.script)", DEFAULT_UDHCPC_SCRIPT)]
    #[case("applet not found", DEFAULT_UDHCPC_SCRIPT)]
    fn script_places(#[case] help: &str, #[case] path: &str) {
        assert_eq!(udhcpc_script_path(help), path);
    }

    #[rstest]
    #[case("lxc.rootfs.path = dir:/a/b\n", Some("/a/b"))]
    #[case("lxc.rootfs.path=/a\nlxc.rootfs.path = /b", Some("/b"))]
    #[case("# lxc.rootfs.path = /a\n", None)]
    #[case("lxc.rootfs.path =\n", None)]
    fn rootfs_paths(#[case] config: &str, #[case] path: Option<&str>) {
        assert_eq!(rootfs_path(config), path.map(PathBuf::from));
    }

    #[test]
    fn nothing_breaks_out_of_its_line() {
        assert!(config_lines("a\nlxc.cap.keep = x", Path::new("/r"), true).is_err());
        assert!(config_lines("a", Path::new("/r\nlxc.cap.keep = x"), false).is_err());
        assert!(config_lines("a", Path::new("/r"), false).is_ok());
    }
}
