//! Which mounts a container gets, and where each lands inside its rootfs.

use lxc_config::{MountEntry, MountOptions, Values, parse_fstab_line};

use crate::step::{Planned, Step};
use crate::{HostFacts, Refusal, Side, StartRequest};

/// One mount entry with its place decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedMount {
    /// What was configured.
    pub entry: MountEntry,
    /// Path inside the rootfs, without a leading slash; without a rootfs, below the host's root.
    pub target: String,
}

impl PlannedMount {
    /// The target as the guest sees it.
    pub fn shown(&self) -> String {
        format!("/{}", self.target)
    }
}

/// The entries of `lxc.mount.fstab`, then those of `lxc.mount.entry`, each as a step. Entries whose
/// target lies outside the rootfs are left out; their lines come back as warnings.
pub fn entries(
    values: &Values,
    facts: &HostFacts,
    request: &StartRequest,
    warnings: &mut Vec<String>,
) -> Result<Vec<Planned>, Refusal> {
    let mut all: Vec<(MountEntry, String)> = Vec::new();
    if let Some(fstab) = &values.mount_fstab {
        let text = match &facts.fstab {
            Some(Ok(text)) => text.as_str(),
            Some(Err(why)) => {
                return Err(Refusal::new(
                    format!("cannot read {}: {why}", fstab.value),
                    "create the file or remove the line",
                )
                .at("lxc.mount.fstab", &fstab.origin));
            }
            None => "",
        };
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}:{}", fstab.value, number + 1);
            match parse_fstab_line(line) {
                Ok(Some(entry)) => all.push((entry, place)),
                Ok(None) => {}
                Err(why) => {
                    return Err(Refusal::new(
                        format!("{place}: {line}: {why}"),
                        "a line reads SOURCE TARGET TYPE OPTIONS [FREQ PASS]",
                    ));
                }
            }
        }
    }
    for entry in &values.mount_entries {
        all.push((
            entry.value.clone(),
            format!("lxc.mount.entry, {}", entry.origin),
        ));
    }
    if values.apparmor.allow_nesting {
        all.extend(nesting_mounts());
    }

    let mut steps = Vec::new();
    for (entry, origin) in all {
        match place(&entry, values, request) {
            Some(target) => steps.push(Planned {
                side: Side::Guest,
                step: Step::Mount(PlannedMount { entry, target }),
                origin: Some(origin),
            }),
            None => warnings.push(format!(
                "{origin}: {} is outside the container's rootfs and is not mounted",
                entry.target
            )),
        }
    }
    Ok(steps)
}

/// The two mounts nested containers need to see an unmasked proc and sysfs.
fn nesting_mounts() -> impl Iterator<Item = (MountEntry, String)> {
    [
        ("proc", "dev/.lxc/proc", "proc"),
        ("sys", "dev/.lxc/sys", "sysfs"),
    ]
    .into_iter()
    .map(|(source, target, fstype)| {
        let options = MountOptions {
            create: Some(lxc_config::Create::Dir),
            optional: true,
            ..MountOptions::default()
        };
        let entry = MountEntry {
            line: format!("{source} {target} {fstype} create=dir,optional 0 0"),
            source: source.into(),
            target: target.into(),
            fstype: fstype.into(),
            options,
        };
        (entry, "lxc.apparmor.allow_nesting".to_string())
    })
}

/// Where an entry lands inside the rootfs; `None` = outside it.
fn place(entry: &MountEntry, values: &Values, request: &StartRequest) -> Option<String> {
    let target = entry.target.as_str();
    if !target.starts_with('/') {
        return Some(target.trim_start_matches("./").to_string());
    }
    let Some(rootfs) = &values.rootfs.path else {
        return Some(target.trim_start_matches('/').to_string());
    };
    let own = format!("{}/{}/rootfs", request.lxcpath, request.name);
    [rootfs.value.as_str(), own.as_str()]
        .into_iter()
        .find_map(|root| {
            let rest = target.strip_prefix(root.trim_end_matches('/'))?;
            (rest.is_empty() || rest.starts_with('/'))
                .then(|| rest.trim_start_matches('/').to_string())
        })
}
