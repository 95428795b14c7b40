//! Which containers are meant, and in which order.

use lxc_runtime::Container;

/// A container that may be acted on.
pub struct Candidate {
    pub container: Container,
    pub policy: Policy,
    /// `lxc.group`.
    pub groups: Vec<String>,
}

/// `lxc.start.*`.
#[derive(Clone, Copy, Default)]
pub struct Policy {
    pub auto: bool,
    pub order: i32,
    /// In seconds.
    pub delay: u32,
}

impl Candidate {
    /// With what its configuration says of it.
    pub fn new(container: Container) -> Candidate {
        let values = container.config().map(|config| config.values());
        let policy = values.map_or_else(Policy::default, |values| Policy {
            auto: values.start.auto,
            order: values.start.order,
            delay: values.start.delay,
        });
        let groups = values.map(|values| values.groups.clone());
        Candidate {
            groups: groups.unwrap_or_default(),
            policy,
            container,
        }
    }
}

/// The groups that were asked for.
#[derive(Debug)]
pub enum Groups {
    /// Whatever the group, in one pass.
    All,
    /// These, one after the other; an empty name is the group of those without any.
    These(Vec<String>),
}

/// The groups, each once and in their order, and those that came again. No group at all is the one of
/// containers without any.
pub fn distinct(asked: &[String]) -> (Vec<String>, Vec<&str>) {
    let mut kept: Vec<String> = Vec::new();
    let mut dropped = Vec::new();
    for group in asked {
        if kept.contains(group) {
            dropped.push(group.as_str());
        } else {
            kept.push(group.clone());
        }
    }
    if kept.is_empty() {
        kept.push(String::new());
    }
    (kept, dropped)
}

/// Indices of those that are meant, each once, in the order in which it is their turn.
pub fn order(candidates: &[Candidate], asked: &Groups, reverse: bool) -> Vec<usize> {
    let of_each: Vec<_> = candidates
        .iter()
        .map(|one| (one.policy.order, one.container.name(), &one.groups[..]))
        .collect();
    order_of(&of_each, asked, reverse)
}

fn order_of(of_each: &[(i32, &str, &[String])], asked: &Groups, reverse: bool) -> Vec<usize> {
    let mut sorted: Vec<usize> = (0..of_each.len()).collect();
    sorted.sort_by_key(|&index| (of_each[index].0, of_each[index].1));
    if reverse {
        sorted.reverse();
    }
    let Groups::These(asked) = asked else {
        return sorted;
    };
    let mut turns = Vec::new();
    for group in asked {
        for &index in &sorted {
            if is_in(of_each[index].2, group) && !turns.contains(&index) {
                turns.push(index);
            }
        }
    }
    turns
}

/// Whether a container of these groups is meant by the name of one. LXC compares as many characters
/// as the container's group has, so a container of `web` is meant by `webserver` too; scripts may
/// count on that.
fn is_in(groups: &[String], asked: &str) -> bool {
    if asked.is_empty() {
        return groups.is_empty();
    }
    groups.iter().any(|group| asked.starts_with(group.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn list(words: &str) -> Vec<String> {
        let words = words.split(',').filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    }

    /// Names in their turn; `groups` as behind `-g`.
    fn turns(containers: &[(&str, i32, &str)], groups: Option<&str>, reverse: bool) -> String {
        let lists: Vec<_> = containers.iter().map(|one| list(one.2)).collect();
        let of_each: Vec<_> = containers
            .iter()
            .zip(&lists)
            .map(|(&(name, order, _), groups)| (order, name, &groups[..]))
            .collect();
        let asked = match groups {
            None => Groups::All,
            Some(groups) => {
                let groups: Vec<String> = groups.split(',').map(str::to_owned).collect();
                Groups::These(distinct(&groups).0)
            }
        };
        let turns = order_of(&of_each, &asked, reverse);
        let names: Vec<_> = turns.iter().map(|&index| containers[index].0).collect();
        names.join(" ")
    }

    const SOME: &[(&str, i32, &str)] = &[
        ("a", 2, ""),
        ("b", 1, "web"),
        ("c", 1, "web,db"),
        ("d", 0, "db"),
        ("e", -1, ""),
    ];

    #[rstest]
    #[case::everything(None, false, "e d b c a")]
    #[case::everything_backwards(None, true, "a c b d e")]
    #[case::those_without(Some(""), false, "e a")]
    #[case::one_group(Some("web"), false, "b c")]
    #[case::two_groups_in_the_order_asked(Some("web,db"), false, "b c d")]
    #[case::and_those_without_last(Some("db,"), false, "d c e a")]
    #[case::backwards_within_each(Some("db,"), true, "c d a e")]
    #[case::what_the_group_is_a_beginning_of(Some("webserver"), false, "b c")]
    #[case::but_not_the_other_way_round(Some("we"), false, "")]
    fn turns_of_containers(
        #[case] groups: Option<&str>,
        #[case] reverse: bool,
        #[case] expected: &str,
    ) {
        assert_eq!(turns(SOME, groups, reverse), expected);
    }

    #[test]
    fn a_group_counts_once() {
        let asked: Vec<String> = ["a", "", "a", "b", ""].map(str::to_owned).into();
        let (kept, dropped) = distinct(&asked);
        assert_eq!(kept, ["a", "", "b"]);
        assert_eq!(dropped, ["a", ""]);
        assert_eq!(distinct(&[]).0, [""]);
    }
}
