//! How processes are born, where, and how they end.

use super::{Verdict, filtered, in_clone, needs_root, plain};
use lxc_kernel::process::{self, CloneSpec, Cloned, Ended, Reaped};
use lxc_kernel::{cgroup, fd};
use std::os::fd::AsFd;

pub fn a_clone_exits_and_is_reaped() -> Verdict {
    assert_eq!(in_clone(&plain(), || 42), Ended::Exited(42));
    let Cloned::Parent { pid, pidfd } = process::clone_process(&plain()).unwrap() else {
        loop {
            std::thread::park();
        }
    };
    assert_eq!(process::wait_pidfd(pidfd.as_fd(), false).unwrap(), None);
    assert_eq!(process::reap_any().unwrap(), Reaped::NoneYet);
    process::pidfd_signal(pidfd.as_fd(), libc::SIGRTMIN() + 3).unwrap();
    let signal = libc::SIGRTMIN() + 3;
    let killed = Ended::Killed {
        signal,
        core: false,
    };
    assert_eq!(process::wait_pid(pid).unwrap(), killed);
    assert_eq!(process::reap_any().unwrap(), Reaped::Childless);
    let gone = process::wait_pidfd(pidfd.as_fd(), true).unwrap_err();
    assert!(gone.is(lxc_kernel::Errno::CHILD), "{gone}");

    let Cloned::Parent { pid, pidfd } = process::clone_process(&plain()).unwrap() else {
        process::exit_now(7)
    };
    let read = lxc_kernel::events::Interest::READ;
    assert!(lxc_kernel::events::poll_one(pidfd.as_fd(), read, None).unwrap());
    assert_eq!(
        process::reap_any().unwrap(),
        Reaped::Child(pid, Ended::Exited(7))
    );
    Ok(())
}

/// A child that left the caller's process group is reaped all the same.
pub fn a_child_in_its_own_session_is_reaped() -> Verdict {
    let Cloned::Parent { pid, pidfd } = process::clone_process(&plain()).unwrap() else {
        let _ = process::setsid();
        process::exit_now(5)
    };
    let read = lxc_kernel::events::Interest::READ;
    assert!(lxc_kernel::events::poll_one(pidfd.as_fd(), read, None).unwrap());
    let reaped = process::reap_any().unwrap();
    assert_eq!(reaped, Reaped::Child(pid, Ended::Exited(5)));
    Ok(())
}

pub fn a_clone_has_memory_of_its_own() -> Verdict {
    let mut value = 1;
    let (ours, theirs) = fd::pair().unwrap();
    let ended = in_clone(&plain(), || {
        value = 2;
        fd::write_all(theirs.as_fd(), &[value]).unwrap();
        0
    });
    assert_eq!(ended, Ended::Exited(0));
    let mut buffer = [0; 1];
    lxc_kernel::socket::receive(ours.as_fd(), &mut buffer, 0).unwrap();
    assert_eq!((value, buffer), (1, [2]));
    Ok(())
}

pub fn a_clone_is_pid_1_of_its_namespace() -> Verdict {
    needs_root()?;
    let spec = CloneSpec {
        namespaces: (libc::CLONE_NEWPID | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC) as u64,
        ..plain()
    };
    let before = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let ended = in_clone(&spec, || {
        process::set_hostname("inside").unwrap();
        i32::from(std::process::id() != 1)
    });
    assert_eq!(ended, Ended::Exited(0));
    let after = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(before, after);
    Ok(())
}

pub fn threads_are_noticed() -> Verdict {
    if !cfg!(debug_assertions) {
        return Err("only debug builds look".to_owned());
    }
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || stopped.recv());
    let error = process::clone_process(&plain()).unwrap_err();
    assert!(error.is(lxc_kernel::Errno::DEADLK), "{error}");
    drop(stop);
    assert!(thread.join().unwrap().is_err());
    Ok(())
}

pub fn a_child_of_the_parent() -> Verdict {
    // The middle process makes a sibling of itself; we see both as our children.
    let ended = in_clone(&plain(), || {
        let spec = CloneSpec {
            exit_signal: 0,
            extra: libc::CLONE_PARENT as u64,
            ..plain()
        };
        match process::clone_process(&spec).unwrap() {
            Cloned::Child => process::exit_now(9),
            Cloned::Parent { .. } => 0,
        }
    });
    assert_eq!(ended, Ended::Exited(0));
    // Its exit signal is that of the middle process, so an ordinary wait finds it.
    let sibling = loop {
        if let Reaped::Child(_, ended) = process::reap_any().unwrap() {
            break ended;
        }
        std::thread::yield_now();
    };
    assert_eq!(sibling, Ended::Exited(9));
    Ok(())
}

fn my_cgroups() -> Vec<cgroup::Hierarchy> {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    cgroup::hierarchies(&text).unwrap()
}

/// The line of /proc/self/cgroup for a hierarchy ends like this after entering `name`.
fn stands_in(hierarchy: &cgroup::Hierarchy, name: &str) -> bool {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let controllers = match hierarchy.version {
        cgroup::Version::V1 => hierarchy.controllers.join(","),
        cgroup::Version::V2 => String::new(),
    };
    text.lines().any(|line| {
        line.split_once(':')
            .and_then(|(_, rest)| rest.strip_prefix(&controllers))
            .is_some_and(|rest| rest.starts_with(":/") && rest.ends_with(&format!("/{name}")))
    })
}

pub fn a_clone_is_born_in_its_cgroup() -> Verdict {
    needs_root()?;
    let unified = my_cgroups()
        .into_iter()
        .find(|it| it.version == cgroup::Version::V2)
        .ok_or("no cgroup2 is mounted")?;
    let base = cgroup::open(&unified.path()).unwrap();
    let name = format!("lxcrt-kernel-test-{}", std::process::id());
    let (dir, _) = cgroup::make(base.as_fd(), &name, true).unwrap();
    let spec = CloneSpec {
        into_cgroup: Some(dir.as_fd()),
        ..plain()
    };
    // Without clone3 it is refused: no child may be born elsewhere instead.
    if filtered() {
        let error = process::clone_process(&spec).unwrap_err();
        cgroup::remove(base.as_fd(), &name).unwrap();
        assert!(error.is(lxc_kernel::Errno::NOSYS), "{error}");
        return Ok(());
    }
    let ended = in_clone(&spec, || {
        let populated = cgroup::read_events_populated(dir.as_fd()).unwrap();
        let busy = cgroup::remove(base.as_fd(), &name).unwrap_err();
        let all = populated && stands_in(&unified, &name) && busy.is(lxc_kernel::Errno::BUSY);
        i32::from(!all)
    });
    cgroup::remove(base.as_fd(), &name).unwrap();
    assert_eq!(ended, Ended::Exited(0));
    Ok(())
}

pub fn cgroups_are_entered() -> Verdict {
    needs_root()?;
    let name = format!("lxcrt-kernel-test-{}", std::process::id());
    for hierarchy in my_cgroups() {
        // A new cpuset has no processors and takes nobody.
        if hierarchy.controllers.iter().any(|it| it == "cpuset") {
            continue;
        }
        let base = cgroup::open(&hierarchy.path()).unwrap();
        let (dir, _) = cgroup::make(base.as_fd(), &format!("{name}/in"), true).unwrap();
        let ended = in_clone(&plain(), || {
            match hierarchy.version {
                cgroup::Version::V1 => cgroup::enter_v1(dir.as_fd()).unwrap(),
                cgroup::Version::V2 => cgroup::enter_v2(dir.as_fd()).unwrap(),
            }
            i32::from(!stands_in(&hierarchy, &format!("{name}/in")))
        });
        cgroup::remove(base.as_fd(), &name).unwrap();
        assert_eq!(ended, Ended::Exited(0), "{hierarchy:?}");
    }
    Ok(())
}
