//! The text of an AppArmor profile for a container.
//!
//! Everything is allowed that the guest does to itself: files, sockets, capabilities, its own
//! processes. What is the host's although the guest sees it is a closed list: of /proc and /sys only
//! named files can be written, and only filesystems are mounted that cannot show those two at another
//! path, where the list would not hold.

/// What a profile allows beside the rules that all have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allowed {
    /// Mounting cgroups: the container has a cgroup namespace, so that it mounts its own part.
    pub cgroups: bool,
    /// Mounting filesystems of block devices.
    pub disks: bool,
    /// Containers inside: any mount, and changing the root.
    pub nesting: bool,
    /// A policy namespace of its own, in which the container's AppArmor works.
    pub namespace: Option<String>,
    /// Lines of `lxc.apparmor.raw`.
    pub raw: Vec<String>,
}

/// A filesystem tree whose writable files are listed.
struct Listed {
    /// Directory below the root.
    top: &'static str,
    /// What may be written in it, relative to it.
    writable: &'static [&'static str],
}

/// What has to do with the container alone, because it is a process' own or a namespace's.
const LISTED: [Listed; 2] = [
    Listed {
        top: "proc",
        writable: &[
            "[0-9]*/**",
            "sys/fs/mqueue/**",
            "sys/kernel/{hostname,domainname,ns_last_pid,sem}",
            "sys/kernel/{msg,shm}*",
            "sys/net/**",
            "sys/user/**",
        ],
    },
    Listed {
        top: "sys",
        writable: &["devices/virtual/net/**", "fs/cgroup/**"],
    },
];

/// What may not even be read, or run: the memory, the firmware and the inside of the host's kernel.
const HIDDEN: &[&str] = &[
    "/proc/{kcore,kmem,mem}",
    "/sys/firmware/efi/efivars/**",
    "/sys/kernel/{debug,tracing}/**",
];

/// Copies of /proc and /sys that containers inside need to be there, and nobody to be used.
const COPIES: &str = "/dev/.lxc/{proc,sys}/**";

/// Filesystems that can be mounted anywhere: what they show is made by whoever mounts them.
const OWN_FILESYSTEMS: &[&str] = &[
    "devpts",
    "fuse",
    "fuse.*",
    "hugetlbfs",
    "mqueue",
    "ramfs",
    "tmpfs",
];

/// Filesystems that are mounted at one place only, below the root.
const PLACES: [(&str, &str); 4] = [
    ("proc", "proc"),
    ("sysfs", "sys"),
    ("binfmt_misc", "proc/sys/fs/binfmt_misc"),
    ("securityfs", "sys/kernel/security"),
];

/// Filesystems of block devices.
const DISK_FILESYSTEMS: &[&str] = &[
    "btrfs", "erofs", "ext*", "f2fs", "iso9660", "squashfs", "vfat", "xfs",
];

/// Filesystems that show the host's kernel, whoever mounts them.
const HOST_FILESYSTEMS: &[&str] = &[
    "bpf",
    "configfs",
    "debugfs",
    "devtmpfs",
    "efivarfs",
    "pstore",
    "selinuxfs",
    "tracefs",
];

/// Attributes that a mount may have when it is made read-only again.
const ATTRIBUTES: [&str; 4] = ["nosuid", "nodev", "noexec", "silent"];

/// The text of the profile `name`; `None` if the name has characters that mean something in
/// AppArmor's language.
pub fn text(name: &str, allowed: &Allowed) -> Option<String> {
    if !is_plain(name) || !allowed.namespace.as_deref().is_none_or(is_plain) {
        return None;
    }
    let mut lines = vec![
        "capability,".to_string(),
        "network,".into(),
        "unix,".into(),
        "dbus,".into(),
    ];
    processes(&mut lines, name, allowed);
    files(&mut lines, allowed);
    mounts(&mut lines, allowed);
    for line in &allowed.raw {
        lines.push(line.trim_end().to_string());
    }
    let mut text = format!("profile \"{name}\" flags=(attach_disconnected,mediate_deleted) {{\n");
    for line in lines {
        text += "  ";
        text += &line;
        text.push('\n');
    }
    text += "}\n";
    Some(text)
}

/// Whether a name stands for itself in a profile.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+=%~<>/".contains(c);
    // Two slashes lead to a profile's child.
    !name.is_empty() && name.chars().all(plain) && !name.contains("//")
}

/// Signals and tracing stay among the container's own; what comes from the host comes through.
fn processes(lines: &mut Vec<String>, name: &str, allowed: &Allowed) {
    lines.push("signal (receive),".into());
    lines.push("ptrace (readby, tracedby),".into());
    let namespace = allowed.namespace.as_ref().map(|n| format!(":{n}:**"));
    for peer in [Some(name), namespace.as_deref()].into_iter().flatten() {
        lines.push(format!("signal (send) peer=\"{peer}\","));
        lines.push(format!("ptrace (read, trace) peer=\"{peer}\","));
    }
    if let Some(namespace) = &namespace {
        lines.push(format!("change_profile -> \"{namespace}\","));
    }
}

fn files(lines: &mut Vec<String>, allowed: &Allowed) {
    lines.push("/ rk,".into());
    lines.push("/** mrkix,".into());
    let tops: Vec<&str> = LISTED.iter().map(|tree| tree.top).collect();
    lines.push(format!("{} wl,", outside(&tops)));
    for Listed { top, writable } in &LISTED {
        for path in *writable {
            lines.push(format!("/{top}/{path} w,"));
        }
    }
    for path in HIDDEN.iter().chain([&COPIES]) {
        lines.push(format!("deny {path} mrwklx,"));
    }
    match allowed.namespace {
        Some(_) => lines.push("/sys/kernel/security/apparmor/** w,".into()),
        None => lines.push("deny /sys/kernel/security/** mrwklx,".into()),
    }
}

/// Who may mount what where.
///
/// apparmor_parser before 3.0.11 takes a rule for a remount, or one with `rw` among its options, for one
/// of new mounts and binds too. So no rule says `rw`, and what must not be mounted is denied by
/// itself instead of not being allowed.
fn mounts(lines: &mut Vec<String>, allowed: &Allowed) {
    lines.push("umount,".into());
    if allowed.nesting {
        lines.push("mount,".into());
        lines.push("pivot_root,".into());
        return;
    }
    let tops: Vec<&str> = LISTED.iter().map(|tree| tree.top).collect();
    let tree = tops.join(",");
    for act in ["bind", "rbind", "move"] {
        lines.push(format!("mount options=({act}),"));
        lines.push(format!(
            "deny mount options=({act}) /{{{tree}}}/{{,**}} -> /**,"
        ));
    }
    // With the root they come along.
    lines.push("deny mount options=(rbind) / -> /**,".into());
    for kind in ["shared", "slave", "private", "unbindable"] {
        for recursive in ["", "r"] {
            for quiet in ["", "silent,"] {
                lines.push(format!("mount options=({quiet}make-{recursive}{kind}),"));
            }
        }
    }
    // Less can be made of a mount, never more: a directory of the host that was given read-only
    // stays so.
    for options in read_only_again() {
        lines.push(format!("mount options=({options}),"));
    }
    for fstype in OWN_FILESYSTEMS {
        lines.push(format!("mount fstype={fstype},"));
    }
    for (fstype, place) in PLACES {
        if fstype != "securityfs" || allowed.namespace.is_some() {
            lines.push(format!("mount fstype={fstype} -> /{place}/,"));
            lines.push(format!(
                "deny mount fstype={fstype} -> {},",
                outside(&[place])
            ));
        } else {
            lines.push(format!("deny mount fstype={fstype},"));
        }
    }
    for fstype in ["cgroup", "cgroup2"] {
        lines.push(match allowed.cgroups {
            true => format!("mount fstype={fstype} -> /sys/fs/cgroup/{{,**}},"),
            false => format!("deny mount fstype={fstype},"),
        });
    }
    let deny = if allowed.disks { "" } else { "deny " };
    for fstype in DISK_FILESYSTEMS {
        lines.push(format!("{deny}mount fstype={fstype},"));
    }
    for fstype in HOST_FILESYSTEMS {
        lines.push(format!("deny mount fstype={fstype},"));
    }
}

/// The options of every remount that leaves the mount, or the filesystem, read-only.
fn read_only_again() -> Vec<String> {
    let mut all = Vec::new();
    for what in ["remount,bind,ro", "remount,ro"] {
        for times in ["", ",relatime", ",noatime"] {
            for chosen in 0..1 << ATTRIBUTES.len() {
                let mut options = format!("{what}{times}");
                for (bit, attribute) in ATTRIBUTES.iter().enumerate() {
                    if chosen & (1 << bit) != 0 {
                        options = format!("{options},{attribute}");
                    }
                }
                all.push(options);
            }
        }
    }
    all
}

/// A pattern for every path but the root itself and what is at or below one of these directories. The language has no "but": each beginning of such a name may go on with any other letter.
fn outside(tops: &[&str]) -> String {
    let mut beginnings: Vec<&str> = Vec::new();
    for top in tops {
        for length in 0..=top.len() {
            let beginning = &top[..length];
            if !beginnings.contains(&beginning) {
                beginnings.push(beginning);
            }
        }
    }
    let mut branches: Vec<String> = Vec::new();
    for beginning in beginnings {
        if tops.contains(&beginning) {
            branches.push(format!("{beginning}[^/]**"));
            continue;
        }
        let mut next: Vec<char> = Vec::new();
        for top in tops {
            let letter = top
                .strip_prefix(beginning)
                .and_then(|rest| rest.chars().next());
            next.extend(letter.filter(|letter| !next.contains(letter)));
        }
        let next: String = next.into_iter().collect();
        branches.push(format!("{beginning}[^{next}]**"));
        if !beginning.is_empty() {
            branches.push(beginning.to_string());
        }
    }
    format!("/{{{}}}", branches.join(","))
}

/// The file of the profiles that containers get which name none, or one of LXC's own.
pub fn shipped() -> String {
    let mut text = String::from(
        "# AppArmor profiles of containers. Load them with `apparmor_parser -r` on this file; a\n\
         # container without lxc.apparmor.profile runs under lxc-container-default-cgns, or under\n\
         # lxc-container-default where the kernel has no cgroup namespaces.\n\
         # Made from runtime/plan/src/lsm/profile.rs; a test compares the two.\n",
    );
    let flavours = [
        ("lxc-container-default", Allowed::default()),
        (
            "lxc-container-default-cgns",
            Allowed {
                cgroups: true,
                ..Allowed::default()
            },
        ),
        (
            "lxc-container-default-with-mounting",
            Allowed {
                disks: true,
                ..Allowed::default()
            },
        ),
        (
            "lxc-container-default-with-nesting",
            Allowed {
                cgroups: true,
                nesting: true,
                ..Allowed::default()
            },
        ),
    ];
    for (name, allowed) in flavours {
        text.push('\n');
        text += &self::text(name, &allowed).unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_goes_around_directories() {
        assert_eq!(
            outside(&["proc", "sys"]),
            "/{[^ps]**,p[^r]**,p,pr[^o]**,pr,pro[^c]**,pro,proc[^/]**,s[^y]**,s,sy[^s]**,sy,sys[^/]**}"
        );
        assert_eq!(outside(&["a"]), "/{[^a]**,a[^/]**}");
    }

    #[test]
    fn a_name_that_is_a_pattern_has_no_text() {
        for name in [
            "", "a*", "a b", "a{b}", "a\"", "a\n", "a//b", ":x:y", "@{x}",
        ] {
            assert_eq!(text(name, &Allowed::default()), None, "{name:?}");
        }
        let named = |namespace: &str| Allowed {
            namespace: Some(namespace.into()),
            ..Allowed::default()
        };
        assert!(text("lxc-a_</v/l>", &named("lxc-a_<-v-l>")).is_some());
        assert!(text("lxc-a_</v/l>", &named("lxc a")).is_none());
    }
}
