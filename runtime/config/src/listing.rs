//! What get_keys lists.

use crate::rows::net_keys::SUB_KEYS;
use crate::setting::Fault;
use crate::table::TABLE;
use crate::values::{NetKind, Values};

/// Prefixes that LXC can list, each with its names in LXC's order. LXC leaves some keys out and
/// lists one that does not exist (`lxc.hook.autodevtmpfssize`); clients get the same from us.
const LISTS: &[(&str, &[&str])] = &[
    (
        "lxc.apparmor",
        &["allow_incomplete", "allow_nesting", "profile", "raw"],
    ),
    ("lxc.cap", &["drop", "keep"]),
    ("lxc.cgroup", &["dir"]),
    ("lxc.console", &["logfile", "path"]),
    ("lxc.environment", &["runtime", "hooks"]),
    (
        "lxc.hook",
        &[
            "autodev",
            GHOST,
            "clone",
            "destroy",
            "mount",
            "post-stop",
            "pre-mount",
            "pre-start",
            "start-host",
            "start",
            "stop",
        ],
    ),
    ("lxc.keyring", &["session"]),
    ("lxc.monitor", &["unshare"]),
    ("lxc.mount", &["auto", "entry", "fstab"]),
    ("lxc.rootfs", &["mount", "options", "path"]),
    ("lxc.seccomp", &["profile"]),
    ("lxc.selinux", &["context", "context.keyring"]),
    ("lxc.signal", &["halt", "reboot", "stop"]),
    ("lxc.start", &["auto", "delay", "order"]),
    ("lxc.uts", &["name"]),
];

/// Listed by LXC although no such key exists.
const GHOST: &str = "autodevtmpfssize";

/// Sub-keys of every network device; the rest only of devices that have a type other than empty.
const OF_EVERY_DEVICE: &[&str] = &["type", "script.up", "script.down"];
const OF_REAL_DEVICES: &[&str] = &[
    "flags",
    "link",
    "name",
    "hwaddr",
    "mtu",
    "ipv6.address",
    "ipv6.gateway",
    "ipv4.address",
    "ipv4.gateway",
];
/// Sub-keys of one type that LXC does not list.
const NOT_LISTED: &[&str] = &[
    "veth.mode",
    "veth.vlan.tagged.id",
    "veth.n_rxqueues",
    "veth.n_txqueues",
];

pub(crate) fn all() -> Vec<String> {
    TABLE
        .iter()
        .map(|row| row.key)
        .filter(|key| !key.ends_with('.'))
        .map(str::to_owned)
        .collect()
}

pub(crate) fn below(values: &Values, prefix: &str) -> Result<Vec<String>, Fault> {
    let names: Vec<&str> = match LISTS.iter().find(|(listed, _)| *listed == prefix) {
        Some((_, names)) => names.to_vec(),
        None => below_device(values, prefix).ok_or_else(|| {
            Fault::unknown(
                "cannot be listed",
                "the first two words of a key, or lxc.net.N of a device, are expected",
            )
        })?,
    };
    Ok(names.into_iter().map(str::to_owned).collect())
}

fn below_device(values: &Values, prefix: &str) -> Option<Vec<&'static str>> {
    let index: u32 = prefix.strip_prefix("lxc.net.")?.parse().ok()?;
    let device = values.net.iter().find(|device| device.index == index)?;
    let mut names = OF_EVERY_DEVICE.to_vec();
    let kind = device.kind.filter(|kind| *kind != NetKind::Empty);
    if kind.is_some() {
        names.extend(OF_REAL_DEVICES);
        let own = SUB_KEYS
            .iter()
            .filter(|sub_key| sub_key.only.is_some() && sub_key.only == kind);
        names.extend(
            own.map(|sub_key| sub_key.name)
                .filter(|name| !NOT_LISTED.contains(name)),
        );
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_listed_is_a_key() {
        for (prefix, names) in LISTS {
            for name in names.iter().filter(|name| **name != GHOST) {
                let key = format!("{prefix}.{name}");
                assert!(TABLE.iter().any(|row| row.key == key), "{key}");
            }
        }
        for name in OF_EVERY_DEVICE
            .iter()
            .chain(OF_REAL_DEVICES)
            .chain(NOT_LISTED)
        {
            assert!(
                SUB_KEYS.iter().any(|sub_key| sub_key.name == *name),
                "{name}"
            );
        }
    }
}
