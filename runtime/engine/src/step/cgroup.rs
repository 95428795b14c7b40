//! The cgroups of one container: claimed, entered, limited, left and removed.
//!
//! cgroup.procs is not written where it can be avoided: the first such write after a moment of
//! idleness waits for an RCU grace period of 6–11 ms. On v2 processes are born in place; on v1 each
//! writes `0` to `tasks` itself, which does not wait.

use lxc_kernel::{Errno, Result, SysError, cgroup, file};
use lxc_plan::{CgroupNames, HierarchyFact};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Names tried before giving up: the name itself, then `-1` … `-999`.
const SUFFIXES: u32 = 1000;

/// One hierarchy and this container's directories in it.
pub struct Place {
    /// The hierarchy.
    pub fact: HierarchyFact,
    base: OwnedFd,
    monitor: Option<OwnedFd>,
    payload: Option<OwnedFd>,
}

/// This container's cgroups in all hierarchies, under one suffix.
pub struct Cgroups {
    /// Hierarchies in the order of /proc/PID/cgroup.
    pub places: Vec<Place>,
    names: CgroupNames,
    suffix: String,
    /// Held as long as a process of ours is responsible for this suffix: an empty directory whose
    /// lock is free was left by a monitor that was killed.
    lock: Option<OwnedFd>,
}

impl Cgroups {
    /// Claims the first free suffix by making the monitor's cgroup in every hierarchy; directories
    /// that a killed monitor left are taken over.
    pub fn claim(name: &str, facts: &[HierarchyFact]) -> Result<Cgroups> {
        let mut places = Vec::with_capacity(facts.len());
        for fact in facts {
            let base = cgroup::open(&std::path::Path::new(&fact.mount).join(&fact.base))?;
            places.push(Place {
                fact: fact.clone(),
                base,
                monitor: None,
                payload: None,
            });
        }
        let mut cgroups = Cgroups {
            places,
            names: CgroupNames::of(name),
            suffix: String::new(),
            lock: None,
        };
        let first = cgroups.places.first();
        if first.is_some_and(|p| file::exists_at(p.base.as_fd(), &cgroups.names.payload)) {
            // A name that is running keeps its cgroups; what a killed monitor left goes first.
            super::leftovers::sweep(name, facts)?;
        }
        for number in 0..SUFFIXES {
            cgroups.suffix = if number == 0 {
                String::new()
            } else {
                format!("-{number}")
            };
            if cgroups.try_claim()? {
                return Ok(cgroups);
            }
        }
        Err(SysError::new("mkdir", cgroups.monitor_name(), Errno::RANGE))
    }

    fn monitor_name(&self) -> String {
        format!("{}{}", self.names.monitor, self.suffix)
    }

    fn payload_name(&self) -> String {
        format!("{}{}", self.names.payload, self.suffix)
    }

    /// Makes the monitor's directories under the present suffix; `false` if somebody has it.
    fn try_claim(&mut self) -> Result<bool> {
        let (name, payload) = (self.monitor_name(), self.payload_name());
        let mut made = Vec::new();
        let claimed = self.make_monitor(&name, &payload, &mut made);
        if !matches!(claimed, Ok(true)) {
            for index in made {
                // A directory that cannot be removed has become somebody else's.
                let _ = cgroup::remove(self.places[index].base.as_fd(), &name);
            }
            self.lock = None;
            self.places.iter_mut().for_each(|p| p.monitor = None);
        }
        claimed
    }

    fn make_monitor(&mut self, name: &str, payload: &str, made: &mut Vec<usize>) -> Result<bool> {
        for index in 0..self.places.len() {
            let place = &mut self.places[index];
            let (directory, fresh) = cgroup::make(place.base.as_fd(), name, false)?;
            place.monitor = Some(directory);
            if fresh {
                made.push(index);
            }
            if index == 0 {
                // Somebody who sweeps may take it for a leftover until it is locked.
                self.lock = match lock_directory(place.base.as_fd(), name) {
                    Err(error) if error.errno == Errno::NOENT => None,
                    locked => locked?,
                };
                if self.lock.is_none() {
                    return Ok(false);
                }
            }
            // Whoever lives there owns the suffix; an empty payload was left by a killed monitor.
            let theirs = !fresh && occupied(place)?;
            if theirs || removed_leftover(place.base.as_fd(), payload).is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The container's cgroup in each hierarchy: its path below the hierarchy's mount, its directory.
    pub fn payloads(&self) -> impl Iterator<Item = (&HierarchyFact, String, BorrowedFd<'_>)> {
        self.places.iter().filter_map(|place| {
            let directory = place.payload.as_ref()?;
            let path = format!("{}/{}", place.fact.base, self.payload_name());
            Some((
                &place.fact,
                path.trim_matches('/').to_string(),
                directory.as_fd(),
            ))
        })
    }

    /// The directory a monitor is born in on v2.
    pub fn monitor_unified(&self) -> Option<BorrowedFd<'_>> {
        let place = self.places.iter().find(|p| p.fact.unified)?;
        place.monitor.as_ref().map(AsFd::as_fd)
    }

    /// The directory a guest is born in on v2.
    pub fn payload_unified(&self) -> Option<BorrowedFd<'_>> {
        let place = self.places.iter().find(|p| p.fact.unified)?;
        place.payload.as_ref().map(AsFd::as_fd)
    }

    /// Moves the calling process into the monitor's cgroups; `born` says that it is in the v2 one
    /// already.
    pub fn enter_monitor(&self, born: bool) -> Result<()> {
        for place in &self.places {
            if let Some(directory) = &place.monitor {
                enter(directory.as_fd(), place.fact.unified, born)?;
            }
        }
        Ok(())
    }

    /// Moves the calling process into the container's cgroups.
    pub fn enter_payload(&self, born: bool) -> Result<()> {
        for place in &self.places {
            if let Some(directory) = &place.payload {
                enter(directory.as_fd(), place.fact.unified, born)?;
            }
        }
        Ok(())
    }

    /// Moves the calling process out, to where the container's cgroups lie.
    pub fn enter_base(&self, born: bool) -> Result<()> {
        for place in &self.places {
            enter(place.base.as_fd(), place.fact.unified, born)?;
        }
        Ok(())
    }

    /// The directory that a process leaving the container's cgroups is born in on v2.
    pub fn base_unified(&self) -> Option<BorrowedFd<'_>> {
        self.places
            .iter()
            .find(|p| p.fact.unified)
            .map(|p| p.base.as_fd())
    }

    /// Makes the container's cgroup in every hierarchy.
    pub fn create_payload(&mut self) -> Result<()> {
        let name = self.payload_name();
        let unified_only = self.places.iter().all(|p| p.fact.unified);
        for place in &mut self.places {
            if place.fact.unified && unified_only {
                enable_controllers(place.base.as_fd(), &place.fact.controllers)?;
            }
            let (directory, _) = cgroup::make(place.base.as_fd(), &name, true)?;
            if !place.fact.unified && place.fact.controllers.iter().any(|c| c == "cpuset") {
                inherit_cpuset(place.base.as_fd(), directory.as_fd())?;
            }
            place.payload = Some(directory);
        }
        Ok(())
    }

    /// Prepares v1 cpusets of the monitor's own cgroup, which would refuse any process otherwise.
    pub fn prepare_monitor(&self) -> Result<()> {
        for place in &self.places {
            let cpuset = place.fact.controllers.iter().any(|c| c == "cpuset");
            if let Some(directory) = place
                .monitor
                .as_ref()
                .filter(|_| cpuset && !place.fact.unified)
            {
                inherit_cpuset(place.base.as_fd(), directory.as_fd())?;
            }
        }
        Ok(())
    }

    /// Writes a limit of the container.
    pub fn limit(&self, unified: bool, name: &str, value: &[u8]) -> Result<()> {
        let controller = name.split('.').next().unwrap_or_default();
        let place = self.places.iter().find(|p| {
            p.fact.unified == unified
                && (p.fact.controllers.iter().any(|c| c == controller) || controller == "cgroup")
        });
        let Some(directory) = place.and_then(|p| p.payload.as_ref()) else {
            return Err(SysError::new("open", name.to_string(), Errno::NOENT));
        };
        file::write_at(directory.as_fd(), name, value)
    }

    /// Removes the container's cgroup everywhere; what somebody still occupies is the error.
    pub fn remove_payload(&mut self) -> Result<()> {
        let name = self.payload_name();
        let mut first = Ok(());
        for place in &mut self.places {
            if place.payload.is_some() {
                let removed = cgroup::remove(place.base.as_fd(), &name);
                if removed.is_ok() {
                    place.payload = None;
                }
                first = first.and(removed);
            }
        }
        first
    }

    /// Removes the monitor's cgroup everywhere; the caller has left it.
    pub fn remove_monitor(&mut self) -> Result<()> {
        let name = self.monitor_name();
        let mut first = Ok(());
        for place in &mut self.places {
            if place.monitor.is_some() {
                let removed = cgroup::remove(place.base.as_fd(), &name);
                if removed.is_ok() {
                    place.monitor = None;
                }
                first = first.and(removed);
            }
        }
        if first.is_ok() {
            self.lock = None;
        }
        first
    }

    /// The container's path as commands 6 and 19 tell it: from the hierarchy's root.
    pub fn payload_path(&self, controller: Option<&str>) -> Option<String> {
        let place = self.place(controller)?;
        place.payload.as_ref()?;
        let base = &place.fact.base;
        let separator = if base.is_empty() { "" } else { "/" };
        Some(format!("/{base}{separator}{}", self.payload_name()))
    }

    /// The container's directory in the hierarchy of `controller`.
    pub fn payload_fd(&self, controller: &str) -> Option<(BorrowedFd<'_>, bool)> {
        let place = self.place(Some(controller))?;
        Some((place.payload.as_ref()?.as_fd(), place.fact.unified))
    }

    /// The container's directories in all hierarchies.
    pub fn payload_fds(&self) -> Vec<BorrowedFd<'_>> {
        self.places
            .iter()
            .filter_map(|p| p.payload.as_ref().map(AsFd::as_fd))
            .collect()
    }

    /// There is a v2 hierarchy and no other.
    pub fn pure_unified(&self) -> bool {
        !self.places.is_empty() && self.places.iter().all(|p| p.fact.unified)
    }

    /// The layout as the protocol numbers it.
    pub fn layout_number(&self) -> i32 {
        let unified = self.places.iter().any(|p| p.fact.unified);
        match (self.places.is_empty(), self.pure_unified(), unified) {
            (true, ..) => -1,
            (_, true, _) => 2,
            (_, false, true) => 1,
            (_, false, false) => 0,
        }
    }

    fn place(&self, controller: Option<&str>) -> Option<&Place> {
        match controller {
            Some("unified") => self.places.iter().find(|p| p.fact.unified),
            // Device rules of a pure v2 host are a program, but clients ask for them by v1's name.
            Some("devices") if self.pure_unified() => self.places.first(),
            Some(name) => self
                .places
                .iter()
                .find(|p| p.fact.controllers.iter().any(|c| c == name)),
            None => self
                .places
                .iter()
                .find(|p| p.fact.unified && self.pure_unified()),
        }
    }
}

/// Takes the directory's lock; `None` when somebody holds it.
pub(super) fn lock_directory(base: BorrowedFd<'_>, name: &str) -> Result<Option<OwnedFd>> {
    use rustix::fs::{FlockOperation, Mode, OFlags, flock, openat};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let directory = openat(base, name, flags, Mode::empty())
        .map_err(|e| SysError::new("openat", name.to_string(), e))?;
    match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(directory)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(SysError::new("flock", name.to_string(), error)),
    }
}

/// Whether a process lives in the monitor's directory.
fn occupied(place: &Place) -> Result<bool> {
    let Some(directory) = &place.monitor else {
        return Ok(false);
    };
    let processes = file::read_at(directory.as_fd(), "cgroup.procs", 64)?;
    Ok(!processes.is_empty())
}

fn removed_leftover(base: BorrowedFd<'_>, name: &str) -> Result<()> {
    match file::exists_at(base, name) {
        true => cgroup::remove(base, name),
        false => Ok(()),
    }
}

fn enter(directory: BorrowedFd<'_>, unified: bool, born: bool) -> Result<()> {
    match (unified, born) {
        (false, _) => cgroup::enter_v1(directory),
        (true, true) => Ok(()),
        (true, false) => cgroup::enter_v2(directory),
    }
}

/// A v1 cpuset refuses processes until it has CPUs and memory nodes: the parent's.
fn inherit_cpuset(parent: BorrowedFd<'_>, directory: BorrowedFd<'_>) -> Result<()> {
    // With clone_children the kernel has already copied them. Each is looked at by itself: a monitor
    // killed between the two leaves a directory with one of them.
    for name in ["cpuset.cpus", "cpuset.mems"] {
        if file::read_at(directory, name, 4096)?
            .trim_ascii()
            .is_empty()
        {
            let value = file::read_at(parent, name, 4096)?;
            file::write_at(directory, name, value.trim_ascii())?;
        }
    }
    let flag = "cgroup.clone_children";
    match file::read_at(directory, flag, 16)?.trim_ascii() {
        b"1" => Ok(()),
        _ => file::write_at(directory, flag, b"1"),
    }
}

/// Hands the controllers down to the container's cgroup (v2).
///
/// A cgroup with processes of its own hands nothing down (EBUSY): the container then has no
/// controllers, and only a limit that needs one fails, by its name.
fn enable_controllers(base: BorrowedFd<'_>, controllers: &[String]) -> Result<()> {
    let enabled = file::read_at(base, "cgroup.subtree_control", 4096)?;
    let enabled = String::from_utf8_lossy(&enabled).into_owned();
    let missing: Vec<String> = controllers
        .iter()
        .filter(|c| !enabled.split_whitespace().any(|e| e == **c))
        .map(|c| format!("+{c}"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let handed = file::write_at(base, "cgroup.subtree_control", missing.join(" ").as_bytes());
    match handed {
        Err(error) if error.errno == Errno::BUSY => {
            log::warn!("the container gets no cgroup controllers: {error}");
            Ok(())
        }
        other => other,
    }
}
