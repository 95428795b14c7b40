//! Resource limits of a process.

use crate::error::{Called, Errno, Result, SysError, retry};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// By the number that Linux gives them on x86, Arm, RISC-V, Power and s390.
const RESOURCES: [Resource; 16] = [
    Resource::Cpu,
    Resource::Fsize,
    Resource::Data,
    Resource::Stack,
    Resource::Core,
    Resource::Rss,
    Resource::Nproc,
    Resource::Nofile,
    Resource::Memlock,
    Resource::As,
    Resource::Locks,
    Resource::Sigpending,
    Resource::Msgqueue,
    Resource::Nice,
    Resource::Rtprio,
    Resource::Rttime,
];

/// Sets both limits of resource `number` (x86's numbering) for the process `pid`, or the calling one;
/// `None` = unlimited. EPERM above what the caller may give.
pub fn set(pid: Option<i32>, number: u32, soft: Option<u64>, hard: Option<u64>) -> Result<()> {
    let shown = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |n| n.to_string());
    let args = || {
        let (pid, soft, hard) = (pid.unwrap_or(0), shown(soft), shown(hard));
        format!("{pid}, resource {number}, {soft}:{hard}")
    };
    let bad = || SysError::new("prlimit", args(), Errno::INVAL);
    let resource = usize::try_from(number)
        .ok()
        .and_then(|n| RESOURCES.get(n).copied());
    let resource = resource.ok_or_else(bad)?;
    let pid = match pid {
        None => None,
        Some(pid) => Some(Pid::from_raw(pid).filter(|_| pid > 0).ok_or_else(bad)?),
    };
    let limits = || Rlimit {
        current: soft,
        maximum: hard,
    };
    retry(|| prlimit(pid, resource, limits()))
        .map(drop)
        .called("prlimit", args)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{self, Cloned, Ended, ForkTurn};

    #[test]
    fn limits_are_set_by_number() {
        let turn = ForkTurn::take();
        let Cloned::Parent { pid, .. } = turn.fork().unwrap() else {
            const CORE: u32 = 4;
            let set = set(None, CORE, Some(0), Some(4096));
            let found = rustix::process::getrlimit(Resource::Core);
            let right = set.is_ok() && (found.current, found.maximum) == (Some(0), Some(4096));
            process::exit_now(i32::from(!right))
        };
        assert_eq!(process::wait_pid(pid).unwrap(), Ended::Exited(0));
        assert!(set(None, 16, None, None).unwrap_err().is(Errno::INVAL));
        assert!(set(Some(0), 4, None, None).unwrap_err().is(Errno::INVAL));
    }
}
