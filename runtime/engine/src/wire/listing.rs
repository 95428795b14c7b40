//! Which containers run: the kernel's list of sockets knows.

use std::path::Path;
use std::time::{Duration, Instant};

use lxc_kernel::file;

use super::address::{Address, trimmed};
use super::client_error::ClientError;
use super::exchange::{Callee, Heard};
use super::payload::whole_text;
use super::request::Request;

/// Most of the list that is read: some 400,000 sockets.
const MAX_LIST: usize = 64 << 20;
/// How long a monitor whose address does not tell its name may take to tell it.
const NAME_DEADLINE: Duration = Duration::from_secs(2);
/// Flag of a socket that listens (`__SO_ACCEPTCON`).
const LISTENS: u32 = 1 << 16;

/// Gives the sorted names of the containers of `lxcpath` that have a monitor.
///
/// Blocks for 2 seconds at most for each monitor that has to be asked for its name, which are those of very
/// long paths. Nobody's identity is checked otherwise: [`super::Client`] does when it asks.
///
/// # Errors
/// That the list of sockets could not be read.
pub fn running(lxcpath: &str) -> Result<Vec<String>, ClientError> {
    let list = file::read_path(Path::new("/proc/net/unix"), MAX_LIST)?;
    let mut names: Vec<String> = monitors(&list, lxcpath)
        .into_iter()
        .filter_map(|monitor| match monitor {
            Monitor::Named(name) => Some(name),
            Monitor::Hashed(address) => ask_name(lxcpath, address),
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// Gives lxcpath and name of every container that has a monitor, of anybody, as the addresses say:
/// whoever listens at such an address is in the list, and those of very long paths are not.
///
/// # Errors
/// That the list of sockets could not be read.
pub fn monitors_everywhere() -> Result<Vec<(String, String)>, ClientError> {
    let list = file::read_path(Path::new("/proc/net/unix"), MAX_LIST)?;
    let lines = list.split(|byte| *byte == b'\n');
    Ok(lines
        .filter_map(|line| place(std::str::from_utf8(line).ok()?))
        .collect())
}

/// Reads one line: lxcpath and name of a monitor, if it tells them.
fn place(line: &str) -> Option<(String, String)> {
    let container = listening(line)?;
    let (lxcpath, name) = container.rsplit_once('/')?;
    let plain =
        lxcpath.starts_with('/') && !name.is_empty() && !container.contains(char::is_control);
    plain.then(|| (lxcpath.to_owned(), name.to_owned()))
}

/// A socket that may be a monitor's.
#[derive(Debug, PartialEq, Eq)]
enum Monitor {
    /// Its address tells the container's name.
    Named(String),
    /// Its address tells a hash only.
    Hashed(Address),
}

/// Finds the listening sockets that have the form of a monitor's address.
fn monitors(list: &[u8], lxcpath: &str) -> Vec<Monitor> {
    list.split(|byte| *byte == b'\n')
        .filter_map(|line| std::str::from_utf8(line).ok())
        .filter_map(|line| monitor(line, trimmed(lxcpath)))
        .collect()
}

/// Reads one line, `Num: RefCount Protocol Flags Type St Inode @address`: what a monitor's address says
/// of its container, if somebody listens there.
fn listening(line: &str) -> Option<&str> {
    // Names may contain blanks, and an address may contain " @": the first one begins it.
    let (fields, address) = line.split_once(" @")?;
    let flags = u32::from_str_radix(fields.split_ascii_whitespace().nth(3)?, 16).ok()?;
    let container = address.strip_suffix("/command")?;
    (flags & LISTENS != 0).then_some(container)
}

/// Reads one line as [`listening`] does, for the containers of `lxcpath`.
fn monitor(line: &str, lxcpath: &str) -> Option<Monitor> {
    let container = listening(line)?;
    if let Some(hash) = container.strip_prefix("lxc/")
        && hash.len() == 16
        && let Ok(number) = u64::from_str_radix(hash, 16)
    {
        return Some(Monitor::Hashed(Address::hashed(number)));
    }
    let name = container.strip_prefix(lxcpath)?.strip_prefix('/')?;
    let plain = !name.is_empty() && !name.contains('/') && !name.contains(char::is_control);
    plain.then(|| Monitor::Named(name.to_owned()))
}

/// Asks who listens on a hashed address; none if it is no container of `lxcpath`.
fn ask_name(lxcpath: &str, address: Address) -> Option<String> {
    let monitor = Callee::at(trimmed(lxcpath), address.clone());
    if trimmed(&ask_text(&monitor, &Request::GetLxcpath)?) != trimmed(lxcpath) {
        return None;
    }
    let name = ask_text(&monitor, &Request::GetName)?;
    // The hash is over both: a monitor that tells another name is none of ours.
    (Address::of(lxcpath, &name) == address).then_some(name)
}

fn ask_text(monitor: &Callee, request: &Request) -> Option<String> {
    let deadline = Instant::now() + NAME_DEADLINE;
    // One that does not answer, or may not be believed, is left out: the others are still there.
    let exchange = monitor.ask(request, None, Some(deadline)).ok()??;
    match exchange.hear().ok()? {
        Heard::Response(response) if response.ret == 0 => {
            whole_text(&response.data).map(str::to_owned)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_by_addresses() {
        let listening =
            |address: &str| format!("0000: 00000002 00000000 00010000 0001 01 22334 {address}");
        for (address, expected) in [
            ("@/var/lib/lxc/c1/command", Some(("/var/lib/lxc", "c1"))),
            ("@/c1/command", None),
            (
                "@/home/a b/lxc/a @c/command",
                Some(("/home/a b/lxc", "a @c")),
            ),
            ("@lxc/06c60033fd054ca3/command", None),
            ("@/var/lib/lxc//command", None),
            ("@/var/lib/lxc/a\u{1b}[2J/command", None),
            ("@/var/lib/lxc/c1/commander", None),
            ("/var/lib/lxc/c1/command", None),
        ] {
            let expected = expected.map(|(path, name)| (path.to_owned(), name.to_owned()));
            assert_eq!(place(&listening(address)), expected, "{address}");
        }
    }

    #[test]
    fn lines_of_the_socket_list() {
        let check = |line: &str, expected: Option<Monitor>| {
            assert_eq!(monitor(line, "/var/lib/lxc"), expected, "{line}");
        };
        let listening = |address: &str| {
            format!("0000000000000000: 00000002 00000000 00010000 0001 01 22334 {address}")
        };
        let named = |name: &str| Some(Monitor::Named(name.to_owned()));

        check(&listening("@/var/lib/lxc/c1/command"), named("c1"));
        check(&listening("@/var/lib/lxc/a b @c/command"), named("a b @c"));
        check(
            &listening("@lxc/06c60033fd054ca3/command"),
            Some(Monitor::Hashed(Address::hashed(0x06c6_0033_fd05_4ca3))),
        );
        check(&listening("@/var/lib/lxc/c1/sub/command"), None);
        check(&listening("@/var/lib/lxc//command"), None);
        check(&listening("@/var/lib/lxcother/c1/command"), None);
        check(&listening("@/var/lib/lxc/c1/commander"), None);
        check(&listening("@lxc/ad055575fe28ddd5//var/lib/lxc"), None);
        check(&listening("@lxc/xyz/command"), None);
        check(&listening("/var/lib/lxc/c1/command"), None);
        check(&listening("@/var/lib/lxc/a\u{1b}[2J/command"), None);
        // A connection of a monitor that no longer listens.
        check(
            "0000000000000000: 00000003 00000000 00000000 0001 03 1 @/var/lib/lxc/c1/command",
            None,
        );
        check(
            "Num       RefCount Protocol Flags    Type St Inode Path",
            None,
        );
        check("", None);
    }
}
