//! Namespaces, clocks, kernel parameters, limits: what each line becomes, and what is refused before
//! anything is made.
#![forbid(unsafe_code)]

mod sample;

use lxc_config::Config;
use lxc_plan::{
    HierarchyFact, HostFacts, KernelFacts, Namespaces, ProcessSettings, RootfsFact, SharedFact,
    Side, StartPlan, StartRequest, Step,
};
use rstest::rstest;
use sample::config;

fn host() -> HostFacts {
    HostFacts {
        euid: 0,
        cgroups: vec![HierarchyFact {
            unified: true,
            controllers: vec!["pids".into()],
            mount: "/sys/fs/cgroup".into(),
            base: String::new(),
        }],
        cgroup_namespace: true,
        rootfs: RootfsFact::Directory,
        mount_point_exists: true,
        last_capability: 40,
        kernel: KernelFacts {
            time_namespace: true,
            core_scheduling: true,
            missing: Vec::new(),
        },
        ..HostFacts::default()
    }
}

fn plan_on(text: &str, facts: &HostFacts) -> Result<StartPlan, String> {
    let request = StartRequest {
        name: "demo".into(),
        lxcpath: "/c".into(),
        argv: vec!["/bin/x".into()],
        ..StartRequest::default()
    };
    let config = config(text);
    lxc_plan::start(config.values(), facts, &request).map_err(|refusal| refusal.to_string())
}

fn plan(text: &str) -> Result<StartPlan, String> {
    plan_on(text, &host())
}

/// The namespaces a configuration gets, and of these the ones that the guest makes itself.
#[rstest]
#[case("", "mnt pid uts ipc net cgroup", "")]
#[case("lxc.net.0.type = none", "mnt pid uts ipc cgroup", "")]
#[case("lxc.namespace.clone = mnt pid", "mnt pid", "")]
#[case("lxc.namespace.clone = mnt pid time", "mnt pid time", "time")]
#[case("lxc.namespace.keep = net", "mnt pid uts ipc cgroup time", "time")]
#[case("lxc.namespace.keep = net user time", "mnt pid uts ipc cgroup", "")]
#[case(
    "lxc.namespace.keep = uts\nlxc.net.0.type = none",
    "mnt pid ipc cgroup time",
    "time"
)]
#[case("lxc.time.offset.boot = 1s", "mnt pid uts ipc net cgroup time", "time")]
#[case("lxc.namespace.share.net = 7", "mnt pid uts ipc cgroup", "")]
#[case(
    "lxc.namespace.keep = pid\nlxc.namespace.share.pid = c3",
    "mnt uts ipc net cgroup time",
    "time"
)]
fn namespaces(#[case] text: &str, #[case] own: &str, #[case] unshared: &str) {
    let plan = plan(text).expect("a plan");
    assert_eq!(plan.namespaces.to_string(), own, "{text}");
    assert_eq!(plan.unshared.to_string(), unshared, "{text}");
}

/// Where no kernel can have it nobody meant it by naming what is kept.
#[test]
fn what_the_kernel_lacks_is_not_in_a_list_of_what_is_kept() {
    let mut facts = host();
    facts.kernel.time_namespace = false;
    facts.cgroup_namespace = false;
    let plan = plan_on("lxc.namespace.keep = net", &facts).expect("a plan");
    assert_eq!(plan.namespaces.to_string(), "mnt pid uts ipc");
}

#[rstest]
#[case("lxc.namespace.clone = user mnt", "which ids are in it")]
#[case(
    "lxc.namespace.clone = net mnt\nlxc.net.0.type = none",
    "asks for the host's"
)]
#[case(
    "lxc.time.offset.boot = 1h\nlxc.namespace.keep = time",
    "not the container's own"
)]
#[case(
    "lxc.namespace.clone = mnt\nlxc.time.offset.monotonic = 1h",
    "not the container's own"
)]
#[case(
    "lxc.time.offset.boot = 1h\nlxc.namespace.share.time = c3",
    "not the container's own"
)]
#[case(
    "lxc.namespace.keep = mnt\nlxc.rootfs.path = /c/demo/rootfs",
    "the host's with lxc.rootfs.path"
)]
#[case(
    "lxc.namespace.share.mnt = c3\nlxc.mount.entry = /a b none bind 0 0",
    "those it shares with lxc.mount.entry"
)]
#[case(
    "lxc.namespace.keep = mnt\nlxc.hook.mount = /bin/x",
    "with lxc.hook.mount"
)]
#[case(
    "lxc.namespace.share.user = c3",
    "sharing a user namespace is not implemented yet"
)]
#[case("lxc.sysctl.kernel..x = 1", "is not the name of a file")]
#[case("lxc.sysctl.../x = 1", "is not the name of a file")]
#[case("lxc.sysctl.net/../x = 1", "is not the name of a file")]
#[case("lxc.proc.a/../../x = 1", "is not the name of a file")]
fn contradictions_name_the_line(#[case] text: &str, #[case] want: &str) {
    let refusal = plan(text).expect_err("a refusal");
    assert!(refusal.contains(want), "{refusal}");
    assert!(refusal.contains("demo/config:"), "no place: {refusal}");
}

#[rstest]
#[case(
    "lxc.sched.core = 1\nlxc.namespace.keep = pid",
    "needs a pid namespace"
)]
#[case(
    "lxc.namespace.keep = mnt\nlxc.mount.auto = proc",
    "with lxc.mount.auto"
)]
#[case("lxc.init.uid = 4294967295", "lxc.init.uid = 4294967295 is no id")]
#[case(
    "lxc.init.groups = 5,4294967295",
    "lxc.init.groups = 4294967295 is no id"
)]
fn contradictions_name_the_key(#[case] text: &str, #[case] want: &str) {
    let refusal = plan(text).expect_err("a refusal");
    assert!(refusal.contains(want), "{refusal}");
}

/// What a kernel lacks is a sentence, and nothing has been made by then.
#[rstest]
#[case("lxc.time.offset.boot = 1h", "this kernel has no time namespaces")]
#[case("lxc.namespace.clone = mnt time", "this kernel has no time namespaces")]
#[case("lxc.sched.core = 1", "this kernel does not support it")]
#[case(
    "lxc.sysctl.kernel.nosuch = 1",
    "this kernel has no parameter kernel.nosuch"
)]
#[case("lxc.proc.nosuch = 1", "this kernel has no file nosuch")]
fn what_the_kernel_lacks_is_refused(#[case] text: &str, #[case] want: &str) {
    let facts = HostFacts {
        kernel: KernelFacts {
            missing: vec!["sys/kernel/nosuch".into(), "self/nosuch".into()],
            ..KernelFacts::default()
        },
        ..host()
    };
    let refusal = plan_on(text, &facts).expect_err("a refusal");
    assert!(refusal.contains(want), "{refusal}");
}

#[test]
fn a_namespace_that_is_not_there_is_refused_where_it_is_asked_for() {
    let facts = HostFacts {
        shared: vec![SharedFact {
            namespace: Namespaces::NET,
            found: Err("the container c3 in /c is not running".into()),
        }],
        ..host()
    };
    let refusal = plan_on("lxc.namespace.share.net = c3", &facts).expect_err("a refusal");
    assert!(
        refusal.starts_with(
            "the container c3 in /c is not running (lxc.namespace.share.net, demo/config:1)"
        ),
        "{refusal}"
    );
}

fn words(plan: &StartPlan) -> Vec<String> {
    plan.steps
        .iter()
        .map(|planned| planned.step.to_string())
        .collect()
}

/// What is shared is joined in the order in which it can be, and what belongs to others is left alone.
#[test]
fn what_is_shared_is_joined_and_not_configured() {
    let text = "lxc.namespace.share.time = 9\nlxc.namespace.share.net = c3\nlxc.namespace.share.pid = /n/pid\n\
                lxc.namespace.share.uts = 9\nlxc.uts.name = demo\n\
                lxc.net.0.type = veth\nlxc.net.0.link = br0\nlxc.net.0.flags = up\n";
    let plan = plan(text).expect("a plan");
    let words = words(&plan);
    let opened: Vec<&String> = words
        .iter()
        .filter(|w| w.starts_with("open the "))
        .collect();
    assert_eq!(
        opened,
        [
            "open the pid namespace of /n/pid",
            "open the uts namespace of 9",
            "open the net namespace of c3",
            "open the time namespace of 9"
        ]
    );
    for absent in ["veth", "host name", "configure the network"] {
        assert!(
            !words.iter().any(|w| w.contains(absent)),
            "{absent} in {words:?}"
        );
    }
    assert!(
        plan.warnings.iter().any(|w| w.contains("lxc.net")),
        "{:?}",
        plan.warnings
    );
}

/// LXC applies one of the two; both are meant.
#[rstest]
#[case("lxc.time.offset.boot = 10h", "boottime 36000 0")]
#[case("lxc.time.offset.boot = -3 s", "boottime -3 0")]
#[case(
    "lxc.time.offset.boot = 1s\nlxc.time.offset.boot = 500ms",
    "boottime 1 500000000"
)]
#[case("lxc.time.offset.monotonic = -1ns", "monotonic -1 999999999")]
#[case(
    "lxc.time.offset.monotonic = 2s\nlxc.time.offset.monotonic = -2500ms",
    "monotonic -1 500000000"
)]
#[case(
    "lxc.time.offset.boot = 1s\nlxc.time.offset.monotonic = 2s",
    "monotonic 2 0, boottime 1 0"
)]
#[case("lxc.time.offset.boot = 0s", "boottime 0 0")]
fn clocks(#[case] text: &str, #[case] want: &str) {
    let words = words(&plan(text).expect("a plan"));
    let want = format!("make a time namespace with the offsets {want}");
    assert!(words.contains(&want), "{want} in {words:?}");
}

#[rstest]
#[case("lxc.sysctl.net.ipv4.ip_forward = 1", &["write 1 to /proc/sys/net/ipv4/ip_forward"])]
#[case("lxc.sysctl.net/ipv4/conf/eth0.100/rp_filter = 2", &["write 2 to /proc/sys/net/ipv4/conf/eth0.100/rp_filter"])]
#[case("lxc.sysctl.kernel.sem = 1 2 3 4", &["write 1 2 3 4 to /proc/sys/kernel/sem"])]
#[case(
    "lxc.sysctl.kernel.a = 1\nlxc.sysctl.kernel.b = 2\nlxc.sysctl.kernel.a = 3",
    &["write 2 to /proc/sys/kernel/b", "write 3 to /proc/sys/kernel/a"]
)]
fn kernel_parameters(#[case] text: &str, #[case] want: &[&str]) {
    let words = words(&plan(text).expect("a plan"));
    let found: Vec<&String> = words.iter().filter(|w| w.contains("/proc/sys/")).collect();
    assert_eq!(found, want);
}

#[test]
fn a_value_of_several_lines_is_no_value() {
    let mut config = Config::new();
    // No file can have one; a caller of the library might try.
    if config.set("lxc.sysctl.kernel.a", "1\nkernel.b=2").is_ok() {
        let request = StartRequest {
            argv: vec!["/bin/x".into()],
            ..StartRequest::default()
        };
        let refusal = lxc_plan::start(config.values(), &host(), &request).expect_err("a refusal");
        assert!(refusal.to_string().contains("several lines"), "{refusal}");
    }
}

/// Limits come last: what sets the container up is not bound by them.
#[test]
fn limits_wait_until_the_guest_is_ready() {
    let text = "lxc.prlimit.nofile = 3\nlxc.proc.oom_score_adj = 10\nlxc.hook.start-host = /bin/h\n\
                lxc.sysctl.kernel.a = 1\nlxc.sched.core = 1";
    let plan = plan(text).expect("a plan");
    let side = |name: &str| {
        let found = plan.steps.iter().position(|p| p.step.name() == name);
        let at = found.unwrap_or_else(|| panic!("no step {name}"));
        (at, plan.steps[at].side)
    };
    let (limit, limit_side) = side("limit-resource");
    let (hook, _) = side("run-hook");
    assert!(limit > hook, "hooks run before");
    assert_eq!(limit_side, Side::HostAtReady);
    assert_eq!(side("write-proc-file").1, Side::HostBeside);
    assert_eq!(side("new-scheduling-cookie").1, Side::HostBeside);
    assert_eq!(side("write-sysctl").1, Side::Guest);
    let settings = ProcessSettings::of(config(text).values()).expect("settings");
    assert_eq!(
        settings.files,
        [("oom_score_adj".to_string(), "10".to_string())]
    );
    assert_eq!(settings.limits.len(), 1);
    assert_eq!(
        (settings.limits[0].number, settings.limits[0].soft),
        (7, Some(3))
    );
}

fn program(text: &str) -> lxc_plan::Program {
    match plan(text)
        .expect("a plan")
        .steps
        .last()
        .map(|p| p.step.clone())
    {
        Some(Step::Exec(program)) => program,
        other => panic!("the last step is {other:?}"),
    }
}

#[test]
fn the_program_gets_what_is_meant_for_it() {
    let all = program(
        "lxc.environment = A=1\nlxc.environment.runtime = R=1\nlxc.environment.hooks = H=1\n\
         lxc.environment.runtime = A=2\nlxc.init.groups = 5,7\nlxc.monitor.signal.pdeath = SIGTERM",
    );
    let env: Vec<String> = all.env.iter().map(|(n, v)| format!("{n}={v}")).collect();
    assert_eq!(env, ["R=1", "A=2", "container=lxc"]);
    assert_eq!(all.groups, Some(vec![5, 7]));
    assert_eq!(all.death_signal, 15);
    let none = program("");
    assert_eq!((none.groups, none.death_signal), (None, 9));
    assert_eq!(program("lxc.monitor.signal.pdeath = 0").death_signal, 0);
}

#[rstest]
#[case("", true)]
#[case("lxc.keyring.session = 0", true)]
#[case("lxc.keyring.session = 1", false)]
fn one_keeps_the_keyring(#[case] text: &str, #[case] new: bool) {
    let plan = plan(text).expect("a plan");
    let found = plan.steps.iter().any(|p| p.step.name() == "new-keyring");
    assert_eq!(found, new);
}

/// A filter is stacked on another only where that is asked for.
#[rstest]
#[case(false, "", true)]
#[case(true, "", false)]
#[case(true, "lxc.seccomp.allow_nesting = 1", true)]
fn filters_nest_where_asked(#[case] confined: bool, #[case] more: &str, #[case] loads: bool) {
    let facts = HostFacts { confined, ..host() };
    let plan = plan_on(&format!("lxc.seccomp.profile = /p\n{more}"), &facts).expect("a plan");
    for name in ["compile-seccomp", "load-seccomp"] {
        let found = plan.steps.iter().any(|p| p.step.name() == name);
        assert_eq!(found, loads, "{name}");
    }
}

#[rstest]
#[case("lxc.cap.keep = none", 41)]
#[case("lxc.cap.keep = none chown", 40)]
#[case("lxc.cap.keep = chown\nlxc.cap.keep = kill", 39)]
#[case("lxc.cap.drop = chown\nlxc.cap.drop = chown kill", 2)]
#[case("", 0)]
fn capabilities_dropped(#[case] text: &str, #[case] want: usize) {
    let plan = plan(text).expect("a plan");
    let found = plan.steps.iter().find_map(|p| match &p.step {
        Step::DropCapabilities(list) => Some(list.len()),
        _ => None,
    });
    assert_eq!(found.unwrap_or(0), want);
}

/// What of the console is kept: nothing costs anything that is not asked for.
#[rstest]
#[case("", &[])]
#[case("lxc.console.rotate = 1\nlxc.console.size = 4kB", &[])]
#[case("lxc.console.buffer.size = auto", &["keep the last 131072 bytes the console says in memory"])]
#[case("lxc.console.buffer.size = auto\nlxc.console.path = none", &[])]
#[case("lxc.console.logfile = /l", &["open the console log /l"])]
#[case(
    "lxc.console.logfile = /l\nlxc.console.size = 8kB",
    &["open the console log /l, cut at 8192 bytes"]
)]
#[case(
    "lxc.console.logfile = /l\nlxc.console.size = 8kB\nlxc.console.rotate = 1\n\
     lxc.console.buffer.size = 1",
    &[
        "open the console log /l, set aside at 8192 bytes",
        "keep the last 4096 bytes the console says in memory",
    ]
)]
fn what_of_the_console_is_kept(#[case] text: &str, #[case] steps: &[&str]) {
    let plan = plan(text).expect("a plan");
    let about = ["keep-console", "open-console-log"];
    let found: Vec<String> = plan
        .steps
        .iter()
        .filter(|planned| about.contains(&planned.step.name()))
        .map(|planned| planned.step.to_string())
        .collect();
    assert_eq!(found, steps);
}
