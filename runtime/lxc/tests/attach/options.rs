//! What can be asked of an attach, and what is refused.

use std::fs;
use std::io::{Read, pipe};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use lxc_runtime::{AttachOptions, Command, Container, Elevated};

use super::{fields, lab, must, read, running, told};

/// Each row holds for a function and for a program alike: what is asked for, and what the process
/// then finds in its status, environment, personality and directory.
#[test]
fn options_mean_the_same_for_functions_and_programs() {
    let Some(lab) = lab("options_mean_the_same_for_functions_and_programs") else {
        return;
    };
    let mut container = running(
        &lab,
        "lxc.environment = FROM=config\nlxc.cap.drop = sys_time",
    );
    must(container.set_config_item("lxc.environment.runtime", "RUN=time"));
    let path = std::env::var("PATH").expect("a test has a path");
    let plain = AttachOptions::default;
    let all = "status:CapBnd";
    let rows: Vec<(AttachOptions, &str, Option<&str>)> = vec![
        (plain(), "status:NoNewPrivs", Some("0")),
        (plain(), "env:FROM", Some("config")),
        (plain(), "env:RUN", Some("time")),
        (plain(), "env:container", Some("lxc")),
        (plain(), "env:PATH", Some(&path)),
        (plain(), "personality", Some("00000000")),
        (plain(), "status:Groups", Some("")),
        (
            AttachOptions {
                no_new_privs: true,
                ..plain()
            },
            "status:NoNewPrivs",
            Some("1"),
        ),
        (
            AttachOptions {
                groups: Some(vec![5, 77]),
                ..plain()
            },
            "status:Groups",
            Some("5 77"),
        ),
        (
            AttachOptions {
                uid: Some(1000),
                gid: Some(1001),
                ..plain()
            },
            "status:Uid",
            Some("1000\t1000\t1000\t1000"),
        ),
        (
            AttachOptions {
                uid: Some(1000),
                gid: Some(1001),
                ..plain()
            },
            "status:Gid",
            Some("1001\t1001\t1001\t1001"),
        ),
        (
            AttachOptions {
                uid: Some(1000),
                ..plain()
            },
            "status:CapEff",
            Some("0000000000000000"),
        ),
        (
            AttachOptions {
                personality: Some(8),
                ..plain()
            },
            "personality",
            Some("00000008"),
        ),
        (
            AttachOptions {
                arch: Some("i686".into()),
                ..plain()
            },
            "personality",
            Some("00000008"),
        ),
        (
            AttachOptions {
                arch: Some("i686".into()),
                personality: Some(0x0002_0000),
                ..plain()
            },
            "personality",
            Some("00020000"),
        ),
        (
            AttachOptions {
                cwd: Some("/etc".into()),
                ..plain()
            },
            "cwd",
            Some("/etc"),
        ),
        (
            AttachOptions {
                cwd: Some("/no/such".into()),
                ..plain()
            },
            "cwd",
            Some("/"),
        ),
        (
            AttachOptions {
                cwd: Some("/proc/self/fd/0".into()),
                ..plain()
            },
            "cwd",
            Some("/"),
        ),
        (
            AttachOptions {
                clear_env: true,
                ..plain()
            },
            "env:PATH",
            Some("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ),
        (
            AttachOptions {
                clear_env: true,
                set_vars: vec![("FROM".into(), "caller".into()), ("X".into(), "a=b".into())],
                ..plain()
            },
            "env:X",
            Some("a=b"),
        ),
        (
            AttachOptions {
                set_vars: vec![("FROM".into(), "caller".into())],
                ..plain()
            },
            "env:FROM",
            Some("caller"),
        ),
        (
            AttachOptions {
                context: Some("unconfined".into()),
                ..plain()
            },
            "cwd",
            Some("/"),
        ),
        (
            AttachOptions {
                elevated: Elevated {
                    caps: true,
                    ..Elevated::default()
                },
                ..plain()
            },
            all,
            None,
        ),
    ];
    let own = fields(&read("/proc/self/status"))["CapBnd"].clone();
    for (options, what, want) in rows {
        let want = if what == all { Some(&*own) } else { want };
        let (by_function, status) = told(&container, &options, || view(what));
        assert_eq!(
            (by_function.as_str(), status),
            (&*shown(want), 0),
            "function: {what} {options:?}"
        );
        let by_program = program_view(&container, &options, what);
        assert_eq!(by_program, shown(want), "program: {what} {options:?}");
    }
}

fn shown(value: Option<&str>) -> String {
    value.map_or_else(|| "(none)".to_owned(), str::to_owned)
}

/// What the calling process sees of itself.
fn view(what: &str) -> String {
    match what.split_once(':') {
        Some(("status", field)) => fields(&read("/proc/self/status"))[field].clone(),
        Some((_, variable)) => shown(std::env::var(variable).ok().as_deref()),
        None if what == "cwd" => shown(
            std::env::current_dir()
                .ok()
                .and_then(|d| d.into_os_string().into_string().ok())
                .as_deref(),
        ),
        None => read("/proc/self/personality").trim().to_owned(),
    }
}

/// The same, from a shell.
fn program_view(container: &Container, options: &AttachOptions, what: &str) -> String {
    // The shell's own view: programs that it starts inherit all of it.
    let script = match what.split_once(':') {
        Some(("status", field)) => format!(
            "while read name value; do [ \"$name\" = {field}: ] && printf %s \"$value\"; done < /proc/self/status; true"
        ),
        Some((_, variable)) => format!("printf %s \"${{{variable}-(none)}}\""),
        None if what == "cwd" => "printf %s \"$(pwd)\"".to_owned(),
        None => "printf %s $(cat /proc/self/personality)".to_owned(),
    };
    let (mut ours, theirs) = pipe().expect("a pipe can be made");
    let theirs = OwnedFd::from(theirs);
    let attached = must(container.attach(&AttachOptions {
        command: Command::Program(["/bin/sh", "-c", &script].map(String::from).to_vec()),
        streams: [None, Some(Arc::new(theirs)), None],
        ..options.clone()
    }));
    let mut text = String::new();
    ours.read_to_string(&mut text).expect("it writes text");
    assert_eq!(must(attached.wait()), 0, "{text}");
    text
}

#[test]
fn what_cannot_be_had_is_said_and_nothing_runs() {
    let Some(lab) = lab("what_cannot_be_had_is_said_and_nothing_runs") else {
        return;
    };
    let container = running(&lab, "");
    let before = lab.census();
    let ran = lab.files().join("ran");
    let plain = AttachOptions::default;
    for (options, word) in [
        (
            AttachOptions {
                context: Some("no_such_label".into()),
                ..plain()
            },
            "no_such_label",
        ),
        (
            AttachOptions {
                groups: Some(vec![u32::MAX]),
                ..plain()
            },
            "setgroups",
        ),
        (
            AttachOptions {
                uid: Some(u32::MAX),
                ..plain()
            },
            "setresuid",
        ),
        (
            AttachOptions {
                set_vars: vec![("A".into(), "a\0b".into())],
                ..plain()
            },
            "NUL",
        ),
        (
            AttachOptions {
                arch: Some("abacus".into()),
                ..plain()
            },
            "abacus",
        ),
    ] {
        let refused =
            container.attach_function(&options, || i32::from(fs::write(&ran, "").is_err()));
        let error = refused.map(|_| ()).expect_err(word);
        assert!(error.to_string().contains(word), "{error}");
    }
    assert!(!ran.exists());
    lab.is_as(&before);
}
