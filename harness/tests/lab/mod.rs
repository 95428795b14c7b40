//! What tests of real machines need: the images are those that the last `cargo xtask vm-test` left in
//! its cache, or those in the directory that VM_CACHE names.

// Each test program uses its part of this.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lxc_guest::protocol::{Ended, Layout, Reply, Request, Run, User};
use lxc_harness::machine::{Machine, Qemu, Spec};
use tempfile::TempDir;

pub const BOOT: Duration = Duration::from_secs(90);
pub const ANSWER: Duration = Duration::from_secs(30);

/// A kernel and a filesystem that fit each other.
pub struct Image {
    pub name: String,
    pub elf: PathBuf,
    pub initramfs: PathBuf,
}

/// What a test needs of this host.
pub struct Lab {
    pub qemu: Qemu,
    pub images: Vec<Image>,
    pub directory: TempDir,
    /// A kernel parameter by which this lab's machines are found among all processes.
    pub mark: String,
}

impl Lab {
    /// Says why not, if there is none.
    pub fn open(test: &str) -> Option<Lab> {
        let found = || -> Result<Lab, String> {
            let cache = match std::env::var_os("VM_CACHE") {
                Some(named) => PathBuf::from(named),
                None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/vm"),
            };
            let images = images(&cache);
            if images.is_empty() {
                let shown = cache.display();
                return Err(format!("no images in {shown}; try: cargo xtask vm-test"));
            }
            let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
            Ok(Lab {
                qemu: Qemu::find().map_err(|error| error.to_string())?,
                images,
                mark: format!("lxc.mark={}", directory.path().display()),
                directory,
            })
        };
        match found() {
            Ok(lab) => Some(lab),
            Err(reason) => {
                println!("COULD NOT RUN: {test}: {reason}");
                None
            }
        }
    }

    pub fn spec(&self, image: &Image, serial: &str) -> Spec {
        Spec {
            append: vec![self.mark.clone()],
            ..Spec::new(
                image.elf.clone(),
                image.initramfs.clone(),
                Layout::V2,
                self.directory.path().join(serial),
            )
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Boots a machine and saves it; gives its spec and its snapshot.
    pub fn saved(&self, image: &Image) -> (Spec, PathBuf) {
        let spec = self.spec(image, "serial");
        let snapshot = self.path(&format!("{}.snapshot", image.name));
        let (machine, _) = Machine::boot(&self.qemu, &spec, BOOT).unwrap();
        machine.save(&snapshot, ANSWER).unwrap();
        (spec, snapshot)
    }
}

/// Pairs of kernels/NAME-KEY/vmlinux and initramfs/NAME-KEY.cpio, by name.
fn images(cache: &Path) -> Vec<Image> {
    let listed = |directory: &str| -> BTreeMap<String, PathBuf> {
        let entries = std::fs::read_dir(cache.join(directory))
            .into_iter()
            .flatten();
        let named = entries.flatten().filter_map(|entry| {
            let file = entry.file_name().into_string().ok()?;
            if file.ends_with(".sha256") {
                return None;
            }
            Some((file.split_once('-')?.0.to_owned(), entry.path()))
        });
        named.collect()
    };
    let filesystems = listed("initramfs");
    let pairs = listed("kernels").into_iter().filter_map(|(name, kernel)| {
        let initramfs = filesystems.get(&name)?.clone();
        let elf = kernel.join("vmlinux");
        elf.exists().then_some(Image {
            name,
            elf,
            initramfs,
        })
    });
    pairs.collect()
}

/// Pids of all processes with that on their command line.
pub fn marked(mark: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let found = pids.filter(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        pid.parse::<u32>().is_ok() && String::from_utf8_lossy(&line).contains(mark)
    });
    found.collect()
}

/// Runs a shell command in the machine; gives its exit status and output.
pub fn sh(machine: &mut Machine, script: &str) -> (Ended, String) {
    let request = Request::Run(Run {
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        user: User::Root,
        environment: BTreeMap::from([("PATH".to_owned(), "/bin:/sbin:/usr/bin".to_owned())]),
        stdin: String::new(),
        limit_ms: 20_000,
    });
    match machine.ask(&request, ANSWER).unwrap() {
        Reply::Ran(ran) => (ran.ended, ran.stdout + &ran.stderr),
        other => panic!("{other:?}"),
    }
}
