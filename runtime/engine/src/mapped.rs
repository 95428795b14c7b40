//! The files of a container with id maps: they belong to its root, and a caller that is not root of
//! the host gets at them through a child in a user namespace, in which its own ids are mapped too.

use crate::directory;
use crate::facts::users;
use crate::failure::{Failure, FailureKind};
use crate::userns::{Program, Userns};
use lxc_config::{IdKind, IdRange};
use lxc_kernel::SysError;
use lxc_kernel::process::Ended;
use lxc_plan::idmap::inside;
use lxc_plan::users::{MapWriter, findings, mapped_root, with_own, writer};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Gid, Uid};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// How the caller gets at the files of a container with these maps.
pub struct Mapped {
    userns: Userns,
    /// The host's ids of root of the container.
    root: (u32, u32),
    /// What the caller's ids are called in the child.
    own: (u32, u32),
    /// The caller can do to files what their owner can.
    by_itself: bool,
}

/// What a template is told and run with.
pub struct TemplateRun<'a> {
    /// The program.
    pub program: &'a Path,
    /// The container's directory.
    pub directory: &'a Path,
    /// The container.
    pub name: &'a str,
    /// What it fills.
    pub rootfs: &'a Path,
    /// The user's arguments.
    pub args: &'a [String],
    /// Its output goes nowhere.
    pub quiet: bool,
}

impl Mapped {
    /// Finds out whether the caller can have these maps, and whether root of the container could
    /// search the directories down to `searched`.
    ///
    /// # Errors
    /// `Refused`, with what mends it.
    pub fn check(ranges: &[IdRange], searched: Option<&Path>) -> Result<Mapped, Failure> {
        let Some(root) = mapped_root(ranges) else {
            let sentence = "lxc.idmap maps no root: nobody could own the container's files";
            let hint = "map user 0 and group 0 (lxc.idmap = u 0 100000 65536, and the same with g)";
            return Err(Failure::new(FailureKind::Refused, sentence).hint(hint));
        };
        let facts = users::gather(crate::caller_login(), searched);
        // Root of the host needs nobody's grant here, and its own ids have no place where a template
        // unpacks what strangers packed: in LXC it could become root of the host there.
        let (ranges, writer) = match facts.may_map {
            true => (ranges.to_vec(), MapWriter::Direct),
            false => {
                let all = with_own(ranges, facts.euid, facts.egid);
                let writer = writer(&all, &facts);
                (all, writer)
            }
        };
        if let Some(first) = findings(&ranges, &facts, &writer).into_iter().next() {
            return Err(first.into());
        }
        let own = |kind, id| inside(&ranges, kind, id).unwrap_or(0);
        Ok(Mapped {
            root,
            own: (
                own(IdKind::User, facts.euid),
                own(IdKind::Group, facts.egid),
            ),
            by_itself: facts.may_map,
            userns: Userns::new(&ranges, writer),
        })
    }

    /// Gives a directory that the caller made to root of the container. Its group is root's, or the
    /// caller's where it could not get at it otherwise any more.
    ///
    /// # Errors
    /// What kept it from that.
    pub fn give(&self, path: &Path) -> Result<(), Failure> {
        let opened = open(path).map_err(|error| not_given(path, &error))?;
        let chown = |uid, gid| {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            rustix::fs::fchown(&opened, Some(uid), Some(gid)).map_err(|errno| {
                let args = format!("{}, {}, {}", path.display(), uid.as_raw(), gid.as_raw());
                not_given(path, &SysError::new("fchown", args, errno))
            })
        };
        match self.by_itself {
            true => chown(self.root.0, self.root.1),
            false => self.userns.attempt(|| chown(0, self.own.1)),
        }
    }

    /// Checks that `path`, which was there before, belongs to root of the container.
    ///
    /// # Errors
    /// `Refused`: it does not, and is not given away unasked.
    pub fn owns(&self, path: &Path) -> Result<(), Failure> {
        let owner = std::fs::metadata(path).map(|found| found.uid());
        let (uid, gid) = self.root;
        if owner.is_ok_and(|owner| owner == uid) {
            return Ok(());
        }
        let path = path.display();
        let sentence = format!("{path} does not belong to root of the container, user {uid} here");
        let hint = format!("run 'chown {uid}:{gid} {path}', or name a directory that can be made");
        Err(Failure::new(FailureKind::Refused, sentence).hint(hint))
    }

    /// Removes a directory tree as [`directory::remove`] does.
    ///
    /// # Errors
    /// What kept it from that.
    pub fn remove(&self, path: &Path, keep: &[&str]) -> Result<(), Failure> {
        let failed = |error: SysError| {
            let sentence = format!("cannot remove {}", path.display());
            Failure::new(FailureKind::Step, sentence).caused_by(&error)
        };
        if self.by_itself {
            return directory::remove(path, keep).map_err(failed);
        }
        // Opened by the caller: root of the container need not reach it by name.
        let Some((parent, name)) = directory::place(path).map_err(failed)? else {
            return Ok(());
        };
        let remove = || directory::remove_at(parent.as_fd(), &name, keep).map_err(failed);
        self.userns.attempt(remove)
    }

    /// Runs a template as root of the container by LXC's contract, and waits for it.
    ///
    /// # Errors
    /// `Exec`: it cannot be executed; or it ends with another code than 0.
    pub fn run_template(&self, run: &TemplateRun<'_>) -> Result<(), Failure> {
        let config = run.directory.join("config");
        let cache = run.directory.join(TEMPLATE_CACHE);
        if self.by_itself {
            // What it may change, because its owner has no place there; it is made anew afterwards.
            self.give(&config)?;
        }
        let mut words = vec![
            run.program.to_string_lossy().into_owned(),
            format!("--path={}", run.directory.display()),
            format!("--name={}", run.name),
            format!("--rootfs={}", run.rootfs.display()),
        ];
        words.extend_from_slice(run.args);
        let (uid, gid) = self.own;
        words.extend(["--mapped-uid".into(), uid.to_string()]);
        words.extend(["--mapped-gid".into(), gid.to_string()]);
        let mut program = Program::new(&words)?;
        program.quiet = run.quiet;
        program.umask = Some(0o022);
        if self.by_itself && std::env::var_os("LXC_CACHE_PATH").is_none() {
            // The host's cache is not its.
            program.set_env("LXC_CACHE_PATH", &cache.to_string_lossy());
        }
        let ended = self.userns.execute((0, 0), &program);
        let cleared = match self.by_itself {
            true => self.remove(&cache, &[]),
            false => Ok(()),
        };
        let shown = run.program.display();
        match ended? {
            Ended::Exited(0) => cleared,
            ended => {
                let how = match ended {
                    Ended::Exited(code) => format!("exit status {code}"),
                    Ended::Killed { signal, .. } => format!("signal {signal}"),
                };
                let sentence = format!("the template {shown} failed ({how})");
                let hint = "its own messages above say why";
                Err(Failure::new(FailureKind::Step, sentence).hint(hint))
            }
        }
    }
}

/// Where a template keeps what it downloads when it may not use the host's cache.
const TEMPLATE_CACHE: &str = ".cache";

fn open(path: &Path) -> Result<OwnedFd, SysError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
        .map_err(|errno| SysError::new("open", path.display().to_string(), errno))
}

fn not_given(path: &Path, error: &SysError) -> Failure {
    let sentence = format!("cannot give {} to root of the container", path.display());
    Failure::new(FailureKind::Step, sentence).caused_by(error)
}
