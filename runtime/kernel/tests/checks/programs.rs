//! What a process makes of itself, and the programs it becomes.

use super::{Verdict, in_clone, needs_root, plain, words};
use lxc_kernel::process::{self, Cloned, Ended};
use lxc_kernel::{caps, fd, file, pty, signals, users};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::time::Duration;

pub fn namespaces_are_entered_by_descriptor() -> Verdict {
    needs_root()?;
    let proc = lxc_kernel::procfs::Proc::host().unwrap();
    let me = std::process::id() as i32;
    let host = proc.open_ns(me, "uts").unwrap();
    process::unshare(libc::CLONE_NEWUTS as u64).unwrap();
    process::set_hostname("lxcrt-inside").unwrap();
    let name = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(name(), "lxcrt-inside\n");
    process::setns(host.as_fd(), libc::CLONE_NEWUTS as u64).unwrap();
    assert_ne!(name(), "lxcrt-inside\n");
    let error = process::setns(host.as_fd(), libc::CLONE_NEWNET as u64).unwrap_err();
    assert!(error.is(lxc_kernel::Errno::INVAL), "{error}");
    Ok(())
}

pub fn a_terminal_controls_a_session() -> Verdict {
    let pty = pty::open_host().unwrap();
    let ended = in_clone(&plain(), || {
        let session = process::setsid().unwrap();
        assert_eq!(session, std::process::id() as i32);
        pty::set_controlling(pty.peer.as_fd()).unwrap();
        i32::from(file::open_path(Path::new("/dev/tty")).is_err())
    });
    assert_eq!(ended, Ended::Exited(0));
    Ok(())
}

pub fn a_program_is_executed() -> Verdict {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    file::replace_file(&script, b"test \"$1\" = word && exit 5\n", 0o755).unwrap();
    let script = script.to_str().unwrap();
    for (argv, env, code) in [
        (vec!["sh", "-c", "exit 3"], vec!["PATH=/nowhere::/bin"], 3),
        (vec!["sh", "-c", "exit $X"], vec!["X=4"], 4),
        // No format that the kernel knows: the shell takes it.
        (vec![script, "word"], vec![], 5),
    ] {
        let ended = in_clone(&plain(), || {
            println!("  {}", process::exec(&words(&argv), &words(&env)));
            99
        });
        assert_eq!(ended, Ended::Exited(code), "{argv:?}");
    }
    Ok(())
}

pub fn a_program_is_spawned_with_nothing_else() -> Verdict {
    let shell = process::open_program(Path::new("/bin/sh")).unwrap();
    let (ours, theirs) = fd::pair().unwrap();
    let stray = fd::memfd_sealed("stray", b"").unwrap();
    fd::set_cloexec(stray.as_fd(), false).unwrap();
    let list = "cd /proc/self/fd; echo *; exit 8";
    let (pid, pidfd) = process::spawn(&process::SpawnSpec {
        program: shell.as_fd(),
        argv: words(&["sh", "-c", list]),
        env: vec![],
        fds: vec![(theirs.as_fd(), 1), (shell.as_fd(), 5)],
        new_session: true,
        close_from: Some(2),
        reset_signals: true,
    })
    .unwrap();
    assert!(pid > 0);
    let ended = process::wait_pidfd(pidfd.as_fd(), true).unwrap();
    assert_eq!(ended, Some(Ended::Exited(8)));
    let mut buffer = [0; 100];
    let said = lxc_kernel::socket::receive(ours.as_fd(), &mut buffer, 0).unwrap();
    // Standard input, output, what was asked for, and the directory being listed.
    assert_eq!(&buffer[..said.bytes], b"0 1 2 5\n");
    Ok(())
}

pub fn a_sealed_program_runs() -> Verdict {
    needs_root()?;
    // Of the host's own shell somebody may run a copy now: nobody may write to it then for that reason.
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("sh");
    std::fs::copy("/bin/sh", &copy).unwrap();
    let program = process::sealed_program(&copy, true).unwrap();
    let link = format!("/proc/self/fd/{}", program.as_raw_fd());
    // The mount refuses to be opened for writing, the memory copy to be written.
    let written = std::fs::OpenOptions::new()
        .write(true)
        .open(&link)
        .and_then(|mut file| std::io::Write::write(&mut file, b"x"));
    let errno = written.unwrap_err().raw_os_error();
    assert!(
        [Some(libc::EROFS), Some(libc::EPERM)].contains(&errno),
        "{errno:?}"
    );
    // What runs sees itself on the sealed file too.
    let look = "test -r /proc/$$/exe && ! (echo x >>/proc/$$/exe) 2>/dev/null && exit 6";
    let ended = in_clone(&plain(), || {
        let error = process::exec_fd(program.as_fd(), &words(&["sh", "-c", look]), &[]);
        println!("  {error}");
        99
    });
    assert_eq!(ended, Ended::Exited(6));

    // Without privilege it is the file itself.
    let shell = process::sealed_program(Path::new("/bin/sh"), false).unwrap();
    let named = std::fs::read_link(format!("/proc/self/fd/{}", shell.as_raw_fd())).unwrap();
    assert_eq!(named, Path::new("/bin/sh").canonicalize().unwrap());
    Ok(())
}

pub fn ids_are_given_up() -> Verdict {
    needs_root()?;
    let ended = in_clone(&plain(), || {
        process::set_groups(&[7, 8]).unwrap();
        process::set_ids(1234, 4321).unwrap();
        assert_eq!((users::ruid(), users::euid()), (1234, 1234));
        assert_eq!((users::rgid(), users::egid()), (4321, 4321));
        assert_eq!(caps::effective().unwrap(), 0);
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.unwrap()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(line("Groups:"), "7 8");
        assert_eq!(line("Uid:"), "1234 1234 1234 1234");
        i32::from(process::set_ids(0, 0).is_ok())
    });
    assert_eq!(ended, Ended::Exited(0));
    Ok(())
}

pub fn stdio_becomes_null_and_the_rest_closes() -> Verdict {
    let (ours, theirs) = fd::pair().unwrap();
    let theirs = fd::raise_above(theirs, 3).unwrap();
    let ended = in_clone(&plain(), || {
        fd::null_stdio().unwrap();
        fd::place_at(theirs.as_fd(), 3).unwrap();
        fd::close_from(4).unwrap();
        // Nothing may be dropped any more but what is still open.
        let count = std::fs::read_dir("/proc/self/fd").unwrap().count();
        let links: Vec<_> = (0..3)
            .map(|number| std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap())
            .collect();
        let null = links.iter().all(|link| link == Path::new("/dev/null"));
        // 0 to 3 and the directory being listed.
        process::exit_now(i32::from(count != 5 || !null))
    });
    assert_eq!(ended, Ended::Exited(0));
    drop(ours);
    Ok(())
}

pub fn child_signals_are_read() -> Verdict {
    let before = signals::block_all_but_fatal().unwrap();
    let arrived = signals::SignalFd::all_blocked().unwrap();
    let Cloned::Parent { pid, .. } = process::clone_process(&plain()).unwrap() else {
        process::exit_now(11)
    };
    let read = lxc_kernel::events::Interest::READ;
    let soon = Some(Duration::from_secs(10));
    assert!(lxc_kernel::events::poll_one(arrived.as_fd(), read, soon).unwrap());
    let info = arrived.read().unwrap().unwrap();
    assert_eq!(
        (info.signal, info.pid, info.status),
        (libc::SIGCHLD, pid, 11)
    );
    assert_eq!(info.code, libc::CLD_EXITED);
    assert_eq!(process::wait_pid(pid).unwrap(), Ended::Exited(11));
    signals::restore(&before).unwrap();
    signals::reset_handlers();
    Ok(())
}

pub fn process_attributes_are_set() -> Verdict {
    process::set_name("a name beyond fifteen").unwrap();
    let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
    assert_eq!(comm, "a name beyond f\n");
    process::set_parent_death_signal(libc::SIGKILL).unwrap();
    assert!(process::set_parent_death_signal(-1).is_err());
    process::set_dumpable(false).unwrap();
    process::set_dumpable(true).unwrap();
    process::set_no_new_privs().unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    process::set_child_subreaper(true).unwrap();
    process::set_umask(0o027);
    assert_eq!(process::set_umask(0o022), 0o027);
    process::set_personality(libc::ADDR_NO_RANDOMIZE as u64).unwrap();
    let persona = std::fs::read_to_string("/proc/self/personality").unwrap();
    assert_eq!(persona.trim(), "00040000");
    process::set_keyring_session().or_else(|error| match error.errno {
        lxc_kernel::Errno::NOSYS => Ok(()),
        _ => Err(error.to_string()),
    })?;
    process::chdir(Path::new("/usr")).unwrap();
    assert_eq!(process::getcwd().unwrap(), Path::new("/usr"));
    // PF_FORKNOEXEC: this process was forked and has executed nothing.
    let flags = lxc_kernel::procfs::stat_flags(std::process::id() as i32).unwrap();
    assert_eq!(flags & 0x44, 0x40);
    Ok(())
}
