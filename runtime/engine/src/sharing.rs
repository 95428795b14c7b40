//! Namespaces of others that a container joins: found by pid, container or file, and checked to be
//! what they are taken for.

use crate::request::MonitorRequest;
use crate::wire::{Asked, Client};
use lxc_config::Values;
use lxc_kernel::process;
use lxc_kernel::{Errno, SysError, namespace, procfs};
use lxc_plan::{JoinedNamespace, Namespaces, SharedFact};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// How long another container's monitor may take to say who its init is. Two that share with each
/// other wait for each other when both start at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether what `lxc.namespace.share.*` name is there now.
pub fn facts(values: &Values, asked: &MonitorRequest) -> Vec<SharedFact> {
    let fact = |shared: &lxc_config::Located<lxc_config::SharedNamespace>| {
        let shared = &shared.value;
        let (name, namespace) = of(shared.namespace);
        let joined = JoinedNamespace {
            namespace,
            name,
            source: shared.source.clone(),
        };
        SharedFact {
            namespace,
            found: open(&joined, asked).map(drop),
        }
    };
    values.shared_namespaces.iter().map(fact).collect()
}

fn of(namespace: lxc_config::Namespace) -> (&'static str, Namespaces) {
    // Both are in LXC's order.
    let index = namespace as usize;
    Namespaces::ALL[index % Namespaces::ALL.len()]
}

/// Opens it, or says in a sentence why it cannot be had.
pub fn open(joined: &JoinedNamespace, asked: &MonitorRequest) -> Result<OwnedFd, String> {
    let JoinedNamespace { name, source, .. } = joined;
    if !source.is_empty() && source.bytes().all(|b| b.is_ascii_digit()) {
        let pid: i32 = source.parse().map_err(|_| format!("{source} is no pid"))?;
        return of_process(pid, name).map_err(|error| match error.errno {
            Errno::NOENT | Errno::SRCH => format!("there is no process {pid}"),
            _ => format!("the {name} namespace of process {pid} cannot be used: {error}"),
        });
    }
    if !source.starts_with('/') {
        if source.is_empty() || source.contains('/') {
            return Err(format!(
                "{source:?} is no pid, no container's name and no absolute path"
            ));
        }
        return of_container(&asked.lxcpath, source, name, asked);
    }
    let path = Path::new(source);
    if path.is_dir() {
        let (lxcpath, container) = match (path.parent(), path.file_name()) {
            (Some(lxcpath), Some(container)) => {
                (lxcpath.to_string_lossy(), container.to_string_lossy())
            }
            _ => return Err(format!("{source} is no container's directory")),
        };
        return of_container(&lxcpath, &container, name, asked);
    }
    of_file(path, joined)
}

fn of_file(path: &Path, joined: &JoinedNamespace) -> Result<OwnedFd, String> {
    let shown = path.display();
    let file = namespace::open(path).map_err(|error| match error.errno {
        Errno::NOENT => format!("{shown} does not exist"),
        Errno::INVAL => format!("{shown} is neither a namespace file nor a container's directory"),
        _ => format!("{shown} cannot be used as a namespace: {error}"),
    })?;
    let kind = namespace::kind(file.as_fd())
        .map_err(|error| format!("{shown} does not tell what namespace it is: {error}"))?;
    match kind == joined.namespace.0 {
        true => Ok(file),
        false => Err(format!(
            "{shown} is a {} namespace, not a {} namespace",
            Namespaces(kind),
            joined.name
        )),
    }
}

fn of_process(pid: i32, name: &str) -> Result<OwnedFd, SysError> {
    procfs::Proc::host()?.open_ns(pid, name)
}

/// Its init's. Whoever serves the container's address has shown who he is before he is believed.
fn of_container(
    lxcpath: &str,
    container: &str,
    name: &str,
    asked: &MonitorRequest,
) -> Result<OwnedFd, String> {
    // Its own monitor, which is asking, could not answer.
    if container == asked.name
        && lxcpath.trim_end_matches('/') == asked.lxcpath.trim_end_matches('/')
    {
        return Err(format!(
            "the container {container} cannot share its {name} namespace with itself"
        ));
    }
    let not_running = || format!("the container {container} in {lxcpath} is not running");
    let client = Client::new(lxcpath, container).with_timeout(Some(PATIENCE));
    let pid = match client.init_pid() {
        Ok(Asked::Answer(pid)) => pid,
        Ok(Asked::Stopped) => return Err(not_running()),
        Err(error) if error.errno() == Some(Errno::SRCH) => return Err(not_running()),
        Err(error) => return Err(error.to_string()),
    };
    let unusable = |error: SysError| match error.errno {
        Errno::NOENT | Errno::SRCH => not_running(),
        _ => format!("the {name} namespace of the container {container} cannot be used: {error}"),
    };
    let pidfd = match client.init_pidfd() {
        Ok(Asked::Answer(Some(pidfd))) => pidfd,
        Ok(Asked::Answer(None)) => process::pidfd_open(pid).map_err(unusable)?,
        Ok(Asked::Stopped) => return Err(not_running()),
        Err(error) => return Err(error.to_string()),
    };
    let same = procfs::pid_of(pidfd.as_fd()).is_ok_and(|found| found == pid);
    if !same {
        return Err(format!(
            "the monitor of {container} names pid {pid} and hands out another process"
        ));
    }
    let file = of_process(pid, name).map_err(unusable)?;
    // The pid is that of the pidfd only as long as the latter lives.
    process::pidfd_signal(pidfd.as_fd(), 0).map_err(unusable)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lxc_config::Namespace;

    #[test]
    fn both_tables_have_one_order() {
        for (kind, name) in [
            (Namespace::User, "user"),
            (Namespace::Mount, "mnt"),
            (Namespace::Pid, "pid"),
            (Namespace::Uts, "uts"),
            (Namespace::Ipc, "ipc"),
            (Namespace::Net, "net"),
            (Namespace::Cgroup, "cgroup"),
            (Namespace::Time, "time"),
        ] {
            assert_eq!(of(kind).0, name);
        }
    }
}
