//! `lxc.mount.auto` and `lxc.mount.entry`.

use crate::grammar;
use crate::setting::{Fault, Input, Setting, show};
use crate::values::{
    CgroupAccess, CgroupMount, CgroupMountKind, Located, MountAuto, MountEntry, ProcMode,
    SharedMounts, SysMode, Values,
};

pub(crate) fn entry(input: &Input) -> Result<Vec<Located<MountEntry>>, Fault> {
    match crate::mount_entry::parse(input.value)? {
        Some(entry) => Ok(vec![grammar::located(input, entry)]),
        None => Err(Fault::bad(
            "a comment",
            "SOURCE TARGET FSTYPE OPTIONS 0 0 is expected",
        )),
    }
}

pub(crate) fn show_entries(entries: &[Located<MountEntry>]) -> Option<String> {
    show::lines(entries, |entry| &entry.value.line)
}

/// `lxc.mount.auto`: words that each choose for one group; several lines add up.
pub(crate) struct MountAutoKey;

const PROC: &[(&str, ProcMode)] = &[
    ("proc:mixed", ProcMode::Mixed),
    ("proc:rw", ProcMode::Rw),
    ("proc", ProcMode::Mixed),
];

const SYS: &[(&str, SysMode)] = &[
    ("sys:mixed", SysMode::Mixed),
    ("sys:ro", SysMode::Ro),
    ("sys:rw", SysMode::Rw),
    ("sys", SysMode::Mixed),
];

const CGROUP_KINDS: &[(&str, CgroupMountKind)] = &[
    ("cgroup", CgroupMountKind::Own),
    ("cgroup-full", CgroupMountKind::Full),
    ("cgroup2", CgroupMountKind::Unified),
];

const CGROUP_ACCESS: &[(&str, CgroupAccess)] = &[
    ("mixed", CgroupAccess::Mixed),
    ("ro", CgroupAccess::Ro),
    ("rw", CgroupAccess::Rw),
];

impl Setting<Values> for MountAutoKey {
    fn set(&self, values: &mut Values, input: &Input) -> Result<(), Fault> {
        let mut auto = values.mount_auto.clone();
        for word in grammar::blank_separated(input.value) {
            choose(&mut auto, word)?;
        }
        values.mount_auto = auto;
        Ok(())
    }

    fn accumulates(&self) -> bool {
        true
    }

    fn clear(&self, values: &mut Values) {
        values.mount_auto = MountAuto::default();
    }

    fn get(&self, values: &Values) -> Option<String> {
        let auto = &values.mount_auto;
        let proc = auto
            .proc
            .and_then(|mode| word_for(PROC, mode))
            .map(str::to_owned);
        let sys = auto
            .sys
            .and_then(|mode| word_for(SYS, mode))
            .map(str::to_owned);
        let cgroup = auto.cgroup.and_then(show_cgroup);
        let words: Vec<String> = [proc, sys, cgroup].into_iter().flatten().collect();
        (!words.is_empty()).then(|| words.join(" "))
    }
}

fn meaning<T: Copy>(table: &[(&str, T)], word: &str) -> Option<T> {
    table
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, meaning)| *meaning)
}

fn word_for<T: Copy + PartialEq>(table: &[(&'static str, T)], meaning: T) -> Option<&'static str> {
    table
        .iter()
        .find(|(_, known)| *known == meaning)
        .map(|(word, _)| *word)
}

fn choose(auto: &mut MountAuto, word: &str) -> Result<(), Fault> {
    if let Some(mode) = meaning(PROC, word) {
        auto.proc = Some(mode);
    } else if let Some(mode) = meaning(SYS, word) {
        auto.sys = Some(mode);
    } else if let Some(mount) = cgroup(word) {
        auto.cgroup = Some(mount);
    } else if let Some(directories) = word.strip_prefix(SHMOUNTS) {
        auto.shmounts = Some(shared_mounts(directories).map_err(|fault| fault.about(word))?);
    } else {
        let hint = "proc[:mixed|:rw], sys[:mixed|:ro|:rw], cgroup[:mixed|:ro|:rw][:force], cgroup-full…, \
                    cgroup2[:ro] or shmounts:HOST[:CONTAINER] is expected";
        return Err(
            Fault::bad("not something that can be mounted automatically", hint).about(word),
        );
    }
    Ok(())
}

const SHMOUNTS: &str = "shmounts:";
/// Where they appear inside unless the word says otherwise.
const SHARED_INSIDE: &str = "/dev/.lxc-mounts";

/// `HOST[:CONTAINER]`.
fn shared_mounts(directories: &str) -> Result<SharedMounts, Fault> {
    let (host, guest) = directories.split_once(':').unwrap_or((directories, ""));
    if host.is_empty() {
        return Err(Fault::bad(
            "no directory of the host is named",
            "shmounts:HOST[:CONTAINER] is expected",
        ));
    }
    Ok(SharedMounts {
        host: host.to_owned(),
        guest: if guest.is_empty() {
            SHARED_INSIDE
        } else {
            guest
        }
        .to_owned(),
    })
}

/// `KIND[:ACCESS][:force]`; cgroup2 knows no mixed, is writable without `ro`, and forced anyway.
fn cgroup(word: &str) -> Option<CgroupMount> {
    let (word, force) = match word.strip_suffix(":force") {
        Some(word) => (word, true),
        None => (word, false),
    };
    let (kind, access) = match word.split_once(':') {
        Some((kind, access)) => (kind, Some(meaning(CGROUP_ACCESS, access)?)),
        None => (word, None),
    };
    match (meaning(CGROUP_KINDS, kind)?, access) {
        (kind @ CgroupMountKind::Unified, None) => Some(CgroupMount {
            kind,
            access: Some(CgroupAccess::Rw),
            force: true,
        }),
        (kind @ CgroupMountKind::Unified, Some(CgroupAccess::Ro)) => Some(CgroupMount {
            kind,
            access,
            force: true,
        }),
        (CgroupMountKind::Unified, Some(_)) => None,
        (kind, access) => Some(CgroupMount {
            kind,
            access,
            force,
        }),
    }
}

/// LXC shows neither `:force` nor anything for cgroup2.
fn show_cgroup(mount: CgroupMount) -> Option<String> {
    let kind =
        word_for(CGROUP_KINDS, mount.kind).filter(|_| mount.kind != CgroupMountKind::Unified)?;
    Some(
        match mount
            .access
            .and_then(|access| word_for(CGROUP_ACCESS, access))
        {
            Some(access) => format!("{kind}:{access}"),
            None => kind.to_owned(),
        },
    )
}
