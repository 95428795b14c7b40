//! Mounts, read from /proc/self/mountinfo.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::files::shown;
use crate::trouble::{Calling, Outcome};

/// One line of mountinfo.
#[derive(Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it is mounted.
    pub point: String,
    /// Which directory of its filesystem that shows.
    pub root: String,
    /// The filesystem's type.
    pub fstype: String,
    /// Options of the mount.
    options: String,
    /// Options of the filesystem.
    pub super_options: String,
    /// `shared`, `master`, `propagate_from`, `unbindable`: the peer groups' numbers left out.
    propagation: String,
}

impl Mount {
    /// Whether it is a v1 hierarchy with this controller.
    pub fn has_v1_controller(&self, name: &str) -> bool {
        self.fstype == "cgroup" && self.super_options.split(',').any(|it| it == name)
    }
}

/// All mounts that we see.
pub fn mounts() -> Outcome<Vec<Mount>> {
    const MOUNTS: &str = "/proc/self/mountinfo";
    let text = fs::read(MOUNTS).calling("open", MOUNTS)?;
    parse(&String::from_utf8_lossy(&text))
}

fn parse(text: &str) -> Outcome<Vec<Mount>> {
    let lines = text.lines();
    lines
        .map(|line| mount(line).ok_or_else(|| format!("{line:?} is no line of mountinfo")))
        .collect()
}

/// `ID PARENT DEVICE ROOT POINT OPTIONS [TAG…] - TYPE SOURCE SUPEROPTIONS`
fn mount(line: &str) -> Option<Mount> {
    let (ours, its) = line.split_once(" - ")?;
    let ours: Vec<&str> = ours.split(' ').collect();
    let [_, _, _, root, point, options, tags @ ..] = &ours[..] else {
        return None;
    };
    let its: Vec<&str> = its.split(' ').collect();
    let tag = |tag: &&str| tag.split(':').next().unwrap_or(tag).to_owned();
    Some(Mount {
        point: unescaped(point),
        root: unescaped(root),
        fstype: its.first()?.to_string(),
        options: options.to_string(),
        super_options: its.get(2)?.to_string(),
        propagation: tags.iter().map(tag).collect::<Vec<_>>().join(","),
    })
}

/// What the kernel writes as `\040`, as it is.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let octal = match rest {
            [b'\\', digits @ ..] => digits.first_chunk::<3>(),
            _ => None,
        };
        let byte = octal.and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        match byte {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[4..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One line each; the second of two that look the same says so.
pub fn lines(mounts: &[Mount]) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for mount in mounts {
        let Mount {
            point,
            root,
            fstype,
            options,
            super_options,
            propagation,
        } = mount;
        let (point, root) = (shown(Path::new(point)), shown(Path::new(root)));
        let propagation = match propagation.as_str() {
            "" => "private",
            tags => tags,
        };
        let line = format!("{point} {root} {fstype} {options} {super_options} {propagation}");
        let mut shown = line.clone();
        let mut times = 1;
        while !lines.insert(shown) {
            times += 1;
            shown = format!("{line} (mounted {times} times)");
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
22 1 0:20 / / rw shared:1 - rootfs none rw,size=4k
30 22 0:5 /a\\040b /mnt/x\\134y rw,nosuid master:7 propagate_from:2 - tmpfs src rw
31 22 0:6 / /c rw - cgroup cgroup rw,cpu,cpuacct
";

    #[test]
    fn lines_are_read_whatever_the_tags() {
        let mounts = parse(TEXT).unwrap();
        assert_eq!(mounts[1].point, "/mnt/x\\y");
        assert_eq!(mounts[1].root, "/a b");
        assert_eq!(mounts[1].propagation, "master,propagate_from");
        assert!(mounts[2].has_v1_controller("cpu") && !mounts[2].has_v1_controller("cp"));
        assert!(!mounts[0].has_v1_controller("rw"));
        assert!(parse("22 1 0:20 / / rw rootfs none rw\n").is_err());
        assert!(parse("22 1 - x y z\n").is_err());
    }

    #[test]
    fn the_same_mount_twice_is_two_lines() {
        let mounts = parse(&format!("{TEXT}{TEXT}{TEXT}")).unwrap();
        let lines = lines(&mounts);
        assert_eq!(lines.len(), 9);
        assert!(lines.contains("/ / rootfs rw rw,size=4k shared (mounted 3 times)"));
        assert!(lines.contains("/c / cgroup rw rw,cpu,cpuacct private"));
    }

    #[test]
    fn escapes_that_are_none_stay() {
        for (text, plain) in [
            ("a\\", "a\\"),
            ("\\09", "\\09"),
            ("\\777", "\\777"),
            ("\\011", "\t"),
        ] {
            assert_eq!(unescaped(text), plain);
        }
    }
}
