//! The device rules of a container on a pure cgroup v2 host: a program that the kernel asks.

use crate::wire::{DeviceKind, DeviceRule};
use lxc_kernel::device_filter::{self, Access, Kind, Line, List, Rule};
use lxc_kernel::{Errno, Result, SysError};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The rules in force and the program that enforces them.
#[derive(Debug, Default)]
pub struct DeviceFilter {
    list: List,
    program: Option<OwnedFd>,
}

impl DeviceFilter {
    /// Takes in the configuration's rules (`devices.allow` or `devices.deny`, and the rule) and
    /// puts them in force for `cgroup`.
    ///
    /// # Errors
    /// EINVAL for a rule that is none; what the kernel says otherwise.
    pub fn begin(&mut self, rules: &[(String, String)], cgroup: BorrowedFd<'_>) -> Result<()> {
        let mut list = List::new();
        for (file, rule) in rules {
            let verb = file.strip_prefix("devices.").unwrap_or(file);
            let line = device_filter::parse_rule(verb, rule)
                .map_err(|why| SysError::new("bpf", why, Errno::INVAL))?;
            list.apply(line);
        }
        self.enforce(list, cgroup)
    }

    /// Adds one rule to those in force for `cgroup`; one that changes nothing costs nothing.
    ///
    /// The first rule of a container that had none denies every device that no rule allows.
    ///
    /// # Errors
    /// As [`DeviceFilter::begin`]; what was in force stays in force.
    pub fn change(&mut self, rule: &DeviceRule, cgroup: BorrowedFd<'_>) -> Result<()> {
        let mut list = self.list.clone();
        let changed = list.apply(line(rule)?);
        // Until there is a program every device is allowed, whatever an empty list would say.
        match changed || self.program.is_none() {
            true => self.enforce(list, cgroup),
            false => Ok(()),
        }
    }

    fn enforce(&mut self, list: List, cgroup: BorrowedFd<'_>) -> Result<()> {
        let program = match &self.program {
            Some(old) => device_filter::replace(cgroup, old.as_fd(), &list)?,
            None => device_filter::attach(cgroup, &list)?,
        };
        (self.list, self.program) = (list, Some(program));
        Ok(())
    }
}

/// A client's rule in the kernel crate's words: the letter `a` alone means every device.
fn line(rule: &DeviceRule) -> Result<Line> {
    let everything = rule.kind == DeviceKind::All
        && rule.major.is_none()
        && rule.minor.is_none()
        && rule.access.is_empty();
    if everything {
        return Ok(Line::Everything { allow: rule.allow });
    }
    let access = Access::from_letters(&rule.access)
        .ok_or_else(|| SysError::new("bpf", rule.access.clone(), Errno::INVAL))?;
    Ok(Line::Rule(Rule {
        allow: rule.allow,
        kind: match rule.kind {
            DeviceKind::All => Kind::All,
            DeviceKind::Block => Kind::Block,
            DeviceKind::Char => Kind::Char,
        },
        major: rule.major,
        minor: rule.minor,
        access,
    }))
}

#[cfg(test)]
mod tests {
    use super::{Access, DeviceKind, DeviceRule, Kind, Line, Rule, line};

    fn asked(kind: DeviceKind, major: Option<u32>, access: &str) -> DeviceRule {
        DeviceRule {
            kind,
            major,
            minor: None,
            access: access.into(),
            allow: true,
        }
    }

    #[test]
    fn only_the_bare_letter_means_every_device() {
        let rule = |kind, major, access| {
            Line::Rule(Rule {
                allow: true,
                kind,
                major,
                minor: None,
                access,
            })
        };
        let check = |asked: DeviceRule, expected: Line| {
            assert_eq!(line(&asked).expect("a rule"), expected, "{asked:?}");
        };
        check(
            asked(DeviceKind::All, None, ""),
            Line::Everything { allow: true },
        );
        check(
            asked(DeviceKind::All, None, "rwm"),
            rule(Kind::All, None, Access::ALL),
        );
        check(
            asked(DeviceKind::Char, Some(1), ""),
            rule(Kind::Char, Some(1), Access::NONE),
        );
        assert!(line(&asked(DeviceKind::Block, Some(7), "x")).is_err());
    }
}
