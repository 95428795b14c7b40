//! Cgroups, decided without a kernel: names, hierarchies, limits and device rules.
#![forbid(unsafe_code)]

mod sample;

use lxc_plan::{
    CgroupNames, HierarchyFact, HostFacts, RootfsFact, Side, StartPlan, StartRequest, Step,
    used_hierarchies,
};
use rstest::rstest;
use sample::config;

fn hierarchy(unified: bool, controllers: &[&str]) -> HierarchyFact {
    HierarchyFact {
        unified,
        controllers: controllers.iter().map(ToString::to_string).collect(),
        mount: format!("/sys/fs/cgroup/{}", controllers.join(",")),
        base: String::new(),
    }
}

fn host(layout: &str) -> HostFacts {
    let v1 = [&["memory"][..], &["devices"], &["cpu", "cpuacct"]];
    let v1 = v1.iter().map(|controllers| hierarchy(false, controllers));
    let v2 = hierarchy(true, &["memory", "pids"]);
    HostFacts {
        euid: 0,
        cgroups: match layout {
            "v1" => v1.collect(),
            "hybrid" => v1.chain([hierarchy(true, &[])]).collect(),
            "v2" => vec![v2],
            _ => Vec::new(),
        },
        cgroup_namespace: true,
        rootfs: RootfsFact::Directory,
        mount_point_exists: true,
        last_capability: 40,
        device_paths: vec![
            ("/dev/kvm rw".into(), Ok("c 10:232 rw".into())),
            ("/dev/no rw".into(), Err("/dev/no: no such file".into())),
        ],
        ..HostFacts::default()
    }
}

fn plan(text: &str, facts: &HostFacts) -> Result<StartPlan, String> {
    let request = StartRequest {
        name: "demo".into(),
        lxcpath: "/c".into(),
        ..StartRequest::default()
    };
    let text = format!("lxc.rootfs.path = /c/demo/rootfs\n{text}\n");
    lxc_plan::start(config(&text).values(), facts, &request).map_err(|refusal| refusal.to_string())
}

fn names(text: &str, pattern: Option<&str>) -> Result<CgroupNames, String> {
    CgroupNames::choose("demo", &config(text).values().cgroup, pattern)
        .map_err(|refusal| refusal.to_string())
}

/// Monitor, container, exact or not, where the monitor goes at its end, and where it can go else.
#[rstest]
#[case("", None, "lxc.monitor.demo lxc.payload.demo numbered - lxc.pivot")]
#[case(
    "lxc.cgroup.dir = a/./b//",
    None,
    "a/b/lxc.monitor.demo a/b/lxc.payload.demo numbered - a/b/lxc.pivot"
)]
#[case(
    "lxc.cgroup.dir = a",
    Some("never/%n"),
    "a/lxc.monitor.demo a/lxc.payload.demo numbered - a/lxc.pivot"
)]
#[case(
    "",
    Some("/lxc/%n"),
    "lxc/demo/monitor lxc/demo/payload numbered - lxc.pivot"
)]
#[case(
    "lxc.cgroup.dir.monitor = m\nlxc.cgroup.dir.container = a/c",
    Some("never"),
    "m a/c exact - lxc.pivot"
)]
#[case(
    "lxc.cgroup.dir.monitor = c/m\nlxc.cgroup.dir.container = c/p\nlxc.cgroup.dir.container.inner = i",
    None,
    "c/m c/p/i exact - lxc.pivot"
)]
#[case(
    "lxc.cgroup.dir = a\nlxc.cgroup.dir.monitor.pivot = p/q",
    None,
    "a/lxc.monitor.demo a/lxc.payload.demo numbered p/q/lxc.pivot a/lxc.pivot"
)]
fn cgroups_are_named(#[case] text: &str, #[case] pattern: Option<&str>, #[case] want: &str) {
    let names = names(text, pattern).expect("names");
    let found = format!(
        "{} {} {} {} {}",
        names.monitor,
        names.container(),
        if names.exact { "exact" } else { "numbered" },
        names.pivot.as_deref().unwrap_or("-"),
        names.refuge,
    );
    assert_eq!(found, want);
}

#[rstest]
#[case(
    "lxc.cgroup.dir.monitor = m",
    "lxc.cgroup.dir.container is not (lxc.cgroup.dir.monitor, demo/config:1)"
)]
#[case(
    "lxc.cgroup.dir.container = c",
    "lxc.cgroup.dir.monitor is not (lxc.cgroup.dir.container, demo/config:1)"
)]
#[case(
    "lxc.cgroup.dir.container.inner = i",
    "lxc.cgroup.dir.monitor is not (lxc.cgroup.dir.container.inner, demo/config:1)"
)]
#[case(
    "lxc.cgroup.dir = d\nlxc.cgroup.dir.monitor = m\nlxc.cgroup.dir.container = c",
    "exclude each other (lxc.cgroup.dir.monitor, demo/config:2)"
)]
#[case(
    "lxc.cgroup.dir.monitor = a/b\nlxc.cgroup.dir.container = a",
    "lies in the container's, a: who freezes the container would stop its monitor \
     (lxc.cgroup.dir.monitor, demo/config:1)"
)]
#[case(
    "lxc.cgroup.dir.monitor = a\nlxc.cgroup.dir.container = ./a",
    "lies in the container's"
)]
#[case(
    "lxc.cgroup.dir = .",
    "names no cgroup (lxc.cgroup.dir, demo/config:1)"
)]
fn names_that_contradict_each_other_are_refused(#[case] text: &str, #[case] want: &str) {
    let refusal = names(text, None).expect_err("a refusal");
    assert!(refusal.contains(want), "{refusal}");
    // Also on a host without cgroups: the mistake is the configuration's.
    let text = format!("\n{text}");
    assert!(plan(&text, &host("none")).is_err());
}

#[rstest]
#[case("../%n")]
#[case("/")]
#[case("")]
fn a_pattern_that_names_nothing_is_refused(#[case] pattern: &str) {
    let refusal = names("", Some(pattern)).expect_err("a refusal");
    assert!(refusal.contains("lxc.cgroup.pattern"), "{refusal}");
}

#[rstest]
#[case(None, Ok("memory devices cpu,cpuacct "))]
#[case(Some("memory"), Ok("memory "))]
#[case(Some("memory, cpu ,cpuacct"), Ok("memory cpu,cpuacct "))]
// Of those mounted together one alone cannot be used.
#[case(Some("memory,cpu"), Err("'cpu'"))]
#[case(Some("nosuch"), Err("'nosuch'"))]
fn the_installation_says_which_controllers_are_used(
    #[case] only: Option<&str>,
    #[case] want: Result<&str, &str>,
) {
    let used = used_hierarchies(host("hybrid").cgroups, only);
    match (used, want) {
        (Ok(used), Ok(want)) => {
            let used: Vec<String> = used.iter().map(|h| h.controllers.join(",")).collect();
            assert_eq!(used.join(" "), want);
        }
        (Err(refusal), Err(want)) => assert!(refusal.to_string().contains(want), "{refusal}"),
        (used, want) => panic!("{used:?} instead of {want:?}"),
    }
}

const INNER: &str = "\
lxc.cgroup.dir.monitor = m
lxc.cgroup.dir.container = c
lxc.cgroup.dir.container.inner = in
lxc.cgroup.memory.limit_in_bytes = 1G
lxc.cgroup.devices.deny = a
lxc.cgroup2.memory.max = 1G
lxc.cgroup2.devices.deny = a
";

/// A v1 cgroup with children takes no rule about all devices, so it gets them before; a program does
/// not mind, and /dev is made without it.
#[rstest]
#[case("v1", &["create-cgroup", "limit-cgroup", "limit-device", "create-inner-cgroup", "clone-guest"])]
#[case("v2", &["create-cgroup", "limit-cgroup", "create-inner-cgroup", "clone-guest", "attach-device-program"])]
fn limits_stay_on_the_outer_cgroup(#[case] layout: &str, #[case] want: &[&str]) {
    let plan = plan(INNER, &host(layout)).expect("a plan");
    let names = plan.steps.iter().map(|p| p.step.name());
    let found: Vec<&str> = names.filter(|name| want.contains(name)).collect();
    assert_eq!(found, want);
}

#[rstest]
#[case("v1", "lxc.cgroup2.memory.max (demo/config:")]
#[case("hybrid", "lxc.cgroup2.memory.max (demo/config:")]
#[case("v2", "lxc.cgroup.memory.limit_in_bytes (demo/config:")]
#[case("none", "lxc.cgroup2.memory.max (demo/config:")]
fn what_has_no_effect_is_named(#[case] layout: &str, #[case] want: &str) {
    let plan = plan(INNER, &host(layout)).expect("a plan");
    assert!(
        plan.warnings.iter().any(|w| w.contains(want)),
        "{:?}",
        plan.warnings
    );
}

#[test]
fn rules_that_nobody_enforces_are_told_of() {
    let facts = HostFacts {
        euid: 1000,
        ..host("v2")
    };
    let plan = plan("lxc.cgroup2.devices.deny = a", &facts).expect("a plan");
    assert!(
        plan.steps
            .iter()
            .all(|p| p.step.name() != "attach-device-program")
    );
    assert!(
        plan.warnings.iter().any(|w| w.contains("not enforced")),
        "{:?}",
        plan.warnings
    );
}

#[rstest]
#[case("devices.deny = a", "a")]
#[case("devices.deny = a *:* rwm", "a *:* rwm")]
#[case("devices.allow = c 1:3 rwm", "c 1:3 rwm")]
#[case("devices.allow = b *:7 m", "b *:7 m")]
#[case("devices.allow = /dev/kvm rw", "c 10:232 rw")]
fn device_rules_are_written(#[case] line: &str, #[case] want: &str) {
    let v1 = plan(&format!("lxc.cgroup.{line}"), &host("v1")).expect("a plan");
    let found = v1.steps.iter().find_map(|p| match &p.step {
        Step::LimitDevice { value, .. } => Some((p.side, value.as_str())),
        _ => None,
    });
    assert_eq!(found, Some((Side::HostAtReady, want)));
    let v2 = plan(&format!("lxc.cgroup2.{line}"), &host("v2")).expect("a plan");
    let found = v2.steps.iter().find_map(|p| match &p.step {
        Step::AttachDeviceProgram(rules) => rules.first().map(|(_, rule)| rule.as_str()),
        _ => None,
    });
    assert_eq!(found, Some(want));
}

#[rstest]
#[case("devices.allow = x 1:3 rwm", "'x' is no type")]
#[case("devices.allow = c 1:3", "the access (rwm) is missing")]
#[case("devices.allow = c 1:3 rx", "'rx' is no access")]
#[case("devices.allow = c 1:3 rwmr", "'rwmr' is no access")]
#[case("devices.allow = c 1 rwm", "'1' is not MAJOR:MINOR")]
#[case("devices.allow = c -1:3 rwm", "'-1:3' is not MAJOR:MINOR")]
#[case("devices.allow = c 99999999999:3 rwm", "is not MAJOR:MINOR")]
#[case("devices.allow = c :3 rwm", "is not MAJOR:MINOR")]
#[case("devices.allow = c  1:3 rwm", "is not MAJOR:MINOR")]
#[case("devices.allow = all", "'all' is no type")]
#[case("devices.allow = /dev/kvm", "the access (rwm) is missing")]
#[case("devices.allow = /dev/kvm all", "'all' is no access")]
#[case("devices.allow = /dev/no rw", "names no device: /dev/no: no such file")]
#[case(
    "devices.deny = /dev/kvm rw",
    "only devices.allow takes a device's path"
)]
#[case("devices.list = a", "devices.list takes no device rules")]
fn a_device_rule_that_is_none_is_refused(#[case] line: &str, #[case] want: &str) {
    for (key, layout) in [("lxc.cgroup", "v1"), ("lxc.cgroup2", "v2")] {
        let refusal = plan(&format!("{key}.{line}"), &host(layout)).expect_err("a refusal");
        assert!(refusal.contains(want), "{refusal}");
        let file = line.split(' ').next().expect("a word");
        let place = format!("({key}.{file}, demo/config:2)");
        assert!(refusal.contains(&place), "no {place}: {refusal}");
    }
}
