//! Hooks run programs of the host: what the configuration of an image says about the environment, and
//! what a container is called, is never more than data to them.

use std::fs;

use crate::OWNER;
use crate::support::Lab;

/// A hook that writes what it was given to `file`.
#[track_caller]
fn recorder(lab: &Lab, file: &str) -> String {
    let out = lab.files().join(file);
    let script = format!(
        "#!/bin/sh\n{{ for word; do echo \"word:$word\"; done; env; cat /proc/self/maps; }} > {}\n",
        out.display()
    );
    lab.file(&format!("{file}.sh"), 0o755, &script)
        .display()
        .to_string()
}

fn recorded(lab: &Lab, file: &str) -> String {
    fs::read_to_string(lab.files().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Variables of a container that steer programs do not reach those that run with the host's files.
#[test]
fn the_containers_environment_does_not_steer_the_hosts_programs() {
    const TEST: &str = "the_containers_environment_does_not_steer_the_hosts_programs";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    // An image's library, and every variable by which a shell or the loader runs something.
    let library = lab.file("evil.so", 0o755, "not even a library");
    let names = [
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "LD_AUDIT",
        "GLIBC_TUNABLES",
        "PATH",
        "ENV",
        "BASH_ENV",
        "IFS",
        "SHELLOPTS",
        "PS4",
        "PYTHONPATH",
        "CDPATH",
        "GCONV_PATH",
    ];
    let mut lines = String::new();
    for name in names {
        lines += &format!("lxc.environment = {name}={}\n", library.display());
    }
    lines += "lxc.environment = HARMLESS=yes\n";
    let kinds = [
        "pre-start",
        "pre-mount",
        "mount",
        "autodev",
        "start-host",
        "stop",
        "post-stop",
    ];
    for kind in kinds {
        lines += &format!("lxc.hook.{kind} = {}\n", recorder(&lab, kind));
    }
    let name = lab.busybox("c1", &format!("{lines}lxc.init.cmd = /bin/sleep 1000"));
    let started = lab.tool("lxc-start", &["-n", &name]).run().exits(0);
    lab.kill(&name);
    let library = library.display().to_string();
    for kind in kinds {
        let told = recorded(&lab, kind);
        assert!(!told.contains(&library), "{kind}:\n{told}\n{started}");
        let inside = ["pre-mount", "mount", "autodev"].contains(&kind);
        assert_eq!(told.contains("HARMLESS=yes"), inside, "{kind}:\n{told}");
    }
}

/// A name is one word, whatever a shell would make of it; names that are none are refused.
#[test]
fn a_name_is_data_to_a_hook() {
    let Some(lab) = Lab::new(OWNER, "a_name_is_data_to_a_hook") else {
        return;
    };
    let template = lab.busybox("c1", "lxc.init.cmd = /bin/sleep 1000");
    let config = lab.directory(&template).join("config");
    let config = fs::read_to_string(config).expect("it has a configuration");
    let trap = lab.files().join("trap");
    let touch = "touch $TRAP";
    for (number, spice) in [
        format!("a;{touch}"),
        format!("$({touch})"),
        format!("`{touch}`"),
        "a b'c\"d".to_owned(),
        "*".to_owned(),
        "$HOME".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        // The laboratory finds what is its own by the beginning.
        let name = format!("{}{spice}", lab.tag());
        if name.contains('/') || name.len() > 255 {
            panic!("{name:?} says nothing");
        }
        let file = format!("args{number}");
        let hook = recorder(&lab, &file);
        fs::create_dir(lab.directory(&name)).expect("it is new");
        let lines = format!("{config}\nlxc.uts.name = plain\nlxc.hook.pre-start = {hook} own\n");
        fs::write(lab.directory(&name).join("config"), lines).expect("it is ours");
        let ran = lab.tool("lxc-start", &["-n", &name]);
        let ran = ran.env("TRAP", &trap.display().to_string()).run();
        assert!(!trap.exists(), "{name:?} was executed\n{ran}");
        if ran.code() == 0 {
            let told = recorded(&lab, &file);
            let words: Vec<_> = told
                .lines()
                .take_while(|line| line.starts_with("word:"))
                .collect();
            assert_eq!(
                words[..2],
                ["word:own".to_owned(), format!("word:{name}")],
                "{told}"
            );
            lab.tool("lxc-stop", &["-n", &name, "-k"]).run().exits(0);
        } else {
            assert!(ran.stderr.starts_with("lxc-start: "), "{ran}");
        }
        fs::remove_dir_all(lab.directory(&name)).expect("it is ours");
    }
    for bad in ["", ".", "..", "a/b", "a\nb", "-h"] {
        let ran = lab.tool("lxc-start", &["-n", bad]).run();
        assert!(
            ran.code() != 0 && !ran.stderr.contains("panicked"),
            "{bad:?}: {ran}"
        );
    }
}
