//! Attach plans, decided without a container.
#![forbid(unsafe_code)]

use lxc_config::{IdKind, IdRange};
use lxc_plan::SecurityModule::{self, Apparmor, Selinux};
use lxc_plan::{
    AttachPlan, AttachRequest, Elevated, JoinedIds, LabelFacts, Namespaces, RunningFacts,
};
use rstest::rstest;

const OWN: Namespaces = Namespaces(0x0002_0000 | 0x2000_0000 | 0x4000_0000);

fn running() -> RunningFacts {
    RunningFacts {
        namespaces: OWN,
        differing: OWN,
        bounding: 0xff,
        no_new_privs: true,
        seccomp: true,
        ..RunningFacts::default()
    }
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(n, v)| (n.to_string(), v.to_string()))
        .collect()
}

fn make(request: &AttachRequest, running: &RunningFacts) -> AttachPlan {
    let env = [("PATH", "/mine"), ("HOME", "/root"), ("container", "host")];
    let env = env.map(|(n, v)| (n.into(), v.into()));
    AttachPlan::make(request, running, &env, &pairs(&[("A", "configured")])).expect("a plan")
}

#[test]
fn everything_of_the_container_applies_unless_it_is_elevated() {
    let plan = make(&AttachRequest::default(), &running());
    assert_eq!(plan.join, OWN);
    assert!(plan.enter_cgroup && plan.no_new_privs && plan.seccomp);
    assert_eq!(plan.bounding, Some(0xff));

    let elevated = Elevated {
        cgroup: true,
        capabilities: true,
        lsm: true,
    };
    let plan = make(
        &AttachRequest {
            elevated,
            ..AttachRequest::default()
        },
        &running(),
    );
    assert!(!plan.enter_cgroup && !plan.no_new_privs && !plan.seccomp);
    assert_eq!(plan.bounding, None);
}

#[rstest]
#[case(None, OWN)]
#[case(Some(Namespaces::NET), Namespaces::NET)]
#[case(Some(Namespaces::UTS), Namespaces::default())]
fn only_namespaces_that_differ_are_joined(
    #[case] namespaces: Option<Namespaces>,
    #[case] want: Namespaces,
) {
    let plan = make(
        &AttachRequest {
            namespaces,
            ..AttachRequest::default()
        },
        &running(),
    );
    assert_eq!(plan.join, want);
}

#[rstest]
#[case(false, &[], &[("PATH", Some("/mine")), ("HOME", Some("/root"))])]
#[case(true, &[], &[("PATH", Some("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")), ("HOME", None)])]
#[case(true, &["PATH", "HOME"], &[("PATH", Some("/mine")), ("HOME", Some("/root"))])]
fn environments(
    #[case] clear_env: bool,
    #[case] keep: &[&str],
    #[case] want: &[(&str, Option<&str>)],
) {
    let request = AttachRequest {
        clear_env,
        keep_vars: keep.iter().map(ToString::to_string).collect(),
        set_vars: pairs(&[("A", "asked")]),
        ..AttachRequest::default()
    };
    let plan = make(&request, &running());
    let get = |name: &str| {
        plan.env
            .iter()
            .find(|(n, _)| n == name)
            .and_then(|(_, v)| v.to_str())
    };
    for (name, value) in want {
        assert_eq!(get(name), *value, "{name}");
    }
    assert_eq!(get("container"), Some("lxc"), "the container's word wins");
    assert_eq!(get("A"), Some("asked"), "the last word is the caller's");
    let names: Vec<_> = plan.env.iter().map(|(n, _)| n).collect();
    let mut unique = names.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(names.len(), unique.len(), "each variable once: {names:?}");
}

#[rstest]
#[case(None, None, None, None)]
#[case(None, None, Some(true), Some(8))]
#[case(None, Some(false), Some(true), Some(0))]
#[case(Some(0x2_0000), Some(true), Some(true), Some(0x2_0000))]
fn personalities(
    #[case] personality: Option<u64>,
    #[case] bits32: Option<bool>,
    #[case] of_container: Option<bool>,
    #[case] want: Option<u64>,
) {
    let request = AttachRequest {
        personality,
        bits32,
        ..AttachRequest::default()
    };
    let running = RunningFacts {
        bits32: of_container,
        ..running()
    };
    assert_eq!(make(&request, &running).personality, want);
}

#[rstest]
#[case(false, false, false)]
#[case(true, false, true)]
#[case(false, true, true)]
fn new_privileges_are_forbidden_by_either(
    #[case] asked: bool,
    #[case] of_container: bool,
    #[case] want: bool,
) {
    let request = AttachRequest {
        no_new_privs: asked,
        ..AttachRequest::default()
    };
    let running = RunningFacts {
        no_new_privs: of_container,
        ..running()
    };
    assert_eq!(make(&request, &running).no_new_privs, want);
}

fn labels(module: SecurityModule, own: &str, init: &str) -> Option<LabelFacts> {
    Some(LabelFacts {
        module,
        own: own.into(),
        init: init.into(),
    })
}

/// The label is init's or the one asked for; none is taken that the caller has already.
#[rstest]
#[case(labels(Apparmor, "unconfined", "unconfined"), None, Ok(None))]
#[case(labels(Apparmor, "unconfined", "c"), None, Ok(Some(("c", false))))]
#[case(labels(Apparmor, "c", "c"), None, Ok(None))]
#[case(labels(Apparmor, "c", "unconfined"), None, Ok(Some(("unconfined", false))))]
#[case(labels(Apparmor, "unconfined", "c"), Some("mine"), Ok(Some(("mine", false))))]
#[case(labels(Apparmor, "unconfined", "c"), Some("unconfined"), Ok(None))]
#[case(
    labels(Apparmor, "unconfined", "c"),
    Some("two\nlines"),
    Err("\"two\\nlines\" is no security label")
)]
#[case(
    labels(Apparmor, "unconfined", "c"),
    Some(""),
    Err("\"\" is no security label")
)]
#[case(labels(Selinux, "u:r:t:s0", "u:r:c:s0"), None, Ok(Some(("u:r:c:s0", true))))]
#[case(None, None, Ok(None))]
#[case(None, Some("unconfined"), Ok(None))]
#[case(
    None,
    Some("mine"),
    Err("no program can run under the security label \"mine\"")
)]
fn the_label_of_an_attached_process(
    #[case] labels: Option<LabelFacts>,
    #[case] context: Option<&str>,
    #[case] want: Result<Option<(&str, bool)>, &str>,
) {
    let request = AttachRequest {
        context: context.map(str::to_string),
        ..AttachRequest::default()
    };
    let running = RunningFacts {
        labels,
        ..running()
    };
    let plan = AttachPlan::make(&request, &running, &[], &[]);
    match (plan, want) {
        (Ok(plan), Ok(want)) => {
            let label = plan.label.as_ref();
            assert_eq!(label.map(|l| (l.label.text.as_str(), l.at_exec)), want);
        }
        (Err(refusal), Err(want)) => assert!(refusal.to_string().starts_with(want), "{refusal}"),
        (found, want) => panic!("{found:?} instead of {want:?}"),
    }
}

/// Spared of it (-e LSM), or with SELinux at once instead of with the exec.
#[test]
fn a_label_can_be_left_out_and_taken_at_once() {
    let running = RunningFacts {
        labels: labels(Selinux, "u:r:t:s0", "u:r:c:s0"),
        ..running()
    };
    let mut request = AttachRequest {
        context_now: true,
        ..AttachRequest::default()
    };
    let label = make(&request, &running).label.expect("a label");
    assert!(!label.at_exec);
    request.elevated.lsm = true;
    assert_eq!(make(&request, &running).label, None);
}

#[test]
fn variables_are_bytes() {
    use std::os::unix::ffi::OsStringExt;
    let value = std::ffi::OsString::from_vec(vec![0xff, b'x']);
    let env = [("LATIN".into(), value.clone())];
    let plan = AttachPlan::make(&AttachRequest::default(), &running(), &env, &[]);
    let env = plan.expect("a plan").env;
    assert!(env.contains(&("LATIN".into(), value)), "{env:?}");
}

/// A container whose init is `init` in a user namespace with these maps.
fn mapped(init: u32, text: &str) -> RunningFacts {
    let range = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words[index].parse().expect("a number");
        IdRange {
            kind: match words[0] {
                "u" => IdKind::User,
                _ => IdKind::Group,
            },
            inside: number(1),
            host: number(2),
            count: number(3),
        }
    };
    RunningFacts {
        namespaces: OWN.with(Namespaces::USER),
        differing: OWN.with(Namespaces::USER),
        uid: init,
        gid: init,
        idmap: text.split(", ").map(range).collect(),
        ..running()
    }
}

/// Who one becomes: at joining, on the host, then; and whose the terminal is.
#[rstest]
#[case("u 0 1000 10, g 0 2000 10", None, ((0, 0), (1000, 2000), 1000), (0, 0))]
#[case("u 0 1000 10, g 0 2000 10", Some((5, 6)), ((0, 0), (1000, 2000), 1005), (5, 6))]
// No root: who init is.
#[case("u 7 1000 1, g 8 1000 1", None, ((7, 8), (1000, 1000), 1000), (7, 8))]
fn ids_are_taken_on_at_joining(
    #[case] maps: &str,
    #[case] asked: Option<(u32, u32)>,
    #[case] (setup, host, owner): ((u32, u32), (u32, u32), u32),
    #[case] program: (u32, u32),
) {
    let request = AttachRequest {
        uid: asked.map(|ids| ids.0),
        gid: asked.map(|ids| ids.1),
        ..AttachRequest::default()
    };
    let plan = make(&request, &mapped(1000, maps));
    let ids = JoinedIds { setup, host, owner };
    assert_eq!(plan.user_namespace, Some(ids));
    assert_eq!((plan.uid, plan.gid), program);
}

#[test]
fn without_the_user_namespace_one_stays_who_one_is() {
    let request = AttachRequest {
        namespaces: Some(Namespaces::NET),
        ..AttachRequest::default()
    };
    let plan = make(&request, &mapped(1000, "u 0 1000 10, g 0 1000 10"));
    assert_eq!((plan.user_namespace, plan.uid, plan.gid), (None, 0, 0));
}

#[rstest]
#[case(Some(10), None, &[], "does not map the user 10")]
#[case(None, Some(10), &[], "does not map the group 10")]
#[case(None, None, &[3, 11], "does not map the group 11")]
fn ids_that_are_not_mapped_are_refused(
    #[case] uid: Option<u32>,
    #[case] gid: Option<u32>,
    #[case] groups: &[u32],
    #[case] want: &str,
) {
    let request = AttachRequest {
        uid,
        gid,
        groups: Some(groups.to_vec()),
        ..AttachRequest::default()
    };
    let running = mapped(1000, "u 0 1000 10, g 0 1000 10");
    let refusal = AttachPlan::make(&request, &running, &[], &[]).expect_err(want);
    assert!(refusal.to_string().contains(want), "{refusal}");
}

#[rstest]
#[case("mnt", Some(Namespaces::MNT))]
#[case("MOUNT", Some(Namespaces::MNT))]
#[case("Network", Some(Namespaces::NET))]
#[case("utsname", Some(Namespaces::UTS))]
#[case("nope", None)]
fn namespace_names(#[case] name: &str, #[case] want: Option<Namespaces>) {
    assert_eq!(Namespaces::named(name), want);
}
