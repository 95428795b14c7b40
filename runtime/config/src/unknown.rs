//! What to say about a key that does not exist: its new name, or the key that looks like it.

use crate::rows::net_keys::SUB_KEYS;
use crate::table::TABLE;

/// Names of LXC 2.x that LXC 3.0 dropped, with their new ones.
const RENAMED: &[(&str, &str)] = &[
    ("lxc.aa_allow_incomplete", "lxc.apparmor.allow_incomplete"),
    ("lxc.aa_profile", "lxc.apparmor.profile"),
    ("lxc.console", "lxc.console.path"),
    ("lxc.devttydir", "lxc.tty.dir"),
    ("lxc.haltsignal", "lxc.signal.halt"),
    ("lxc.id_map", "lxc.idmap"),
    ("lxc.init_cmd", "lxc.init.cmd"),
    ("lxc.init_gid", "lxc.init.gid"),
    ("lxc.init_uid", "lxc.init.uid"),
    ("lxc.logfile", "lxc.log.file"),
    ("lxc.loglevel", "lxc.log.level"),
    ("lxc.mount", "lxc.mount.fstab"),
    ("lxc.pts", "lxc.pty.max"),
    ("lxc.rebootsignal", "lxc.signal.reboot"),
    ("lxc.rootfs", "lxc.rootfs.path"),
    ("lxc.se_context", "lxc.selinux.context"),
    ("lxc.seccomp", "lxc.seccomp.profile"),
    ("lxc.stopsignal", "lxc.signal.stop"),
    ("lxc.syslog", "lxc.log.syslog"),
    ("lxc.tty", "lxc.tty.max"),
    ("lxc.utsname", "lxc.uts.name"),
];

/// Sub-keys of `lxc.network` whose name changed with it.
const RENAMED_SUB_KEYS: &[(&str, &str)] = &[("ipv4", "ipv4.address"), ("ipv6", "ipv6.address")];

/// Names of LXC 2.x that have no successor in a container's configuration.
const GONE: &[(&str, &str)] = &[
    ("lxc.kmsg", "LXC 3.0 dropped it; remove the line"),
    ("lxc.pivotdir", "LXC 3.0 dropped it; remove the line"),
    (
        "lxc.rootfs.backend",
        "LXC 3.0 dropped it; write lxc.rootfs.path = TYPE:PATH",
    ),
];

/// The part of a hint that helps with the unknown `key`; empty when nothing is close to it.
pub(crate) fn suggestion(key: &str) -> String {
    if let Some((_, why)) = GONE.iter().find(|(old, _)| *old == key) {
        return (*why).to_owned();
    }
    if let Some(new) = renamed(key) {
        return format!("LXC 3.0 renamed it to {new}");
    }
    match nearest(key) {
        Some(near) => format!("did you mean {near}?"),
        None => "lxc.container.conf(5) lists the keys".to_owned(),
    }
}

fn renamed(key: &str) -> Option<String> {
    if let Some((_, new)) = RENAMED.iter().find(|(old, _)| *old == key) {
        return Some((*new).to_owned());
    }
    if let Some(limit) = key.strip_prefix("lxc.limit.") {
        return Some(format!("lxc.prlimit.{limit}"));
    }
    let rest = key.strip_prefix("lxc.network")?;
    let Some(rest) = rest.strip_prefix('.') else {
        return rest.is_empty().then(|| "lxc.net".to_owned());
    };
    // Old keys name the device or mean the latest one.
    let (device, sub) = match rest.split_once('.') {
        Some((number, sub)) if number.bytes().all(|b| b.is_ascii_digit()) => (number, sub),
        _ => ("N", rest),
    };
    let sub = RENAMED_SUB_KEYS
        .iter()
        .find(|(old, _)| *old == sub)
        .map_or(sub, |(_, new)| new);
    Some(format!("lxc.net.{device}.{sub}"))
}

/// The key that is fewest typing errors away, if they are few.
fn nearest(key: &str) -> Option<String> {
    // Longer names are no typing error of any key, and comparing them would take long.
    if key.len() > 64 {
        return None;
    }
    let device = key
        .strip_prefix("lxc.net.")
        .and_then(|rest| rest.split_once('.'))
        .map_or("N", |(number, _)| number);
    let keys = TABLE.iter().map(|row| row.key.to_owned());
    let device_keys = SUB_KEYS
        .iter()
        .map(|sub_key| format!("lxc.net.{device}.{}", sub_key.name));
    let close = keys
        .chain(device_keys)
        .filter(|known| !known.ends_with('.'))
        .map(|known| (distance(key, &known), known));
    let (distance, known) = close.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + key.len().saturating_sub("lxc.".len()) / 4).then_some(known)
}

/// How many letters must be put in, taken out or replaced to make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("lxc.utsname", "LXC 3.0 renamed it to lxc.uts.name")]
    #[case("lxc.network.type", "LXC 3.0 renamed it to lxc.net.N.type")]
    #[case("lxc.network.0.ipv4", "LXC 3.0 renamed it to lxc.net.0.ipv4.address")]
    #[case("lxc.network", "LXC 3.0 renamed it to lxc.net")]
    #[case("lxc.limit.nofile", "LXC 3.0 renamed it to lxc.prlimit.nofile")]
    #[case("lxc.kmsg", "LXC 3.0 dropped it; remove the line")]
    #[case("lxc.uts.nmae", "did you mean lxc.uts.name?")]
    #[case("lxc.tty.mx", "did you mean lxc.tty.max?")]
    #[case("lxc.net.3.hwadr", "did you mean lxc.net.3.hwaddr?")]
    #[case("lxc.something.else.entirely", "lxc.container.conf(5) lists the keys")]
    fn help_is_offered(#[case] key: &str, #[case] expected: &str) {
        assert_eq!(suggestion(key), expected);
    }

    #[test]
    fn new_names_exist_and_old_ones_do_not() {
        for (old, new) in RENAMED {
            assert!(TABLE.iter().any(|row| row.key == *new), "{new}");
            assert!(!TABLE.iter().any(|row| row.key == *old), "{old}");
        }
        for (_, new) in RENAMED_SUB_KEYS {
            assert!(SUB_KEYS.iter().any(|sub_key| sub_key.name == *new), "{new}");
        }
    }
}
