//! Where a program inside begins: in a directory of the container, whatever its starter has open, wherever
//! he stands, and whatever the guest has put there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use crate::OWNER;
use crate::scene::{MAPS, give_to_its_root};
use crate::support::{Call, Lab, Ran};

const IDLE: &str = "lxc.init.cmd = /bin/sleep 1000";

/// A directory is entered by its name inside, never by a descriptor that happens to be open.
#[test]
fn no_descriptor_is_a_directory_to_begin_in() {
    let Some(lab) = Lab::new(OWNER, "no_descriptor_is_a_directory_to_begin_in") else {
        return;
    };
    let name = lab.busybox("c1", IDLE);
    let before = lab.census();
    for number in 0..24 {
        let cwd = format!("lxc.init.cwd=/proc/self/fd/{number}");
        let ran = lab.tool("lxc-start", &["-n", &name, "-s", &cwd]).run();
        assert!(
            ran.code() == 1 && ran.stderr.contains("lxc.init.cwd"),
            "{ran}"
        );
        lab.is_as(&before);
    }
    lab.start(&name);
    for number in 0..24 {
        let script = format!("cd /proc/self/fd/{number} 2>/dev/null && pwd -P; true");
        let call = Call::new("sh").args([
            "-c",
            &format!(
                "cd / && exec {}/bin/lxc-attach -P {} -n {name} -- sh -c 'pwd -P; {script}'",
                lab.prefix().display(),
                lab.lxcpath().display()
            ),
        ]);
        let ran = call.within(Duration::from_secs(10)).run().exits(0);
        assert!(!ran.stdout.contains("unreachable"), "{ran}");
        // Nothing is open but the three streams, and those are no directories.
        assert_eq!(ran.stdout, "/\n", "{ran}");
    }
    lab.kill(&name);
}

/// Attaches from the directory `from`, with directories of the host open at 5 to 7, and looks around.
#[track_caller]
fn look_around(lab: &Lab, name: &str, from: &Path) -> Ran {
    let script = format!(
        "cd {} && exec 5<. 6</ 7</root {}/bin/lxc-attach -P {} -n {name} -- \
         sh -c 'pwd -P; stat -c %d:%i . /; ls -d ../etc/{name} 2>/dev/null; ls /proc/self/fd'",
        from.display(),
        lab.prefix().display(),
        lab.lxcpath().display(),
    );
    Call::new("sh").args(["-c", &script]).run().exits(0)
}

/// The directory of who attaches does not come along: not if the container has none of that name, and not
/// if what it has is a link to what was open on the way in.
#[test]
fn who_attaches_from_outside_begins_inside() {
    let Some(lab) = Lab::new(OWNER, "who_attaches_from_outside_begins_inside") else {
        return;
    };
    let outside = lab.files().join("outside");
    fs::create_dir(&outside).expect("it is ours");
    let mut links = vec!["/proc/1/cwd".to_owned(), "/proc/self/cwd".to_owned()];
    links.extend(["/proc/1/root", "/proc/self/root"].map(str::to_owned));
    links.extend((3..16).map(|number| format!("/proc/self/fd/{number}")));
    for (short, maps) in [("c1", ""), ("c2", MAPS)] {
        let name = lab.busybox(short, &format!("{IDLE}\n{maps}"));
        // What only its own root has, so that `/` is known to be that.
        let rootfs = lab.rootfs(&name);
        fs::write(rootfs.join("etc").join(&name), "").expect("the rootfs is ours");
        let within = rootfs.join(outside.strip_prefix("/").expect("it is absolute"));
        fs::create_dir_all(within.parent().expect("it has one")).expect("the rootfs is ours");
        if !maps.is_empty() {
            give_to_its_root(&lab, &name);
        }
        lab.start(&name);
        let in_the_root = |told: &Ran| {
            let lines: Vec<&str> = told.stdout.lines().collect();
            assert_eq!(lines[0], "/", "{told}");
            assert_eq!(lines[1], lines[2], "{told}");
            // 3 is the list itself.
            let rest = [
                format!("../etc/{name}"),
                "0".into(),
                "1".into(),
                "2".into(),
                "3".into(),
            ];
            assert_eq!(lines[3..], rest, "{told}");
        };
        in_the_root(&look_around(&lab, &name, &outside));
        for link in &links {
            symlink(link, &within).expect("the rootfs is ours");
            in_the_root(&look_around(&lab, &name, &outside));
            fs::remove_file(&within).expect("it is a link");
        }
        // With a directory of that name it is that one: the container's.
        fs::create_dir(&within).expect("the rootfs is ours");
        fs::write(within.join("inside"), "").expect("the rootfs is ours");
        let told = look_around(&lab, &name, &outside);
        let begun = told.stdout.lines().next().map(Path::new);
        assert_eq!(begun, Some(outside.as_path()), "{told}");
        assert!(!outside.join("inside").exists());
        lab.kill(&name);
    }
}
