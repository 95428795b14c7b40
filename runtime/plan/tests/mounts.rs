//! Mounts, decided without a kernel: options of the rootfs, entries, what is refused before anything
//! is made, what /sys/fs/cgroup becomes.
#![forbid(unsafe_code)]

mod sample;

use lxc_config::{Config, Propagation};
use lxc_plan::{
    CgroupView, HierarchyFact, HostFacts, RootfsFact, StartPlan, StartRequest, Step, mount_sources,
};
use rstest::rstest;
use sample::config;

const ROOTFS: &str = "lxc.rootfs.path = /c/demo/rootfs\n";

fn hierarchy(unified: bool, name: &str) -> HierarchyFact {
    HierarchyFact {
        unified,
        controllers: vec![name.to_owned()],
        mount: format!("/sys/fs/cgroup/{name}"),
        base: String::new(),
    }
}

fn host(layout: &str) -> HostFacts {
    HostFacts {
        cgroups: match layout {
            "v1" => vec![hierarchy(false, "memory")],
            "hybrid" => vec![hierarchy(false, "memory"), hierarchy(true, "unified")],
            "v2" => vec![hierarchy(true, "memory")],
            _ => Vec::new(),
        },
        cgroup_namespace: true,
        rootfs: RootfsFact::Directory,
        mount_point_exists: true,
        last_capability: 40,
        ..HostFacts::default()
    }
}

fn plan(text: &str, facts: &HostFacts) -> Result<StartPlan, String> {
    let request = StartRequest {
        name: "demo".into(),
        lxcpath: "/c".into(),
        default_mount_point: Some("/p/rootfs".into()),
        argv: vec!["/bin/x".into()],
        ..StartRequest::default()
    };
    lxc_plan::start(config(text).values(), facts, &request).map_err(|refusal| refusal.to_string())
}

fn names(plan: &StartPlan) -> Vec<&'static str> {
    plan.steps
        .iter()
        .map(|planned| planned.step.name())
        .collect()
}

#[rstest]
#[case("", 0, 0, None)]
#[case("ro", 1, 0, None)]
#[case("ro,noatime,rslave", 0x11, 0x70, Some((Propagation::Slave, true)))]
#[case("nosuid,nodev,private", 6, 0, Some((Propagation::Private, false)))]
// The switch of the root makes all of it shared.
#[case("rshared", 0, 0, None)]
// LXC takes these words, and a rootfs is bound with everything below it in any case.
#[case("bind,sync,defaults", 0, 0, None)]
fn words_for_the_rootfs(
    #[case] words: &str,
    #[case] set: u64,
    #[case] clear: u64,
    #[case] propagation: Option<(Propagation, bool)>,
) {
    let text = format!("{ROOTFS}lxc.rootfs.options = {words}\n");
    let plan = plan(&text, &host("v2")).expect("a plan");
    let found = plan.steps.iter().find_map(|planned| match &planned.step {
        Step::MountRootfs { options, .. } => Some((options, planned.step.to_string())),
        _ => None,
    });
    let (options, said) = found.expect("a rootfs");
    assert_eq!((options.set, options.clear), (set, clear));
    assert_eq!(options.propagation, propagation);
    let words = if words.is_empty() {
        String::new()
    } else {
        format!(" ({words})")
    };
    assert_eq!(
        said,
        format!("mount the rootfs /c/demo/rootfs on /p/rootfs{words}")
    );
}

#[rstest]
#[case(
    "lxc.rootfs.options = ro,size=1m,huge",
    "size=1m,huge cannot be an option of it"
)]
#[case("lxc.rootfs.options = move", "leave out the word move")]
#[case("lxc.mount.entry = /a b none bind,move", "moved and bound at once")]
#[case("lxc.mount.entry = /a b none rw", "has no filesystem type")]
#[case(
    "lxc.mount.entry = /gone b none rbind,ro",
    "/gone does not exist on the host"
)]
#[case(
    "lxc.mount.entry = /gone b none move",
    "/gone does not exist on the host"
)]
#[case("lxc.mount.auto = shmounts:/gone", "/gone does not exist on the host")]
#[case("lxc.mount.auto = shmounts:shared", "shared is no absolute path")]
#[case("lxc.tty.dir = a/b", "is no directory directly below /dev")]
fn what_can_never_work_is_refused(#[case] line: &str, #[case] want: &str) {
    let facts = HostFacts {
        missing_sources: vec!["/gone".into()],
        ..host("v2")
    };
    let refusal = plan(&format!("{ROOTFS}{line}\n"), &facts).expect_err("a refusal");
    assert!(refusal.contains(want), "{refusal}");
    let key = line.split(' ').next().expect("a key");
    assert!(refusal.contains(key), "no key: {refusal}");
    if !key.ends_with("auto") && !key.ends_with("dir") {
        assert!(refusal.contains("demo/config:2"), "no place: {refusal}");
    }
}

#[rstest]
#[case("/gone b none bind,optional 0 0")]
#[case("/gone b none optional 0 0")]
#[case("/gone b tmpfs size=1m 0 0")]
fn what_may_fail_or_needs_no_source_is_planned(#[case] entry: &str) {
    let facts = HostFacts {
        missing_sources: vec!["/gone".into()],
        ..host("v2")
    };
    let text = format!("{ROOTFS}lxc.mount.entry = {entry}\n");
    let plan = plan(&text, &facts).expect("a plan");
    assert!(names(&plan).contains(&"mount-entry"));
}

#[test]
fn data_for_a_copied_mount_is_warned_of() {
    let text = format!("{ROOTFS}lxc.mount.entry = /a b none bind,size=1m,uid=5 0 0\n");
    let plan = plan(&text, &host("v2")).expect("a plan");
    let warning = "size=1m,uid=5 has no effect on what is mounted already";
    assert!(
        plan.warnings.iter().any(|it| it.contains(warning)),
        "{:?}",
        plan.warnings
    );
}

/// Lines of a file are refused with the file's name and their number.
#[rstest]
#[case("/a b none bind 0 0\n\n/c\n", "/f:3: /c: too few fields")]
#[case("# x\n/my data mnt none bind 0 0\n", "/f:2")]
#[case("/gone b none bind\n", "/f:1")]
fn lines_of_fstab_are_named(#[case] fstab: &str, #[case] want: &str) {
    let facts = HostFacts {
        missing_sources: vec!["/gone".into()],
        fstab: Some(Ok(fstab.into())),
        ..host("v2")
    };
    let refusal = plan(&format!("{ROOTFS}lxc.mount.fstab = /f\n"), &facts).expect_err("a refusal");
    assert!(refusal.contains(want), "{refusal}");
}

/// Asked about is what exists now or never; what a later act may create is left to that moment.
#[rstest]
#[case("lxc.mount.entry = /a b none bind", &["/a"])]
#[case("lxc.mount.entry = /a b none move", &["/a"])]
#[case("lxc.mount.entry = /a b none rbind,optional", &[])]
#[case("lxc.mount.entry = /a b none bind,relative", &[])]
#[case("lxc.mount.entry = /a b tmpfs", &[])]
#[case("lxc.mount.entry = /c/demo/rootfs/made b none bind", &[])]
#[case("lxc.mount.entry = /p/rootfs/made b none bind", &[])]
#[case("lxc.mount.entry = /c/demo/rootfs2 b none bind", &["/c/demo/rootfs2"])]
#[case("lxc.mount.entry = /a b none bind\nlxc.hook.pre-mount = /make/it", &[])]
#[case("lxc.mount.entry = /a b none bind\nlxc.hook.mount = /too/late", &["/a"])]
#[case("lxc.mount.auto = shmounts:/s", &["/s"])]
fn sources_that_are_asked_about(#[case] text: &str, #[case] want: &[&str]) {
    let config = config(&format!("{ROOTFS}{text}\n"));
    let found = mount_sources(config.values(), None, Some("/p/rootfs"));
    assert_eq!(found, want);
    let without_rootfs = Config::new();
    assert!(mount_sources(without_rootfs.values(), Some("/a b none bind"), None).is_empty());
}

#[test]
fn sources_of_fstab_are_asked_about_as_well() {
    let config = config(ROOTFS);
    let fstab = "/a b none bind\nbroken\n/c d none rbind,ro\n";
    assert_eq!(
        mount_sources(config.values(), Some(fstab), None),
        ["/a", "/c"]
    );
}

/// The directory is bound with the entries and cut off from the host only after the switch, which
/// makes every mount a peer.
#[test]
fn shared_mounts_arrive_after_the_switch() {
    let text = format!("{ROOTFS}lxc.mount.auto = shmounts:/srv/shared\n");
    let plan = plan(&text, &host("v2")).expect("a plan");
    let of_interest = ["mount-dev", "mount-entry", "switch-root", "receive-mounts"];
    let mut names = names(&plan);
    names.retain(|name| of_interest.contains(name));
    assert_eq!(names, of_interest);
    let said = plan.to_string();
    assert!(
        said.contains("mount /srv/shared on /dev/.lxc-mounts"),
        "{said}"
    );
    assert!(
        said.contains("let mounts of the host arrive below /dev/.lxc-mounts"),
        "{said}"
    );
}

/// Whether the guest has a cgroup namespace; layout; the words; what becomes of them.
#[rstest]
#[case(true, "hybrid", "cgroup:mixed", Ok("none"))]
#[case(true, "hybrid", "cgroup:rw:force", Ok("fresh rw"))]
#[case(true, "hybrid", "cgroup-full:ro:force", Ok("fresh ro"))]
#[case(true, "hybrid", "cgroup2:ro", Ok("v2 ro"))]
#[case(true, "v1", "cgroup2", Err("this host has none"))]
#[case(true, "v2", "cgroup:mixed", Ok("v2 rw"))]
#[case(true, "v2", "cgroup:ro", Ok("v2 ro"))]
#[case(true, "none", "cgroup:rw:force", Ok("none"))]
#[case(false, "hybrid", "cgroup:rw", Ok("bound rw below rw"))]
#[case(false, "hybrid", "cgroup:mixed", Ok("bound rw below ro"))]
#[case(false, "v1", "cgroup:ro", Ok("bound ro below ro"))]
#[case(false, "v1", "cgroup", Ok("bound rw below rw"))]
#[case(false, "hybrid", "cgroup-full:mixed", Ok("copied rw"))]
#[case(false, "hybrid", "cgroup-full:ro", Ok("copied ro"))]
#[case(false, "hybrid", "cgroup2", Err("a cgroup namespace of its own"))]
#[case(false, "v2", "cgroup:ro", Err("a cgroup namespace of its own"))]
#[case(false, "none", "cgroup:ro", Ok("none"))]
fn views_of_cgroups(
    #[case] namespace: bool,
    #[case] layout: &str,
    #[case] words: &str,
    #[case] want: Result<&str, &str>,
) {
    let facts = HostFacts {
        cgroup_namespace: namespace,
        ..host(layout)
    };
    let access = |read_only: bool| if read_only { "ro" } else { "rw" };
    let found = plan(&format!("{ROOTFS}lxc.mount.auto = {words}\n"), &facts).map(|plan| {
        let view = plan.steps.iter().find_map(|planned| match &planned.step {
            Step::MountCgroups(view) => Some(view.clone()),
            _ => None,
        });
        match view {
            None => "none".to_owned(),
            Some(CgroupView::Unified { read_only }) => format!("v2 {}", access(read_only)),
            Some(CgroupView::Legacy { read_only, mounts }) => {
                assert_eq!(mounts.len(), facts.cgroups.len());
                let copies = mounts.iter().filter(|one| one.copy_of.is_some()).count();
                assert!([0, mounts.len()].contains(&copies));
                let how = if copies > 0 { "copied" } else { "fresh" };
                format!("{how} {}", access(read_only))
            }
            Some(CgroupView::Bound {
                above_read_only,
                read_only,
            }) => format!(
                "bound {} below {}",
                access(read_only),
                access(above_read_only)
            ),
        }
    });
    match (found, want) {
        (Ok(found), Ok(want)) => assert_eq!(found, want),
        (Err(refusal), Err(want)) => assert!(refusal.contains(want), "{refusal}"),
        (found, want) => panic!("{found:?} instead of {want:?}"),
    }
}

/// Without CAP_SYS_ADMIN nobody inside could mount them; unspecified access is then mixed.
#[test]
fn what_is_not_said_depends_on_the_capability_to_mount() {
    let facts = HostFacts {
        cgroup_namespace: false,
        ..host("v1")
    };
    let text = format!("{ROOTFS}lxc.mount.auto = cgroup\nlxc.cap.drop = sys_admin\n");
    let plan = plan(&text, &facts).expect("a plan");
    let mixed = CgroupView::Bound {
        above_read_only: true,
        read_only: false,
    };
    assert!(
        plan.steps
            .iter()
            .any(|it| it.step == Step::MountCgroups(mixed.clone()))
    );
}
