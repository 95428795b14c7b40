//! The guest's /dev: nodes, terminals, links.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use lxc_kernel::pty::{self, Pty};
use lxc_kernel::{Result, SysError, mount, process};
use rustix::fs::{FileType, Mode, makedev};

use crate::guest::{Places, put};
use crate::start::all_is_well;

const NODES: [(&str, u32, u32); 6] = [
    ("full", 1, 7),
    ("null", 1, 3),
    ("random", 1, 8),
    ("tty", 5, 0),
    ("urandom", 1, 9),
    ("zero", 1, 5),
];
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];
const DEVPTS: [&str; 5] = [
    "newinstance",
    "ptmxmode=0666",
    "mode=0620",
    "gid=5",
    "max=6",
];
const TTYS: usize = 5;
/// MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC
const NO_PROGRAMS: u64 = 0x2 | 0x8;

/// Fills it and gives the monitor its ends of the terminals.
pub fn fill(places: &Places, console: &Pty, monitor: BorrowedFd<'_>) -> Result<()> {
    let dev = &places.dev;
    let mask = process::set_umask(0);
    for (name, major, minor) in NODES {
        let mode = Mode::from_raw_mode(0o666);
        node(
            dev,
            name,
            FileType::CharacterDevice,
            mode,
            makedev(major, minor),
        )?;
    }
    process::set_umask(mask);
    let devpts = mount::new_mount(
        "devpts",
        Some("devpts"),
        &DEVPTS.map(str::to_owned),
        NO_PROGRAMS,
    )?;
    put(&devpts, dev, "pts")?;
    let ptmx = mount::clone_tree(Some(devpts.as_fd()), Path::new("ptmx"), false)?;
    cover(&ptmx, dev, "ptmx")?;
    rustix::fs::fchmod(&console.peer, Mode::from_raw_mode(0o620))
        .map_err(|errno| SysError::new("fchmod", "console", errno))?;
    let path = format!("/dev/pts/{}", console.number);
    let shown = mount::clone_tree(None, Path::new(&path), false)?;
    cover(&shown, dev, "console")?;
    let ttys = (1..=TTYS)
        .map(|number| {
            let tty = pty::open_in(devpts.as_fd())?;
            let shown = mount::clone_tree(Some(tty.peer.as_fd()), Path::new(""), false)?;
            cover(&shown, dev, &format!("tty{number}"))?;
            Ok(tty)
        })
        .collect::<Result<Vec<Pty>>>()?;
    let masters: Vec<BorrowedFd<'_>> = ttys.iter().map(|tty| tty.master.as_fd()).collect();
    all_is_well(monitor, &masters)?;
    for (name, target) in LINKS {
        rustix::fs::symlinkat(target, dev, name)
            .map_err(|errno| SysError::new("symlinkat", name, errno))?;
    }
    Ok(())
}

/// Attaches a mount on a new empty file.
fn cover(mount: &OwnedFd, above: &OwnedFd, name: &str) -> Result<()> {
    let mode = Mode::from_raw_mode(0o600);
    node(above, name, FileType::RegularFile, mode, 0)?;
    put(mount, above, name)
}

fn node(above: &OwnedFd, name: &str, kind: FileType, mode: Mode, device: u64) -> Result<()> {
    rustix::fs::mknodat(above, name, kind, mode, device)
        .map_err(|errno| SysError::new("mknodat", name, errno))
}
