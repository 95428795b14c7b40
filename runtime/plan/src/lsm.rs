//! Which security label the guest runs under, and what has to be there first.

mod profile;

pub use profile::shipped as shipped_profiles;

use crate::{HostFacts, Namespaces, Refusal, StartRequest};
use lxc_config::{Located, Values};
use profile::Allowed;

/// Profiles of containers that name none, with and without a cgroup namespace.
const DEFAULT_CGNS: &str = "lxc-container-default-cgns";
const DEFAULT: &str = "lxc-container-default";
/// AppArmor's name for what confines nothing, and LXC's words for a profile of the container's own
/// and for the monitor's.
pub(crate) const UNCONFINED: &str = "unconfined";
const GENERATED: &str = "generated";
const UNCHANGED: &str = "unchanged";
/// LXC's word for no SELinux label.
const SELINUX_UNCONFINED: &str = "unconfined_t";
/// Compiled profiles.
const CACHE: &str = "/var/cache/lxc/apparmor";
/// A label is written in one piece of at most a page.
const LABEL_MAX: usize = 4000;

/// A security module that gives labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityModule {
    /// AppArmor; a label is a profile's name, or several with `//&` between them.
    Apparmor,
    /// SELinux; a label is a context.
    Selinux,
}

impl std::fmt::Display for SecurityModule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SecurityModule::Apparmor => "AppArmor",
            SecurityModule::Selinux => "SELinux",
        })
    }
}

/// What was found out about AppArmor, where it is enabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApparmorFact {
    /// What the monitor itself runs under.
    pub own_label: String,
    /// Its files in securityfs are to be seen.
    pub visible: bool,
    /// The kernel checks mounts.
    pub mount_rules: bool,
    /// A process can run under several profiles at once, and the monitor does not yet.
    pub stacking: bool,
    /// The wanted profile (see [`profile_to_find`]) is loaded; `None` = nobody can tell.
    pub loaded: Option<bool>,
    /// The program that loads profiles; asked only for a profile of the container's own.
    pub parser: Option<String>,
    /// The monitor may load profiles; asked only for a profile of the container's own.
    pub may_load: bool,
}

/// A label for a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Whose.
    pub module: SecurityModule,
    /// The label.
    pub text: String,
}

/// A profile made for one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedProfile {
    /// Its name in the kernel.
    pub name: String,
    /// The policy namespace made for it.
    pub namespace: Option<String>,
    /// Directory of its file; made if it is missing.
    pub directory: String,
    /// Name of its file.
    pub file: String,
    /// Its text.
    pub text: String,
    /// The program that loads it.
    pub parser: String,
    /// Directory of compiled profiles; made if it is missing.
    pub cache: String,
}

/// What a start does about labels.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Labels {
    /// A profile to be loaded first.
    pub generated: Option<GeneratedProfile>,
    /// The guest's label, and the line that asks for it.
    pub label: Option<(Label, Option<String>)>,
    /// The label of the session keyring.
    pub keyring: Option<String>,
    /// What is not applied, and why.
    pub warnings: Vec<String>,
}

/// The profile that must be loaded already for a start with this configuration, if it is one that
/// can be looked up by its name.
pub fn profile_to_find(values: &Values, cgroup_namespace: bool) -> Option<&str> {
    let name = match values.apparmor.profile.as_ref().map(|p| p.value.as_str()) {
        Some(UNCONFINED | UNCHANGED | GENERATED) => return None,
        Some(name) => name,
        None => default_profile(cgroup_namespace),
    };
    // Of several, or one of another policy namespace, only the kernel knows.
    let simple = !name.contains("//&") && !name.starts_with(':');
    simple.then_some(name)
}

/// Whether a profile of the container's own is asked for.
pub fn wants_generated(values: &Values) -> bool {
    let profile = values.apparmor.profile.as_ref();
    profile.is_some_and(|p| p.value == GENERATED)
}

/// The name of a container's own profile, and of its policy namespace.
pub fn generated_names(lxcpath: &str, name: &str) -> (String, String) {
    let mut path = String::new();
    for part in lxcpath.split('/').filter(|part| !part.is_empty()) {
        path.push('/');
        path += part;
    }
    let namespace = format!("lxc-{name}_<{}>", path.replace('/', "-"));
    (format!("lxc-{name}_<{path}>"), namespace)
}

/// Whether `found`, as the kernel tells it, is what was asked for by writing `wanted`.
pub fn label_in_force(wanted: &Label, found: &str) -> bool {
    if wanted.module == SecurityModule::Selinux {
        // The kernel tells a context in a form of its own.
        return !found.is_empty();
    }
    let parts = |text: &str| {
        let mut parts: Vec<String> = text.split("//&").map(of_namespace).collect();
        parts.sort();
        parts
    };
    let (wanted, found) = (parts(&wanted.text), parts(found));
    wanted.iter().all(|part| found.contains(part))
        && (found.len() == wanted.len() || wanted.iter().all(|part| part != UNCONFINED))
}

/// A policy namespace without a profile means its unconfined one, which is told as such.
fn of_namespace(part: &str) -> String {
    let part = part.trim();
    match part.strip_prefix(':').and_then(|rest| rest.split_once(':')) {
        Some((namespace, "")) => format!(":{namespace}:{UNCONFINED}"),
        Some((namespace, profile)) => {
            format!(":{namespace}:{}", profile.trim_start_matches("//"))
        }
        None => part.to_string(),
    }
}

fn default_profile(cgroup_namespace: bool) -> &'static str {
    match cgroup_namespace {
        true => DEFAULT_CGNS,
        false => DEFAULT,
    }
}

/// Decides. Confinement that was asked for and cannot be given is refused where the module is in
/// force; where it is not, LXC starts the container all the same, and so does this, with a word.
pub(crate) fn labels(
    values: &Values,
    facts: &HostFacts,
    request: &StartRequest,
    namespaces: Namespaces,
) -> Result<Labels, Refusal> {
    let mut labels = Labels::default();
    match &facts.apparmor {
        Some(apparmor) => by_apparmor(&mut labels, values, facts, apparmor, request, namespaces)?,
        None => without_apparmor(&mut labels, values),
    }
    by_selinux(&mut labels, values, facts)?;
    Ok(labels)
}

fn without_apparmor(labels: &mut Labels, values: &Values) {
    let Some(profile) = &values.apparmor.profile else {
        return;
    };
    if !matches!(profile.value.as_str(), UNCONFINED | UNCHANGED) {
        labels.warnings.push(format!(
            "the container is not confined by AppArmor, which is not enabled here: \
             lxc.apparmor.profile = {} ({}) has no effect",
            profile.value, profile.origin
        ));
    }
}

fn by_apparmor(
    labels: &mut Labels,
    values: &Values,
    facts: &HostFacts,
    apparmor: &ApparmorFact,
    request: &StartRequest,
    namespaces: Namespaces,
) -> Result<(), Refusal> {
    let line = values.apparmor.profile.as_ref();
    let wanted = match line.map(|profile| profile.value.as_str()) {
        Some(UNCHANGED) => return Ok(()),
        Some(wanted) => wanted,
        None => default_profile(facts.cgroup_namespace),
    };
    let blame = |refusal: Refusal| match line {
        Some(profile) => refusal.at("lxc.apparmor.profile", &profile.origin),
        None => refusal,
    };
    if !values.apparmor.raw.is_empty() && wanted != GENERATED {
        labels.warnings.push(format!(
            "lxc.apparmor.raw adds to a generated profile only: it has no effect with {wanted}"
        ));
    }
    if confined_for_good(apparmor) {
        return match line {
            Some(_) if wanted != apparmor.own_label => Err(blame(Refusal::new(
                format!(
                    "the monitor already runs under the AppArmor profile '{}', and cannot put the \
                     container under '{wanted}': this kernel cannot apply both",
                    apparmor.own_label
                ),
                "set lxc.apparmor.profile = unchanged, or start the container from an unconfined program",
            ))),
            _ => Ok(()),
        };
    }
    if wanted == UNCONFINED {
        if apparmor.own_label != UNCONFINED {
            labels.label = Some((apparmor_label(UNCONFINED)?, origin(line)));
        }
        return Ok(());
    }
    if !apparmor.mount_rules && !values.apparmor.allow_incomplete {
        return Err(blame(incomplete(apparmor)));
    }
    let text = if wanted == GENERATED {
        let generated = generated(values, apparmor, request, namespaces).map_err(blame)?;
        let text = match &generated.namespace {
            Some(namespace) => format!("{}//&:{namespace}:", generated.name),
            None => generated.name.clone(),
        };
        labels.generated = Some(generated);
        text
    } else {
        if apparmor.loaded == Some(false) {
            return Err(blame(not_loaded(wanted, line.is_none(), request)));
        }
        wanted.to_string()
    };
    labels.label = Some((apparmor_label(&text).map_err(blame)?, origin(line)));
    Ok(())
}

fn origin(line: Option<&Located<String>>) -> Option<String> {
    line.map(|profile| format!("lxc.apparmor.profile, {}", profile.origin))
}

/// The monitor is confined, and what is confined cannot be put under another profile too.
fn confined_for_good(apparmor: &ApparmorFact) -> bool {
    apparmor.own_label != UNCONFINED && !apparmor.stacking
}

fn incomplete(apparmor: &ApparmorFact) -> Refusal {
    if !apparmor.visible {
        return Refusal::new(
            "AppArmor is enabled, but its files are not to be seen: nobody knows what it checks",
            "mount securityfs ('mount -t securityfs securityfs /sys/kernel/security'), or set \
             lxc.apparmor.allow_incomplete = 1",
        );
    }
    Refusal::new(
        "this kernel's AppArmor does not check mounts, with which a guest gets around any profile",
        "set lxc.apparmor.allow_incomplete = 1 to start nevertheless, or lxc.apparmor.profile = unconfined",
    )
}

fn not_loaded(profile: &str, default: bool, request: &StartRequest) -> Refusal {
    let sentence = format!("the AppArmor profile '{profile}' is not loaded");
    let hint = match (&request.default_profiles, default) {
        (Some(file), true) => format!(
            "load it ('apparmor_parser -r {file}'), or set lxc.apparmor.profile = generated or unconfined"
        ),
        (_, true) => {
            "load LXC's profiles ('apparmor_parser -r /etc/apparmor.d/lxc-containers'), or \
                      set lxc.apparmor.profile = generated or unconfined"
                .to_string()
        }
        (_, false) => {
            "load the file that has it ('apparmor_parser -r FILE'), or correct the name; \
                       'cat /sys/kernel/security/apparmor/profiles' lists those that are loaded"
                .to_string()
        }
    };
    Refusal::new(sentence, hint)
}

fn generated(
    values: &Values,
    apparmor: &ApparmorFact,
    request: &StartRequest,
    namespaces: Namespaces,
) -> Result<GeneratedProfile, Refusal> {
    let remedy = "name a profile that is loaded (lxc.apparmor.profile = lxc-container-default-cgns), or \
                  set it to unconfined";
    if !apparmor.may_load {
        return Err(Refusal::new(
            "a profile of the container's own cannot be loaded: that takes the capability mac_admin",
            format!("start the container as root, or {remedy}"),
        ));
    }
    let Some(parser) = &apparmor.parser else {
        return Err(Refusal::new(
            "a profile of the container's own cannot be loaded: there is no apparmor_parser",
            format!("install it (package apparmor), or {remedy}"),
        ));
    };
    let (name, namespace) = generated_names(&request.lxcpath, &request.name);
    let namespace = apparmor.stacking.then_some(namespace);
    let allowed = Allowed {
        cgroups: namespaces.has(Namespaces::CGROUP),
        disks: false,
        // In a user namespace of its own the kernel itself bounds what mounts can show.
        nesting: values.apparmor.allow_nesting || namespaces.has(Namespaces::USER),
        namespace: namespace.clone(),
        raw: values.apparmor.raw.clone(),
    };
    let Some(text) = profile::text(&name, &allowed) else {
        return Err(Refusal::new(
            format!(
                "no AppArmor profile can be called '{name}': its language has a meaning for some of the \
                 characters"
            ),
            format!(
                "use letters, digits and . _ - + = % ~ in names of containers and directories, or {remedy}"
            ),
        ));
    };
    Ok(GeneratedProfile {
        file: name.replace('/', "-"),
        name,
        namespace,
        directory: format!("{}/{}/apparmor", request.lxcpath, request.name),
        text,
        parser: parser.clone(),
        cache: CACHE.into(),
    })
}

fn apparmor_label(text: &str) -> Result<Label, Refusal> {
    label(SecurityModule::Apparmor, text)
}

/// A label that can be written.
pub(crate) fn label(module: SecurityModule, text: &str) -> Result<Label, Refusal> {
    let fits = !text.is_empty() && text.len() <= LABEL_MAX;
    if !fits || text.chars().any(char::is_control) {
        return Err(Refusal::new(
            format!("{text:?} is no security label"),
            "a label is one line of printable characters",
        ));
    }
    Ok(Label {
        module,
        text: text.to_string(),
    })
}

fn by_selinux(labels: &mut Labels, values: &Values, facts: &HostFacts) -> Result<(), Refusal> {
    let context = values.selinux.context.as_deref();
    let context = context.filter(|context| *context != SELINUX_UNCONFINED);
    let keyring = values.selinux.keyring.as_deref();
    if !facts.selinux {
        for (key, value) in [
            ("lxc.selinux.context", context),
            ("lxc.selinux.context.keyring", keyring),
        ] {
            if let Some(value) = value {
                labels.warnings.push(format!(
                    "the container is not confined by SELinux, which is not enabled here: {key} = {value} \
                     has no effect"
                ));
            }
        }
        return Ok(());
    }
    if let Some(context) = context {
        let origin = Some("lxc.selinux.context".to_string());
        labels.label = Some((label(SecurityModule::Selinux, context)?, origin));
    }
    if let Some(keyring) = keyring {
        labels.keyring = Some(label(SecurityModule::Selinux, keyring)?.text);
    }
    Ok(())
}
