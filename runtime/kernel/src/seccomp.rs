//! System call filters: a policy's text in, a loaded BPF program out.
//!
//! [`parse`] reads the policy language (pure), [`compile`] makes the program with libseccomp, [`Filter::load`] hands
//! it to the kernel. A filter is plain bytes in between, so that one process may compile it and another load it.

mod architecture;
mod parse;
mod policy;

use crate::error::{Errno, Result, SysError};
use libseccomp::error::{SeccompErrno, SeccompError};
use libseccomp::{ScmpAction, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

pub use parse::parse;
pub use policy::{
    Action, Comparison, Condition, Policy, PolicyError, Rule, Section, Syscall, Version,
};

/// Size of one classic BPF instruction.
const INSTRUCTION: usize = 8;
/// The kernel's limit on a program's instructions (`BPF_MAXINSNS`).
const MAX_INSTRUCTIONS: usize = 4096;

/// A system call filter, ready to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    program: Vec<u8>,
    unknown: BTreeSet<String>,
}

impl Filter {
    /// The program as bytes, in this machine's byte order, for another process on the same machine.
    pub fn as_bytes(&self) -> &[u8] {
        &self.program
    }

    /// The filter whose program [`as_bytes`](Self::as_bytes) gave; `EINVAL` if `bytes` cannot be a program.
    ///
    /// The kernel checks the instructions themselves when the filter is loaded.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        let whole = bytes.len().is_multiple_of(INSTRUCTION);
        if bytes.is_empty() || !whole || bytes.len() / INSTRUCTION > MAX_INSTRUCTIONS {
            let args = format!(
                "a filter of {} bytes: 1 to {MAX_INSTRUCTIONS} instructions of 8 bytes",
                bytes.len()
            );
            return Err(SysError::new("seccomp", args, Errno::INVAL));
        }
        Ok(Self {
            program: bytes,
            unknown: BTreeSet::new(),
        })
    }

    /// System calls of the policy that this libseccomp does not know; their rules are not in the program.
    pub fn unknown_syscalls(&self) -> impl Iterator<Item = &str> {
        self.unknown.iter().map(String::as_str)
    }

    /// Puts the calling thread, and what it will clone and execute, under the filter, for good.
    ///
    /// Needs `CAP_SYS_ADMIN` in the thread's user namespace or no_new_privs (else `EACCES`); sets neither.
    pub fn load(&self) -> Result<()> {
        let mut instructions: Vec<libc::sock_filter> = self
            .program
            .chunks_exact(INSTRUCTION)
            .map(instruction)
            .collect();
        let program = libc::sock_fprog {
            len: instructions.len() as u16,
            filter: instructions.as_mut_ptr(),
        };
        // SAFETY: `program` and the instructions it points to live until the call returns; the kernel only reads them.
        // The program can refuse or kill later calls of this thread, which is what the caller asks for.
        let result = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                0,
                &raw const program,
            )
        };
        if result == 0 {
            return Ok(());
        }
        let errno = Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO);
        Err(SysError::new(
            "seccomp",
            format!(
                "SECCOMP_SET_MODE_FILTER, {} instructions",
                instructions.len()
            ),
            errno,
        ))
    }
}

fn instruction(bytes: &[u8]) -> libc::sock_filter {
    libc::sock_filter {
        code: u16::from_ne_bytes([bytes[0], bytes[1]]),
        jt: bytes[2],
        jf: bytes[3],
        k: u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
    }
}

/// Compiles a policy for this machine: its native system calls and those of the architectures it can also run.
///
/// Rules in sections that this machine does not accept, and system calls that libseccomp does not know, are left out.
/// Fails for a rule that libseccomp refuses (its line is in the error), or for the action `notify`.
pub fn compile(policy: &Policy) -> std::result::Result<Filter, PolicyError> {
    let machine = rustix::system::uname();
    compile_for(policy, &machine.machine().to_string_lossy())
}

fn compile_for(policy: &Policy, machine: &str) -> std::result::Result<Filter, PolicyError> {
    if policy.default == Action::Notify {
        return Err(not_supervised(policy.line));
    }
    let host = architecture::host(machine);
    let rules: Vec<&Rule> = policy
        .rules
        .iter()
        .filter(|rule| host.accepts(rule.section))
        .collect();
    let (rules, unknown) = resolve(&rules)?;

    let failed =
        |error: SeccompError| PolicyError::new(policy.line, format!("libseccomp: {error}"));
    let mut filter = context(policy.default).map_err(failed)?;
    for rule in &rules {
        add_rule(&mut filter, rule, &[SeccompErrno::EDOM])?;
    }
    let extra = match policy.version {
        Version::Numbers => &[],
        Version::Names => host.extra,
    };
    for architecture in extra {
        // One context for each architecture: exact rules with conditions are refused for several at once.
        let mut other = context(policy.default).map_err(failed)?;
        other.add_arch(*architecture).map_err(failed)?;
        other
            .remove_arch(libseccomp::ScmpArch::Native)
            .map_err(failed)?;
        for rule in &rules {
            // 32-bit x86 passes socket and IPC calls through one call with their arguments in memory, where no filter
            // can compare them: EINVAL. As a condition was met on the native architecture it can only be that.
            add_rule(
                &mut other,
                rule,
                &[SeccompErrno::EDOM, SeccompErrno::EINVAL],
            )?;
        }
        filter.merge(other).map_err(failed)?;
    }
    let program =
        export(&filter).map_err(|error| PolicyError::new(policy.line, error.to_string()))?;
    let mut filter = Filter::from_bytes(program)
        .map_err(|error| PolicyError::new(policy.line, error.to_string()))?;
    filter.unknown = unknown;
    Ok(filter)
}

fn not_supervised(line: u32) -> PolicyError {
    PolicyError::new(
        line,
        "the action notify is not implemented yet: use errno, or leave the rule out",
    )
}

struct Resolved<'a> {
    rule: &'a Rule,
    syscall: ScmpSyscall,
    action: ScmpAction,
    conditions: Vec<ScmpArgCompare>,
}

/// Looks up the rules' system calls once for all architectures; second, the names that libseccomp does not know.
fn resolve<'a>(
    rules: &[&'a Rule],
) -> std::result::Result<(Vec<Resolved<'a>>, BTreeSet<String>), PolicyError> {
    let mut resolved = Vec::with_capacity(rules.len());
    let mut unknown = BTreeSet::new();
    for rule in rules {
        let action = action(rule.action).ok_or_else(|| not_supervised(rule.line))?;
        let syscall = match &rule.syscall {
            Syscall::Number(number) => ScmpSyscall::from(*number),
            Syscall::Name(name) => match ScmpSyscall::from_name(name) {
                Ok(syscall) => syscall,
                Err(_) => {
                    unknown.insert(name.clone());
                    continue;
                }
            },
        };
        let conditions = rule.conditions.iter().map(compare).collect();
        resolved.push(Resolved {
            rule,
            syscall,
            action,
            conditions,
        });
    }
    Ok((resolved, unknown))
}

fn context(default: Action) -> std::result::Result<ScmpFilterContext, SeccompError> {
    let default = action(default).unwrap_or(ScmpAction::KillThread);
    let mut context = ScmpFilterContext::new(default)?;
    context.set_ctl_nnp(false)?;
    Ok(context)
}

/// Adds a rule unless libseccomp refuses it with one of `tolerated`; EDOM says that the architecture lacks the call.
fn add_rule(
    context: &mut ScmpFilterContext,
    Resolved {
        rule,
        syscall,
        action,
        conditions,
    }: &Resolved,
    tolerated: &[SeccompErrno],
) -> std::result::Result<(), PolicyError> {
    match context.add_rule_conditional_exact(*action, *syscall, conditions) {
        Err(error)
            if !error
                .errno()
                .is_some_and(|errno| tolerated.contains(&errno)) =>
        {
            let hint = match error.errno() {
                Some(SeccompErrno::EACCES) => " (the policy's default action is the same)",
                _ => "",
            };
            let message = format!(
                "libseccomp refuses {} {}: {error}{hint}",
                rule.syscall, rule.action
            );
            Err(PolicyError::new(rule.line, message))
        }
        _ => Ok(()),
    }
}

fn action(action: Action) -> Option<ScmpAction> {
    match action {
        Action::Kill => Some(ScmpAction::KillThread),
        Action::Errno(errno) => Some(ScmpAction::Errno(errno.into())),
        Action::Allow => Some(ScmpAction::Allow),
        Action::Trap => Some(ScmpAction::Trap),
        Action::Notify => None,
    }
}

fn compare(condition: &Condition) -> ScmpArgCompare {
    let operator = match condition.comparison {
        Comparison::Equal => ScmpCompareOp::Equal,
        Comparison::NotEqual => ScmpCompareOp::NotEqual,
        Comparison::Less => ScmpCompareOp::Less,
        Comparison::LessOrEqual => ScmpCompareOp::LessOrEqual,
        Comparison::GreaterOrEqual => ScmpCompareOp::GreaterEqual,
        Comparison::Greater => ScmpCompareOp::Greater,
        Comparison::MaskedEqual => ScmpCompareOp::MaskedEqual(condition.mask),
    };
    ScmpArgCompare::new(condition.index.into(), operator, condition.value)
}

/// The program as bytes; libseccomp writes it to a descriptor, so it goes through memory that has one.
fn export(filter: &ScmpFilterContext) -> Result<Vec<u8>> {
    let failed = |call, errno| SysError::new(call, "the compiled filter", errno);
    let memory: OwnedFd =
        rustix::fs::memfd_create("seccomp-filter", rustix::fs::MemfdFlags::CLOEXEC)
            .map_err(|errno| failed("memfd_create", errno))?;
    filter.export_bpf(&memory).map_err(|error| {
        let errno = error.sysrawrc().map_or(Errno::IO, |code| {
            Errno::from_raw_os_error(code.saturating_abs())
        });
        failed("seccomp_export_bpf", errno)
    })?;
    let size = rustix::fs::fstat(&memory)
        .map_err(|errno| failed("fstat", errno))?
        .st_size;
    let mut program = vec![0; usize::try_from(size).unwrap_or(0)];
    let read = rustix::io::retry_on_intr(|| rustix::io::pread(&memory, &mut program[..], 0));
    match read {
        Ok(count) if count == program.len() => Ok(program),
        Ok(_) => Err(failed("pread", Errno::IO)),
        Err(errno) => Err(failed("pread", errno)),
    }
}

#[cfg(test)]
mod tests;
