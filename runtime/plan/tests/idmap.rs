//! Plans of containers with id maps, decided without a kernel.
#![forbid(unsafe_code)]

use lxc_config::{Config, IdKind, IdRange};
use lxc_plan::idmap::{inside, on_host};
use lxc_plan::users::NeighbourFact;
use lxc_plan::{HierarchyFact, HostFacts, Namespaces, RootfsFact, StartPlan, StartRequest, Step};
use rstest::rstest;

const BASE: &str = "\
lxc.rootfs.path = dir:/c/demo/rootfs
lxc.init.cmd = /bin/x
";

const MAPS: &str = "\
lxc.idmap = u 0 100000 65536
lxc.idmap = g 0 200000 65536
";

fn facts() -> HostFacts {
    HostFacts {
        cgroups: vec![HierarchyFact {
            unified: true,
            controllers: Vec::new(),
            mount: "/sys/fs/cgroup".into(),
            base: String::new(),
        }],
        cgroup_namespace: true,
        rootfs: RootfsFact::Directory,
        mount_point_exists: true,
        last_capability: 40,
        ..HostFacts::default()
    }
}

fn plan_on(facts: &HostFacts, text: &str) -> Result<StartPlan, String> {
    let mut config = Config::new();
    let text = format!("{BASE}{text}");
    config
        .parse(&text, "demo/config")
        .expect("the test's own configuration");
    let request = StartRequest {
        name: "demo".into(),
        lxcpath: "/c".into(),
        default_mount_point: Some("/p/rootfs".into()),
        ..StartRequest::default()
    };
    lxc_plan::start(config.values(), facts, &request).map_err(|refusal| refusal.to_string())
}

fn plan(text: &str) -> Result<StartPlan, String> {
    plan_on(&facts(), text)
}

fn names(plan: &StartPlan) -> Vec<&'static str> {
    plan.steps.iter().map(|it| it.step.name()).collect()
}

#[test]
fn maps_are_written_between_the_clone_and_the_mounts() {
    let plan = plan(MAPS).expect("a plan");
    assert!(plan.namespaces.has(Namespaces::USER));
    // Its files would belong to nobody.
    assert!(plan.unshared.has(Namespaces::NET));
    let map = plan.idmap.as_ref().expect("a map");
    assert_eq!((map.setup, map.host), ((0, 0), (100_000, 200_000)));
    let names = names(&plan);
    let wanted = [
        "create-cgroup",
        "give-cgroup",
        "clone-guest",
        "write-idmap",
        "enter-cgroup",
        "take-ids",
        "isolate-mounts",
        "mount-rootfs",
        "exec",
    ];
    let places: Vec<_> = wanted
        .iter()
        .map(|name| names.iter().position(|it| it == name))
        .collect();
    assert!(places.is_sorted() && places[0].is_some(), "{names:?}");
    // The container cannot make a file system of the host's read-only.
    assert!(!names.contains(&"pin-rootfs"), "{names:?}");
    assert!(
        plan.to_string()
            .contains("u 0 100000 65536, g 0 200000 65536")
    );
}

#[test]
fn without_maps_nothing_is_done_for_them() {
    let plan = plan("").expect("a plan");
    let names = names(&plan);
    for name in ["give-cgroup", "write-idmap", "take-ids", "shift-rootfs"] {
        assert!(!names.contains(&name), "{name}");
    }
    assert_eq!(plan.unshared, Namespaces::default());
    assert!(plan.idmap.is_none() && names.contains(&"pin-rootfs"));
}

#[test]
fn a_guest_without_root_is_set_up_as_its_init() {
    let maps = "lxc.idmap = u 1000 5000 1\nlxc.idmap = g 1001 5001 1\nlxc.init.uid = 1000\nlxc.init.gid = 1001\n";
    let plan = plan(maps).expect("a plan");
    let map = plan.idmap.expect("a map");
    assert_eq!((map.setup, map.host), ((1000, 1001), (5000, 5001)));
    let takes = plan.steps.iter().find_map(|it| match it.step {
        Step::TakeIds { ids, .. } => Some(ids),
        _ => None,
    });
    assert_eq!(takes, Some((1000, 1001)));
}

#[rstest]
#[case("lxc.idmap = u 0 100000 65536\n", "lxc.idmap maps no group", 3)]
#[case("lxc.idmap = g 0 100000 65536\n", "lxc.idmap maps no user", 3)]
#[case(
    "lxc.idmap = u 0 1 10\nlxc.idmap = g 0 1 10\nlxc.idmap = u 9 100 1\n",
    "'u 9 100 1' and 'u 0 1 10' (demo/config:3) overlap inside the container",
    5
)]
#[case(
    "lxc.idmap = u 0 1 10\nlxc.idmap = g 0 1 10\nlxc.idmap = g 10 10 5\n",
    "overlap on the host",
    5
)]
#[case(
    "lxc.idmap = u 0 1 10\nlxc.idmap = g 0 1 10\nlxc.init.uid = 10\n",
    "init would run as user 10 (lxc.init.uid), which lxc.idmap does not map",
    0
)]
#[case(
    "lxc.idmap = u 1 1 10\nlxc.idmap = g 0 1 10\n",
    "init would run as user 0",
    0
)]
fn maps_that_cannot_be_are_refused(#[case] text: &str, #[case] want: &str, #[case] line: u32) {
    let refusal = plan(text).expect_err("a refusal");
    assert!(refusal.contains(want), "{refusal}");
    if line > 0 {
        let place = format!("lxc.idmap, demo/config:{line})");
        assert!(refusal.contains(&place), "{refusal}");
    }
}

#[rstest]
// Neighbours, and the same ids of the other kind, do not overlap.
#[case("lxc.idmap = u 0 1 10\nlxc.idmap = g 0 1 10\nlxc.idmap = u 10 11 5\nlxc.idmap = u 20 0 1\n")]
#[case("lxc.idmap = u 0 4294967294 1\nlxc.idmap = g 0 0 4294967295\n")]
fn maps_at_the_edges_are_taken(#[case] text: &str) {
    plan(text).expect("a plan");
}

#[rstest]
#[case(340, true)]
#[case(341, false)]
fn the_kernel_takes_so_many_lines(#[case] lines: u32, #[case] taken: bool) {
    let users: String = (0..lines)
        .map(|n| format!("lxc.idmap = u {} {} 1\n", 2 * n, 2 * n))
        .collect();
    let plan = plan(&format!("{users}lxc.idmap = g 0 0 1\n"));
    assert_eq!(plan.is_ok(), taken, "{:?}", plan.err());
}

#[test]
fn the_kernel_takes_so_many_bytes() {
    let users: String = (0..200u32)
        .map(|n| format!("lxc.idmap = u {0} {0} 1\n", 1_000_000_000 + 2 * n))
        .collect();
    let text = format!("{users}lxc.idmap = u 0 0 1\nlxc.idmap = g 0 0 1\n");
    let refusal = plan(&text).expect_err("a refusal");
    assert!(refusal.contains("4095 bytes"), "{refusal}");
}

#[test]
fn ids_are_shifted_where_that_can_be() {
    let rootfs = format!("{MAPS}lxc.rootfs.options = idmap=container\n");
    let shifted = plan(&rootfs).expect("a plan");
    let names = names(&shifted);
    let at = |name| names.iter().position(|it| *it == name);
    assert!(at("write-idmap") < at("shift-rootfs") && at("shift-rootfs") < at("mount-rootfs"));

    let entry = |options: &str| format!("lxc.mount.entry = /srv srv {options} 0 0\n");
    let good = entry("none rbind,idmap=container");
    plan(&format!("{MAPS}{good}")).expect("a plan");
    let old = HostFacts {
        no_idmapped_mounts: true,
        ..facts()
    };
    let user = HostFacts {
        euid: 1000,
        ..facts()
    };
    let refusals = [
        (
            plan("lxc.rootfs.options = idmap=container\n"),
            "it gets none",
            3,
        ),
        (plan(&good), "it gets none", 3),
        (
            plan(&format!("{MAPS}{}", entry("tmpfs idmap=container"))),
            "directories and files that are bound",
            5,
        ),
        (plan_on(&old, &rootfs), "no id-mapped mounts", 5),
        (
            plan_on(&old, &format!("{MAPS}{good}")),
            "no id-mapped mounts",
            5,
        ),
        (plan_on(&user, &rootfs), "only root", 5),
    ];
    for (outcome, want, line) in refusals {
        let refusal = outcome.expect_err(want);
        assert!(refusal.contains(want), "{refusal}");
        assert!(
            refusal.contains(&format!("demo/config:{line})")),
            "{refusal}"
        );
    }
    let optional = entry("none bind,optional,idmap=container");
    plan_on(&old, &format!("{MAPS}{optional}")).expect("a plan");
}

#[test]
fn an_id_is_translated_both_ways() {
    let kind = IdKind::User;
    let range = |inside, host, count| IdRange {
        kind,
        inside,
        host,
        count,
    };
    let ranges = [range(0, 1000, 10), range(20, 7, 1)];
    for (id, host) in [(0, Some(1000)), (9, Some(1009)), (10, None), (20, Some(7))] {
        assert_eq!(on_host(&ranges, kind, id), host, "{id}");
        if let Some(host) = host {
            assert_eq!(inside(&ranges, kind, host), Some(id));
        }
    }
    assert_eq!(on_host(&ranges, IdKind::Group, 0), None);
    assert_eq!(inside(&ranges, kind, 0), None);
}

/// A container that runs beside the one that is planned: `(owner, map of users)`.
fn neighbour(owner: u32, users: (u32, u32), groups: (u32, u32)) -> NeighbourFact {
    let range = |kind, (host, count)| IdRange {
        kind,
        inside: 0,
        host,
        count,
    };
    NeighbourFact {
        name: "web".into(),
        lxcpath: "/home/bob/lxc".into(),
        owner,
        ranges: vec![
            // The order of the lines means nothing.
            range(IdKind::Group, groups),
            range(IdKind::User, users),
        ],
    }
}

#[rstest]
#[case::the_same_of_the_same_owner(0, (100_000, 65_536), (200_000, 65_536), None)]
#[case::the_same_of_another(1000, (100_000, 65_536), (200_000, 65_536), Some("user ids 100000-165535"))]
#[case::others(1000, (300_000, 65_536), (300_000, 65_536), None)]
#[case::right_behind(1000, (165_536, 10), (199_990, 10), None)]
#[case::the_last_of_the_users(0, (165_535, 10), (300_000, 10), Some("user ids 165535-165535"))]
#[case::groups_only(1000, (200_000, 9), (199_000, 1_010), Some("group ids 200000-200009"))]
fn ids_of_another_container_are_told_of(
    #[case] owner: u32,
    #[case] users: (u32, u32),
    #[case] groups: (u32, u32),
    #[case] expected: Option<&str>,
) {
    let facts = HostFacts {
        neighbours: vec![neighbour(owner, users, groups)],
        ..facts()
    };
    let warnings = plan_on(&facts, MAPS).expect("a plan").warnings;
    match expected {
        None => assert_eq!(warnings, [""; 0]),
        Some(words) => {
            let [warning] = warnings.as_slice() else {
                panic!("one warning, not {warnings:?}");
            };
            for words in [words, "container web in /home/bob/lxc", "lxc.idmap"] {
                assert!(warning.contains(words), "{warning}");
            }
        }
    }
}
