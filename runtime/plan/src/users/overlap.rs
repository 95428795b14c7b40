//! Ids that more than one container is root over.

use lxc_config::{IdKind, IdRange};

/// Another container that runs with id maps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighbourFact {
    /// Its name.
    pub name: String,
    /// Its lxcpath.
    pub lxcpath: String,
    /// The user whose container it is.
    pub owner: u32,
    /// Its maps, as its configuration has them.
    pub ranges: Vec<IdRange>,
}

/// A sentence for each neighbour whose guests are the same users or groups of the host as ours. One
/// owner's containers with the very same maps are what LXC makes by default, and are not told of.
pub fn overlaps(ranges: &[IdRange], owner: u32, neighbours: &[NeighbourFact]) -> Vec<String> {
    let told =
        |neighbour: &&NeighbourFact| neighbour.owner != owner || !same(ranges, &neighbour.ranges);
    let sentence = |neighbour: &NeighbourFact| {
        let (kind, first, last) = common(ranges, &neighbour.ranges)?;
        let kind = match kind {
            IdKind::User => "user",
            IdKind::Group => "group",
        };
        Some(format!(
            "the {kind} ids {first}-{last} of the host are those of the container {} in {} as well: \
             what one of the two breaks out of, the other is no longer protected by; give one of them \
             other ranges (lxc.idmap)",
            neighbour.name, neighbour.lxcpath
        ))
    };
    neighbours
        .iter()
        .filter(told)
        .filter_map(sentence)
        .collect()
}

/// Whether both lists hold the same ranges, in any order.
fn same(ours: &[IdRange], theirs: &[IdRange]) -> bool {
    ours.len() == theirs.len() && ours.iter().all(|range| theirs.contains(range))
}

/// The first ids of the host that are in both.
fn common(ours: &[IdRange], theirs: &[IdRange]) -> Option<(IdKind, u32, u32)> {
    let pairs = ours
        .iter()
        .flat_map(|one| theirs.iter().map(move |other| (one, other)));
    pairs
        .filter(|(one, other)| one.kind == other.kind)
        .find_map(|(one, other)| {
            let end = |range: &IdRange| range.host.saturating_add(range.count);
            let (first, end) = (one.host.max(other.host), end(one).min(end(other)));
            (first < end).then(|| (one.kind, first, end - 1))
        })
}
