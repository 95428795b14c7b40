//! The helper of one attach: joins, lets the attached process be born, and is gone.

use super::HelperRequest;
use crate::failure::{Failure, FailureKind};
use crate::launch;
use crate::message::{self, AttachReport};
use lxc_kernel::process::{self, CloneSpec, Cloned};
use lxc_kernel::seccomp::{self, Filter};
use lxc_kernel::{
    Errno, Result, SysError, caps, cgroup, fd, file, inherit, inroot::Root, procfs, pty, signals,
};
use lxc_plan::Namespaces;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Filesystem magic of cgroup v2 (`linux/magic.h`).
const CGROUP2_MAGIC: u64 = 0x6367_7270;
/// Sub-cgroups tried for attached processes.
const NESTS: u32 = 1000;
/// Largest etc/passwd read for a shell.
const PASSWD_MAX: usize = 1024 * 1024;

/// The helper's whole life; returns its exit code.
pub fn serve(request: HelperRequest, report: Option<OwnedFd>) -> i32 {
    let Some(report) = report else { return 1 };
    let outcome = begin(&request, &report);
    match outcome {
        Ok(()) => 0,
        Err(failure) => {
            // A caller that has gone does not want to know.
            let _ = message::send(report.as_fd(), &AttachReport::Failed(failure), &[]);
            1
        }
    }
}

fn begin(request: &HelperRequest, report: &OwnedFd) -> std::result::Result<(), Failure> {
    let mut given = Given::take(request).map_err(|e| step("take over its descriptors", &e))?;
    let filter = match &request.seccomp_profile {
        Some(path) => Some(compile(path)?),
        None => None,
    };
    let nest =
        enter_cgroups(&given.cgroups).map_err(|e| step("enter the container's cgroups", &e))?;
    // From joining to exec the guest may see this process; it must not trace it.
    process::set_dumpable(false).map_err(|e| step("protect itself", &e))?;
    // Delegated (nsdelegate, as systemd mounts it), a v2 cgroup takes nobody from outside who looks
    // at it from inside: whoever is born in the nest joins the cgroup namespace after that.
    let later = match nest {
        Some(_) => request.join & libc::CLONE_NEWCGROUP as u64,
        None => 0,
    };
    let late = namespace_files(request, &given.pidfd, later)
        .and_then(|late| join(request, &given.pidfd, later).map(|()| late))
        .map_err(|e| step("join the container's namespaces", &e))?;
    let spec = CloneSpec {
        namespaces: 0,
        into_cgroup: nest.as_ref().map(AsFd::as_fd),
        // With CLONE_PARENT the kernel uses our own: the caller is told by SIGCHLD.
        exit_signal: 0,
        extra: libc::CLONE_PARENT as u64,
    };
    match born(spec, nest.as_ref()).map_err(|e| step("create the attached process", &e))? {
        Cloned::Parent { pid, pidfd } => {
            let word = AttachReport::Attached { pid };
            message::send(report.as_fd(), &word, &[pidfd.as_fd()])
                .map_err(|e| step("report to the caller", &e))
        }
        Cloned::Child => {
            let failure = match join_each(&late) {
                Ok(()) => become_guest(request, &mut given, filter.as_ref()),
                Err(error) => step("join the container's cgroup namespace", &error),
            };
            let code = match failure.errno.map(Errno::from_raw_os_error) {
                Some(Errno::NOENT) => 127,
                Some(Errno::ACCESS | Errno::NOEXEC) => 126,
                _ => 255,
            };
            let _ = message::send(report.as_fd(), &AttachReport::NotBegun(failure), &[]);
            process::exit_now(code)
        }
    }
}

/// What the caller left at agreed numbers.
struct Given {
    pidfd: OwnedFd,
    cgroups: Vec<OwnedFd>,
    terminal: Option<OwnedFd>,
}

impl Given {
    fn take(request: &HelperRequest) -> Result<Given> {
        let first = launch::last_kept_fd() + 3;
        let mut numbers = first..;
        let mut next = || inherit::take(numbers.next().unwrap_or(-1));
        let pidfd = next()?;
        let cgroups = (0..request.cgroups)
            .map(|_| next())
            .collect::<Result<_>>()?;
        let terminal = if request.terminal {
            Some(next()?)
        } else {
            None
        };
        Ok(Given {
            pidfd,
            cgroups,
            terminal,
        })
    }
}

/// v1 cgroups are entered by this process, single-threaded as it is; of the v2 one the nest is
/// returned in which the attached process is to be born.
fn enter_cgroups(directories: &[OwnedFd]) -> Result<Option<OwnedFd>> {
    let mut nest = None;
    for directory in directories {
        let found = rustix::fs::fstatfs(directory)
            .map_err(|e| SysError::new("fstatfs", fd::describe(directory.as_fd()), e))?;
        if found.f_type as u64 == CGROUP2_MAGIC {
            nest = Some(make_nest(directory)?);
        } else {
            cgroup::enter_v1(directory.as_fd())?;
        }
    }
    Ok(nest)
}

/// A cgroup below the container's: its own may hand controllers down and then takes no process.
fn make_nest(directory: &OwnedFd) -> Result<OwnedFd> {
    for number in 0..NESTS {
        let name = if number == 0 {
            ".lxc".to_string()
        } else {
            format!(".lxc-{number}")
        };
        match cgroup::make(directory.as_fd(), &name, false) {
            Ok((nest, _)) => return Ok(nest),
            Err(error) if error.errno == Errno::BUSY => {}
            Err(error) => return Err(error),
        }
    }
    Err(SysError::new("mkdirat", ".lxc", Errno::BUSY))
}

/// The clone; kernels before 5.7 have no CLONE_INTO_CGROUP: this process goes in first there.
fn born(spec: CloneSpec<'_>, nest: Option<&OwnedFd>) -> Result<Cloned> {
    // What the absence of clone3, of that flag, or a filter's refusal of it looks like.
    let absent = |e: &SysError| {
        matches!(
            e.errno,
            Errno::NOSYS | Errno::INVAL | Errno::TOOBIG | Errno::PERM
        )
    };
    match (process::clone_process(&spec), nest) {
        (Err(error), Some(nest)) if absent(&error) => {
            cgroup::enter_v2(nest.as_fd())?;
            process::clone_process(&CloneSpec {
                into_cgroup: None,
                ..spec
            })
        }
        (cloned, _) => cloned,
    }
}

/// All namespaces but those for `later` in one call, so that there is no moment between two worlds;
/// one by one on kernels (before 5.8) that cannot join by pidfd.
fn join(request: &HelperRequest, pidfd: &OwnedFd, later: u64) -> Result<()> {
    let now = request.join & !later;
    if now == 0 {
        return Ok(());
    }
    match process::setns(pidfd.as_fd(), now) {
        Err(error) if error.errno == Errno::INVAL => {
            let files = namespace_files(request, pidfd, now)?;
            match files.is_empty() {
                true => Err(error),
                false => join_each(&files),
            }
        }
        done => done,
    }
}

/// The namespaces of `bits` as files, which can be joined where there is no host's /proc any more.
fn namespace_files(request: &HelperRequest, pidfd: &OwnedFd, bits: u64) -> Result<Vec<OwnedFd>> {
    if bits == 0 {
        return Ok(Vec::new());
    }
    let proc = procfs::Proc::host()?;
    let files = Namespaces(bits)
        .names()
        .map(|name| proc.open_ns(request.init_pid, name))
        .collect::<Result<_>>()?;
    // The pid is that of the pidfd only as long as the latter lives.
    process::pidfd_signal(pidfd.as_fd(), 0)?;
    Ok(files)
}

fn join_each(files: &[OwnedFd]) -> Result<()> {
    files
        .iter()
        .try_for_each(|fd| process::setns(fd.as_fd(), 0))
}

fn compile(path: &str) -> std::result::Result<Filter, Failure> {
    let text = file::read_path(Path::new(path), 1024 * 1024)
        .map_err(|e| step("read the container's seccomp profile", &e))?;
    let text = String::from_utf8_lossy(&text);
    seccomp::parse(&text)
        .and_then(|policy| seccomp::compile(&policy))
        .map_err(|error| {
            let sentence = format!(
                "cannot use the seccomp profile {path}:{}: {}",
                error.line, error.message
            );
            Failure::new(FailureKind::Step, sentence)
                .hint("correct the line, or attach with elevated privileges (-e LSM)")
        })
}

/// Inside: gives up power in the order of a start, then executes; returns only a failure.
fn become_guest(request: &HelperRequest, given: &mut Given, filter: Option<&Filter>) -> Failure {
    if let Err(error) = give_up_power(request, given, filter) {
        return step("become the container's", &error);
    }
    let argv = match request.argv.as_slice() {
        [] => vec![shell(request.uid)],
        argv => argv.to_vec(),
    };
    let strings = |list: Vec<String>| {
        list.into_iter()
            .map(CString::new)
            .collect::<std::result::Result<Vec<_>, _>>()
    };
    let env = request
        .env
        .iter()
        .map(|(n, v)| format!("{n}={v}"))
        .collect();
    let (Ok(arguments), Ok(env)) = (strings(argv.clone()), strings(env)) else {
        return Failure::new(FailureKind::Exec, "an argument contains a NUL byte");
    };
    let error = process::exec(&arguments, &env);
    let failure = Failure::new(FailureKind::Exec, format!("cannot execute {}", argv[0]));
    let hint = match error.errno {
        Errno::NOENT => {
            "there is no such program inside the container, or its interpreter is missing"
        }
        Errno::ACCESS => "the file is not executable inside the container",
        Errno::NOEXEC => "the file is not a program of this machine's architecture",
        _ => "the container's kernel refuses to execute it",
    };
    failure.caused_by(&error).hint(hint)
}

fn give_up_power(
    request: &HelperRequest,
    given: &mut Given,
    filter: Option<&Filter>,
) -> Result<()> {
    // Always a session of its own: the caller's terminal must not be reachable by /dev/tty.
    process::setsid()?;
    if let Some(terminal) = given.terminal.take() {
        for number in [
            rustix::stdio::stdin(),
            rustix::stdio::stdout(),
            rustix::stdio::stderr(),
        ] {
            if pty::is_terminal(number) {
                use std::os::fd::AsRawFd;
                fd::place_at(terminal.as_fd(), number.as_raw_fd())?;
            }
        }
        pty::set_controlling(terminal.as_fd())?;
    }
    enter_directory(&request.cwd)?;
    if let Some(bits32) = request.bits32 {
        process::set_personality(if bits32 { 8 } else { 0 })?;
    }
    if let Some(bounding) = request.bounding {
        for capability in 0..=caps::last_cap() {
            if bounding & (1 << capability) == 0 && caps::bounding_has(capability) {
                caps::drop_bounding(capability)?;
            }
        }
    }
    match process::set_keyring_session() {
        Err(error) if !matches!(error.errno, Errno::NOSYS | Errno::PERM | Errno::ACCESS) => {
            return Err(error);
        }
        _ => {}
    }
    if request.no_new_privs {
        process::set_no_new_privs()?;
    }
    if let Some(filter) = filter {
        filter.load()?;
    }
    match process::set_groups(&[]) {
        Err(error) if error.errno != Errno::PERM => return Err(error),
        _ => {}
    }
    process::set_ids(request.uid, request.gid)?;
    caps::clear_inheritable_and_ambient()?;
    signals::reset_handlers();
    signals::empty_mask()
}

/// The caller's directory, if there is one of that name inside; else the root. Never through a
/// magic link of /proc, which could lead out.
fn enter_directory(path: &str) -> Result<()> {
    let root = Root::open(Path::new("/"))?;
    let entered = root
        .resolve(path)
        .and_then(|directory| process::fchdir(directory.as_fd()));
    match entered {
        Ok(()) => Ok(()),
        Err(_) => process::fchdir(root.fd()),
    }
}

/// The shell that the container's etc/passwd names for `uid`; /bin/sh without one.
fn shell(uid: u32) -> String {
    let default = "/bin/sh".to_string();
    let passwd =
        Root::open(Path::new("/")).and_then(|root| root.read_file("etc/passwd", PASSWD_MAX));
    let Ok(text) = passwd else { return default };
    let text = String::from_utf8_lossy(&text);
    let uid = uid.to_string();
    let shell = text.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        (fields.len() == 7 && fields[2] == uid).then(|| fields[6].to_string())
    });
    shell.filter(|s| s.starts_with('/')).unwrap_or(default)
}

fn step(what: &str, error: &SysError) -> Failure {
    Failure::new(FailureKind::Step, format!("cannot {what}")).caused_by(error)
}
