//! Containers with id maps, created and destroyed by an ordinary user and by root.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::support::Side;
use crate::town::{ALICES, Town, Who};

/// A template that says who runs it on what, and leaves files of two owners and a mode.
const TELLS: &str = "#!/bin/sh
for word; do case $word in --path=*) path=${word#*=};; --rootfs=*) rootfs=${word#*=};; esac; done
id -u; cat /proc/self/uid_map; umask; echo \"args:\" \"$@\" | sed \"s|$path|PATH|g\"
stat -c '%u:%g %a %n' $path $path/config $rootfs | sed \"s|$path|PATH|\"
mkdir -m 700 $rootfs/closed && touch $rootfs/closed/file && chown -R 33:44 $rootfs/closed
echo 'lxc.tty.max = 3' >> $path/config
exit $CODE
";

/// Owner, group and permission bits.
fn owner(path: &Path) -> (u32, u32, u32) {
    let found = fs::symlink_metadata(path).expect("it is there");
    (found.uid(), found.gid(), found.mode() & 0o7777)
}

#[test]
fn a_user_creates_and_destroys_as_the_peer_does() {
    const TEST: &str = "a_user_creates_and_destroys_as_the_peer_does";
    let Some(town) = Town::with_tools(TEST) else {
        return;
    };
    let Some(_peer) = town.peer(TEST) else {
        return;
    };
    let template = town.lab.file("tells", 0o755, TELLS);
    let template = template.to_string_lossy();
    let alice = Who::Alice;
    let mut told = Vec::new();
    for (creator, destroyer) in [(Side::Ours, Side::Peer), (Side::Peer, Side::Ours)] {
        let words = [
            "CODE=0",
            &town.program(creator, "lxc-create"),
            "-n",
            "c1",
            "-t",
            &template,
            "--",
            "a",
            "b c",
        ];
        let words: Vec<&str> = ["env"].into_iter().chain(words).collect();
        told.push(town.call(alice, &words).run().exits(0).stdout);
        let own = town.container(alice, "c1");
        assert_eq!(owner(&own), (ALICES, alice.id(), 0o770), "{creator:?}");
        assert_eq!(owner(&own.join("config")), (alice.id(), alice.id(), 0o640));
        assert_eq!(owner(&own.join("rootfs")), (ALICES, alice.id(), 0o755));
        assert_eq!(
            owner(&own.join("rootfs/closed")),
            (ALICES + 33, ALICES + 44, 0o700)
        );
        assert!(!own.join("partial").exists());
        let text = fs::read_to_string(own.join("config")).expect("the test is root");
        assert!(
            text.contains("lxc.tty.max = 3") && text.contains("lxc.idmap = u 0"),
            "{text}"
        );
        for side in Side::BOTH {
            let call = town.tool(
                alice,
                side,
                "lxc-ls",
                &["-f", "-F", "NAME,STATE,UNPRIVILEGED"],
            );
            let lines = call.run().exits(0).stdout;
            assert!(lines.contains("c1   STOPPED true"), "{side:?}: {lines}");
            let call = town.tool(alice, side, "lxc-info", &["-n", "c1", "-s"]);
            call.run().exits(0).prints("State:          STOPPED\n");
        }
        town.tool(alice, destroyer, "lxc-destroy", &["-n", "c1"])
            .run()
            .exits(0);
        assert!(town.containers(alice).is_empty(), "{destroyer:?}");
    }
    assert_eq!(told[0], told[1], "what the template saw");
    for item in ["lxc.lxcpath", "lxc.default_config"] {
        let [ours, theirs] =
            Side::BOTH.map(|side| town.tool(alice, side, "lxc-config", &[item]).run().stdout);
        assert_eq!(ours, theirs);
    }
}

#[test]
fn a_user_fills_a_container_with_busybox() {
    const TEST: &str = "a_user_fills_a_container_with_busybox";
    let Some(town) = Town::with_tools(TEST) else {
        return;
    };
    let alice = Who::Alice;
    let create = ["-n", "c1", "-t", "busybox"];
    town.tool(alice, Side::Ours, "lxc-create", &create)
        .run()
        .exits(0);
    let rootfs = town.container(alice, "c1").join("rootfs");
    assert_eq!(owner(&rootfs.join("bin/busybox")), (ALICES, ALICES, 0o6755));
    assert_eq!(owner(&rootfs.join("tmp")), (ALICES, ALICES, 0o1777));
    town.tool(alice, Side::Ours, "lxc-destroy", &["-n", "c1"])
        .run()
        .exits(0);
    assert!(town.containers(alice).is_empty());
}

#[test]
fn what_cannot_be_created_leaves_nothing() {
    const TEST: &str = "what_cannot_be_created_leaves_nothing";
    let Some(town) = Town::with_tools(TEST) else {
        return;
    };
    let template = town.lab.file("tells", 0o755, TELLS);
    let template = template.to_string_lossy();
    let create = town.program(Side::Ours, "lxc-create");
    let words = |code| vec!["env", code, &create, "-n", "c1", "-t", &template];
    let failed = town.call(Who::Alice, &words("CODE=3")).run();
    failed.exits(1).complains("exit status 3");
    assert!(town.containers(Who::Alice).is_empty());

    let missing = town.call(Who::Bob, &words("CODE=0")).run().exits(1);
    missing
        .complains("no id maps")
        .complains("/etc/subuid grants bob no ids");
    assert!(!town.home(Who::Bob).join(".local").exists());
    // Bob takes alice's maps.
    let stolen = town.home(Who::Alice).join(".config/lxc/default.conf");
    let stolen = stolen.to_string_lossy();
    let call = town.tool(
        Who::Bob,
        Side::Ours,
        "lxc-create",
        &["-n", "c1", "-f", &stolen, "-t", "busybox"],
    );
    call.run()
        .exits(1)
        .complains("usermod --add-subuids 200000-265535 bob")
        .complains("default.conf:2");
    assert!(!town.home(Who::Bob).join(".local").exists());
}

/// Nothing in the namespace that a template runs in is root of the host; in the peer's one id is.
#[test]
fn a_template_of_roots_container_with_maps_is_not_root_of_the_host() {
    const TEST: &str = "a_template_of_roots_container_with_maps_is_not_root_of_the_host";
    let Some(town) = Town::new(TEST) else {
        return;
    };
    let lab = &town.lab;
    let template = lab.file("tells", 0o755, TELLS);
    let template = template.to_string_lossy();
    let maps =
        "lxc.net.0.type = empty\nlxc.idmap = u 0 300000 65536\nlxc.idmap = g 0 310000 65536\n";
    let config = lab.file("maps.conf", 0o644, maps);
    let config = config.to_string_lossy();
    let (name, before) = (lab.name("c1"), lab.census());
    let words = ["-n", &name, "-f", &config, "-t", &template];
    let said = lab
        .tool("lxc-create", &words)
        .env("CODE", "0")
        .run()
        .exits(0)
        .stdout;
    assert!(
        said.starts_with("0\n         0     300000      65536\n0022\n"),
        "{said}"
    );
    assert!(said.contains("--mapped-uid 0 --mapped-gid 0\n"), "{said}");
    let own = lab.directory(&name);
    assert_eq!(owner(&own), (300_000, 310_000, 0o770));
    assert_eq!(owner(&own.join("config")), (0, 0, 0o640));
    assert_eq!(owner(&own.join("rootfs")), (300_000, 310_000, 0o755));
    assert_eq!(owner(&own.join("rootfs/closed/file")).0, 300_033);
    lab.tool("lxc-destroy", &["-n", &name]).run().exits(0);
    lab.is_as(&before);
    // One that fails leaves nothing either.
    let failed = lab.tool("lxc-create", &words).env("CODE", "3").run();
    failed.exits(1).complains("exit status 3");
    lab.is_as(&before);
    // A directory above it that its root may not search is named.
    let closed = fs::Permissions::from_mode(0o700);
    fs::set_permissions(lab.lxcpath(), closed).expect("it is ours");
    let refused = lab
        .tool("lxc-create", &words)
        .env("CODE", "0")
        .run()
        .exits(1);
    let remedy = format!("setfacl -m u:300000:x {}'", lab.lxcpath().display());
    refused
        .prints("")
        .complains(&remedy)
        .complains("maps.conf:2");
    lab.is_as(&before);
}

/// What has the set-user-id bit inside is not for other users of the host to find.
#[test]
fn a_stranger_does_not_walk_into_a_container() {
    const TEST: &str = "a_stranger_does_not_walk_into_a_container";
    let Some(town) = Town::with_tools(TEST) else {
        return;
    };
    let roots = town.lab.busybox("c1", "");
    let alice = Who::Alice;
    let create = ["-n", "c1", "-t", "busybox"];
    let create = town.tool(alice, Side::Ours, "lxc-create", &create);
    create.run().exits(0);
    for directory in [town.lab.directory(&roots), town.container(alice, "c1")] {
        let program = directory.join("rootfs/bin/busybox");
        assert_eq!(owner(&program).2 & 0o4000, 0o4000, "{}", program.display());
        let program = program.to_string_lossy();
        for words in [
            &["stat", &program][..],
            &["sh", "-c", "exec \"$0\" id", &program],
            &["ls", &directory.to_string_lossy()],
        ] {
            let ran = town.call(Who::Bob, words).run();
            assert!(ran.code() != 0 && ran.stderr.contains("denied"), "{ran}");
        }
    }
    let destroy = town.tool(alice, Side::Ours, "lxc-destroy", &["-n", "c1"]);
    destroy.run().exits(0);
}

/// A directory that somebody else owns is not given away.
#[test]
fn a_directory_of_another_owner_is_not_taken() {
    const TEST: &str = "a_directory_of_another_owner_is_not_taken";
    let Some(town) = Town::new(TEST) else {
        return;
    };
    let lab = &town.lab;
    let maps = lab.file(
        "maps.conf",
        0o644,
        "lxc.idmap = u 0 300000 9\nlxc.idmap = g 0 300000 9\n",
    );
    let there = lab.files().join("there");
    fs::create_dir(&there).expect("it is ours");
    let (name, before) = (lab.name("c1"), lab.census());
    let words = [
        "-n",
        &name,
        "-f",
        &maps.to_string_lossy(),
        "-t",
        "busybox",
        "--dir",
        &there.to_string_lossy(),
    ];
    let refused = lab.tool("lxc-create", &words).run().exits(1);
    refused.complains("chown 300000:300000");
    assert_eq!(owner(&there).0, 0);
    lab.is_as(&before);
}

/// What a start needs and lacks is said before anything is made of it.
#[test]
fn a_start_without_what_its_maps_need_is_refused() {
    const TEST: &str = "a_start_without_what_its_maps_need_is_refused";
    let Some(town) = Town::with_tools(TEST) else {
        return;
    };
    let alice = Who::Alice;
    let create = ["-n", "c1", "-t", "busybox"];
    town.tool(alice, Side::Ours, "lxc-create", &create)
        .run()
        .exits(0);
    let start = town.program(Side::Ours, "lxc-start");
    let before = town.lab.census();
    let refused = |words: &[&str], said: &str| {
        let words: Vec<&str> = words
            .iter()
            .chain(&[start.as_str(), "-n", "c1"])
            .copied()
            .collect();
        let ran = town.call(alice, &words).run().exits(1);
        ran.complains(said).complains("(lxc.idmap, ");
        town.lab.is_as(&before);
    };
    refused(&["setpriv", "--no-new-privs"], "NoNewPrivileges=no");
    refused(&["env", "PATH=/nowhere"], "package uidmap");
    let home = town.home(alice);
    let remedy = format!("setfacl -m u:{ALICES}:x {}'", home.display());
    let mode = |bits| {
        let mode = fs::Permissions::from_mode(bits);
        fs::set_permissions(&home, mode).expect("the test is root");
    };
    mode(0o700);
    refused(&["env"], &remedy);
    mode(0o755);
    let config = town.container(alice, "c1").join("config");
    let text = fs::read_to_string(&config).expect("the test is root");
    fs::write(&config, text.replace("g 0 200000", "g 0 300000")).expect("the test is root");
    refused(&["env"], "usermod --add-subgids 300000-365535 alice");
}
