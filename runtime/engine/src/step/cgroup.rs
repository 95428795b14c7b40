//! The cgroups of one container: claimed, entered, limited, left and removed.
//!
//! cgroup.procs is not written where it can be avoided: the first such write after a moment of
//! idleness waits for an RCU grace period of 6–11 ms. On v2 processes are born in place; on v1 each
//! writes `0` to `tasks` itself, which does not wait.

mod answers;
mod emptying;
mod giving;
mod making;

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
    payload: Option<Payload>,
}

/// The container's directories in one hierarchy.
struct Payload {
    /// The one with the limits.
    limit: OwnedFd,
    /// The one below it that holds the processes, if that is another.
    inner: Option<OwnedFd>,
    /// It was not there before: its removal is ours. One that an administrator made, named exactly in
    /// the configuration, stays and is emptied.
    made: bool,
}

impl Payload {
    /// The one that holds the processes.
    fn container(&self) -> BorrowedFd<'_> {
        self.inner.as_ref().unwrap_or(&self.limit).as_fd()
    }
}

/// This container's cgroups in all hierarchies, under one suffix.
pub struct Cgroups {
    /// Hierarchies in the order of /proc/PID/cgroup.
    pub places: Vec<Place>,
    /// The container's user namespace, when a user without root started it: what its root makes in
    /// its cgroups, nobody else may remove.
    pub owner: Option<OwnedFd>,
    /// The systemd unit that they are in, if one was made for them.
    pub scope: Option<String>,
    names: CgroupNames,
    suffix: String,
    /// Held as long as a process of ours is responsible for this suffix: an empty directory whose
    /// lock is free was left by a monitor that was killed.
    lock: Option<OwnedFd>,
}

impl Cgroups {
    /// Claims the first free suffix by making the monitor's cgroup in every hierarchy; directories
    /// that a killed monitor left are taken over.
    ///
    /// # Errors
    /// ERANGE when all suffixes are taken, EEXIST when the exact name is.
    pub fn claim(names: CgroupNames, facts: &[HierarchyFact]) -> Result<Cgroups> {
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
            owner: None,
            scope: None,
            names,
            suffix: String::new(),
            lock: None,
        };
        let first = cgroups.places.first();
        if first.is_some_and(|p| file::exists_at(p.base.as_fd(), &cgroups.names.payload)) {
            // A name that is running keeps its cgroups; what a killed monitor left goes first.
            super::leftovers::sweep(&cgroups.names, facts)?;
        }
        if cgroups.names.exact {
            return match cgroups.try_claim()? {
                true => Ok(cgroups),
                false => Err(SysError::new("mkdir", cgroups.monitor_name(), Errno::EXIST)),
            };
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
            let (directory, fresh) = making::make(place, name, false)?;
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
            let exact = self.names.exact;
            if theirs || !exact && removed_leftover(place.base.as_fd(), payload).is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The cgroup that holds the container's processes, in each hierarchy: its path below the
    /// hierarchy's mount, its directory.
    pub fn payloads(&self) -> impl Iterator<Item = (&HierarchyFact, String, BorrowedFd<'_>)> {
        self.places.iter().filter_map(|place| {
            let payload = place.payload.as_ref()?;
            let mut path = format!("{}/{}", place.fact.base, self.payload_name());
            if let (Some(_), Some(inner)) = (&payload.inner, &self.names.inner) {
                path = format!("{path}/{inner}");
            }
            let path = path.trim_matches('/').to_string();
            Some((&place.fact, path, payload.container()))
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
        place.payload.as_ref().map(Payload::container)
    }

    /// The directory with the container's limits on v2.
    pub fn limit_unified(&self) -> Option<BorrowedFd<'_>> {
        let place = self.places.iter().find(|p| p.fact.unified)?;
        place.payload.as_ref().map(|p| p.limit.as_fd())
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
            if let Some(payload) = &place.payload {
                enter(payload.container(), place.fact.unified, born)?;
            }
        }
        Ok(())
    }

    /// Moves the calling process out, to where the container's cgroups lie or to the pivot that the
    /// configuration names; `born` says that it is there already on v2.
    ///
    /// Where a process may not be (a v2 cgroup that hands controllers down, a v1 directory of which
    /// only the directory itself was delegated) it goes beside them, into a cgroup that stays, as with
    /// LXC.
    pub fn leave(&self, born: bool) -> Result<()> {
        for place in &self.places {
            let unified = place.fact.unified;
            if unified && born {
                continue;
            }
            let left = match &self.names.pivot {
                Some(pivot) => making::make(place, pivot, false)
                    .and_then(|(pivot, _)| enter(pivot.as_fd(), unified, false)),
                None => enter(place.base.as_fd(), unified, false),
            };
            if let Err(error) = left {
                log::info!("no way out but {}: {error}", self.names.refuge);
                let (refuge, _) = making::make(place, &self.names.refuge, false)?;
                enter(refuge.as_fd(), unified, false)?;
            }
        }
        Ok(())
    }

    /// The directory that a process leaving the container's cgroups is born in on v2; `None` without
    /// v2.
    pub fn way_out(&self) -> Result<Option<OwnedFd>> {
        let Some(place) = self.places.iter().find(|p| p.fact.unified) else {
            return Ok(None);
        };
        match &self.names.pivot {
            Some(pivot) => making::make(place, pivot, false).map(|(pivot, _)| Some(pivot)),
            None => cgroup::open_again(place.base.as_fd()).map(Some),
        }
    }

    /// Makes the container's cgroup in every hierarchy: the one with the limits.
    pub fn create_payload(&mut self) -> Result<()> {
        let name = self.payload_name();
        let pure = self.pure_unified();
        let exact = self.names.exact;
        for place in &mut self.places {
            let (limit, made) = making::make(place, &name, !exact)?;
            place.payload = Some(Payload {
                limit,
                inner: None,
                made,
            });
            if pure {
                making::hand_down(place, &name)?;
            }
        }
        Ok(())
    }

    /// Makes the cgroup for the processes below the one with the limits.
    pub fn create_inner(&mut self, name: &str) -> Result<()> {
        let pure = self.pure_unified();
        for place in &mut self.places {
            let Some(payload) = &mut place.payload else {
                continue;
            };
            let limit = payload.limit.as_fd();
            if pure {
                making::enable_controllers(limit, &place.fact.controllers)?;
            }
            let cpuset = making::has_cpuset(&place.fact);
            payload.inner = Some(making::make_one(limit, name, cpuset)?);
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
        let Some(payload) = place.and_then(|p| p.payload.as_ref()) else {
            return Err(SysError::new("open", name.to_string(), Errno::NOENT));
        };
        file::write_at(payload.limit.as_fd(), name, value)
    }

    /// Removes the container's cgroup everywhere; what somebody still occupies is the error.
    pub fn remove_payload(&mut self) -> Result<()> {
        let name = self.payload_name();
        let mut first = Ok(());
        for place in &mut self.places {
            if let Some(payload) = &place.payload {
                let remove = || match payload.made {
                    true => cgroup::remove(place.base.as_fd(), &name),
                    false => cgroup::remove_below(payload.limit.as_fd()),
                };
                let removed = match (remove(), &self.owner) {
                    (Err(error), Some(owner)) if is_forbidden(&error) => {
                        if let Err(error) = emptying::empty(payload.container(), owner.as_fd()) {
                            log::info!("{error}");
                        }
                        remove()
                    }
                    (removed, _) => removed,
                };
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
}

fn is_forbidden(error: &SysError) -> bool {
    matches!(error.errno, Errno::ACCESS | Errno::PERM)
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
