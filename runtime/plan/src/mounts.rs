//! Which mounts a container gets, and where each lands inside its rootfs.

use lxc_config::{
    Bind, Create, Located, MountEntry, MountOptions, SharedMounts, Values, parse_fstab_line,
};

use crate::idmap;
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

/// An entry, where it was written, and what asks for it: `lxc.mount.entry, demo/config:9`.
type Written = (MountEntry, String);

/// The entries of `lxc.mount.fstab`, then those of `lxc.mount.entry` and what other keys stand for,
/// each as a step. Entries whose target lies outside the rootfs are left out; their lines come back
/// as warnings.
pub fn entries(
    values: &Values,
    facts: &HostFacts,
    request: &StartRequest,
    warnings: &mut Vec<String>,
) -> Result<Vec<Planned>, Refusal> {
    let mut steps = Vec::new();
    for (entry, origin) in written(values, facts)? {
        check(&entry, &origin, facts, warnings)?;
        check_idmap(&entry, values, facts).map_err(|refusal| refusal.at_place(&origin))?;
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

/// All entries in the order they are mounted.
fn written(values: &Values, facts: &HostFacts) -> Result<Vec<Written>, Refusal> {
    let mut all = match &values.mount_fstab {
        Some(fstab) => fstab_entries(fstab, facts)?,
        None => Vec::new(),
    };
    for entry in &values.mount_entries {
        all.push((
            entry.value.clone(),
            format!("lxc.mount.entry, {}", entry.origin),
        ));
    }
    if let Some(shared) = &values.mount_auto.shmounts {
        all.push(shared_directory(shared, values, facts)?);
    }
    if values.apparmor.allow_nesting {
        all.extend(nesting_mounts());
    }
    Ok(all)
}

fn fstab_entries(fstab: &Located<String>, facts: &HostFacts) -> Result<Vec<Written>, Refusal> {
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
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = format!("{}:{}", fstab.value, number + 1);
        match parse_fstab_line(line) {
            Ok(Some(entry)) => found.push((entry, place)),
            Ok(None) => {}
            Err(why) => {
                return Err(Refusal::new(
                    format!("{place}: {line}: {why}"),
                    "a line reads SOURCE TARGET TYPE OPTIONS [FREQ PASS]",
                ));
            }
        }
    }
    Ok(found)
}

/// Paths of the host that entries bind or move from, and that exist now or not at all: what is
/// known about them is asked before anything is made.
///
/// Left out is what something may still create: hooks that run before the mounts, an earlier mount
/// in the rootfs, the rootfs' own mount.
pub fn sources(values: &Values, fstab: Option<&str>, mount_point: Option<&str>) -> Vec<String> {
    let Some(rootfs) = &values.rootfs.path else {
        return Vec::new();
    };
    let mut sources = Vec::new();
    if values.hooks.pre_mount.is_empty() {
        let lines = fstab.unwrap_or_default().lines();
        let of_fstab: Vec<MountEntry> = lines
            .filter_map(|line| parse_fstab_line(line).ok().flatten())
            .collect();
        let of_keys = values.mount_entries.iter().map(|entry| &entry.value);
        let later = [Some(rootfs.value.as_str()), mount_point];
        let certain = |entry: &&MountEntry| {
            let options = &entry.options;
            (options.bind.is_some() || options.moves)
                && !options.optional
                && !options.relative
                && !later
                    .iter()
                    .flatten()
                    .any(|root| lies_in(&entry.source, root))
        };
        let chosen = of_fstab.iter().chain(of_keys).filter(certain);
        sources.extend(chosen.map(|entry| entry.source.clone()));
        let shared = values.mount_auto.shmounts.iter();
        sources.extend(shared.map(|shared| shared.host.clone()));
    }
    sources
}

/// Refuses what cannot become a mount on any kernel; warns of what will have no effect.
fn check(
    entry: &MountEntry,
    origin: &str,
    facts: &HostFacts,
    warnings: &mut Vec<String>,
) -> Result<(), Refusal> {
    let options = &entry.options;
    let refused =
        |sentence: String, remedy: &str| Err(Refusal::new(sentence, remedy).at_place(origin));
    if options.moves && options.bind.is_some() {
        return refused(
            format!("{} is to be moved and bound at once", entry.source),
            "keep one of the words move and bind",
        );
    }
    let copies = options.bind.is_some() || options.moves;
    if !copies && !options.optional && matches!(entry.fstype.as_str(), "none" | "bind" | "") {
        return refused(
            format!("{} has no filesystem type", entry.source),
            "add the word bind (or rbind) to the options, or name the type",
        );
    }
    if copies && facts.missing_sources.contains(&entry.source) && !options.optional {
        return refused(
            format!("{} does not exist on the host", entry.source),
            "create it, or add the word optional to go on without",
        );
    }
    if copies && !options.data.is_empty() {
        warnings.push(format!(
            "{origin}: {} has no effect on what is mounted already",
            options.data.join(",")
        ));
    }
    Ok(())
}

/// An entry whose files are to show other ids.
fn check_idmap(entry: &MountEntry, values: &Values, facts: &HostFacts) -> Result<(), Refusal> {
    let options = &entry.options;
    let Some(ids) = &options.idmap else {
        return Ok(());
    };
    let no_copy = options.bind.is_none() || !matches!(entry.fstype.as_str(), "none" | "");
    if no_copy || !options.data.is_empty() {
        return Err(Refusal::new(
            "idmap= is for directories and files that are bound, without a filesystem type or data",
            "write 'SOURCE TARGET none bind,idmap=container 0 0' (or rbind)",
        ));
    }
    match idmap::check_shift(ids, values, facts) {
        // What cannot be is skipped when its turn comes.
        Err(_) if options.optional => Ok(()),
        checked => checked,
    }
}

/// `lxc.mount.auto = shmounts:…` as the entry it stands for.
fn shared_directory(
    shared: &SharedMounts,
    values: &Values,
    facts: &HostFacts,
) -> Result<Written, Refusal> {
    let origin = "lxc.mount.auto = shmounts";
    let refused =
        |sentence: String, remedy: &str| Err(Refusal::new(sentence, remedy).at_place(origin));
    if values.rootfs.path.is_none() {
        return refused(
            "mounts of the host cannot be passed to a container that has the host's root".into(),
            "set lxc.rootfs.path, or leave shmounts out",
        );
    }
    if !shared.host.starts_with('/') {
        return refused(
            format!("{} is no absolute path", shared.host),
            "write the whole path of the directory",
        );
    }
    if facts.missing_sources.contains(&shared.host) {
        return refused(
            format!("{} does not exist on the host", shared.host),
            "create the directory, and make it a shared mount (mount --bind DIR DIR; mount \
             --make-shared DIR)",
        );
    }
    let target = shared_target(shared);
    let entry = MountEntry {
        line: format!("{} {target} none bind,create=dir 0 0", shared.host),
        source: shared.host.clone(),
        target,
        fstype: "none".into(),
        options: MountOptions {
            create: Some(Create::Dir),
            bind: Some(Bind::Plain),
            ..MountOptions::default()
        },
    };
    Ok((entry, origin.to_string()))
}

/// Where mounts made on the host appear, relative to the rootfs.
pub fn shared_target(shared: &SharedMounts) -> String {
    shared.guest.trim_start_matches('/').to_string()
}

/// Whether `path` is `root` or lies below it.
fn lies_in(path: &str, root: &str) -> bool {
    let rest = path.strip_prefix(root.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The two mounts nested containers need to see an unmasked proc and sysfs.
fn nesting_mounts() -> impl Iterator<Item = Written> {
    [
        ("proc", "dev/.lxc/proc", "proc"),
        ("sys", "dev/.lxc/sys", "sysfs"),
    ]
    .into_iter()
    .map(|(source, target, fstype)| {
        let options = MountOptions {
            create: Some(Create::Dir),
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
