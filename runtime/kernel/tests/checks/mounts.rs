//! Mounts, in a mount namespace of their own.

use super::{Verdict, needs_root};
use lxc_kernel::{file, inroot, mount, process, pty};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A private mount namespace with an empty tmpfs on /mnt, whose root it gives.
fn private_mounts() -> Result<OwnedFd, String> {
    needs_root()?;
    process::unshare(libc::CLONE_NEWNS as u64).unwrap();
    mount::set_propagation(Path::new("/"), mount::Propagation::Private, true).unwrap();
    mount::allow_classic();
    let options = ["size=1m".to_owned(), "mode=755".to_owned()];
    let tmpfs = mount::new_mount("tmpfs", Some("test"), &options, 0).unwrap();
    let target = file::open_dir(Path::new("/mnt")).unwrap();
    mount::attach(tmpfs.as_fd(), target.as_fd()).unwrap();
    Ok(tmpfs)
}

fn flags_at(path: &str) -> String {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = table
        .lines()
        .rfind(|line| line.split(' ').nth(4) == Some(path));
    line.unwrap().split(' ').nth(5).unwrap().to_owned()
}

pub fn a_tmpfs_is_made_and_attached() -> Verdict {
    let tmpfs = private_mounts()?;
    std::fs::write("/mnt/file", "x").unwrap();
    assert!(file::exists_at(tmpfs.as_fd(), "file"));
    assert!(flags_at("/mnt").starts_with("rw"));
    mount::detach_fd(tmpfs.as_fd()).unwrap();
    assert!(!Path::new("/mnt/file").exists());

    let classic = (Some("test"), Path::new("/mnt"), Some("tmpfs"));
    mount::classic(
        classic.0,
        classic.1,
        classic.2,
        libc::MS_NOSUID,
        Some("size=1m"),
    )
    .unwrap();
    assert!(flags_at("/mnt").contains("nosuid"));
    mount::detach_path(Path::new("/mnt")).unwrap();
    let error = mount::detach_path(Path::new("/mnt")).unwrap_err();
    assert!(error.is(lxc_kernel::Errno::INVAL), "{error}");
    Ok(())
}

/// Whether the mount API of Linux 5.2 is hidden from this check.
fn classic_only() -> bool {
    let tried = mount::clone_tree(None, Path::new("/"), false);
    tried.is_err_and(|error| error.is(lxc_kernel::Errno::NOSYS))
}

pub fn a_filesystem_says_what_is_wrong() -> Verdict {
    needs_root()?;
    if classic_only() {
        let error = mount::new_mount("tmpfs", None, &[], 0).unwrap_err();
        assert!(error.is(lxc_kernel::Errno::NOSYS), "{error}");
        private_mounts()?;
        let bad = ["size=nonsense".to_owned()];
        let error = mount::new_mount("tmpfs", None, &bad, 0).unwrap_err();
        assert!(error.is(lxc_kernel::Errno::INVAL), "{error}");
        assert!(error.args.contains("size=nonsense"), "{error}");
        return Ok(());
    }
    let bad = ["size=nonsense".to_owned()];
    let error = mount::new_mount("tmpfs", None, &bad, 0).unwrap_err();
    assert!(error.args.contains("size"), "{error}");
    let unknown = ["nosuchoption".to_owned()];
    let error = mount::new_mount("tmpfs", None, &unknown, 0).unwrap_err();
    assert!(error.is(lxc_kernel::Errno::INVAL), "{error}");
    assert!(error.args.contains("the kernel says"), "{error}");
    let error = mount::new_mount("nosuchfs", None, &[], 0).unwrap_err();
    assert!(
        error.is(lxc_kernel::Errno::NODEV) && error.call == "fsopen",
        "{error}"
    );
    let error = mount::new_mount("tmpfs", None, &[], 1 << 40).unwrap_err();
    assert!(error.is(lxc_kernel::Errno::INVAL), "{error}");
    Ok(())
}

pub fn attributes_are_set_both_ways() -> Verdict {
    private_mounts()?;
    let at = file::open_dir(Path::new("/mnt")).unwrap();
    let at = at.as_fd();
    let (rdonly, nodev) = (libc::MOUNT_ATTR_RDONLY, libc::MOUNT_ATTR_NODEV);
    type Change = fn(BorrowedFd, u64, u64) -> lxc_kernel::Result<()>;
    let ways: [Change; 2] = [
        |at, set, clear| mount::set_attrs(at, set, clear, false),
        mount::remount_attrs,
    ];
    for (index, change) in ways.iter().enumerate() {
        if index == 0 && !mount::has_mount_setattr() {
            println!("  mount_setattr is missing: only the classic way was checked");
            continue;
        }
        for (set, clear, flags) in [
            (rdonly | nodev, 0, "ro,nodev,relatime"),
            (libc::MOUNT_ATTR_NOSUID, nodev, "ro,nosuid,relatime"),
            (
                libc::MOUNT_ATTR_NOATIME,
                libc::MOUNT_ATTR__ATIME,
                "ro,nosuid,noatime",
            ),
            (libc::MOUNT_ATTR_NOEXEC, rdonly, "rw,nosuid,noexec,noatime"),
            (
                0,
                libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC,
                "rw,noatime",
            ),
            (0, libc::MOUNT_ATTR__ATIME, "rw,relatime"),
        ] {
            change(at, set, clear).unwrap();
            assert_eq!(flags_at("/mnt"), flags, "way {index}, {set:#x} {clear:#x}");
        }
    }
    let shared = |on| {
        let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let line = table.lines().rfind(|line| line.contains(" /mnt ")).unwrap();
        assert_eq!(line.contains("shared:"), on, "{line}");
    };
    mount::set_propagation_fd(at, mount::Propagation::Shared, false).unwrap();
    shared(true);
    mount::set_propagation(Path::new("/mnt"), mount::Propagation::Private, true).unwrap();
    shared(false);
    Ok(())
}

pub fn a_tree_is_cloned_and_bound() -> Verdict {
    let tmpfs = private_mounts()?;
    let root = inroot::Root::from_fd(tmpfs);
    let source = root.mkdirs("source/below", 0o755).unwrap();
    let target = root.create_file("target/file", 0o644).unwrap();
    std::fs::write("/mnt/source/file", "bound").unwrap();
    drop(source);

    let from = root.resolve("source/file").unwrap();
    let copy = mount::clone_tree(Some(from.as_fd()), Path::new(""), false).unwrap();
    mount::attach(copy.as_fd(), target.as_fd()).unwrap();
    assert_eq!(
        std::fs::read_to_string("/mnt/target/file").unwrap(),
        "bound"
    );

    // The whole tree with the mount in it, named by a path from a descriptor.
    let copy = mount::clone_tree(Some(root.fd()), Path::new("target"), true).unwrap();
    let copied = file::read_at(copy.as_fd(), "file", 10).unwrap();
    assert_eq!(copied, b"bound");
    let alone = mount::clone_tree(None, Path::new("/mnt/target"), false).unwrap();
    assert_eq!(file::read_at(alone.as_fd(), "file", 10).unwrap(), b"");
    let error = mount::clone_tree(None, Path::new("/no/such"), false).unwrap_err();
    assert!(error.is(lxc_kernel::Errno::NOENT), "{error}");
    Ok(())
}

pub fn removal_stops_at_mounts() -> Verdict {
    let tmpfs = private_mounts()?;
    let root = inroot::Root::from_fd(tmpfs);
    let kept = root.mkdirs("kept", 0o755).unwrap();
    std::fs::write("/mnt/kept/precious", "x").unwrap();
    for forced in [false, true] {
        inroot::force_fallback(forced);
        let inside = root.mkdirs("tree/bound", 0o755).unwrap();
        // Bound from the same filesystem: the device number does not tell.
        let copy = mount::clone_tree(Some(kept.as_fd()), Path::new(""), false).unwrap();
        mount::attach(copy.as_fd(), inside.as_fd()).unwrap();
        let error = file::remove_tree(root.fd(), "tree", &[]).unwrap_err();
        assert!(
            error.is(lxc_kernel::Errno::XDEV),
            "forced {forced}: {error}"
        );
        assert!(Path::new("/mnt/kept/precious").exists());
        mount::detach_path(Path::new("/mnt/tree/bound")).unwrap();
        file::remove_tree(root.fd(), "tree", &[]).unwrap();
        assert!(!Path::new("/mnt/tree").exists());
    }
    Ok(())
}

pub fn procfs_is_not_fooled_by_mounts() -> Verdict {
    private_mounts()?;
    let proc = lxc_kernel::procfs::Proc::host().unwrap();
    // One proc file over another: only the mount tells them apart.
    let file = mount::clone_tree(None, Path::new("/proc/sys/kernel/hostname"), false).unwrap();
    let target = file::open_path(Path::new("/proc/sys/kernel/domainname")).unwrap();
    mount::attach(file.as_fd(), target.as_fd()).unwrap();
    let dir = mount::clone_tree(None, Path::new("/proc/sys/kernel"), false).unwrap();
    let target = file::open_dir(Path::new("/proc/sys/fs")).unwrap();
    mount::attach(dir.as_fd(), target.as_fd()).unwrap();
    for forced in [false, true] {
        inroot::force_fallback(forced);
        for path in ["sys/kernel/domainname", "sys/fs/hostname"] {
            let error = proc.read(path, 100).unwrap_err();
            assert!(
                error.is(lxc_kernel::Errno::XDEV),
                "forced {forced}: {error}"
            );
            let error = proc.write(path, b"x").unwrap_err();
            assert!(
                error.is(lxc_kernel::Errno::XDEV),
                "forced {forced}: {error}"
            );
        }
        proc.read("sys/kernel/hostname", 100).unwrap();
    }
    Ok(())
}

pub fn the_root_is_exchanged() -> Verdict {
    private_mounts()?;
    std::fs::write("/mnt/marker", "new").unwrap();
    std::fs::create_dir("/mnt/proc").unwrap();
    let new = file::open_dir(Path::new("/mnt")).unwrap();
    mount::pivot_into(new.as_fd()).unwrap();
    assert_eq!(std::fs::read_to_string("/marker").unwrap(), "new");
    assert_eq!(process::getcwd().unwrap(), Path::new("/"));
    assert!(!Path::new("/etc").exists());
    let proc = (Some("proc"), Path::new("/proc"), Some("proc"));
    mount::classic(proc.0, proc.1, proc.2, 0, None).unwrap();
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert_eq!(table.lines().count(), 2, "{table}");
    Ok(())
}

pub fn a_new_devpts_gives_terminals() -> Verdict {
    private_mounts()?;
    let options = ["newinstance", "ptmxmode=0666", "mode=0620", "max=3"].map(str::to_owned);
    let devpts = mount::new_mount("devpts", None, &options, 0).unwrap();
    // Not attached anywhere yet: terminals need no path.
    let ptys: Vec<_> = (0..3)
        .map(|_| pty::open_in(devpts.as_fd()).unwrap())
        .collect();
    let mut numbers: Vec<u32> = ptys.iter().map(|pty| pty.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2]);
    assert!(pty::is_terminal(ptys[1].peer.as_fd()));
    let error = pty::open_in(devpts.as_fd()).unwrap_err();
    assert!(error.is(lxc_kernel::Errno::NOSPC), "{error}");
    Ok(())
}

/// Mount points below /mnt with their options, in the table's order.
fn table_below_mnt() -> Vec<String> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let lines = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let inside = fields[4].strip_prefix("/mnt/")?;
        Some(format!("{inside} {}", fields[5]))
    });
    lines.collect()
}

pub fn a_change_reaches_as_far_as_it_is_told() -> Verdict {
    let tmpfs = private_mounts()?;
    let root = inroot::Root::from_fd(tmpfs);
    // The test's own machine may have mounts there.
    let before = table_below_mnt().len();
    let inner = root.mkdirs("source/in ner", 0o755).unwrap();
    let small = mount::new_mount("tmpfs", Some("small"), &[], 0).unwrap();
    mount::attach(small.as_fd(), inner.as_fd()).unwrap();
    let change = |recursive| mount::Change {
        set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOATIME,
        clear: libc::MOUNT_ATTR__ATIME,
        recursive,
    };
    for (target, recursive) in [("all", true), ("top", false)] {
        let copy = mount::clone_tree(Some(root.fd()), Path::new("source"), true).unwrap();
        let target = root.mkdirs(target, 0o755).unwrap();
        mount::attach_with(copy.as_fd(), target.as_fd(), &change(recursive)).unwrap();
    }
    let expected = [
        r"source/in\040ner rw,relatime",
        "all ro,noatime",
        r"all/in\040ner ro,noatime",
        "top ro,noatime",
        r"top/in\040ner rw,relatime",
    ];
    assert_eq!(table_below_mnt()[before..], expected);
    Ok(())
}

pub fn preparing_a_mount_leaves_nothing_behind() -> Verdict {
    let tmpfs = private_mounts()?;
    let root = inroot::Root::from_fd(tmpfs);
    let count = || {
        std::fs::read_to_string("/proc/self/mountinfo")
            .unwrap()
            .lines()
            .count()
    };
    let before = count();
    let target = root.mkdirs("target", 0o755).unwrap();
    const ATTRS: u64 = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NODEV;
    // Two at a time, attached in the other order, and one that is refused between them.
    let first = mount::clone_tree(None, Path::new("/mnt"), false).unwrap();
    let second = mount::new_mount("tmpfs", None, &["ro".to_owned()], ATTRS);
    let second = second.unwrap();
    mount::new_mount("tmpfs", None, &["size=nonsense".to_owned()], 0).unwrap_err();
    mount::attach(second.as_fd(), target.as_fd()).unwrap();
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = table
        .lines()
        .rfind(|it| it.contains(" /mnt/target ro,nodev,relatime "));
    assert!(line.is_some_and(|it| it.contains(" none ro")), "{table}");
    mount::attach(first.as_fd(), second.as_fd()).unwrap();
    assert_eq!(count(), before + 2);
    // Moved by its descriptor, as often as one likes.
    let elsewhere = root.mkdirs("elsewhere", 0o755).unwrap();
    mount::attach(first.as_fd(), elsewhere.as_fd()).unwrap();
    assert_eq!(count(), before + 2);
    mount::new_mount("tmpfs", None, &["size=nonsense".to_owned()], 0).unwrap_err();
    assert_eq!(count(), before + 2);
    Ok(())
}

pub fn a_long_option_reaches_the_filesystem() -> Verdict {
    let tmpfs = private_mounts()?;
    let root = inroot::Root::from_fd(tmpfs);
    let name = "d".repeat(200);
    for directory in [
        format!("{name}/1"),
        format!("{name}/2"),
        "target".to_owned(),
    ] {
        root.mkdirs(&directory, 0o755).unwrap();
    }
    let lower = [format!("lowerdir=/mnt/{name}/1:/mnt/{name}/2")];
    let overlay = match mount::new_mount("overlay", Some("o"), &lower, 0) {
        Err(error) if error.is(lxc_kernel::Errno::NODEV) => return Err("no overlayfs".to_owned()),
        made => made.unwrap(),
    };
    let target = root.resolve("target").unwrap();
    mount::attach(overlay.as_fd(), target.as_fd()).unwrap();
    assert!(
        table_below_mnt()
            .iter()
            .any(|line| line == "target rw,relatime")
    );
    Ok(())
}
