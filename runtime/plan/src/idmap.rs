//! The user namespace of a container: which maps it gets, from whom, and as whom it is set up.

use crate::users::{self, MapWriter};
use crate::{HostFacts, Refusal};
use lxc_config::{IdKind, IdRange, IdmapSource, Located, Values};
use std::fmt;

/// Lines that the kernel takes for one kind of id.
const MAX_LINES: usize = 340;
/// Bytes that it takes: one write, shorter than the smallest page.
const MAX_BYTES: usize = 4095;

/// The user namespace of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdmapPlan {
    /// All ranges, as written.
    pub ranges: Vec<IdRange>,
    /// Who writes them.
    pub writer: MapWriter,
    /// User and group inside that set the container up: root, or init's where there is no root.
    pub setup: (u32, u32),
    /// The same two as the host knows them.
    pub host: (u32, u32),
}

impl fmt::Display for IdmapPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.ranges.iter().map(text).collect();
        f.write_str(&texts.join(", "))
    }
}

fn text(range: &IdRange) -> String {
    let kind = letter(range.kind);
    format!("{kind} {} {} {}", range.inside, range.host, range.count)
}

fn letter(kind: IdKind) -> char {
    match kind {
        IdKind::User => 'u',
        IdKind::Group => 'g',
    }
}

fn noun(kind: IdKind) -> &'static str {
    match kind {
        IdKind::User => "user",
        IdKind::Group => "group",
    }
}

/// The host's id that stands for `inside`; `None` if it is not mapped.
pub fn on_host(ranges: &[IdRange], kind: IdKind, inside: u32) -> Option<u32> {
    translated(ranges, kind, inside, |range| (range.inside, range.host))
}

/// The id inside that stands for the host's; `None` if it is not mapped.
pub fn inside(ranges: &[IdRange], kind: IdKind, host: u32) -> Option<u32> {
    translated(ranges, kind, host, |range| (range.host, range.inside))
}

fn translated(
    ranges: &[IdRange],
    kind: IdKind,
    id: u32,
    ends: impl Fn(&IdRange) -> (u32, u32),
) -> Option<u32> {
    let mut same = ranges.iter().filter(|range| range.kind == kind);
    same.find_map(|range| {
        let (from, to) = ends(range);
        let distance = id.checked_sub(from)?;
        (distance < range.count).then(|| to.checked_add(distance))?
    })
}

/// Decides the user namespace; `None` without `lxc.idmap`.
///
/// # Errors
/// The maps contradict themselves or the kernel would not take them, or init's ids are not in them.
pub(crate) fn choose(values: &Values, facts: &HostFacts) -> Result<Option<IdmapPlan>, Refusal> {
    if values.idmap.is_empty() {
        return Ok(None);
    }
    check(values)?;
    let ranges = users::plain(&values.idmap);
    let user = setup_id(IdKind::User, &ranges, values)?;
    let group = setup_id(IdKind::Group, &ranges, values)?;
    let writer = match &facts.users {
        Some(facts) => users::writer(&ranges, facts),
        None => MapWriter::Direct,
    };
    Ok(Some(IdmapPlan {
        ranges,
        writer,
        setup: (user.0, group.0),
        host: (user.1, group.1),
    }))
}

/// Refuses maps that the kernel would not take: a kind without any, ranges that meet, too many.
///
/// # Errors
/// What is wrong with them, and where it was written.
pub fn check(values: &Values) -> Result<(), Refusal> {
    [IdKind::User, IdKind::Group]
        .into_iter()
        .try_for_each(|kind| {
            let ranges: Vec<_> = values
                .idmap
                .iter()
                .filter(|r| r.value.kind == kind)
                .collect();
            acceptable(kind, &ranges, values)
        })
}

/// Refuses to show the ids of a user namespace where there is none, or where the kernel cannot.
///
/// # Errors
/// A sentence without a place, which the caller knows.
pub(crate) fn check_shift(
    ids: &IdmapSource,
    values: &Values,
    facts: &HostFacts,
) -> Result<(), Refusal> {
    if *ids == IdmapSource::Container && values.idmap.is_empty() {
        return Err(Refusal::new(
            "idmap=container means the ids of the container's user namespace, and it gets none",
            "add lxc.idmap lines, or leave idmap=container out",
        ));
    }
    if facts.no_idmapped_mounts {
        return Err(Refusal::new(
            "this kernel has no id-mapped mounts",
            "boot Linux 5.12 or later, or give the files to the ids of lxc.idmap (chown) and leave \
             idmap= out",
        ));
    }
    if facts.euid != 0 {
        return Err(Refusal::new(
            "only root may make id-mapped mounts",
            "start the container as root, or leave idmap= out",
        ));
    }
    Ok(())
}

/// What the kernel asks of the lines of one kind.
fn acceptable(kind: IdKind, ranges: &[&Located<IdRange>], values: &Values) -> Result<(), Refusal> {
    let Some(last) = ranges.last() else {
        // Both kinds cannot be missing: there is a line.
        return Err(missing(kind, values));
    };
    let length: usize = ranges.iter().map(|r| text(&r.value).len() - 1).sum();
    if ranges.len() > MAX_LINES || length > MAX_BYTES {
        return Err(Refusal::new(
            format!(
                "{} lines of lxc.idmap for {}s are more than the kernel takes: {MAX_LINES} lines and \
                 {MAX_BYTES} bytes",
                ranges.len(),
                noun(kind)
            ),
            "join neighbouring ranges to longer ones",
        )
        .at("lxc.idmap", &last.origin));
    }
    for (index, later) in ranges.iter().enumerate() {
        for earlier in ranges.iter().take(index) {
            disjoint(earlier, later)?;
        }
    }
    Ok(())
}

fn missing(kind: IdKind, values: &Values) -> Refusal {
    let letter = letter(kind);
    let refusal = Refusal::new(
        format!("lxc.idmap maps no {}", noun(kind)),
        format!("add a line for them, such as 'lxc.idmap = {letter} 0 100000 65536'"),
    );
    match values.idmap.first() {
        Some(first) => refusal.at("lxc.idmap", &first.origin),
        None => refusal,
    }
}

fn disjoint(earlier: &Located<IdRange>, later: &Located<IdRange>) -> Result<(), Refusal> {
    let (one, other) = (&earlier.value, &later.value);
    let meet = |one_first: u32, other_first: u32| {
        let (one_first, other_first) = (u64::from(one_first), u64::from(other_first));
        one_first < other_first + u64::from(other.count)
            && other_first < one_first + u64::from(one.count)
    };
    let place = match () {
        () if meet(one.inside, other.inside) => "inside the container",
        () if meet(one.host, other.host) => "on the host",
        () => return Ok(()),
    };
    Err(Refusal::new(
        format!(
            "the id ranges '{}' and '{}' ({}) overlap {place}",
            text(other),
            text(one),
            earlier.origin
        ),
        "an id can be mapped once only: make one of them shorter",
    )
    .at("lxc.idmap", &later.origin))
}

/// As which id the container is set up, inside and on the host: root, or init's own.
fn setup_id(kind: IdKind, ranges: &[IdRange], values: &Values) -> Result<(u32, u32), Refusal> {
    let (key, init) = match kind {
        IdKind::User => ("lxc.init.uid", values.init.uid),
        IdKind::Group => ("lxc.init.gid", values.init.gid),
    };
    let Some(host) = on_host(ranges, kind, init) else {
        let (letter, noun) = (letter(kind), noun(kind));
        return Err(Refusal::new(
            format!("init would run as {noun} {init} ({key}), which lxc.idmap does not map"),
            format!(
                "map it ('lxc.idmap = {letter} {init} HOST-ID 1') or set {key} to an id that is mapped"
            ),
        ));
    };
    Ok(on_host(ranges, kind, 0).map_or((init, host), |root| (0, root)))
}
