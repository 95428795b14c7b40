//! What /etc/subuid and /etc/subgid grant.

use super::UserFacts;
use crate::Refusal;
use lxc_config::{IdKind, IdRange};

/// What is known about the grants of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubidFact {
    /// The lines of the file that can be understood; none if it is empty or missing.
    File(Vec<SubidRange>),
    /// It cannot be read.
    Unreadable(String),
    /// nsswitch.conf names another source: only the tools can ask it.
    Elsewhere,
}

/// One line of /etc/subuid or /etc/subgid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubidRange {
    /// Login name, or user id in digits.
    pub owner: String,
    /// First id.
    pub first: u32,
    /// How many.
    pub count: u32,
}

impl SubidFact {
    /// What the text of the file says. A line is `OWNER:FIRST:COUNT`; others mean nothing, as to the
    /// tools.
    pub fn parse(text: &str) -> SubidFact {
        let line = |line: &str| {
            let mut words = line.split(':');
            let range = SubidRange {
                owner: words.next().filter(|owner| !owner.is_empty())?.to_owned(),
                first: words.next()?.trim().parse().ok()?,
                count: words.next()?.trim().parse().ok()?,
            };
            let whole = words.next().is_none() && range.count > 0;
            whole.then_some(range)
        };
        SubidFact::File(text.lines().filter_map(line).collect())
    }

    /// The ranges of the user with this login name and id, in the file's order.
    pub fn of(&self, login: Option<&str>, uid: u32) -> Vec<&SubidRange> {
        let SubidFact::File(ranges) = self else {
            return Vec::new();
        };
        let number = uid.to_string();
        let owns = |range: &&SubidRange| login == Some(&range.owner) || range.owner == number;
        ranges.iter().filter(owns).collect()
    }
}

/// One finding for each range that the caller has not been granted.
pub(super) fn ungranted(ranges: &[IdRange], facts: &UserFacts) -> Vec<Refusal> {
    let refusal = |range: &IdRange| {
        let (fact, own) = match range.kind {
            IdKind::User => (&facts.subuid, facts.euid),
            IdKind::Group => (&facts.subgid, facts.egid),
        };
        let itself = range.count == 1 && range.host == own;
        match fact {
            SubidFact::Elsewhere => None,
            _ if itself => None,
            SubidFact::Unreadable(why) => Some(Refusal::new(
                format!("{} cannot be read: {why}", file(range.kind)),
                "make it readable for everybody (chmod 644)",
            )),
            SubidFact::File(_) => {
                let granted = fact.of(facts.login.as_deref(), facts.euid);
                (!holds(&granted, range)).then(|| not_granted(range, &granted, facts))
            }
        }
    };
    ranges.iter().filter_map(refusal).collect()
}

/// Whether the granted ranges together hold all of `wanted`: it may lie across several lines.
fn holds(granted: &[&SubidRange], wanted: &IdRange) -> bool {
    let mut next = u64::from(wanted.host);
    let end = next + u64::from(wanted.count);
    while next < end {
        let ends = granted.iter().filter_map(|range| {
            let first = u64::from(range.first);
            let last = first + u64::from(range.count);
            (first <= next && next < last).then_some(last)
        });
        match ends.max() {
            Some(reached) => next = reached,
            None => return false,
        }
    }
    true
}

fn not_granted(range: &IdRange, granted: &[&SubidRange], facts: &UserFacts) -> Refusal {
    let file = file(range.kind);
    let what = match range.kind {
        IdKind::User => "user",
        IdKind::Group => "group",
    };
    let number = facts.euid.to_string();
    let who = facts.login.as_deref().unwrap_or(&number);
    let has = match granted {
        [] => format!("{file} grants {who} none"),
        _ => {
            let texts: Vec<String> = granted.iter().map(|r| span(r.first, r.count)).collect();
            format!("{file} grants {who} only {}", texts.join(", "))
        }
    };
    let wanted = span(range.host, range.count);
    let add = format!("{who}:{}:{}", range.host, range.count);
    let (first, last) = (range.host, range.host + (range.count - 1));
    let mend = match facts.login {
        Some(_) => format!(
            "run 'usermod --add-sub{}s {first}-{last} {who}' as root, or add the line '{add}' to {file}",
            match range.kind {
                IdKind::User => "uid",
                IdKind::Group => "gid",
            }
        ),
        None => format!("add the line '{add}' to {file} as root"),
    };
    let correct = match granted {
        [] => String::new(),
        _ => "; or map only granted ids".to_owned(),
    };
    Refusal::new(
        format!("the {what} ids {wanted} may not be mapped: {has}"),
        mend + &correct,
    )
}

fn file(kind: IdKind) -> &'static str {
    match kind {
        IdKind::User => "/etc/subuid",
        IdKind::Group => "/etc/subgid",
    }
}

fn span(first: u32, count: u32) -> String {
    if count == 1 {
        return first.to_string();
    }
    format!("{first}-{}", u64::from(first) + u64::from(count) - 1)
}
