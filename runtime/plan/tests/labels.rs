//! Security labels of a start, decided without a security module.
#![forbid(unsafe_code)]

use lxc_config::Config;
use lxc_plan::{
    ApparmorFact, HostFacts, Label, RootfsFact, SecurityModule, StartPlan, StartRequest, Step,
};
use rstest::rstest;

const BASE: &str = "\
lxc.net.0.type = empty
lxc.rootfs.path = dir:/c/demo/rootfs
";

fn host(apparmor: Option<ApparmorFact>) -> HostFacts {
    HostFacts {
        cgroup_namespace: true,
        apparmor,
        rootfs: RootfsFact::Directory,
        mount_point_exists: true,
        last_capability: 40,
        ..HostFacts::default()
    }
}

/// A usual host: nothing is confined, everything is there.
fn usual() -> ApparmorFact {
    ApparmorFact {
        own_label: "unconfined".into(),
        visible: true,
        mount_rules: true,
        stacking: true,
        loaded: Some(true),
        parser: Some("/sbin/apparmor_parser".into()),
        may_load: true,
    }
}

fn plan(text: &str, facts: &HostFacts) -> Result<StartPlan, String> {
    let request = StartRequest {
        name: "demo".into(),
        lxcpath: "/c".into(),
        default_mount_point: Some("/p/rootfs".into()),
        default_profiles: Some("/p/share/lxc/apparmor/lxc-containers".into()),
        ..StartRequest::default()
    };
    let mut config = Config::new();
    let parsed = config.parse(&format!("{BASE}{text}\n"), "demo/config");
    parsed.expect("the test's own configuration");
    lxc_plan::start(config.values(), facts, &request).map_err(|refusal| refusal.to_string())
}

fn label(plan: &StartPlan) -> Option<&Label> {
    plan.steps.iter().find_map(|planned| match &planned.step {
        Step::SetLabel(label) => Some(label),
        _ => None,
    })
}

fn profile(plan: &StartPlan) -> &lxc_plan::GeneratedProfile {
    let found = plan.steps.iter().find_map(|planned| match &planned.step {
        Step::LoadProfile(profile) => Some(profile),
        _ => None,
    });
    found.expect("a profile to load")
}

/// What each value means where AppArmor is in force.
#[rstest]
#[case("", Some("lxc-container-default-cgns"))]
#[case("lxc.apparmor.profile = mine", Some("mine"))]
#[case("lxc.apparmor.profile = a//&:ns:b", Some("a//&:ns:b"))]
#[case(
    "lxc.apparmor.profile = generated",
    Some("lxc-demo_</c>//&:lxc-demo_<-c>:")
)]
#[case("lxc.apparmor.profile = unconfined", None)]
#[case("lxc.apparmor.profile = unchanged", None)]
fn labels(#[case] text: &str, #[case] want: Option<&str>) {
    let plan = plan(text, &host(Some(usual()))).expect("a plan");
    assert_eq!(label(&plan).map(|label| label.text.as_str()), want);
    assert_eq!(plan.warnings, [""; 0]);
}

/// The label comes when nothing is to be mounted any more and before anything that forbids changing it;
/// it is seen from outside before any hook of the host's relies on it.
#[test]
fn the_steps_of_a_label_in_their_order() {
    let text = "lxc.no_new_privs = 1\nlxc.seccomp.profile = /s\nlxc.hook.start = /h\n\
                lxc.hook.start-host = /g\nlxc.hook.pre-mount = /m\nlxc.cap.drop = sys_time\n\
                lxc.apparmor.profile = generated";
    let plan = plan(text, &host(Some(usual()))).expect("a plan");
    insta::assert_snapshot!(plan.to_string());
}

#[test]
fn without_cgroup_namespaces_the_default_is_another() {
    let facts = HostFacts {
        cgroup_namespace: false,
        ..host(Some(usual()))
    };
    let plan = plan("", &facts).expect("a plan");
    assert_eq!(
        label(&plan).map(|l| l.text.as_str()),
        Some("lxc-container-default")
    );
}

/// Confinement that is asked for is given or refused with its remedy, never left out.
#[test]
fn refusals() {
    let hosts: [(&str, ApparmorFact); 7] = [
        ("a usual host", usual()),
        (
            "nothing is loaded",
            ApparmorFact {
                loaded: Some(false),
                ..usual()
            },
        ),
        (
            "the files are not to be seen",
            ApparmorFact {
                visible: false,
                mount_rules: false,
                loaded: None,
                ..usual()
            },
        ),
        (
            "mounts are not checked",
            ApparmorFact {
                mount_rules: false,
                ..usual()
            },
        ),
        (
            "there is no parser",
            ApparmorFact {
                parser: None,
                ..usual()
            },
        ),
        (
            "policy may not be changed",
            ApparmorFact {
                may_load: false,
                ..usual()
            },
        ),
        (
            "the monitor is confined",
            ApparmorFact {
                own_label: "outer".into(),
                stacking: false,
                ..usual()
            },
        ),
    ];
    let texts = [
        "",
        "lxc.apparmor.profile = mine",
        "lxc.apparmor.profile = outer",
        "lxc.apparmor.profile = generated",
        "lxc.apparmor.profile = unconfined",
        "lxc.apparmor.profile = unchanged",
        "lxc.apparmor.profile = mine\nlxc.apparmor.allow_incomplete = 1",
    ];
    let mut found = String::new();
    for (name, apparmor) in hosts {
        found += &format!("{name}\n");
        for text in texts {
            let shown = if text.is_empty() {
                "(unset)".into()
            } else {
                text.replace('\n', "; ")
            };
            let told = match plan(text, &host(Some(apparmor.clone()))) {
                Ok(plan) => format!("label {:?}", label(&plan).map(|label| label.text.clone())),
                Err(refusal) => refusal,
            };
            found += &format!("  {shown}\n    {told}\n");
        }
    }
    insta::assert_snapshot!(found);
}

/// Where AppArmor is not in force LXC starts all the same; this says so.
#[rstest]
#[case("", 0)]
#[case("lxc.apparmor.profile = unconfined", 0)]
#[case("lxc.apparmor.profile = unchanged", 0)]
#[case("lxc.apparmor.profile = generated", 1)]
#[case("lxc.apparmor.profile = mine\nlxc.apparmor.raw = deny /x r,", 1)]
#[case("lxc.selinux.context = unconfined_t", 0)]
#[case("lxc.selinux.context = a_t\nlxc.selinux.context.keyring = b_t", 2)]
fn what_has_no_effect_is_said_once(#[case] text: &str, #[case] warnings: usize) {
    let plan = plan(text, &host(None)).expect("a plan");
    assert_eq!(plan.warnings.len(), warnings, "{:?}", plan.warnings);
    assert!(plan.warnings.iter().all(|w| w.contains("has no effect")));
    assert_eq!(label(&plan), None);
}

#[test]
fn a_line_for_a_generated_profile_only_is_said_to_have_no_effect() {
    let text = "lxc.apparmor.profile = mine\nlxc.apparmor.raw = deny /x r,";
    let plan = plan(text, &host(Some(usual()))).expect("a plan");
    assert!(
        plan.warnings[0].starts_with("lxc.apparmor.raw"),
        "{:?}",
        plan.warnings
    );
}

#[test]
fn selinux_labels_init_at_its_exec_and_the_keyring_before_it_is_made() {
    let facts = HostFacts {
        selinux: true,
        ..host(None)
    };
    let text = "lxc.selinux.context = u:r:c:s0\nlxc.selinux.context.keyring = u:r:k:s0";
    let plan = plan(text, &facts).expect("a plan");
    let names: Vec<&str> = plan.steps.iter().map(|p| p.step.name()).collect();
    let labels: Vec<&&str> = names
        .iter()
        .filter(|n| n.contains("label") || n.contains("key"))
        .collect();
    assert_eq!(
        labels,
        [
            &"open-label-file",
            &"label-keyring",
            &"new-keyring",
            &"set-label",
            &"confirm-label"
        ]
    );
    assert_eq!(
        label(&plan).map(|l| l.module),
        Some(SecurityModule::Selinux)
    );
}

/// The whole text, once for each thing that changes it.
#[rstest]
#[case("plain", "", false)]
#[case("stacked", "lxc.apparmor.raw = deny /secret r,", true)]
#[case("nesting", "lxc.apparmor.allow_nesting = 1", true)]
fn generated_profiles(#[case] name: &str, #[case] text: &str, #[case] stacking: bool) {
    let facts = host(Some(ApparmorFact {
        stacking,
        ..usual()
    }));
    let plan = plan(&format!("lxc.apparmor.profile = generated\n{text}"), &facts).expect("a plan");
    let found = profile(&plan);
    assert_eq!(found.directory, "/c/demo/apparmor");
    assert_eq!(found.file, "lxc-demo_<-c>");
    insta::assert_snapshot!(format!("profile-{name}"), found.text);
}

#[test]
fn slashes_of_a_path_count_once() {
    let (profile, namespace) = lxc_plan::generated_names("//var//lib/lxc/", "a");
    assert_eq!(
        (profile.as_str(), namespace.as_str()),
        ("lxc-a_</var/lib/lxc>", "lxc-a_<-var-lib-lxc>")
    );
}

/// The kernel sorts the parts of a stack and names what confines nothing.
#[rstest]
#[case("a", "a", true)]
#[case("a", "unconfined", false)]
#[case("a", "a//&b", true)]
#[case("a//&:n:", "a//&:n:unconfined", true)]
#[case("a//&:n:", ":n:unconfined//&a", true)]
#[case("a//&:n:", "a", false)]
#[case("a//&:n:", "unconfined", false)]
#[case("unconfined", "unconfined", true)]
#[case("unconfined", "a//&unconfined", false)]
fn labels_in_force(#[case] wanted: &str, #[case] found: &str, #[case] want: bool) {
    let wanted = Label {
        module: SecurityModule::Apparmor,
        text: wanted.into(),
    };
    assert_eq!(lxc_plan::label_in_force(&wanted, found), want);
}

/// `RENEW_PROFILES=1` writes the file.
#[test]
fn the_installed_profiles_are_made_from_the_same_rules() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tools/share/apparmor/lxc-containers"
    );
    if std::env::var_os("RENEW_PROFILES").is_some() {
        std::fs::write(path, lxc_plan::shipped_profiles()).expect("the file is writable");
    }
    let file = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        file == lxc_plan::shipped_profiles(),
        "renew it: RENEW_PROFILES=1 cargo test -p lxc-plan --test labels"
    );
}
