//! Lines of a configuration with the names of LXC 2.x, and what they are now.

use lxc_runtime::{OLD_KEYS, OLD_NETWORK_KEYS, OldKey};

/// `text` with the keys that LXC 3.0 renamed under their new names, and without the lines of keys that
/// it dropped. Lines without such a key stay as they are, to the byte.
pub fn updated(text: &str) -> String {
    let backend = backend(text);
    let mut devices = Devices::default();
    text.split_inclusive('\n')
        .filter_map(|line| match Assignment::of(line) {
            Some(found) => rewritten(&found, backend, &mut devices),
            None => Some(line.to_owned()),
        })
        .collect()
}

/// A line `KEY = VALUE`, which may be indented and have a # before it.
struct Assignment<'a> {
    line: &'a str,
    /// Blanks and #, and the key behind them.
    before: &'a str,
    key: &'a str,
    /// From the end of the key to the end of the line.
    after: &'a str,
}

impl<'a> Assignment<'a> {
    fn of(line: &'a str) -> Option<Assignment<'a>> {
        let bare = line.trim_start_matches([' ', '\t', '#']);
        let (before, _) = line.split_at(line.len() - bare.len());
        let end = bare.find(|c: char| c.is_whitespace() || c == '=')?;
        let (key, after) = bare.split_at(end);
        let is_one = after.trim_start_matches([' ', '\t']).starts_with('=');
        is_one.then_some(Assignment {
            line,
            before,
            key,
            after,
        })
    }

    fn is_comment(&self) -> bool {
        self.before.contains('#')
    }

    fn value(&self) -> &'a str {
        self.after.split_once('=').unwrap_or_default().1.trim()
    }

    fn renamed(&self, key: &str) -> String {
        format!("{}{key}{}", self.before, self.after)
    }
}

/// Which device a key of LXC 2.x without a number belongs to: the one of the latest type above it.
/// Those with a # have numbers of their own, so that a device can be uncommented as a whole.
#[derive(Default)]
struct Devices {
    active: usize,
    commented: usize,
    next: usize,
}

impl Devices {
    fn number(&mut self, sub_key: &str, is_comment: bool) -> usize {
        if sub_key == "type" {
            self.commented = self.next;
            if !is_comment {
                self.active = self.next;
            }
            self.next += 1;
        }
        if is_comment {
            self.commented
        } else {
            self.active
        }
    }
}

/// The line under its new name; None if it goes.
fn rewritten(found: &Assignment, backend: Option<&str>, devices: &mut Devices) -> Option<String> {
    match found.key {
        "lxc.rootfs" => return Some(rootfs(found, backend)),
        "lxc.rootfs.backend" => return None,
        _ => {}
    }
    if let Some(row) = find(OLD_KEYS, found.key) {
        return row.new.map(|new| found.renamed(new));
    }
    if let Some(limit) = found.key.strip_prefix("lxc.limit.") {
        return Some(found.renamed(&format!("lxc.prlimit.{limit}")));
    }
    let Some(rest) = found.key.strip_prefix("lxc.network.") else {
        return Some(found.line.to_owned());
    };
    let (number, sub_key) = match rest.split_once('.') {
        Some((number, sub_key)) if number.bytes().all(|b| b.is_ascii_digit()) => {
            (number.to_owned(), sub_key)
        }
        _ => (devices.number(rest, found.is_comment()).to_string(), rest),
    };
    let renamed = find(OLD_NETWORK_KEYS, sub_key).and_then(|row| row.new);
    let sub_key = renamed.unwrap_or(sub_key);
    Some(found.renamed(&format!("lxc.net.{number}.{sub_key}")))
}

fn find(table: &'static [OldKey], name: &str) -> Option<&'static OldKey> {
    table.iter().find(|row| row.old == name)
}

/// The type of storage and the path had a key each; now the type stands before the path.
fn rootfs(found: &Assignment, backend: Option<&str>) -> String {
    let path = found.value();
    let has_type = path
        .split_once(':')
        .is_some_and(|(kind, _)| !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_lowercase()));
    if path.is_empty() || has_type {
        return found.renamed("lxc.rootfs.path");
    }
    let kind = backend.unwrap_or("dir");
    let at = found.after.len() - found.after.trim_start_matches([' ', '\t', '=']).len();
    let (equals, value) = found.after.split_at(at);
    format!("{}lxc.rootfs.path{equals}{kind}:{value}", found.before)
}

/// What lxc.rootfs.backend says; the last one counts.
fn backend(text: &str) -> Option<&str> {
    let lines = text.lines().filter_map(Assignment::of);
    let mut backends = lines.filter(|found| found.key == "lxc.rootfs.backend");
    let last = backends.rfind(|found| !found.is_comment() && !found.value().is_empty());
    last.map(|found| found.value())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::plain("lxc.id_map = u 0 100000 65536\n", "lxc.idmap = u 0 100000 65536\n")]
    #[case::indented_comment("  #  lxc.pts = 10", "  #  lxc.pty.max = 10")]
    #[case::glued("lxc.tty=4\r\n", "lxc.tty.max=4\r\n")]
    #[case::today("lxc.tty.max = 3\n", "lxc.tty.max = 3\n")]
    #[case::beginning_of_another("lxc.mount.entry = a\n", "lxc.mount.entry = a\n")]
    #[case::in_a_value("lxc.environment = lxc.tty\n", "lxc.environment = lxc.tty\n")]
    #[case::prose("# lxc.tty is old\n\n[x]\n", "# lxc.tty is old\n\n[x]\n")]
    #[case::dropped("a\nlxc.kmsg = 0\n #lxc.pivotdir = x\nb\n", "a\nb\n")]
    #[case::family("lxc.limit.nofile = 9", "lxc.prlimit.nofile = 9")]
    #[case::numbered("lxc.network.3.ipv4 = a", "lxc.net.3.ipv4.address = a")]
    #[case::all_devices("lxc.network =\n", "lxc.net =\n")]
    #[case::sub_key("lxc.network.ipv6.gateway = a", "lxc.net.0.ipv6.gateway = a")]
    #[case::empty("", "")]
    fn a_line(#[case] old: &str, #[case] new: &str) {
        assert_eq!(updated(old), new);
        assert_eq!(updated(new), new, "once more");
    }

    #[rstest]
    #[case::usual("lxc.rootfs = /a\n", "lxc.rootfs.path = dir:/a\n")]
    #[case::backend_below(
        "lxc.rootfs = /a\nlxc.rootfs.backend = zfs\n",
        "lxc.rootfs.path = zfs:/a\n"
    )]
    #[case::backend_in_a_comment(
        "#lxc.rootfs.backend = zfs\nlxc.rootfs = /a",
        "lxc.rootfs.path = dir:/a"
    )]
    #[case::has_a_type("lxc.rootfs = overlayfs:/a:/b", "lxc.rootfs.path = overlayfs:/a:/b")]
    #[case::colon_in_a_path("lxc.rootfs=/a:b", "lxc.rootfs.path=dir:/a:b")]
    #[case::unset("lxc.rootfs =\n", "lxc.rootfs.path =\n")]
    fn the_root_file_system(#[case] old: &str, #[case] new: &str) {
        assert_eq!(updated(old), new);
    }

    #[test]
    fn devices_are_numbered_by_their_types() {
        let old = "lxc.network.type = veth\nlxc.network.link = a\n#lxc.network.type = phys\n\
                   #lxc.network.link = b\nlxc.network.mtu = 9000\nlxc.network.type = empty\n\
                   #lxc.network.name = c\nlxc.network.flags = up\n";
        let new = "lxc.net.0.type = veth\nlxc.net.0.link = a\n#lxc.net.1.type = phys\n\
                   #lxc.net.1.link = b\nlxc.net.0.mtu = 9000\nlxc.net.2.type = empty\n\
                   #lxc.net.2.name = c\nlxc.net.2.flags = up\n";
        assert_eq!(updated(old), new);
    }
}
