//! A machine's first and only filesystem: the agent, busybox, users, modules, and the payload.

use std::collections::BTreeMap;
use std::fs;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lxc_guest::protocol::{LXCPATH, MODULES_INDEX};

use super::cpio::Writer;
use super::digest::{self, Memory};
use super::elf;
use super::payload::{Payload, Sealed};
use super::turn::{self, InUse};
use super::unpacked::KernelFiles;

/// From the package busybox-static: what machines and containers run.
const BUSYBOX: &str = "/bin/busybox";

/// Busybox' names that machines go without: the agent is init, and loads modules.
const NOT_BUSYBOX: [&str; 3] = ["/sbin/init", "/sbin/modprobe", "/linuxrc"];

/// A packed filesystem for QEMU's `-initrd`. Nobody removes the file while this lives.
#[derive(Debug)]
pub struct Initramfs {
    /// The archive, not compressed: unpacking it in the machine would cost more than reading it.
    pub path: PathBuf,
    /// Stands for everything that went into it.
    pub digest: String,
    /// Its size.
    pub bytes: u64,
    _in_use: InUse,
}

/// The archive of these inputs in `dir`; packed if it is not there or damaged.
///
/// Called in the kernel's turn.
pub(super) fn pack(
    dir: &Path,
    kernel: &KernelFiles,
    agent: &Path,
    payload: &Payload,
    memory: &Memory,
) -> Result<Initramfs, String> {
    let all = everything(kernel, agent, payload)?;
    all.check()?;
    let Sealed { digest, files } = all.seal(memory)?;
    let path = dir.join(format!("{}-{}.cpio", kernel.name, &digest[..32]));
    if !is_whole(&path, memory) {
        write(&all, &files, &path, memory)?;
    }
    let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
    let in_use = turn::in_use(&path).map_err(wrong)?;
    let bytes = fs::metadata(&path).map_err(wrong)?.len();
    Ok(Initramfs {
        path,
        digest,
        bytes,
        _in_use: in_use,
    })
}

/// The digest of an archive lies beside it.
fn beside(path: &Path) -> PathBuf {
    path.with_extension("sha256")
}

fn is_whole(path: &Path, memory: &Memory) -> bool {
    let expected = fs::read_to_string(beside(path));
    let found = memory.digest(path);
    matches!((expected, found), (Ok(expected), Ok(found)) if expected.trim() == found)
}

/// Complete under another name first: whoever is killed here leaves nothing that looks whole.
fn write(
    all: &Payload,
    files: &BTreeMap<PathBuf, String>,
    path: &Path,
    memory: &Memory,
) -> Result<(), String> {
    let new = path.with_extension("new");
    let wrong = |error: std::io::Error| format!("{}: {error}", new.display());
    let file = fs::File::create(&new).map_err(wrong)?;
    let mut writer = Writer::new(BufWriter::with_capacity(1 << 20, file));
    let packed = all.pack(&mut writer, files, memory);
    let packed = packed.and_then(|()| writer.finish().map(|_| ()).map_err(wrong));
    if let Err(error) = packed {
        // What matters is why it failed.
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    let digest = digest::of_file(&new).map_err(wrong)?;
    fs::write(beside(path), format!("{digest}\n")).map_err(wrong)?;
    fs::rename(&new, path).map_err(wrong)?;
    memory.learn(path, &digest);
    Ok(())
}

fn everything(kernel: &KernelFiles, agent: &Path, payload: &Payload) -> Result<Payload, String> {
    let mut all = Payload::new();
    directories(&mut all);
    users(&mut all);
    busybox(&mut all)?;
    check_agent(agent)?;
    all.file("/init", agent, 0o755)
        .link("/sbin/modprobe", "/init");
    all.text(MODULES_INDEX, &kernel.index, 0o644);
    for (path, (file, _)) in &kernel.modules {
        all.file(path, file, 0o644);
    }
    all.merge(payload);
    Ok(all)
}

/// In the machine nothing would say why a dynamic one does not start.
fn check_agent(agent: &Path) -> Result<(), String> {
    let wrong = |what: &dyn std::fmt::Display| format!("{}: {what}", agent.display());
    let content = fs::read(agent).map_err(|error| wrong(&error))?;
    match elf::linkage(&content).map_err(|error| wrong(&error))? {
        Some(elf::Linkage {
            loader: Some(loader),
            ..
        }) => Err(wrong(&format!(
            "it is not a static program, it needs {loader}"
        ))),
        _ => Ok(()),
    }
}

fn directories(all: &mut Payload) {
    for path in [
        "/dev",
        "/etc",
        "/mnt",
        "/proc",
        "/run",
        "/sys",
        "/usr/local/bin",
        "/var/cache",
    ] {
        all.directory(path, 0o755);
    }
    all.directory("/root", 0o700)
        .directory("/tmp", 0o1777)
        .directory("/var/tmp", 0o1777);
    all.directory("/var/log", 0o755).directory(LXCPATH, 0o755);
    all.link("/var/run", "/run").link("/var/lock", "/run/lock");
}

/// Two users who may not do what root may, one of them with ids of her own for containers.
fn users(all: &mut Payload) {
    let passwd = "root:x:0:0:root:/root:/bin/sh\n\
        nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n\
        alice:x:1000:1000:Alice:/home/alice:/bin/sh\n\
        bob:x:1001:1001:Bob:/home/bob:/bin/sh\n";
    let group = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\nalice:x:1000:\nbob:x:1001:\n";
    let ids = "root:100000:65536\nalice:200000:65536\n";
    all.text("/etc/passwd", passwd, 0o644)
        .text("/etc/group", group, 0o644);
    all.text("/etc/subuid", ids, 0o644)
        .text("/etc/subgid", ids, 0o644);
    all.text("/etc/hostname", "machine\n", 0o644);
    all.text(
        "/etc/hosts",
        "127.0.0.1 localhost machine\n::1 localhost\n",
        0o644,
    );
    // Names are looked up in files only: a machine has no network to ask.
    all.text(
        "/etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files\n",
        0o644,
    );
    for (path, id) in [("/home/alice", 1000), ("/home/bob", 1001)] {
        all.directory(path, 0o755).owned_by(path, id, id);
    }
}

/// Busybox under all the names that it knows.
fn busybox(all: &mut Payload) -> Result<(), String> {
    let remedy = "install the package busybox-static";
    let program = fs::read(BUSYBOX).map_err(|error| format!("{BUSYBOX}: {error}; {remedy}"))?;
    let linkage = elf::linkage(&program).map_err(|error| format!("{BUSYBOX}: {error}"))?;
    if linkage != Some(elf::Linkage::default()) {
        return Err(format!("{BUSYBOX} is not a static program; {remedy}"));
    }
    let listed = Command::new(BUSYBOX)
        .arg("--list-full")
        .stdin(Stdio::null())
        .output();
    let listed = listed.map_err(|error| format!("{BUSYBOX} --list-full: {error}"))?;
    for name in String::from_utf8_lossy(&listed.stdout).lines() {
        let path = format!("/{name}");
        if !NOT_BUSYBOX.contains(&path.as_str()) {
            all.link(&path, BUSYBOX);
        }
    }
    all.file(BUSYBOX, Path::new(BUSYBOX), 0o755);
    if !all.has("/bin/sh") {
        return Err(format!("{BUSYBOX} --list-full names no bin/sh; {remedy}"));
    }
    Ok(())
}
