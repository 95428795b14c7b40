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

pub fn a_filesystem_says_what_is_wrong() -> Verdict {
    needs_root()?;
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
    let procfs = mount::new_mount("proc", None, &[], 0).unwrap();
    let target = file::open_dir(Path::new("/proc")).unwrap();
    mount::attach(procfs.as_fd(), target.as_fd()).unwrap();
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
