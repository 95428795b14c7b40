//! Kernels and guests: from locked packages to the files that QEMU boots.
//!
//! All of it lies in one [`Cache`], below which everything can be deleted at any time:
//!
//! | path | what |
//! |---|---|
//! | `debs/` | packages, as fetched; their SHA-256 is checked whenever one is unpacked |
//! | `kernels/NAME-KEY/` | a kernel's ELF file and its modules; KEY stands for the packages and the wanted modules |
//! | `initramfs/NAME-KEY.cpio` | a first filesystem; KEY stands for everything in it |
//! | `digests` | SHA-256 of files that have not been touched since |
//! | `lock-NAME`, `tmp/NAME` | what the run at work on that kernel holds and fills |
//!
//! Nothing is used unchecked. To be quick, a file is read again only if its size, its inode or a
//! time of change is another than when its digest was computed: every write and every copy shows
//! there, whoever made it; a disk that forgets does not, until the cache is deleted.

#[cfg(test)]
mod cache_tests;
mod cpio;
mod deb;
mod digest;
mod elf;
mod fetch;
mod initramfs;
mod list;
mod mirror;
mod modules;
mod packages;
mod payload;
mod relock;
mod subject;
pub(crate) mod turn;
mod unpacked;
mod vmlinux;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use initramfs::Initramfs;
pub use list::{Kernel, Wrong, kernels};
pub use packages::{Package, packages};
pub use payload::Payload;
pub use relock::relock;
pub use subject::{add_libraries, debian_lxc, ours};
pub use unpacked::{KernelFiles, Runs};

use digest::Memory;
use fetch::{Apt, Order};
use turn::Turn;

/// Why something cannot be had, in one sentence with a remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable(String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

/// Where everything that was fetched and built lies.
///
/// Several runs, and several threads of one, may use the same.
pub struct Cache {
    dir: PathBuf,
    memory: Memory,
    apt: Apt,
}

impl Cache {
    /// The cache in `dir`; made if it is not there.
    pub fn open(dir: &Path) -> Result<Cache, Unavailable> {
        Cache::with(dir, Apt::of_this_machine())
    }

    fn with(dir: &Path, apt: Apt) -> Result<Cache, Unavailable> {
        for sub in ["debs", "kernels", "initramfs", "tmp"] {
            let path = dir.join(sub);
            fs::create_dir_all(&path).map_err(|error| unusable(&path, &error))?;
        }
        // Programs are given paths in it, and run elsewhere.
        let dir = dir.canonicalize().map_err(|error| unusable(dir, &error))?;
        let memory = Memory::open(dir.join("digests"));
        Ok(Cache { dir, memory, apt })
    }

    /// A kernel and its modules, fetched and unpacked if they are not here yet.
    ///
    /// # Errors
    /// It cannot be fetched, or its packages are not what is expected of a kernel.
    pub fn kernel(
        &self,
        kernel: &Kernel,
        progress: &dyn Fn(&str),
    ) -> Result<KernelFiles, Unavailable> {
        let _turn = self.turn(&kernel.image, progress)?;
        let place = unpacked::place(&self.dir.join("kernels"), kernel);
        if !place.exists() {
            self.unpack(kernel, &place, progress)?;
        }
        let checked = unpacked::check(&kernel.image, &place, &self.memory).or_else(|reason| {
            progress(&format!(
                "{} is damaged ({reason}): made anew",
                place.display()
            ));
            self.unpack(kernel, &place, progress)?;
            let again = unpacked::check(&kernel.image, &place, &self.memory);
            again.map_err(|what| Unavailable(format!("{}: {what}", place.display())))
        });
        self.memory.save();
        checked
    }

    /// The first filesystem of a machine with this kernel: `agent` is its init, and it holds
    /// busybox, a few users, the kernel's modules and the payload.
    ///
    /// # Errors
    /// A file of the payload cannot be read, or the payload cannot be as it is.
    pub fn initramfs(
        &self,
        kernel: &KernelFiles,
        agent: &Path,
        payload: &Payload,
    ) -> Result<Initramfs, Unavailable> {
        let _turn = self.turn(&kernel.name, &|_| ())?;
        let dir = self.dir.join("initramfs");
        let packed = initramfs::pack(&dir, kernel, agent, payload, &self.memory);
        let packed = packed.map_err(|what| {
            Unavailable(format!(
                "the machine's filesystem for {} cannot be built: {what}",
                kernel.name
            ))
        })?;
        prune(&dir, &kernel.name, &packed.path);
        self.memory.save();
        Ok(packed)
    }

    /// Makes a kernel's directory, whole, out of its packages.
    fn unpack(
        &self,
        kernel: &Kernel,
        place: &Path,
        progress: &dyn Fn(&str),
    ) -> Result<(), Unavailable> {
        let tmp = self.empty_tmp(&kernel.image)?;
        let debs = self.dir.join("debs");
        let order = Order {
            of: &format!("the kernel {}", kernel.image),
            suite: &kernel.suite,
            packages: &kernel.packages,
        };
        let packages = fetch::packages(&self.apt, &order, &debs, &tmp.0, progress)?;
        progress(&format!("unpacking the kernel {}", kernel.image));
        let new = tmp.0.join("kernel");
        fs::create_dir(&new).map_err(|error| unusable(&new, &error))?;
        unpacked::make(kernel, &packages, &new).map_err(|what| {
            Unavailable(format!(
                "the kernel {} cannot be used: {what}",
                kernel.image
            ))
        })?;
        // A damaged one; and what older lists of packages and modules left behind.
        let _ = fs::remove_dir_all(place);
        fs::rename(&new, place).map_err(|error| unusable(place, &error))?;
        unpacked::learn(place, &self.memory);
        prune(&self.dir.join("kernels"), &kernel.image, place);
        Ok(())
    }

    fn turn(&self, name: &str, progress: &dyn Fn(&str)) -> Result<Turn, Unavailable> {
        let file = self.dir.join(format!("lock-{name}"));
        turn::take(&file, progress).map_err(|error| unusable(&file, &error))
    }

    /// An empty directory for whoever has this turn. A run that was killed may have left its own.
    fn empty_tmp(&self, name: &str) -> Result<Tmp, Unavailable> {
        let path = self.dir.join("tmp").join(name);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(&path, &error)),
            _ => fs::create_dir(&path).map_err(|error| unusable(&path, &error)),
        }?;
        Ok(Tmp(path))
    }
}

/// Removed with all it holds when the turn ends.
struct Tmp(PathBuf);

impl Drop for Tmp {
    fn drop(&mut self) {
        // If it stays, the next turn removes it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn unusable(path: &Path, error: &dyn fmt::Display) -> Unavailable {
    Unavailable(format!(
        "{} cannot be used: {error}; it is a cache, whose files may all be deleted",
        path.display()
    ))
}

/// Removes what older inputs made for the kernel `name`, unless somebody is using it.
fn prune(dir: &Path, name: &str, keep: &Path) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        // NAME-KEY: the key has no hyphen, a kernel's name may have some.
        let stem = stem(&path);
        let of_this = stem
            .rsplit_once('-')
            .is_some_and(|(kernel, _)| kernel == name);
        if !of_this || stem == self::stem(keep) {
            continue;
        }
        let archive = dir.join(format!("{stem}.cpio"));
        if turn::is_in_use(&path) || turn::is_in_use(&archive) {
            continue;
        }
        // What cannot be removed now is tried again by the next run.
        let _ = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
    }
}

/// A directory's name; a file's without what stands for its kind.
fn stem(path: &Path) -> &str {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    [".cpio", ".sha256", ".new"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name)
}
