//! Start plans, decided without a kernel: what each configuration becomes on each kind of host.
#![forbid(unsafe_code)]

mod sample;

use lxc_plan::{HierarchyFact, HostFacts, RootfsFact, Side, StartPlan, StartRequest, Step};
use rstest::rstest;
use sample::config;

const BUSYBOX: &str = "\
lxc.net.0.type = empty
lxc.rootfs.path = dir:/c/demo/rootfs
lxc.uts.name = demo
lxc.tty.max = 5
lxc.pty.max = 1
lxc.cap.drop = sys_module mac_admin mac_override sys_time
lxc.mount.auto = cgroup:mixed proc:mixed sys:ro
lxc.mount.entry = shm dev/shm tmpfs defaults,create=dir 0 0
lxc.mount.entry = /lib lib none ro,bind 0 0
";

const SYSTEM: &str = "\
lxc.rootfs.path = /c/demo/rootfs
lxc.pty.max = 1024
lxc.tty.max = 4
lxc.tty.dir = lxc
lxc.mount.auto = cgroup:mixed proc:mixed sys:mixed
lxc.mount.entry = /srv srv none rbind,ro,create=dir 0 0
lxc.cgroup.devices.deny = a
lxc.cgroup.devices.allow = c 1:3 rwm
lxc.cgroup.memory.memsw.limit_in_bytes = 2G
lxc.cgroup.memory.limit_in_bytes = 1G
lxc.cgroup2.devices.deny = a
lxc.cgroup2.devices.allow = c 1:3 rwm
lxc.cgroup2.pids.max = 100
lxc.net.1.type = veth
lxc.net.1.link = br0
lxc.net.1.flags = up
lxc.net.2.type = veth
lxc.net.2.name = lan
lxc.seccomp.profile = /etc/profile
lxc.no_new_privs = 1
lxc.arch = i686
lxc.hook.mount = /bin/m
lxc.hook.start-host = /bin/sh-host
lxc.hook.start = /bin/s
lxc.hook.pre-start = /bin/never-planned
";

fn hierarchy(unified: bool, controllers: &[&str], mount: &str) -> HierarchyFact {
    HierarchyFact {
        unified,
        controllers: controllers.iter().map(ToString::to_string).collect(),
        mount: mount.to_string(),
        base: String::new(),
    }
}

fn host(layout: &str) -> HostFacts {
    let memory = hierarchy(false, &["memory"], "/sys/fs/cgroup/memory");
    let devices = hierarchy(false, &["devices"], "/sys/fs/cgroup/devices");
    let unified = hierarchy(true, &["pids"], "/sys/fs/cgroup/unified");
    HostFacts {
        euid: 0,
        cgroups: match layout {
            "v1" => vec![memory, devices],
            "hybrid" => vec![memory, devices, unified],
            "v2" => vec![hierarchy(true, &["pids", "memory"], "/sys/fs/cgroup")],
            _ => Vec::new(),
        },
        cgroup_namespace: true,
        rootfs: RootfsFact::Directory,
        mount_point_exists: true,
        last_capability: 40,
        ..HostFacts::default()
    }
}

fn request() -> StartRequest {
    StartRequest {
        name: "demo".into(),
        lxcpath: "/c".into(),
        default_mount_point: Some("/p/rootfs".into()),
        ..StartRequest::default()
    }
}

fn plan(text: &str, facts: &HostFacts, request: &StartRequest) -> Result<StartPlan, String> {
    lxc_plan::start(config(text).values(), facts, request).map_err(|refusal| refusal.to_string())
}

#[rstest]
#[case("v1")]
#[case("hybrid")]
#[case("v2")]
#[case("none")]
fn plans_read_like_this(#[case] layout: &str) {
    let busybox = plan(BUSYBOX, &host(layout), &request()).expect("a plan");
    insta::assert_snapshot!(format!("busybox-{layout}"), busybox.to_string());
    let system = plan(SYSTEM, &host(layout), &request()).expect("a plan");
    insta::assert_snapshot!(format!("system-{layout}"), system.to_string());
}

/// Positions in the plan of the first steps with these names.
fn order(plan: &StartPlan, names: &[&str]) -> Vec<usize> {
    let position = |name: &&str| plan.steps.iter().position(|p| p.step.name() == *name);
    names
        .iter()
        .map(|name| position(name).unwrap_or_else(|| panic!("no step {name}")))
        .collect()
}

/// The order is what keeps a guest in: each pair would be a hole the other way round.
#[rstest]
#[case(&["limit-cgroup", "clone-guest"], "a guest is born within its limits")]
#[case(&["clone-guest", "enter-cgroup", "isolate-mounts"], "nothing is mounted on the host")]
#[case(&["isolate-mounts", "mount-rootfs", "mount-dev", "mount-proc", "mount-entry"], "in the rootfs")]
#[case(&["mount-entry", "populate-dev", "mount-devpts", "set-up-terminals"], "terminals last")]
#[case(&["switch-root", "set-personality", "no-new-privs", "load-seccomp"], "power goes from the outside in")]
#[case(&["populate-dev", "limit-device"], "making /dev needs mknod")]
#[case(&["load-seccomp", "exec"], "the program runs filtered")]
fn steps_keep_their_order(#[case] names: &[&str], #[case] why: &str) {
    let plan = plan(SYSTEM, &host("hybrid"), &request()).expect("a plan");
    let order = order(&plan, names);
    assert!(order.is_sorted(), "{why}: {names:?} are steps {order:?}");
}

#[test]
fn memory_comes_before_memory_and_swap() {
    let plan = plan(SYSTEM, &host("hybrid"), &request()).expect("a plan");
    let files: Vec<&str> = plan
        .steps
        .iter()
        .filter_map(|p| match &p.step {
            Step::LimitCgroup { file, .. } => Some(file.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        files,
        ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
    );
}

#[test]
fn hooks_before_facts_are_no_steps() {
    let plan = plan(SYSTEM, &host("hybrid"), &request()).expect("a plan");
    assert!(!plan.to_string().contains("never-planned"));
}

#[rstest]
#[case(
    "lxc.net.0.type = macvlan",
    "network type macvlan is not implemented yet"
)]
#[case("lxc.net.0.type = phys", "network type phys is not implemented yet")]
#[case(
    "lxc.rootfs.path = overlay:/l:/u",
    "storage of type overlay is not implemented yet"
)]
#[case(
    "lxc.net.0.type = veth\nlxc.net.0.ipv4.gateway = 10.0.0.1",
    "is not up"
)]
#[case(
    "lxc.net.0.type = veth\nlxc.net.0.flags = up\nlxc.net.0.ipv4.gateway = 10.0.0.1",
    "no address"
)]
#[case(
    "lxc.cgroup.nosuch.limit = 1",
    "the host has no cgroup controller 'nosuch'"
)]
#[case("lxc.rootfs.path = /c/demo/rootfs\nlxc.mount.auto = cgroup2:ro", "")]
fn refusals_name_the_line(#[case] text: &str, #[case] want: &str) {
    let text = format!("{text}\nlxc.init.cmd = /bin/x\n");
    match plan(&text, &host("hybrid"), &request()) {
        Err(refusal) if !want.is_empty() => {
            assert!(refusal.contains(want), "{refusal}");
            assert!(refusal.contains("demo/config:"), "no place: {refusal}");
        }
        Err(refusal) => panic!("refused: {refusal}"),
        Ok(plan) => assert!(want.is_empty(), "not refused: {plan}"),
    }
}

#[rstest]
#[case(RootfsFact::Missing, "the rootfs /c/demo/rootfs does not exist")]
#[case(RootfsFact::Other("block device".into()), "a rootfs in a block device")]
fn a_rootfs_that_is_no_directory_is_refused(#[case] rootfs: RootfsFact, #[case] want: &str) {
    let facts = HostFacts {
        rootfs,
        ..host("hybrid")
    };
    let refusal = plan(BUSYBOX, &facts, &request()).expect_err("a refusal");
    assert!(refusal.starts_with(want), "{refusal}");
}

/// A filter that cannot be stacked is not loaded, and that is said.
#[test]
fn a_confined_monitor_says_that_the_filter_is_left_out() {
    let facts = HostFacts {
        confined: true,
        ..host("hybrid")
    };
    let plan = plan(SYSTEM, &facts, &request()).expect("a plan");
    assert!(plan.steps.iter().all(|p| p.step.name() != "load-seccomp"));
    assert!(
        plan.warnings.iter().any(|w| w.contains("seccomp filter")),
        "{:?}",
        plan.warnings
    );
}

#[rstest]
#[case("lib", Some("lib"))]
#[case("./lib", Some("lib"))]
#[case("/c/demo/rootfs/lib", Some("lib"))]
#[case("/c/demo/rootfs", Some(""))]
#[case("/c/demo/rootfs2/lib", None)]
#[case("/etc", None)]
fn mount_targets_lie_in_the_rootfs(#[case] target: &str, #[case] want: Option<&str>) {
    let text = format!(
        "lxc.rootfs.path = /c/demo/rootfs\nlxc.mount.entry = /src {target} none bind 0 0\n"
    );
    let plan = plan(&text, &host("v2"), &request()).expect("a plan");
    let found = plan.steps.iter().find_map(|p| match &p.step {
        Step::Mount(mount) => Some(mount.target.as_str()),
        _ => None,
    });
    assert_eq!(found, want);
    assert_eq!(
        plan.warnings.is_empty(),
        want.is_some(),
        "{:?}",
        plan.warnings
    );
}

#[rstest]
#[case("", &[], false, Ok("/sbin/init"))]
#[case("lxc.init.cmd = /bin/x 'a b'", &[], false, Ok("/bin/x|a b"))]
#[case("lxc.init.cmd = /bin/x", &["/bin/y", "z"], false, Ok("/bin/y|z"))]
#[case("lxc.execute.cmd = /bin/e", &[], true, Ok("/bin/e"))]
#[case("lxc.init.cmd = /bin/x", &[], true, Err("there is no command to execute"))]
fn programs(
    #[case] text: &str,
    #[case] argv: &[&str],
    #[case] mini_init: bool,
    #[case] want: Result<&str, &str>,
) {
    let argv = argv.iter().map(ToString::to_string).collect();
    let request = StartRequest {
        argv,
        mini_init,
        ..request()
    };
    let found = plan(&format!("{BUSYBOX}{text}\n"), &host("v2"), &request);
    let program = found.map(|plan| match plan.steps.last().map(|p| &p.step) {
        Some(Step::Exec(program)) => program.argv.join("|"),
        other => panic!("the last step is {other:?}"),
    });
    match (program, want) {
        (Ok(found), Ok(want)) => assert_eq!(found, want),
        (Err(refusal), Err(want)) => assert!(refusal.starts_with(want), "{refusal}"),
        (found, want) => panic!("{found:?} instead of {want:?}"),
    }
}

/// Without a rootfs the host's root is used, and nothing of it is touched.
#[test]
fn a_container_without_a_rootfs_switches_nothing() {
    let facts = HostFacts {
        rootfs: RootfsFact::NotSet,
        ..host("hybrid")
    };
    let alone = plan("lxc.net.0.type = none\n", &facts, &request()).expect_err("the host's init");
    assert!(alone.contains("the host's own /sbin/init"), "{alone}");
    let request = StartRequest {
        argv: vec!["/bin/true".into()],
        ..request()
    };
    let plan = plan("lxc.net.0.type = none\n", &facts, &request).expect("a plan");
    let guest: Vec<&str> = plan
        .steps
        .iter()
        .filter(|p| p.side == Side::Guest)
        .map(|p| p.step.name())
        .collect();
    for absent in [
        "mount-rootfs",
        "mount-dev",
        "populate-dev",
        "switch-root",
        "link-dev",
    ] {
        assert!(!guest.contains(&absent), "{absent} in {guest:?}");
    }
    assert!(
        !plan.namespaces.to_string().contains("net"),
        "{}",
        plan.namespaces
    );
}
