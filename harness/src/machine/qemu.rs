//! The QEMU on this host: where it is, and whether it may use the processor's own virtualisation.

use std::fmt;
use std::fs::OpenOptions;
use std::path::PathBuf;
use std::time::Duration;

use lxc_kernel::process::Ended;

use super::process::{Process, find, is_program};
use super::{Machine, Spec};

/// The program's name.
const PROGRAM: &str = "qemu-system-x86_64";

/// The variable that names another one.
const VARIABLE: &str = "QEMU";

/// `--version` answers in 20 ms.
const VERSION_WITHIN: Duration = Duration::from_secs(20);

/// A QEMU that runs on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qemu {
    /// Its file.
    pub program: PathBuf,
    /// What it says of itself: `7.2.22 (Debian …)`.
    pub version: String,
}

/// Why no machine can run on this host, and what to do, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable(String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

impl Qemu {
    /// Finds QEMU: the file that the variable `QEMU` names, else `qemu-system-x86_64` in PATH.
    pub fn find() -> Result<Qemu, Unavailable> {
        let program = match std::env::var_os(VARIABLE) {
            Some(named) => PathBuf::from(named),
            None => find(PROGRAM).ok_or_else(|| {
                Unavailable(format!(
                    "{PROGRAM} is not installed; try: cargo xtask setup"
                ))
            })?,
        };
        Qemu::at(program)
    }

    /// Takes that file for QEMU, once it has said its version.
    pub fn at(program: PathBuf) -> Result<Qemu, Unavailable> {
        let shown = program.display().to_string();
        let refused = |why: &str| {
            let what = format!("{shown} {why}; try: cargo xtask setup, or {VARIABLE}=FILE");
            Unavailable(what)
        };
        if !is_program(&program) {
            return Err(refused("is no program"));
        }
        let words = [program.as_os_str(), "--version".as_ref()];
        let mut process = Process::start(&words, Vec::new())
            .map_err(|why| refused(&format!("cannot be started: {why}")))?;
        match process.ended_within(VERSION_WITHIN) {
            Some(Ended::Exited(0)) => {}
            Some(_) => {
                let last = process.last_output().unwrap_or_default();
                return Err(refused(&format!(
                    "fails when asked for its version: {last}"
                )));
            }
            None => return Err(refused("does not say its version")),
        }
        let printed = process.printed();
        let version = printed
            .lines()
            .find_map(|line| line.strip_prefix("QEMU emulator version "))
            .ok_or_else(|| refused("does not say that it is QEMU"))?;
        Ok(Qemu {
            version: version.trim().to_owned(),
            program,
        })
    }
}

/// How a machine's processor is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accel {
    /// Translated: works everywhere, some ten times slower.
    Tcg,
    /// By the processor itself.
    Kvm,
}

impl Accel {
    /// The fastest that works here: KVM only if the processor has it *and* the machine that `spec`
    /// describes comes up with it in time. `spec.accel` does not matter.
    ///
    /// A file /dev/kvm proves nothing: on nested hosts guests may hang with it. Ask once in a run;
    /// it takes a boot where the processor has it, and nothing where it has not.
    pub fn choose(qemu: &Qemu, spec: &Spec, within: Duration) -> Accel {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let device = || OpenOptions::new().read(true).write(true).open("/dev/kvm");
        if !virtualises(&cpuinfo) || device().is_err() {
            return Accel::Tcg;
        }
        let probe = Spec {
            accel: Accel::Kvm,
            ..spec.clone()
        };
        match Machine::boot(qemu, &probe, within) {
            Ok(_) => Accel::Kvm,
            Err(_) => Accel::Tcg,
        }
    }
}

/// Whether the processor says that it can run guests itself.
fn virtualises(cpuinfo: &str) -> bool {
    cpuinfo
        .lines()
        .filter_map(|line| line.strip_prefix("flags"))
        .flat_map(str::split_whitespace)
        .any(|flag| flag == "vmx" || flag == "svm")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    fn script(directory: &Path, text: &str) -> PathBuf {
        let path = directory.join("qemu");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn it_is_known_by_its_version() {
        let directory = tempfile::tempdir().unwrap();
        let good = "echo 'QEMU emulator version 7.2.22 (Debian)'; echo Copyright";
        let qemu = Qemu::at(script(directory.path(), good)).unwrap();
        assert_eq!(qemu.version, "7.2.22 (Debian)");
        for (text, why) in [
            ("echo another", "does not say that it is QEMU"),
            (
                "echo 'no libfoo' >&2; exit 1",
                "fails when asked for its version: no libfoo",
            ),
        ] {
            let error = Qemu::at(script(directory.path(), text)).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
        let error = Qemu::at(directory.path().join("none"))
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with("is no program; try: cargo xtask setup, or QEMU=FILE"),
            "{error}"
        );
    }

    #[test]
    fn only_a_flag_of_its_own_counts() {
        assert!(virtualises("model\t: x\nflags\t\t: fpu vmx sse\n"));
        assert!(virtualises("flags\t\t: svm\n"));
        assert!(!virtualises(
            "flags\t\t: fpu vmx_like svm_lock\nvmx flags\t: vnmi\n"
        ));
        assert!(!virtualises(""));
    }
}
