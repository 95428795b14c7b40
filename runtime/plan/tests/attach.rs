//! Attach plans, decided without a container.
#![forbid(unsafe_code)]

use lxc_plan::SecurityModule::{self, Apparmor, Selinux};
use lxc_plan::{AttachPlan, AttachRequest, Elevated, LabelFacts, Namespaces, RunningFacts};
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

#[test]
fn a_foreign_user_namespace_is_refused() {
    let user = RunningFacts {
        differing: OWN.with(Namespaces::USER),
        ..running()
    };
    let refusal =
        AttachPlan::make(&AttachRequest::default(), &user, &[], &[]).expect_err("refused");
    assert!(
        refusal.to_string().contains("not implemented yet"),
        "{refusal}"
    );
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
