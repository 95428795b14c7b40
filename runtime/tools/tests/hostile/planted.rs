//! Links where a file of ours would be made: nothing is made, changed or locked behind them. And what of
//! the host's files is seen inside a guest that a template has filled.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::OWNER;
use crate::scene::Scene;
use crate::support::{Call, Lab};

/// A file that a tool makes or locks: where it is, who does that with which words, what is said if that
/// is a link. `FILES` is a directory of the test, `NAME` its container.
type Place = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static str,
);

const PLACES: &[Place] = &[
    (
        "LXCPATH/NAME/partial",
        "lxc-start",
        &["-n", "NAME"],
        "is still being created",
    ),
    (
        "FILES/log",
        "lxc-start",
        &["-n", "NAME", "-o", "FILES/log", "-l", "trace"],
        "cannot open the log",
    ),
    (
        "FILES/console",
        "lxc-start",
        &["-n", "NAME", "-s", "lxc.console.logfile=FILES/console"],
        "FILES/console",
    ),
    (
        "FILES/terminal",
        "lxc-attach",
        &["-n", "NAME", "-L", "FILES/terminal", "--", "/bin/true"],
        "cannot open FILES/terminal",
    ),
];

/// Links to a file that is there, to one that is not, and to a directory.
#[test]
fn nothing_is_made_or_locked_behind_a_planted_link() {
    let Some(scene) = Scene::new("nothing_is_made_or_locked_behind_a_planted_link") else {
        return;
    };
    scene.arrange("lxc.init.cmd = /bin/sleep 1000");
    let (lxcpath, files) = (scene.lab.lxcpath().display(), scene.lab.files());
    let filled = |text: &str| {
        let text = text.replace("LXCPATH", &lxcpath.to_string());
        let text = text.replace("FILES", &files.display().to_string());
        text.replace("NAME", &scene.name)
    };
    for (place, tool, words, said) in PLACES {
        let attaches = *tool == "lxc-attach";
        if attaches {
            scene.start().exits(0);
        }
        let place = PathBuf::from(filled(place));
        for behind in ["file", "missing", "sub"] {
            let target = Path::new(scene.sentinel()).join(behind);
            symlink(&target, &place).expect("root may");
            let words: Vec<String> = words.iter().map(|word| filled(word)).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let ran = scene.lab.tool(tool, &words).run();
            let told = format!("{} → {behind}\n{ran}", place.display());
            assert!(ran.code() != 0, "{told}");
            assert!(ran.stderr.contains(&filled(said)), "{told}");
            scene.host_is_untouched(&told);
            fs::remove_file(&place).expect("it is the link");
        }
        if attaches {
            scene.lab.kill(&scene.name);
        }
        scene.nothing_is_left();
    }
}

/// What is the host's among a template's mounts is there to be read.
#[test]
fn no_file_of_the_host_can_be_written_in_a_guest_of_the_template() {
    const TEST: &str = "no_file_of_the_host_can_be_written_in_a_guest_of_the_template";
    let Some(lab) = Lab::new(OWNER, TEST) else {
        return;
    };
    let name = lab.busybox("c1", "lxc.init.cmd = /bin/sleep 1000");
    lab.start(&name);
    // Mounts of files that are on no filesystem of the guest's own making, but for the root itself.
    let script =
        "grep -vE ' - (proc|sysfs|tmpfs|devpts|mqueue|cgroup2?|securityfs) ' /proc/self/mountinfo |
        while read id up dev root point rest; do [ $point = / ] || echo $root $point $rest; done";
    let found = lab.inside(&name, &["sh", "-c", script]).exits(0);
    let hosts: Vec<Vec<&str>> = found
        .stdout
        .lines()
        .map(|line| line.split(' ').collect())
        .collect();
    assert!(hosts.iter().any(|words| words[1] == "/lib"), "{found}");
    for words in hosts {
        let point = words[1];
        assert!(
            words[2].split(',').any(|option| option == "ro"),
            "{words:?}"
        );
        let write = format!("touch {point}/hostile-test 2>&1; echo > {point} 2>&1");
        let ran = lab.inside(&name, &["sh", "-c", &write]);
        assert!(
            ran.stdout.contains("Read-only file system"),
            "{point}\n{ran}"
        );
        let host = Path::new(words[0]).join("hostile-test");
        assert!(!host.exists(), "{}", host.display());
    }
    lab.kill(&name);
    // Nor is what the rootfs itself holds a second name of a file of the host's.
    let linked = Call::new("find")
        .arg(lab.rootfs(&name))
        .args(["-xdev", "-type", "f"]);
    let linked = linked.args(["-links", "+1", "-not", "-samefile"]);
    let busybox = lab.rootfs(&name).join("bin/busybox");
    linked.arg(busybox).run().exits(0).prints("");
}
