//! AppArmor profiles made for one container: written, loaded, and removed with its end.

use crate::failure::{Failure, FailureKind};
use crate::guest::Problem;
use crate::monitor::Monitor;
use crate::program::Spawned;
use lxc_config::Values;
use lxc_kernel::apparmor::Policy;
use lxc_kernel::lsm::{self, Module};
use lxc_kernel::process::Ended;
use lxc_kernel::{Errno, Result, SysError, caps, file, procfs::Proc};
use lxc_plan::{ApparmorFact, GeneratedProfile};
use std::path::Path;
use std::time::{Duration, Instant};

/// Where apparmor_parser is installed. Not looked for in PATH: what it loads is in force for the host.
const PARSERS: [&str; 4] = [
    "/sbin/apparmor_parser",
    "/usr/sbin/apparmor_parser",
    "/usr/bin/apparmor_parser",
    "/usr/local/sbin/apparmor_parser",
];
/// Largest profile read.
const PROFILE_MAX: usize = 16 * 1024 * 1024;
/// How long the compilation of a profile may take; it is a tenth of a second as a rule.
const COMPILING: Duration = Duration::from_secs(60);
/// CAP_MAC_ADMIN.
const MAC_ADMIN: u32 = 33;

/// What is loaded for a container, to be removed.
#[derive(Debug, Clone)]
pub struct Loaded {
    profile: String,
    namespace: Option<String>,
}

/// What a start with this configuration has to know; `None` where AppArmor is not enabled.
pub fn facts(values: &Values, cgroup_namespace: bool) -> Option<ApparmorFact> {
    if !lsm::apparmor_enabled() {
        return None;
    }
    let own = Proc::host().and_then(|proc| lsm::label_of(&proc, "self"));
    let own_label = match own {
        Ok(Some((Module::Apparmor, label))) => label,
        _ => "unknown".to_string(),
    };
    // Where securityfs is not mounted nothing can be told: the plan hears that as not visible.
    let policy = Policy::open().ok();
    let policy = policy.as_ref();
    let generated = lxc_plan::wants_generated(values);
    let loaded = lxc_plan::profile_to_find(values, cgroup_namespace)
        .and_then(|name| policy.and_then(|policy| policy.has_profile(name)));
    Some(ApparmorFact {
        own_label,
        visible: policy.is_some(),
        mount_rules: policy.is_some_and(Policy::mediates_mounts),
        stacking: policy.is_some_and(Policy::can_stack),
        loaded,
        parser: generated.then(parser).flatten(),
        may_load: generated && caps::effective().is_ok_and(|has| has & (1 << MAC_ADMIN) != 0),
    })
}

fn parser() -> Option<String> {
    let executable = |path: &&&str| rustix::fs::access(**path, rustix::fs::Access::EXEC_OK).is_ok();
    PARSERS.iter().find(executable).map(ToString::to_string)
}

impl Monitor {
    /// Writes the profile's file and has it loaded; serves the socket meanwhile.
    pub fn load_profile(&mut self, profile: &GeneratedProfile) -> std::result::Result<(), Problem> {
        // Also after a failure half-way: what exists by then has to go.
        self.live.profile = Some(Loaded {
            profile: profile.name.clone(),
            namespace: profile.namespace.clone(),
        });
        let path = write(profile)?;
        if let Some(namespace) = &profile.namespace {
            Policy::open()?.make_namespace(namespace)?;
        }
        make_directory(&profile.cache)?;
        let argv = ["-q", "-r", "-W", "-L", &profile.cache, &path];
        let mut running = Spawned::start(&profile.parser, &argv)?;
        let ended = self.wait_for_program(&mut running, Some(Instant::now() + COMPILING))?;
        match ended {
            Some(Ended::Exited(0)) => Ok(()),
            ended => Err(Problem::Told(refused(
                profile,
                &path,
                ended,
                &running.text(),
            ))),
        }
    }

    /// Removes what was loaded for this run.
    pub fn unload_profile(&mut self) {
        if let Some(loaded) = self.live.profile.take()
            && let Err(error) = remove(&loaded)
        {
            log::warn!(
                "the AppArmor profile '{}' stays loaded: {error}",
                loaded.profile
            );
        }
    }
}

/// Removes what a killed monitor left loaded for a container; nothing where it never had a profile
/// of its own.
pub fn forget(lxcpath: &str, name: &str) -> Result<()> {
    if !Path::new(lxcpath).join(name).join("apparmor").is_dir() {
        return Ok(());
    }
    let (profile, namespace) = lxc_plan::generated_names(lxcpath, name);
    let namespace = Some(namespace);
    match remove(&Loaded { profile, namespace }) {
        // Without AppArmor, or the right to change its policy, nothing was loaded.
        Err(error) if matches!(error.errno, Errno::NOENT | Errno::ACCESS | Errno::PERM) => Ok(()),
        done => done,
    }
}

/// The namespace first: a profile in use by a stack with it could not be told from another's.
fn remove(loaded: &Loaded) -> Result<()> {
    let policy = Policy::open()?;
    if let Some(namespace) = &loaded.namespace {
        policy.remove_namespace(namespace)?;
    }
    policy.remove_profile(&loaded.profile)
}

/// Writes the file, unless it is there as it should be: its age decides whether what was compiled
/// from it is used again.
fn write(profile: &GeneratedProfile) -> Result<String> {
    make_directory(&profile.directory)?;
    let path = format!("{}/{}", profile.directory, profile.file);
    let present = file::read_path(Path::new(&path), PROFILE_MAX);
    if !present.is_ok_and(|text| text == profile.text.as_bytes()) {
        file::replace_file(Path::new(&path), profile.text.as_bytes(), 0o644)?;
    }
    Ok(path)
}

fn make_directory(path: &str) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|error| {
        let errno = error
            .raw_os_error()
            .map_or(Errno::IO, Errno::from_raw_os_error);
        SysError::new("mkdir", path.to_string(), errno)
    })
}

fn refused(profile: &GeneratedProfile, path: &str, ended: Option<Ended>, output: &str) -> Failure {
    let how = match ended {
        Some(Ended::Exited(code)) => format!("exited with {code}"),
        Some(Ended::Killed { signal, .. }) => format!("was killed by signal {signal}"),
        None => format!("did not end within {} s", COMPILING.as_secs()),
    };
    let sentence = format!(
        "cannot load the AppArmor profile '{}': {} {how}",
        profile.name, profile.parser
    );
    let said: Vec<&str> = output
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let hint = match said.as_slice() {
        [] => format!("run '{} -r {path}' by hand to see why", profile.parser),
        lines => format!(
            "it said: {}; a line of lxc.apparmor.raw may be wrong",
            lines.join("; ")
        ),
    };
    Failure::new(FailureKind::Step, sentence).hint(hint)
}
