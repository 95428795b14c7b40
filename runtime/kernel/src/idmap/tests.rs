//! Maps as text, and children under maps that this process may write itself.

use super::*;
use crate::users;

fn user(inside: u32, outside: u32, count: u32) -> Range {
    let kind = Kind::User;
    Range {
        kind,
        inside,
        outside,
        count,
    }
}

fn group(inside: u32, outside: u32, count: u32) -> Range {
    Range {
        kind: Kind::Group,
        ..user(inside, outside, count)
    }
}

#[test]
fn a_map_is_a_line_for_each_range() {
    let ranges = [user(0, 100_000, 65536), group(0, 5, 1), user(70_000, 7, 2)];
    assert_eq!(text(&ranges, Kind::User), "0 100000 65536\n70000 7 2\n");
    assert_eq!(text(&ranges, Kind::Group), "0 5 1\n");
    for (kind, inside, found) in [
        (Kind::User, 0, Some(100_000)),
        (Kind::User, 65535, Some(165_535)),
        (Kind::User, 65536, None),
        (Kind::User, 70_001, Some(8)),
        (Kind::Group, 0, Some(5)),
        (Kind::Group, 1, None),
    ] {
        assert_eq!(outside(&ranges, kind, inside), found, "{kind:?} {inside}");
    }
}

#[test]
fn lines_of_proc_are_read() {
    let line = "         0     100000      65536";
    assert_eq!(parse(Kind::User, line), Some(user(0, 100_000, 65536)));
    for bad in ["", "0 1", "0 1 x", "-1 0 1"] {
        assert_eq!(parse(Kind::User, bad), None, "{bad:?}");
    }
    let own = read(std::process::id() as i32).unwrap();
    assert!(own.iter().any(|range| range.kind == Kind::Group));
}

/// A map that every user may write: the own ids only. Root maps a range of its own.
fn possible() -> Vec<Range> {
    match users::euid() {
        0 => vec![user(0, 100_000, 1000), group(0, 200_000, 1000)],
        uid => vec![user(0, uid, 1), group(0, users::egid(), 1)],
    }
}

#[test]
fn a_child_lives_under_its_map() {
    let ranges = possible();
    let ended = in_user_namespace(&ranges, &Writer::Direct, Some((0, 0)), || {
        let me = [users::ruid(), users::euid(), users::rgid(), users::egid()];
        let all = caps::effective().is_ok_and(|set| set.count_ones() > 30);
        match me == [0; 4] && all {
            true => 7,
            false => 1,
        }
    });
    assert_eq!(ended, Ok(Ended::Exited(7)));
    let child = start_in_user_namespace(&ranges, &Writer::Direct, None, || {
        std::thread::park();
        0
    });
    let child = child.unwrap();
    assert_eq!(read(child.pid).unwrap(), ranges);
    crate::process::pidfd_signal(std::os::fd::AsFd::as_fd(&child.pidfd), libc::SIGKILL).unwrap();
    let ended = crate::process::wait_pid(child.pid).unwrap();
    assert!(matches!(ended, Ended::Killed { signal: 9, .. }));
}

#[test]
fn a_panic_does_not_leave_the_child() {
    let ended = in_user_namespace(&possible(), &Writer::Direct, None, || panic!("expected"));
    assert_eq!(ended, Ok(Ended::Exited(101)));
}

#[test]
fn what_the_kernel_refuses_is_an_error_and_nothing_runs() {
    let run = |ranges: &[Range], ids| in_user_namespace(ranges, &Writer::Direct, ids, || 0);
    let twice = [user(0, 1, 10), user(5, 100, 10)];
    let Error::Sys(error) = run(&twice, None).unwrap_err() else {
        panic!("not a call");
    };
    assert_eq!(error.call, "write", "{error}");
    // An id that the map does not have.
    let Error::Sys(error) = run(&possible(), Some((5000, 0))).unwrap_err() else {
        panic!("not a call");
    };
    assert_eq!((error.call, error.errno), ("setresuid", Errno::INVAL));
    assert!(error.args.contains("5000"), "{error}");
}

/// What comes of `program` in place of newuidmap and newgidmap.
fn with_tool(program: &str) -> Error {
    let path = Path::new(program);
    let how = Writer::Tools {
        newuidmap: path,
        newgidmap: path,
    };
    let ranges = [user(0, 100_000, 10), user(10, 200_000, 5)];
    in_user_namespace(&ranges, &how, None, || 3).unwrap_err()
}

#[test]
fn a_tool_gets_the_map_as_arguments_and_is_not_believed() {
    // cat complains of each argument, for no file is called that.
    let refused = with_tool("/bin/cat");
    let Error::Tool {
        ended, said, args, ..
    } = &refused
    else {
        panic!("{refused}");
    };
    assert_eq!(*ended, Some(Ended::Exited(1)));
    assert_eq!(args[1..].join(" "), "0 100000 10 10 200000 5");
    let complaints: Vec<String> = said
        .split("; ")
        .filter_map(|it| Some(it.split(": ").nth(1)?.to_owned()))
        .collect();
    assert_eq!(complaints, *args, "{said}");
    let lie = with_tool("/bin/true");
    assert!(matches!(lie, Error::Different { .. }), "{lie}");
    let Error::Sys(missing) = with_tool("/nowhere/newuidmap") else {
        panic!("not a call");
    };
    assert!(missing.is(Errno::NOENT), "{missing}");
}
