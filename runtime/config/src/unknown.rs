//! What to say about a key that does not exist: its new name, or the key that looks like it.

use crate::old_keys::{OLD_KEYS, OLD_NETWORK_KEYS};
use crate::rows::net_keys::SUB_KEYS;
use crate::table::TABLE;

/// The part of a hint that helps with the unknown `key`.
pub(crate) fn suggestion(key: &str) -> String {
    if let Some(advice) = successor(key) {
        return advice;
    }
    match nearest(key) {
        Some(near) => format!("did you mean {near}?"),
        None => "lxc.container.conf(5) lists the keys".to_owned(),
    }
}

/// What became of a key of LXC 2.x.
fn successor(key: &str) -> Option<String> {
    if key == "lxc.rootfs.backend" {
        return Some("LXC 3.0 dropped it; write lxc.rootfs.path = TYPE:PATH".to_owned());
    }
    let renamed = match OLD_KEYS.iter().find(|known| known.old == key) {
        Some(known) => known.new.map(str::to_owned),
        None => Some(renamed_member(key)?),
    };
    Some(match renamed {
        Some(new) => format!("LXC 3.0 renamed it to {new}"),
        None => "LXC 3.0 dropped it; remove the line".to_owned(),
    })
}

/// The new name of a key below one that stood for several.
fn renamed_member(key: &str) -> Option<String> {
    if let Some(limit) = key.strip_prefix("lxc.limit.") {
        return Some(format!("lxc.prlimit.{limit}"));
    }
    let rest = key.strip_prefix("lxc.network.")?;
    // Old keys name the device or mean the latest one.
    let (device, sub) = match rest.split_once('.') {
        Some((number, sub)) if number.bytes().all(|b| b.is_ascii_digit()) => (number, sub),
        _ => ("N", rest),
    };
    let known = OLD_NETWORK_KEYS.iter().find(|known| known.old == sub);
    let sub = known.and_then(|known| known.new).unwrap_or(sub);
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
        for known in OLD_KEYS {
            if let Some(new) = known.new {
                assert!(TABLE.iter().any(|row| row.key == new), "{new}");
            }
            assert!(
                !TABLE.iter().any(|row| row.key == known.old),
                "{}",
                known.old
            );
        }
        for new in OLD_NETWORK_KEYS.iter().filter_map(|known| known.new) {
            assert!(SUB_KEYS.iter().any(|sub_key| sub_key.name == new), "{new}");
        }
    }
}
