//! What creating makes of a configuration, and what it refuses before anything is made.

#[path = "../../tools/tests/support/mod.rs"]
mod support;

mod scene;

use std::os::unix::fs::PermissionsExt;

use lxc_runtime::{CreateOptions, ErrorKind, StartOptions, Started, Template};
use scene::{Scene, must, refused};

/// A template that leaves a mark in the rootfs and in the configuration.
const MARKS: &str = "#!/bin/sh\nfor word; do case $word in --rootfs=*) r=${word#*=};; --path=*) p=${word#*=};; esac; done\n\
                     echo here > $r/mark && echo 'lxc.tty.max = 3' >> $p/config\n";
const FAILS: &str = "#!/bin/sh\nexit 3\n";

fn template(scene: &Scene, name: &str, text: &str) -> Template {
    let path = scene.file(name, 0o755, text);
    assert!(
        path.metadata()
            .is_ok_and(|m| m.permissions().mode() & 0o111 != 0)
    );
    Template::Path(path)
}

#[test]
fn a_defined_container_without_a_rootfs_is_created_from_its_configuration() {
    let Some(scene) =
        Scene::new("a_defined_container_without_a_rootfs_is_created_from_its_configuration")
    else {
        return;
    };
    let name = scene.defined("c1", "# mine\nlxc.uts.name = kept");
    let mut container = scene.open(&name);
    let before = scene.text(&name);
    let error = refused(container.create(&CreateOptions {
        template: Some(template(&scene, "lxc-fails", FAILS)),
        ..CreateOptions::default()
    }));
    assert!(error.to_string().contains("lxc-fails"), "{error}");
    assert_eq!(scene.text(&name), before, "what failed is taken back");
    assert!(!scene.rootfs(&name).exists());

    let marks = CreateOptions {
        template: Some(template(&scene, "lxc-marks", MARKS)),
        ..CreateOptions::default()
    };
    must(container.create(&marks));
    assert!(scene.rootfs(&name).join("mark").exists());
    let item = |key| must(container.config_item(key));
    assert_eq!(item("lxc.uts.name").as_deref(), Some("kept"));
    assert_eq!(item("lxc.tty.max").as_deref(), Some("3"));
    // Once more: now there is a rootfs.
    let error = refused(container.create(&marks));
    assert_eq!(error.kind(), ErrorKind::Exists);
    // Without a template it is only saved.
    must(container.set_config_item("lxc.pty.max", "9"));
    must(container.create(&CreateOptions::default()));
    assert!(scene.text(&name).contains("lxc.pty.max = 9"));
    assert!(
        scene.lock_directory().metadata().is_err(),
        "the mark is its lock"
    );
}

#[test]
fn what_would_make_another_rootfs_is_refused_before_anything_is_made() {
    let Some(scene) =
        Scene::new("what_would_make_another_rootfs_is_refused_before_anything_is_made")
    else {
        return;
    };
    let missing = scene.files().join("missing");
    for (key, value, kind) in [
        (
            "lxc.idmap",
            "u 0 100000 65536".to_owned(),
            ErrorKind::BadConfig,
        ),
        (
            "lxc.rootfs.path",
            "overlay:/a:/b".to_owned(),
            ErrorKind::NotImplemented,
        ),
        (
            "lxc.rootfs.path",
            missing.display().to_string(),
            ErrorKind::BadConfig,
        ),
    ] {
        let mut container = scene.open(&scene.name("c1"));
        must(container.set_config_item(key, &value));
        let error = refused(container.create(&CreateOptions {
            template: Some(template(&scene, "lxc-marks", MARKS)),
            ..CreateOptions::default()
        }));
        assert_eq!(error.kind(), kind, "{key} = {value}: {error}");
        assert!(
            !container.directory().exists() && !missing.exists(),
            "{key} = {value}"
        );
        assert!(container.has_config(), "what was set stays set");
    }
    let mut container = scene.open(&scene.name("c1"));
    let error = refused(container.create(&CreateOptions {
        storage: Some("lvm"),
        ..CreateOptions::default()
    }));
    assert_eq!(error.kind(), ErrorKind::NotImplemented, "{error}");
    assert!(scene.census().is_empty(), "{}", scene.census());
}

/// As `error_num` of the C interface says it.
#[test]
fn the_end_of_a_foreground_container_is_told_as_lxc_does() {
    let Some(scene) = Scene::new("the_end_of_a_foreground_container_is_told_as_lxc_does") else {
        return;
    };
    let name = scene.busybox("c1", "");
    let before = scene.census();
    let container = scene.open(&name);
    for (mini_init, script, status) in [
        (true, "exit 7", 7 << 8),
        (true, "kill -9 $$", 137 << 8),
        (false, "exit 9", 9 << 8),
    ] {
        let ended = must(container.start(&StartOptions {
            argv: ["/bin/sh", "-c", script].map(String::from).to_vec(),
            mini_init,
            foreground: true,
            ..StartOptions::default()
        }));
        assert_eq!(ended, Started::Ended { status }, "{script}");
    }
    // Its monitor kills it, and is asked to by us.
    let sleeps = StartOptions {
        argv: vec!["/bin/sleep".into(), "1000".into()],
        foreground: true,
        ..StartOptions::default()
    };
    let ended = std::thread::scope(|scope| {
        let runs = scope.spawn(|| container.start(&sleeps));
        support::eventually("it runs", || {
            container
                .state()
                .is_ok_and(|state| state == lxc_runtime::State::Running)
        });
        must(container.stop());
        runs.join().expect("its own words stand above")
    });
    assert_eq!(
        must(ended),
        Started::Ended {
            status: 9 << 8 | 0x7f
        }
    );
    scene.is_as(&before);
}
