//! The judgement of a whole run: what is there now that was not before, and the other way round.

use std::collections::{BTreeMap, BTreeSet};

use lxc_guest::protocol::Census;

use super::{Subject, glob};

/// Something that may be left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Where it is allowed: `scenarios/start/a-name.toml:12`.
    pub at: String,
    /// A pattern of [`Leftovers::unexpected`]'s lines.
    pub what: String,
    /// Why it is.
    pub why: String,
    /// By whom; `None` = by anybody.
    pub subject: Option<Subject>,
}

/// How two counts differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers<'a> {
    /// What nobody allowed, a line each: `KIND LINE` is new, `gone KIND LINE` is there no more,
    /// `changed file PATH …` is neither. KIND is process, cgroup, mount, link, file or kernel.
    pub unexpected: Vec<String>,
    /// What was allowed, and by which rule.
    pub known: Vec<(String, &'a Allowed)>,
}

/// What `subject` left behind between two counts.
pub fn leftovers<'a>(
    before: &Census,
    after: &Census,
    subject: Subject,
    allowed: &'a [Allowed],
) -> Leftovers<'a> {
    let mut left = Leftovers::default();
    for line in differences(before, after) {
        let rule = allowed.iter().find(|allowed| {
            allowed.subject.is_none_or(|only| only == subject)
                && glob::matches(&allowed.what, &line)
        });
        match rule {
            Some(rule) => left.known.push((line, rule)),
            None => left.unexpected.push(line),
        }
    }
    left
}

fn differences(before: &Census, after: &Census) -> Vec<String> {
    let kinds = [
        ("process", &before.processes, &after.processes),
        ("cgroup", &before.cgroups, &after.cgroups),
        ("mount", &before.mounts, &after.mounts),
        ("link", &before.links, &after.links),
        ("kernel", &before.kernel, &after.kernel),
    ];
    let mut lines = Vec::new();
    for (kind, before, after) in kinds {
        let new = after.difference(before);
        lines.extend(new.map(|line| format!("{kind} {line}")));
        let gone = before.difference(after);
        lines.extend(gone.map(|line| format!("gone {kind} {line}")));
    }
    files(&before.files, &after.files, &mut lines);
    lines
}

/// A file that was written is one that changed, not one gone and another that is new.
fn files(before: &BTreeSet<String>, after: &BTreeSet<String>, lines: &mut Vec<String>) {
    let mut gone = by_path(before.difference(after));
    for (path, now) in by_path(after.difference(before)) {
        // A path with a blank in it looks like another's beginning: then each line stands for itself.
        let was = gone.get(&path).map(Vec::as_slice);
        if let (Some([was]), [is]) = (was, now.as_slice()) {
            lines.push(format!("changed file {path} {was} -> {is}"));
            gone.remove(&path);
        } else {
            lines.extend(now.iter().map(|is| format!("file {path} {is}")));
        }
    }
    for (path, was) in gone {
        lines.extend(was.iter().map(|was| format!("gone file {path} {was}")));
    }
}

/// What is said of each path; the path is a line's first word.
fn by_path<'a>(lines: impl Iterator<Item = &'a String>) -> BTreeMap<String, Vec<String>> {
    let mut paths: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines {
        let (path, rest) = line.split_once(' ').unwrap_or((line, ""));
        paths
            .entry(path.to_owned())
            .or_default()
            .push(rest.to_owned());
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    fn set(lines: &[&str]) -> BTreeSet<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    fn rule(what: &str, subject: Option<Subject>) -> Allowed {
        Allowed {
            at: "scenarios/subjects.toml:3".into(),
            what: what.into(),
            why: "it is so".into(),
            subject,
        }
    }

    fn unexpected(before: &Census, after: &Census, allowed: &[Allowed]) -> Vec<String> {
        leftovers(before, after, Subject::Ours, allowed).unexpected
    }

    #[test]
    fn what_is_new_gone_and_changed_is_told_apart() {
        let before = Census {
            processes: set(&["1 /init", "7 sleep 9"]),
            files: set(&[
                "/a regular 0644 0:0 10 1.5",
                "/b regular 0644 0:0 1 1.5",
                "/d",
            ]),
            ..Census::default()
        };
        let after = Census {
            processes: set(&["1 /init", "9 [lxc monitor] /var/lib/lxc demo"]),
            links: set(&["veth1234"]),
            files: set(&[
                "/a regular 0644 0:0 12 1.7",
                "/c directory 0755 0:0",
                "/d directory",
            ]),
            ..Census::default()
        };
        let expected = [
            "process 9 [lxc monitor] /var/lib/lxc demo",
            "gone process 7 sleep 9",
            "link veth1234",
            "changed file /a regular 0644 0:0 10 1.5 -> regular 0644 0:0 12 1.7",
            "file /c directory 0755 0:0",
            "changed file /d  -> directory",
            "gone file /b regular 0644 0:0 1 1.5",
        ];
        assert_eq!(unexpected(&before, &after, &[]), expected);
        assert_eq!(unexpected(&before, &before, &[]), [""; 0]);
    }

    #[test]
    fn a_rule_allows_what_it_matches_for_its_subject_only() {
        let before = Census::default();
        let after = Census {
            files: set(&["/run/lxc/lock/demo regular"]),
            cgroups: set(&["/sys/fs/cgroup/lxc.pivot"]),
            ..Census::default()
        };
        let rules = [
            rule("file /run/lxc/*", Some(Subject::DebianLxc)),
            rule("cgroup */lxc.pivot", None),
        ];
        assert_eq!(
            unexpected(&before, &after, &rules),
            ["file /run/lxc/lock/demo regular"]
        );
        let debian = leftovers(&before, &after, Subject::DebianLxc, &rules);
        assert_eq!(debian.unexpected, [""; 0]);
        let known: Vec<&str> = debian
            .known
            .iter()
            .map(|(_, rule)| rule.what.as_str())
            .collect();
        assert_eq!(known, ["cgroup */lxc.pivot", "file /run/lxc/*"]);
        // What is allowed to appear is not allowed to vanish.
        assert_eq!(unexpected(&after, &before, &rules).len(), 2);
    }

    fn census() -> impl Strategy<Value = Census> {
        let lines = || btree_set("[a-c]{1,2}( [a-c])?", 0..5);
        let files = btree_set("/[a-c]( [a-c])?", 0..4);
        (lines(), lines(), lines(), lines(), lines(), files).prop_map(
            |(processes, cgroups, mounts, links, kernel, files)| Census {
                processes,
                cgroups,
                mounts,
                links,
                files: files
                    .into_iter()
                    .enumerate()
                    .map(|(number, path)| format!("{path} size{}", number % 2))
                    .collect(),
                kernel,
            },
        )
    }

    proptest! {
        #[test]
        fn nothing_is_left_exactly_when_the_counts_are_equal(before in census(), after in census()) {
            prop_assert_eq!(unexpected(&before, &after, &[]).is_empty(), before == after);
        }

        #[test]
        fn new_things_one_way_are_gone_the_other_way(before in census(), after in census()) {
            let mut there = unexpected(&before, &after, &[]);
            let mut back: Vec<String> = unexpected(&after, &before, &[])
                .into_iter()
                .map(|line| match (line.strip_prefix("gone "), line.split_once(" -> ")) {
                    (Some(line), _) => line.to_owned(),
                    (None, Some((head, is))) => {
                        // The path is the third word.
                        let (at, _) = head.match_indices(' ').nth(2).unwrap();
                        format!("{} {is} -> {}", &head[..at], &head[at + 1..])
                    }
                    (None, None) => format!("gone {line}"),
                })
                .collect();
            there.sort();
            back.sort();
            prop_assert_eq!(there, back);
        }

        #[test]
        fn a_rule_for_everything_leaves_nothing_unexpected(before in census(), after in census()) {
            let rules = [rule("*", None)];
            let left = leftovers(&before, &after, Subject::Ours, &rules);
            prop_assert!(left.unexpected.is_empty());
            prop_assert_eq!(left.known.len(), unexpected(&before, &after, &[]).len());
        }
    }
}
