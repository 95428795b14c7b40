//! What is written for init and for whoever is attached: kernel parameters, files of /proc/PID,
//! resource limits, clocks.

use crate::step::{ClockOffset, Planned, ResourceLimit, Side, Step};
use crate::{HostFacts, Refusal};
use lxc_config::{Located, NamedValue, Origin, TimeOffset, Values, rlimits};

/// Nanoseconds of a second.
const SECOND: i128 = 1_000_000_000;

/// What a process gets before it joins a container, as its init got it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProcessSettings {
    /// `lxc.prlimit.*`.
    pub limits: Vec<ResourceLimit>,
    /// `lxc.proc.*`: path below /proc/PID, and what is written there.
    pub files: Vec<(String, String)>,
}

impl ProcessSettings {
    /// What `values` say.
    ///
    /// # Errors
    /// A name that cannot be a file's.
    pub fn of(values: &Values) -> Result<ProcessSettings, Refusal> {
        let files = proc_files(values)?;
        Ok(ProcessSettings {
            limits: limits(values).map(|(limit, _)| limit).collect(),
            files: files
                .into_iter()
                .map(|(path, file)| (path, file.value.value.clone()))
                .collect(),
        })
    }
}

/// Limits of init, given when nothing is left to do for it but exec: it sets itself up without.
pub fn limit_steps(values: &Values) -> impl Iterator<Item = Planned> + '_ {
    limits(values).map(|(limit, origin)| Planned {
        side: Side::HostAtReady,
        origin: Some(format!("lxc.prlimit.{}, {origin}", limit.name)),
        step: Step::LimitResource(limit),
    })
}

fn limits(values: &Values) -> impl Iterator<Item = (ResourceLimit, &Origin)> + '_ {
    values.rlimits.iter().filter_map(|limit| {
        let Located { value, origin } = limit;
        let planned = ResourceLimit {
            name: value.name.clone(),
            // The key's own table has refused others.
            number: rlimits::number(&value.name)?,
            soft: value.soft,
            hard: value.hard,
        };
        Some((planned, origin))
    })
}

/// Files of init's directory in /proc, written by the host.
pub fn proc_steps(values: &Values, facts: &HostFacts) -> Result<Vec<Planned>, Refusal> {
    let mut steps = Vec::new();
    for (path, file) in proc_files(values)? {
        let key = format!("lxc.proc.{}", file.value.name);
        if facts.kernel.missing.contains(&format!("self/{path}")) {
            return Err(Refusal::new(
                format!("this kernel has no file {path} in the directories of processes in /proc"),
                "correct the name, or remove the line",
            )
            .at(&key, &file.origin));
        }
        steps.push(Planned {
            side: Side::HostBeside,
            origin: Some(format!("{key}, {}", file.origin)),
            step: Step::WriteProcFile {
                path,
                value: file.value.value.clone(),
            },
        });
    }
    Ok(steps)
}

fn proc_files(values: &Values) -> Result<Vec<(String, &Located<NamedValue>)>, Refusal> {
    let path = |file| path(file, "lxc.proc").map(|path| (path, file));
    values.proc_files.iter().map(path).collect()
}

/// Kernel parameters, written by the guest in its namespaces; of several values of one name the last.
pub fn sysctl_steps(values: &Values, facts: &HostFacts) -> Result<Vec<Planned>, Refusal> {
    let mut steps: Vec<Planned> = Vec::new();
    for sysctl in &values.sysctls {
        let path = path(sysctl, "lxc.sysctl")?;
        let key = format!("lxc.sysctl.{}", sysctl.value.name);
        if facts.kernel.missing.contains(&format!("sys/{path}")) {
            return Err(Refusal::new(
                format!(
                    "this kernel has no parameter {} (/proc/sys/{path})",
                    sysctl.value.name
                ),
                "correct the name, load the module that brings it, or remove the line",
            )
            .at(&key, &sysctl.origin));
        }
        let same = |planned: &Planned| matches!(&planned.step, Step::WriteSysctl { path: other, .. } if *other == path);
        steps.retain(|planned| !same(planned));
        steps.push(Planned {
            side: Side::Guest,
            origin: Some(format!("{key}, {}", sysctl.origin)),
            step: Step::WriteSysctl {
                path,
                value: sysctl.value.value.clone(),
            },
        });
    }
    Ok(steps)
}

/// The paths below /proc that a start will write and that exist before there is a container; what is
/// below sys/net belongs to a network namespace and its devices.
pub fn written_paths(values: &Values) -> Vec<String> {
    let sysctls = values
        .sysctls
        .iter()
        .filter_map(|one| path_of(&one.value.name).ok());
    let sysctls = sysctls
        .filter(|path| !path.starts_with("net/"))
        .map(|path| format!("sys/{path}"));
    let files = values
        .proc_files
        .iter()
        .filter_map(|one| path_of(&one.value.name).ok());
    sysctls
        .chain(files.map(|path| format!("self/{path}")))
        .collect()
}

fn path(named: &Located<NamedValue>, family: &str) -> Result<String, Refusal> {
    let NamedValue { name, value } = &named.value;
    let bad = |what: &str, remedy: &str| {
        let sentence = format!("{family}.{name} {what}");
        Refusal::new(sentence, remedy).at(&format!("{family}.{name}"), &named.origin)
    };
    let path = path_of(name).map_err(|why| {
        bad(
            why,
            "name the file as sysctl(8) does, such as net.ipv4.ip_forward",
        )
    })?;
    // One write of one value: what reads several would take the second line for another parameter.
    match value.contains(['\n', '\r', '\0']) {
        true => Err(bad("has a value of several lines", "write one value")),
        false => Ok(path),
    }
}

/// The path that a name stands for, below the directory it is relative to: dots are slashes, unless
/// the first separator is a slash (as sysctl(8) has it), so that a device's name may have a dot.
fn path_of(name: &str) -> Result<String, &'static str> {
    let dots = name
        .find(['.', '/'])
        .is_none_or(|at| name[at..].starts_with('.'));
    let path = match dots {
        true => name.replace('.', "/"),
        false => name.to_owned(),
    };
    let bad = |part: &str| part.is_empty() || part == "." || part == "..";
    if path.split('/').any(bad) {
        return Err("is not the name of a file");
    }
    match path.contains(|c: char| c.is_control()) {
        true => Err("has a control character in its name"),
        false => Ok(path),
    }
}

/// What the clocks inside are set apart by.
pub fn clock_offsets(values: &Values) -> Vec<ClockOffset> {
    let clocks = [
        ("monotonic", &values.time.monotonic),
        ("boottime", &values.time.boot),
    ];
    clocks
        .into_iter()
        .filter(|(_, offset)| offset.origin.is_some())
        .map(|(clock, offset)| normalised(clock, offset))
        .collect()
}

/// Whole seconds, and the nanoseconds that the kernel wants to be positive.
fn normalised(clock: &'static str, offset: &TimeOffset) -> ClockOffset {
    let all = i128::from(offset.seconds) * SECOND + i128::from(offset.nanoseconds);
    ClockOffset {
        clock,
        // 64 bits of seconds and 64 of nanoseconds may together be more than 64 of seconds.
        seconds: i64::try_from(all.div_euclid(SECOND)).unwrap_or(if all < 0 {
            i64::MIN
        } else {
            i64::MAX
        }),
        nanoseconds: all.rem_euclid(SECOND) as u32,
    }
}
