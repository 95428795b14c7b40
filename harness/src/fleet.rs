//! All machines of a run: from a place in the matrix to a machine that is ready, again and again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use lxc_guest::protocol::{Reply, Request};

use crate::image::turn::{self, InUse};
use crate::image::{self, Cache, Initramfs, Kernel, KernelFiles, Package, Payload, Runs};
use crate::machine::{Accel, Lost, Machine, Qemu, Spec};
use crate::story::Guest;
use crate::verdict::{Booted, How, Place, layout_name};

/// A boot takes two to four seconds; on a busy host some times that.
const BOOT: Duration = Duration::from_secs(90);
/// Writing a snapshot is writing some hundred megabytes.
const SAVE: Duration = Duration::from_secs(60);
/// A restore takes a third of a second.
const RESTORE: Duration = Duration::from_secs(30);

/// How the names of serial logs end.
const SERIAL: &str = ".serial";

/// What machines are made of.
pub struct Fleet {
    qemu: Qemu,
    cache: Cache,
    kernels: Vec<Kernel>,
    agent: PathBuf,
    payload: Payload,
    /// Snapshots and serial logs.
    directory: PathBuf,
    accel: OnceLock<Accel>,
    /// Kernels that cannot be had, and why. Held while one is fetched: one mirror, one at a time.
    failed: Mutex<BTreeMap<String, String>>,
    /// Debian's LXC as it is in the machines, or why it is not.
    pub peer: Result<String, String>,
    /// Why machines have less of Debian's packages than they should. Scenarios ask for what is not
    /// there by `needs`, and could not run.
    pub lacks: Vec<String>,
    started: AtomicUsize,
}

/// A place in the matrix whose machine has come up once.
pub struct Berth {
    spec: Spec,
    snapshot: PathBuf,
    // Nobody removes these while we are here.
    _snapshot: Option<InUse>,
    kernel: KernelFiles,
    _initramfs: Initramfs,
}

/// A clean machine; dropped, it is gone without a trace.
pub struct Restored {
    /// The machine itself.
    pub machine: Machine,
    /// From QEMU's start to the first answer.
    pub took: Duration,
    serial: Serial,
}

/// A serial log that nobody needs once its machine is gone: what matters is in the loss.
struct Serial(PathBuf);

impl Drop for Serial {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0); // it may never have been made
    }
}

impl Fleet {
    /// Gathers what machines are made of; boots none.
    ///
    /// # Errors
    /// Why there can be no machine at all, in a sentence with a remedy.
    pub fn gather(
        kernels: Vec<Kernel>,
        packages: &[Package],
        cache: &Path,
        agent: &Path,
        prefix: &Path,
    ) -> Result<Fleet, String> {
        let qemu = Qemu::find().map_err(|error| error.to_string())?;
        let directory = cache.join("machines");
        let cache = Cache::open(cache).map_err(|error| error.to_string())?;
        fs::create_dir_all(&directory)
            .map_err(|error| format!("cannot create {}: {error}", directory.display()))?;
        sweep_serial_logs(&directory);
        let mut payload = Payload::new();
        image::ours(&mut payload, prefix)?;
        let mut peers = payload.clone();
        let peer = image::debian_lxc(&mut peers);
        if peer.is_ok() {
            payload = peers;
        }
        let mut lacks = Vec::new();
        for package in packages {
            let mut more = payload.clone();
            let added = cache
                .add_package(package, &mut more, &|text| println!("{text}"))
                .map_err(|error| error.to_string())
                .and_then(|()| image::add_libraries(&mut more));
            match added {
                Ok(()) => payload = more,
                Err(why) => lacks.push(why),
            }
        }
        Ok(Fleet {
            lacks,
            qemu,
            cache,
            kernels,
            agent: agent.to_owned(),
            payload,
            directory,
            accel: OnceLock::new(),
            failed: Mutex::default(),
            peer,
            started: AtomicUsize::new(0),
        })
    }

    /// What QEMU says of itself.
    pub fn qemu_version(&self) -> &str {
        &self.qemu.version
    }

    /// Makes a place's machine ready: from its snapshot if there is one that works, else by
    /// fetching, booting and saving. The second value says how, also when it failed.
    pub fn ready(&self, place: &Place, progress: &dyn Fn(&str)) -> (Option<Berth>, Booted) {
        let mut booted = Booted {
            place: place.clone(),
            release: String::new(),
            how: How::Kept,
        };
        let berth = self
            .berth(place, progress)
            .and_then(|(mut berth, release)| {
                booted.release = release;
                booted.how = self.come_up(&berth, place, progress)?;
                berth._snapshot = turn::in_use(&berth.snapshot).ok();
                Ok(berth)
            });
        match berth {
            Ok(berth) => (Some(berth), booted),
            Err(why) => {
                booted.how = How::Not(why);
                (None, booted)
            }
        }
    }

    /// The files of a place's machine, made if need be.
    fn berth(&self, place: &Place, progress: &dyn Fn(&str)) -> Result<(Berth, String), String> {
        let known = self
            .kernels
            .iter()
            .find(|kernel| kernel.name == place.kernel);
        let known = known.ok_or_else(|| format!("there is no kernel {}", place.kernel))?;
        let kernel = self.kernel(known, progress)?;
        let initramfs = self
            .cache
            .initramfs(&kernel, &self.agent, &self.payload)
            .map_err(|error| error.to_string())?;
        let mut spec = Spec::new(
            kernel.elf.clone(),
            initramfs.path.clone(),
            place.layout,
            self.serial(place).0.clone(),
        );
        spec.append.clone_from(&known.parameters);
        if kernel.runs == Runs::InQemu {
            spec.accel = *self
                .accel
                .get_or_init(|| Accel::choose(&self.qemu, &spec, RESTORE));
        }
        let inputs = [kernel.digest.as_str(), initramfs.digest.as_str()].map(short);
        let stem = format!("{}-{}-", place.kernel, layout_name(place.layout));
        let snapshot = self.directory.join(format!("{stem}{}", inputs.join("-")));
        self.forget_others(&stem, &snapshot);
        let release = kernel.release.clone();
        let berth = Berth {
            spec,
            snapshot,
            _snapshot: None,
            kernel,
            _initramfs: initramfs,
        };
        Ok((berth, release))
    }

    /// A kernel's files. What could not be fetched once is not tried again for another layout: a
    /// mirror that does not answer takes minutes to be given up.
    fn kernel(&self, kernel: &Kernel, progress: &dyn Fn(&str)) -> Result<KernelFiles, String> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = failed.get(&kernel.image) {
            return Err(why.clone());
        }
        let files = self.cache.kernel(kernel, progress);
        files.map_err(|error| {
            failed.insert(kernel.image.clone(), error.to_string());
            error.to_string()
        })
    }

    fn come_up(
        &self,
        berth: &Berth,
        place: &Place,
        progress: &dyn Fn(&str),
    ) -> Result<How, String> {
        if berth.snapshot.exists() {
            match self.restore(berth, place) {
                Ok(_) => return Ok(How::Kept),
                Err(lost) => progress(&format!(
                    "{place}: the kept snapshot does not come up ({}); booting again",
                    lost.why
                )),
            }
        }
        progress(&format!("{place}: booting"));
        let serial = self.serial(place);
        let spec = Spec {
            serial: serial.0.clone(),
            ..berth.spec.clone()
        };
        let begun = Instant::now();
        let booted = match berth.kernel.runs {
            Runs::InQemu => Machine::boot(&self.qemu, &spec, BOOT),
            Runs::AsProcess => Machine::boot_program(&spec, BOOT),
        };
        let (machine, hello) = booted.map_err(|lost| lost.to_string())?;
        let answer = begun.elapsed();
        let begun = Instant::now();
        if berth.kernel.runs == Runs::InQemu {
            machine
                .save(&berth.snapshot, SAVE)
                .map_err(|lost| lost.to_string())?;
        }
        Ok(How::Fresh {
            init_ms: hello.init_at_ms,
            ready_ms: hello.ready_at_ms,
            answer_ms: whole_ms(answer),
            save_ms: whole_ms(begun.elapsed()),
        })
    }

    /// A clean machine of a place: restored, or booted where nothing can be saved. It must be used and dropped in the calling thread, with which
    /// its QEMU would die.
    pub fn restore(&self, berth: &Berth, place: &Place) -> Result<Restored, Lost> {
        let serial = self.serial(place);
        let spec = Spec {
            serial: serial.0.clone(),
            ..berth.spec.clone()
        };
        let begun = Instant::now();
        let (machine, _) = match berth.kernel.runs {
            Runs::InQemu => Machine::restore(&self.qemu, &spec, &berth.snapshot, RESTORE)?,
            Runs::AsProcess => Machine::boot_program(&spec, BOOT)?,
        };
        Ok(Restored {
            machine,
            took: begun.elapsed(),
            serial,
        })
    }

    /// A serial log that no other machine of this or another run writes.
    fn serial(&self, place: &Place) -> Serial {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let (kernel, layout) = (&place.kernel, layout_name(place.layout));
        let pid = std::process::id();
        let name = format!("{kernel}-{layout}.{number}.{pid}{SERIAL}");
        Serial(self.directory.join(name))
    }

    /// Removes the snapshots of a place that older inputs made: each is some hundred megabytes.
    fn forget_others(&self, stem: &str, keep: &Path) {
        let entries = fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .flatten();
        for path in entries.map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let kept = keep.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(stem) && !name.starts_with(&*kept) && !turn::is_in_use(&path) {
                let _ = fs::remove_file(&path); // what cannot be removed stays
            }
        }
    }
}

impl Guest for Machine {
    fn ask(&mut self, request: &Request, deadline: Duration) -> Result<Reply, String> {
        Machine::ask(self, request, deadline).map_err(|lost| lost.to_string())
    }
}

impl std::fmt::Debug for Restored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Restored({})", self.serial.0.display())
    }
}

/// Removes the serial logs of runs that were killed; a log's name ends with its run's pid.
fn sweep_serial_logs(directory: &Path) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stem = name.strip_suffix(SERIAL);
        let pid = stem.and_then(|stem| stem.rsplit('.').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_file(&path); // the next run tries again
        }
    }
}

/// Enough of a digest for a file's name.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_logs_of_runs_that_are_gone_are_swept() {
        let directory = tempfile::tempdir().unwrap();
        let ours = format!("6.1-v2.0.{}.serial", std::process::id());
        // No pid is that large.
        let names = [&*ours, "6.1-v2.3.99999999.serial", "6.1-v2-aaaa-bbbb"];
        for name in names {
            fs::write(directory.path().join(name), "").unwrap();
        }
        sweep_serial_logs(directory.path());
        let left = |name: &str| directory.path().join(name).exists();
        assert_eq!(names.map(left), [true, false, true]);
    }
}
