//! The cache from end to end, with a mirror that is a directory and an apt that is a script.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::fetch::Apt;
use super::list::{Kernel, Locked, Wanted};
use super::{Cache, KernelFiles, Payload, digest, relock, turn, vmlinux};

/// Serves `NAME_VERSION_amd64.deb` of MIRROR; says what apt says if it has none.
const APT_GET: &str = r#"#!/bin/sh
for last; do :; done
echo "$last" >>MIRROR/log
case $last in
update)
    [ -e MIRROR/hangs ] && { echo $$ >MIRROR/hangs; sleep 100; }
    [ -e MIRROR/offline ] || exit 0
    echo "E: Failed to fetch http://m/InRelease  Temporary failure resolving 'm'" >&2
    echo "E: Some index files failed to download." >&2
    exit 100;;
dumpavail) cat MIRROR/available; exit;;
esac
file=${last%%=*}_${last#*=}_amd64.deb
if [ ! -e MIRROR/$file ]; then
    echo "E: Version '${last#*=}' for '${last%%=*}' was not found" >&2
    exit 100
fi
damaged=$(cat MIRROR/damaged)
if [ $damaged -gt 0 ]; then
    echo $((damaged - 1)) >MIRROR/damaged
    { printf X; tail -c +2 MIRROR/$file; } >$file
else
    cp MIRROR/$file .
fi
"#;

/// A mirror with one kernel, a machine that fetches from it, and what it was told.
struct Scene {
    dir: tempfile::TempDir,
    kernel: Kernel,
    said: RefCell<Vec<String>>,
}

impl Scene {
    fn new() -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let mirror = dir.path().join("mirror");
        fs::create_dir_all(&mirror).unwrap();
        fs::create_dir_all(dir.path().join("etc")).unwrap();
        let sources = "deb http://m/debian testos main\ndeb http://m/sec testos-security main\n";
        fs::write(dir.path().join("etc/sources.list"), sources).unwrap();
        fs::write(dir.path().join("os-release"), "VERSION_CODENAME=testos\n").unwrap();
        fs::write(mirror.join("damaged"), "0").unwrap();
        let script = APT_GET.replace("MIRROR", mirror.to_str().unwrap());
        fs::write(dir.path().join("apt"), script).unwrap();
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(dir.path().join("apt"), mode).unwrap();
        let kernel = Kernel {
            name: "6.1".to_string(),
            layouts: Vec::new(),
            peers: Vec::new(),
            in_ci: false,
            image: "6.1".to_string(),
            parameters: Vec::new(),
            suite: "testos-security".to_string(),
            packages: vec![package(dir.path(), "linux-6.1.0-x", "6.1-1")],
            modules: Wanted {
                required: vec!["built_in".to_string()],
                qemu: Vec::new(),
                optional: Vec::new(),
            },
        };
        Scene {
            dir,
            kernel,
            said: RefCell::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn cache(&self) -> Cache {
        let apt = Apt {
            get: self.path("apt"),
            cache: self.path("apt"),
            etc: self.path("etc"),
            os_release: self.path("os-release"),
            deadline: 20,
        };
        Cache::with(&self.path("cache"), apt).unwrap()
    }

    /// The kernel from a new opening of the cache, as another run would see it.
    fn kernel(&self) -> Result<KernelFiles, String> {
        let cache = self.cache();
        let say = |line: &str| self.said.borrow_mut().push(line.to_string());
        let files = cache
            .kernel(&self.kernel, &say)
            .map_err(|error| error.to_string());
        assert!(
            !files.as_ref().is_err_and(|error| error.contains('\n')),
            "one line: {files:?}"
        );
        assert_eq!(
            names(&self.path("cache/tmp")),
            [""; 0],
            "nothing is left behind"
        );
        files
    }

    /// What was said since this was asked last, one line.
    fn said(&self) -> String {
        self.said.take().join("\n")
    }

    /// How often apt was run to fetch a package.
    fn downloads(&self) -> usize {
        let log = fs::read_to_string(self.path("mirror/log")).unwrap_or_default();
        log.lines().filter(|line| line.contains('=')).count()
    }

    fn deb(&self) -> PathBuf {
        self.path("cache/debs/linux-6.1.0-x_6.1-1_amd64.deb")
    }
}

/// A kernel's package on the mirror: an image of a few bytes, and one thing that is built in.
fn package(dir: &Path, name: &str, version: &str) -> Locked {
    let tree = dir.join("tree");
    for sub in ["DEBIAN", "boot", "lib/modules/6.1.0-x"] {
        fs::create_dir_all(tree.join(sub)).unwrap();
    }
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: m\nDescription: d\n"
    );
    let image = vmlinux::tests::image(&vmlinux::tests::lz4(b"\x7fELF kernel"), 11);
    fs::write(tree.join("DEBIAN/control"), control).unwrap();
    fs::write(tree.join("boot/vmlinuz-6.1.0-x"), image).unwrap();
    fs::write(
        tree.join("lib/modules/6.1.0-x/modules.builtin"),
        "kernel/fs/built-in.ko\n",
    )
    .unwrap();
    let deb = dir.join(format!("mirror/{name}_{version}_amd64.deb"));
    let mut build = Command::new("dpkg-deb");
    build
        .args(["--root-owner-group", "-b"])
        .args([&tree, &deb])
        .stdout(Stdio::null());
    assert!(build.status().unwrap().success());
    Locked {
        package: name.to_string(),
        version: version.to_string(),
        bytes: fs::metadata(&deb).unwrap().len(),
        sha256: digest::of_file(&deb).unwrap(),
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Changes one byte, and nothing else that could be seen.
fn damage(path: &Path) {
    let written = fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(written)
        .unwrap();
}

#[test]
fn a_kernel_is_fetched_once_and_then_there() {
    let scene = Scene::new();
    let first = scene.kernel().unwrap();
    assert!(scene.said().starts_with("fetching linux-6.1.0-x 6.1-1"));
    assert_eq!(first.release, "6.1.0-x");
    assert_eq!(fs::read(&first.elf).unwrap(), b"\x7fELF kernel");
    fs::write(scene.path("mirror/offline"), "").unwrap();
    fs::remove_file(scene.deb()).unwrap();
    let second = scene.kernel().unwrap();
    assert_eq!((second.digest, second.elf), (first.digest, first.elf));
    assert_eq!((scene.said().as_str(), scene.downloads()), ("", 1));
}

#[test]
fn a_package_damaged_on_its_way_is_fetched_again_once() {
    let scene = Scene::new();
    fs::write(scene.path("mirror/damaged"), "1").unwrap();
    scene.kernel().unwrap();
    assert!(scene.said().contains("has the sha256"));
    assert_eq!(scene.downloads(), 2);
    assert_eq!(
        digest::of_file(&scene.deb()).unwrap(),
        scene.kernel.packages[0].sha256
    );

    let scene = Scene::new();
    fs::write(scene.path("mirror/damaged"), "9").unwrap();
    let error = scene.kernel().unwrap_err();
    assert!(
        error.contains("it was damaged twice") && error.contains("sha256"),
        "{error}"
    );
    assert_eq!(scene.downloads(), 2);
    assert_eq!(names(&scene.path("cache/debs")), [""; 0]);
}

#[test]
fn a_damaged_package_of_the_cache_is_refused_and_fetched_again() {
    let scene = Scene::new();
    scene.kernel().unwrap();
    for damage in [damage as fn(&Path), |path| {
        fs::write(path, "short").unwrap()
    }] {
        scene.said();
        fs::remove_dir_all(scene.path("cache/kernels")).unwrap();
        damage(&scene.deb());
        scene.kernel().unwrap();
        assert!(scene.said().contains(": deleted, to be fetched again"));
    }
    assert_eq!(scene.downloads(), 3);
}

#[test]
fn a_damaged_kernel_is_made_anew() {
    let scene = Scene::new();
    let made = scene.kernel().unwrap();
    let dir = made.elf.parent().unwrap().to_path_buf();
    for file in ["vmlinux", "index", "contents"] {
        for damage in [
            (|path| fs::write(path, "other").unwrap()) as fn(&Path),
            |path| fs::remove_file(path).unwrap(),
        ] {
            scene.said();
            damage(&dir.join(file));
            assert_eq!(scene.kernel().unwrap().digest, made.digest);
            let said = scene.said();
            assert!(
                said.contains("is damaged (") && said.contains("made anew"),
                "{said}"
            );
        }
    }
    scene.said();
    std::thread::sleep(std::time::Duration::from_millis(20));
    damage(&made.elf);
    assert_eq!(scene.kernel().unwrap().digest, made.digest);
    assert!(scene.said().contains("vmlinux: its sha256 is"));
    assert_eq!(fs::read(&made.elf).unwrap(), b"\x7fELF kernel");
    assert_eq!(scene.downloads(), 1);
}

#[test]
fn a_version_that_is_gone_names_the_command_that_helps() {
    let mut scene = Scene::new();
    scene.kernel.packages[0].version = "6.1-0".to_string();
    let expected = "linux-6.1.0-x 6.1-0 (of the kernel 6.1) is no longer on the mirror; \
        re-lock with `cargo xtask vm-test --relock`";
    assert_eq!(scene.kernel().unwrap_err(), expected);
}

#[test]
fn without_a_network_one_sentence_names_what_is_missing() {
    let scene = Scene::new();
    fs::write(scene.path("mirror/offline"), "").unwrap();
    let debs = scene
        .path("cache")
        .canonicalize()
        .unwrap_or(scene.path("cache"))
        .join("debs");
    let expected = format!(
        "linux-6.1.0-x 6.1-1 (of the kernel 6.1) could not be fetched: {} update says “Failed to \
         fetch http://m/InRelease  Temporary failure resolving 'm'”; connect this machine to a \
         Debian mirror, or put linux-6.1.0-x_6.1-1_amd64.deb into {}",
        scene.path("apt").display(),
        debs.display()
    );
    assert_eq!(scene.kernel().unwrap_err(), expected);
    // The remedy works.
    fs::copy(
        scene.path("mirror/linux-6.1.0-x_6.1-1_amd64.deb"),
        scene.deb(),
    )
    .unwrap();
    scene.kernel().unwrap();

    fs::remove_dir_all(scene.path("cache")).unwrap();
    fs::remove_file(scene.path("etc/sources.list")).unwrap();
    assert!(
        scene
            .kernel()
            .unwrap_err()
            .contains("holds no list of sources")
    );
}

#[test]
fn an_apt_that_hangs_is_killed() {
    let scene = Scene::new();
    let hangs = scene.path("mirror/hangs");
    fs::write(&hangs, "").unwrap();
    let cache = Cache {
        apt: Apt {
            deadline: 1,
            ..scene.cache().apt
        },
        ..scene.cache()
    };
    let error = cache
        .kernel(&scene.kernel, &|_| ())
        .unwrap_err()
        .to_string();
    assert!(error.contains("was not done after 1 seconds"), "{error}");
    let pid = fs::read_to_string(hangs).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists(), "{pid} lives");
}

#[test]
fn two_runs_at_once_fetch_once() {
    let scene = Scene::new();
    let (kernel, caches) = (&scene.kernel, [scene.cache(), scene.cache()]);
    std::thread::scope(|scope| {
        for cache in &caches {
            scope.spawn(move || cache.kernel(kernel, &|_| ()).unwrap());
        }
    });
    assert_eq!(scene.downloads(), 1);
}

#[test]
fn what_a_killed_run_left_is_in_nobodys_way() {
    let scene = Scene::new();
    let tmp = scene.path("cache/tmp/6.1");
    fs::create_dir_all(tmp.join("apt/lists/partial")).unwrap();
    fs::create_dir_all(tmp.join("kernel/modules")).unwrap();
    fs::write(tmp.join("kernel/vmlinux"), "half").unwrap();
    scene.kernel().unwrap();
}

#[test]
fn packages_that_are_no_kernel_are_refused() {
    let mut scene = Scene::new();
    scene.kernel.modules.required.push("absent".to_string());
    let error = scene.kernel().unwrap_err();
    assert!(
        error.starts_with("the kernel 6.1 cannot be used: the module absent"),
        "{error}"
    );

    fs::rename(
        scene.path("tree/lib/modules/6.1.0-x"),
        scene.path("tree/lib/modules/6.2"),
    )
    .unwrap();
    let mut scene = Scene {
        kernel: scene.kernel.clone(),
        ..scene
    };
    scene.kernel.packages = vec![package(scene.dir.path(), "linux-6.2", "2")];
    let error = scene.kernel().unwrap_err();
    assert!(
        error.contains("calls itself 6.1.0-x, its modules are for"),
        "{error}"
    );
}

#[test]
fn older_kernels_are_removed_unless_somebody_uses_them() {
    let mut scene = Scene::new();
    let in_use = scene.kernel().unwrap();
    let kernels = scene.path("cache/kernels");
    // Of another kernel, whose name begins alike.
    fs::create_dir(kernels.join("6.1-rt-0123456789abcdef")).unwrap();
    let locks_another = |scene: &mut Scene, n: usize| {
        let optional = (0..n).map(|n| format!("m{n}")).collect();
        scene.kernel.modules.optional = optional;
        scene.kernel().unwrap()
    };
    locks_another(&mut scene, 1);
    assert_eq!(names(&kernels).len(), 3);
    drop(in_use);
    let kept = locks_another(&mut scene, 2);
    let left = names(&kernels);
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(kept.elf.exists());
}

#[test]
fn a_filesystem_is_packed_once_and_holds_all() {
    let scene = Scene::new();
    let files = scene.kernel().unwrap();
    let agent = scene.path("agent");
    fs::write(&agent, "agent").unwrap();
    let mut payload = Payload::new();
    payload.text("/etc/hostname", "mine\n", 0o644);
    let pack = |payload: &Payload| scene.cache().initramfs(&files, &agent, payload).unwrap();
    let first = pack(&payload);

    let into = scene.path("unpacked");
    fs::create_dir(&into).unwrap();
    let mut cpio = Command::new("/bin/busybox");
    cpio.args(["cpio", "-id"])
        .current_dir(&into)
        .stdin(fs::File::open(&first.path).unwrap());
    assert!(cpio.stderr(Stdio::null()).status().unwrap().success());
    let read = |path: &str| fs::read_to_string(into.join(path)).unwrap();
    assert_eq!(
        (read("init").as_str(), read("etc/hostname").as_str()),
        ("agent", "mine\n")
    );
    assert!(
        read("etc/subuid").contains("root:100000:65536") && read("etc/passwd").contains("alice")
    );
    assert_eq!(read("lib/modules/index"), "");
    let link = |path: &str| fs::read_link(into.join(path)).unwrap();
    assert_eq!(link("sbin/modprobe"), Path::new("/init"));
    assert_eq!(link("bin/sh"), Path::new("/bin/busybox"));
    assert!(fs::symlink_metadata(into.join("sbin/init")).is_err());
    let mode = |path: &str| fs::metadata(into.join(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(
        (mode("tmp"), mode("root"), mode("init")),
        (0o1777, 0o700, 0o755)
    );

    let written = fs::metadata(&first.path).unwrap().modified().unwrap();
    let second = pack(&payload);
    assert_eq!((&second.path, &second.digest), (&first.path, &first.digest));
    assert_eq!(
        fs::metadata(&second.path).unwrap().modified().unwrap(),
        written
    );

    // Damaged: packed again. Other inputs: another file, and the first goes when it is free.
    std::thread::sleep(std::time::Duration::from_millis(20));
    damage(&first.path);
    let repaired = pack(&payload);
    let content = digest::of_file(&repaired.path).unwrap();
    assert!(
        fs::read_to_string(first.path.with_extension("sha256"))
            .unwrap()
            .contains(&content)
    );
    payload.text("/etc/hostname", "other\n", 0o644);
    let third = pack(&payload);
    assert!(first.path.exists() && third.path != first.path);
    let (old, gone) = (first.path.clone(), first.path.with_extension("sha256"));
    drop((first, second, repaired));
    pack(&payload);
    assert!(third.path.exists() && !old.exists() && !gone.exists());
    assert!(turn::is_in_use(&third.path));
}

#[test]
fn a_payload_that_cannot_be_is_refused() {
    let scene = Scene::new();
    let files = scene.kernel().unwrap();
    let cache = scene.cache();
    let refused = |agent: &Path, payload: &Payload| {
        cache
            .initramfs(&files, agent, payload)
            .unwrap_err()
            .to_string()
    };
    let error = refused(&scene.path("none"), &Payload::new());
    assert!(
        error.starts_with("the machine's filesystem for 6.1 cannot be built: /"),
        "{error}"
    );
    let dynamic = std::env::current_exe().unwrap();
    assert!(refused(&dynamic, &Payload::new()).contains("it is not a static program"));
    let mut payload = Payload::new();
    payload.text("relative", "", 0o644);
    assert!(refused(Path::new("/bin/busybox"), &payload).contains("absolute path"));
    assert_eq!(names(&scene.path("cache/initramfs")), [""; 0]);
}

#[test]
fn the_lock_is_written_anew_with_what_the_mirror_has() {
    let scene = Scene::new();
    let root = scene.path("root");
    fs::create_dir_all(root.join("vm-images")).unwrap();
    let toml =
        "[[kernel]]\nname = \"6.1\"\nsuite = \"testos-security\"\npackages = [\"l-6.1.*\"]\n";
    fs::write(root.join("vm-images/kernels.toml"), toml).unwrap();
    let modules = "required = []\noptional = []\n";
    fs::write(root.join("vm-images/modules.toml"), modules).unwrap();
    let extra = "[[package]]\nname = \"l\"\nsuite = \"testos-security\"\ntake = [\"/a\"]\n";
    fs::write(root.join("vm-images/packages.toml"), extra).unwrap();
    let sha = digest::of_bytes(b"");
    let stanza = |name: &str, version: u32| {
        format!("Package: {name}\nVersion: {version}\nSize: 5\nSHA256: {sha}\n\n")
    };
    let all = [("l-6.1.9", 9), ("l-6.1.10", 10), ("l", 3), ("l", 12)];
    let all = all.map(|(name, version)| stanza(name, version)).concat();
    fs::write(scene.path("mirror/available"), all).unwrap();
    let lines = relock(&root, &scene.cache(), &|_| ()).unwrap();
    let new = lines.iter().filter(|line| !line.starts_with('#'));
    let expected = [
        format!("6.1 testos-security l-6.1.10 10 5 {sha}"),
        format!("package testos-security l 12 5 {sha}"),
    ];
    assert_eq!(new.collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
    assert_eq!(super::packages(&root).unwrap().len(), 1);
    let kernels = super::kernels(&root).unwrap();
    assert_eq!(kernels[0].packages[0].to_string(), "l-6.1.10 10");
    assert_eq!(relock(&root, &scene.cache(), &|_| ()).unwrap(), [""; 0]);

    fs::write(scene.path("mirror/offline"), "").unwrap();
    let before = fs::read(root.join("vm-images/images.lock")).unwrap();
    let error = relock(&root, &scene.cache(), &|_| ())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("the packages of testos-security are not known"),
        "{error}"
    );
    assert_eq!(
        fs::read(root.join("vm-images/images.lock")).unwrap(),
        before
    );
}
