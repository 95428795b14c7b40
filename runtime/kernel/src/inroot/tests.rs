//! The same hostile trees through openat2 and through the walker.

use super::*;

/// Runs a test body with openat2 and again without; the two must not overlap with others.
pub(crate) fn both_ways(body: impl Fn(&str)) {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    // A failed test has left nothing behind but the flag, which is set anew.
    let _turn = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(|broken| broken.into_inner());
    for (forced, how) in [(false, "openat2"), (true, "walker")] {
        force_fallback(forced);
        body(how);
    }
    force_fallback(false);
}

/// A directory in memory if there is such a place: on a disk, making deep trees takes seconds.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// Makes a tree from rows: `dir/`, `file=content`, `link->target`, `fifo|`.
fn plant(rows: &[&str]) -> tempfile::TempDir {
    let top = scratch();
    for row in rows {
        if let Some((link, target)) = row.split_once("->") {
            std::os::unix::fs::symlink(target, top.path().join(link)).unwrap();
        } else if let Some((file, content)) = row.split_once('=') {
            std::fs::write(top.path().join(file), content).unwrap();
        } else if let Some(fifo) = row.strip_suffix('|') {
            let path = top.path().join(fifo);
            rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        } else {
            std::fs::create_dir_all(top.path().join(row)).unwrap();
        }
    }
    top
}

/// `rootfs` is hostile, everything beside it is the host.
fn hostile() -> tempfile::TempDir {
    plant(&[
        "secret=host",
        "outside/",
        "outside/victim=host",
        "rootfs/a/b/",
        "rootfs/outside/",
        "rootfs/a/file=inside",
        "rootfs/secret=inside",
        "rootfs/fifo|",
        "rootfs/up->..",
        "rootfs/upup->../../../../../..",
        "rootfs/abs->/a/b",
        "rootfs/a/absfile->/a/file",
        "rootfs/a/rel->../a/./b/..//file",
        "rootfs/out->../secret",
        "rootfs/outabs->/../../secret",
        "rootfs/dangling->/no/such",
        "rootfs/loop->loop",
        "rootfs/ping->pong",
        "rootfs/pong->ping",
        "rootfs/tofile->a/file",
        "rootfs/dirslash->a/",
    ])
}

fn host_is_untouched(top: &Path) {
    let mut found: Vec<_> = std::fs::read_dir(top.join("outside"))
        .unwrap()
        .chain(std::fs::read_dir(top).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, ["outside", "rootfs", "secret", "victim"]);
    assert_eq!(
        std::fs::read_to_string(top.join("outside/victim")).unwrap(),
        "host"
    );
}

/// Where a descriptor lies, below the tree's top.
fn place(fd: &OwnedFd, top: &Path) -> String {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap();
    let top = top.canonicalize().unwrap();
    path.strip_prefix(top).unwrap().display().to_string()
}

fn told(found: Result<OwnedFd>, top: &Path) -> String {
    match found {
        Ok(fd) => place(&fd, top),
        Err(error) => crate::errno_name(error.errno).to_owned(),
    }
}

#[test]
fn no_path_leads_out() {
    both_ways(|how| {
        let tree = hostile();
        let root = Root::open(&tree.path().join("rootfs")).unwrap();
        let deep = "up/".repeat(30) + "secret";
        let deeper = "up/".repeat(41) + "secret";
        for (path, expected) in [
            ("", "rootfs"),
            ("/", "rootfs"),
            (".", "rootfs"),
            ("..", "rootfs"),
            ("/../../..", "rootfs"),
            ("a/b/../../../../..", "rootfs"),
            ("a//b/", "rootfs/a/b"),
            ("a/file", "rootfs/a/file"),
            ("a/file/", "ENOTDIR"),
            ("a/file/.", "ENOTDIR"),
            ("a/file/..", "ENOTDIR"),
            ("a/file/x", "ENOTDIR"),
            ("nothing", "ENOENT"),
            ("nothing/..", "ENOENT"),
            ("fifo", "rootfs/fifo"),
            ("up", "rootfs"),
            ("up/secret", "rootfs/secret"),
            ("upup/secret", "rootfs/secret"),
            ("upup/outside", "rootfs/outside"),
            ("abs", "rootfs/a/b"),
            ("abs/../file", "rootfs/a/file"),
            ("a/absfile", "rootfs/a/file"),
            ("a/rel", "rootfs/a/file"),
            ("out", "rootfs/secret"),
            ("outabs", "rootfs/secret"),
            ("dangling", "ENOENT"),
            ("loop", "ELOOP"),
            ("ping", "ELOOP"),
            ("ping/x", "ELOOP"),
            ("tofile", "rootfs/a/file"),
            ("tofile/", "ENOTDIR"),
            ("dirslash", "rootfs/a"),
            ("dirslash/b", "rootfs/a/b"),
            (&deep, "rootfs/secret"),
            (&deeper, "ELOOP"),
            (&"x".repeat(256), "ENAMETOOLONG"),
            (&"a/../".repeat(1000), "ENAMETOOLONG"),
            ("a\0b", "EINVAL"),
        ] {
            let found = told(root.resolve(path), tree.path());
            assert_eq!(found, expected, "{how}: {path:?}");
        }
        host_is_untouched(tree.path());
    });
}

#[test]
fn links_are_refused_where_that_is_asked() {
    both_ways(|how| {
        let tree = hostile();
        let root = Root::open(&tree.path().join("rootfs")).unwrap();
        for (path, expected) in [
            ("", "rootfs"),
            ("a/b", "rootfs/a/b"),
            ("a/../../../a/file", "rootfs/a/file"),
            ("fifo", "rootfs/fifo"),
            ("abs", "ELOOP"),
            ("abs/", "ELOOP"),
            ("abs/x", "ELOOP"),
            ("a/rel", "ELOOP"),
            ("up/secret", "ELOOP"),
            ("dangling", "ELOOP"),
            ("a/nothing", "ENOENT"),
        ] {
            let found = told(root.resolve_nofollow(path), tree.path());
            assert_eq!(found, expected, "{how}: {path:?}");
        }
    });
}

#[test]
fn directories_are_made_inside_only() {
    both_ways(|how| {
        let tree = hostile();
        let root = Root::open(&tree.path().join("rootfs")).unwrap();
        for (path, expected) in [
            ("/new/x/y", "rootfs/new/x/y"),
            ("new/x/y", "rootfs/new/x/y"),
            ("a/b/../c//d/", "rootfs/a/c/d"),
            ("up/../outside/made", "rootfs/outside/made"),
            ("upup/tmp/made", "rootfs/tmp/made"),
            ("abs/made", "rootfs/a/b/made"),
            ("dangling/made", "rootfs/no/such/made"),
            ("a/file", "ENOTDIR"),
            ("a/file/x", "ENOTDIR"),
            ("tofile/x", "ENOTDIR"),
            ("fifo/x", "ENOTDIR"),
            ("loop/x", "ELOOP"),
            ("", "rootfs"),
        ] {
            let found = told(root.mkdirs(path, 0o700), tree.path());
            assert_eq!(found, expected, "{how}: {path:?}");
        }
        let made = fstat(root.resolve("new/x").unwrap()).unwrap();
        assert_eq!(made.st_mode & 0o7777, 0o700);
        host_is_untouched(tree.path());
    });
}

#[test]
fn files_are_made_inside_only() {
    both_ways(|how| {
        let tree = hostile();
        let root = Root::open(&tree.path().join("rootfs")).unwrap();
        for (path, expected) in [
            ("/etc/x/file", "rootfs/etc/x/file"),
            ("a/file", "rootfs/a/file"),
            ("a/b", "rootfs/a/b"),
            ("fifo", "rootfs/fifo"),
            ("up/made", "rootfs/made"),
            ("outabs", "ELOOP"),
            ("dangling", "ELOOP"),
            ("a/file/x", "ENOTDIR"),
            ("", "EISDIR"),
            ("a/", "EISDIR"),
            ("..", "EISDIR"),
        ] {
            let found = told(root.create_file(path, 0o600), tree.path());
            assert_eq!(found, expected, "{how}: {path:?}");
        }
        let rootfs = tree.path().join("rootfs");
        assert_eq!(
            std::fs::read_to_string(rootfs.join("a/file")).unwrap(),
            "inside"
        );
        assert_eq!(std::fs::read_to_string(rootfs.join("made")).unwrap(), "");
        host_is_untouched(tree.path());
    });
}

#[test]
fn only_files_inside_are_read() {
    both_ways(|how| {
        let tree = hostile();
        let root = Root::open(&tree.path().join("rootfs")).unwrap();
        for (path, expected) in [
            ("a/file", Ok("inside")),
            ("out", Ok("inside")),
            ("up/secret", Ok("inside")),
            ("fifo", Err(Errno::ACCESS)),
            ("a", Err(Errno::ACCESS)),
            ("loop", Err(Errno::LOOP)),
        ] {
            let read = root.read_file(path, 6).map_err(|error| error.errno);
            assert_eq!(read, expected.map(|text| text.into()), "{how}: {path:?}");
        }
        assert!(root.read_file("a/file", 5).unwrap_err().is(Errno::FBIG));
    });
}

/// While one thread exchanges a directory and a link that leads out, no resolution may leave.
#[test]
fn races_do_not_lead_out() {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use std::sync::atomic::AtomicBool;
    const ROUNDS: u32 = 2000;
    both_ways(|how| {
        let tree = plant(&[
            "outside/deep/",
            "rootfs/dir/deep/",
            "rootfs/dir/inside=x",
            "rootfs/link->../outside",
        ]);
        let top = tree.path().canonicalize().unwrap();
        let root = Root::open(&top.join("rootfs")).unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (dir, link) = (top.join("rootfs/dir"), top.join("rootfs/link"));
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    renameat_with(CWD, &dir, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                }
            });
            for round in 0..ROUNDS {
                let outcomes = [
                    root.resolve("dir/deep/.."),
                    root.resolve_nofollow("dir/deep"),
                    root.mkdirs(&format!("dir/made/{}", round % 7), 0o755),
                    root.create_file(&format!("dir/files/{}", round % 7), 0o644),
                ];
                for found in outcomes.iter().flatten() {
                    let place = place(found, &top);
                    assert!(place.starts_with("rootfs"), "{how}: {place}");
                }
            }
            over.store(true, Ordering::Relaxed);
        });
        let outside: Vec<_> = std::fs::read_dir(top.join("outside")).unwrap().collect();
        assert_eq!(outside.len(), 1, "{how}");
        let deep = std::fs::read_dir(top.join("outside/deep")).unwrap();
        assert_eq!(deep.count(), 0, "{how}");
    });
}

#[test]
fn a_mount_has_one_id_whoever_is_asked() {
    let here = scratch();
    let mounts = [here.path(), Path::new("/dev")].map(|path| {
        let dir = crate::file::open_dir(path).unwrap();
        let by_proc = mount_id(dir.as_fd()).unwrap();
        assert_eq!(
            crate::sys::calls::mount_id(dir.as_fd()),
            Ok(by_proc),
            "{path:?}"
        );
        by_proc
    });
    assert_ne!(mounts[0], mounts[1]);
}
