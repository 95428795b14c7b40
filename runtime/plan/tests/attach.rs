//! Attach plans, decided without a container.
#![forbid(unsafe_code)]

use lxc_plan::{AttachPlan, AttachRequest, Elevated, Namespaces, RunningFacts};
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

#[rstest]
#[case(None, "unconfined", true)]
#[case(None, "other", false)]
#[case(Some("unconfined"), "unconfined", true)]
#[case(Some("mine (enforce)"), "mine (enforce)", true)]
#[case(Some("mine (enforce)"), "unconfined", false)]
fn only_a_label_that_the_program_has_anyway_can_be_asked_for(
    #[case] own: Option<&str>,
    #[case] context: &str,
    #[case] accepted: bool,
) {
    let request = AttachRequest {
        context: Some(context.to_string()),
        ..AttachRequest::default()
    };
    let running = RunningFacts {
        own_label: own.map(str::to_string),
        ..running()
    };
    let plan = AttachPlan::make(&request, &running, &[], &[]);
    assert_eq!(plan.is_ok(), accepted, "{plan:?}");
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
