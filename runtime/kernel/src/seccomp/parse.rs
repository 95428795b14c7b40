//! A policy language for filters: the text of a profile, versions 1 and 2. Pure: no file, no library, no kernel.

use super::policy::{
    Action, Comparison, Condition, Policy, PolicyError, Rule, Section, Syscall, Version,
};

/// The headers; each may also be written in upper case throughout.
const SECTIONS: &[(&str, Section)] = &[
    ("[all]", Section::All),
    ("[x86]", Section::X86),
    ("[x32]", Section::X32),
    ("[x86_64]", Section::X86_64),
    ("[arm]", Section::Arm),
    ("[arm64]", Section::Arm64),
    ("[ppc]", Section::Ppc),
    ("[ppc64]", Section::Ppc64),
    ("[ppc64le]", Section::Ppc64le),
    ("[mips]", Section::Mips),
    ("[mips64]", Section::Mips64),
    ("[mips64n32]", Section::Mips64n32),
    ("[mipsel]", Section::Mipsel),
    ("[mipsel64]", Section::Mipsel64),
    ("[mipsel64n32]", Section::Mipsel64n32),
    ("[s390]", Section::S390),
    ("[s390x]", Section::S390x),
    ("[loongarch64]", Section::Loongarch64),
];

const COMPARISONS: &[(&str, &str, Comparison)] = &[
    ("==", "SCMP_CMP_EQ", Comparison::Equal),
    ("!=", "SCMP_CMP_NE", Comparison::NotEqual),
    ("<", "SCMP_CMP_LT", Comparison::Less),
    ("<=", "SCMP_CMP_LE", Comparison::LessOrEqual),
    (">=", "SCMP_CMP_GE", Comparison::GreaterOrEqual),
    (">", "SCMP_CMP_GT", Comparison::Greater),
    ("&=", "SCMP_CMP_MASKED_EQ", Comparison::MaskedEqual),
];

/// A system call has six arguments, and a rule compares each at most once.
const ARGUMENTS: usize = 6;

/// The kernel returns errnos below this; libseccomp refuses the others.
const ERRNO_END: u16 = 4095;

/// `umount2`'s MNT_FORCE, in its second argument.
const MNT_FORCE: u64 = 1;

/// Reads a policy's text; the first thing wrong with it ends the reading.
///
/// Unknown names of system calls are no error here, and rules in sections for other machines are kept.
pub fn parse(text: &str) -> Result<Policy, PolicyError> {
    let (version, body, mut line) = head(text)?;
    let mut lines = body.lines();
    let Some(policy) = lines.next() else {
        return Err(PolicyError::new(
            line,
            "the policy word is missing, for instance denylist or allowlist",
        ));
    };
    if policy.contains("debug") {
        return Err(PolicyError::new(
            line,
            "debug is not allowed on the policy line",
        ));
    }
    let policy_line = line;
    let numbered = lines.map(|text| {
        line += 1;
        (line, text)
    });
    match version {
        Version::Numbers => allowed_numbers(policy_line, policy, numbered),
        Version::Names => named_rules(policy_line, policy, numbered),
    }
}

/// The version, the text from the policy line on, and the policy line's number.
fn head(text: &str) -> Result<(Version, &str, u32), PolicyError> {
    let number = text.trim_start();
    let number = number.strip_prefix('+').unwrap_or(number);
    let digits = number.len()
        - number
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .len();
    let (number, rest) = number.split_at(digits);
    let body = rest.trim_start();
    let line_of = |rest: &str| {
        let before = &text[..text.len() - rest.len()];
        u32::try_from(before.matches('\n').count())
            .unwrap_or(u32::MAX)
            .saturating_add(1)
    };
    let version = match number.parse() {
        Ok(1) => Version::Numbers,
        Ok(2) => Version::Names,
        _ => {
            return Err(PolicyError::new(
                line_of(rest),
                "the policy must begin with its version, 1 or 2",
            ));
        }
    };
    Ok((version, body, line_of(body)))
}

fn allowed_numbers<'a>(
    line: u32,
    policy: &str,
    lines: impl Iterator<Item = (u32, &'a str)>,
) -> Result<Policy, PolicyError> {
    if !policy.contains("allowlist") && !policy.contains("whitelist") {
        return Err(PolicyError::new(
            line,
            "a policy of version 1 must be an allowlist",
        ));
    }
    let mut rules = Vec::new();
    for (line, text) in lines {
        let text = text.trim_start();
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number = text[..digits].parse().map_err(|_| {
            PolicyError::new(
                line,
                format!("a line of version 1 begins with the number of a system call: {text:?}"),
            )
        })?;
        let syscall = Syscall::Number(number);
        rules.push(Rule {
            line,
            section: Section::All,
            syscall,
            action: Action::Allow,
            conditions: Vec::new(),
        });
    }
    Ok(Policy {
        version: Version::Numbers,
        line,
        default: Action::Kill,
        rules,
    })
}

fn named_rules<'a>(
    line: u32,
    policy: &str,
    lines: impl Iterator<Item = (u32, &'a str)>,
) -> Result<Policy, PolicyError> {
    let (default, rule_default) = style(line, policy)?;
    let mut section = Section::Headless;
    let mut rules = Vec::new();
    for (line, text) in lines {
        match text.as_bytes().first() {
            Some(b'[') => section = header(line, text)?,
            Some(b'#') => {}
            _ if text.trim().is_empty() => {}
            _ => rules.push(rule(line, section, rule_default, text)?),
        }
    }
    Ok(Policy {
        version: Version::Names,
        line,
        default,
        rules,
    })
}

/// What the policy line says: the action of unnamed system calls and that of rules without an action.
fn style(line: u32, text: &str) -> Result<(Action, Action), PolicyError> {
    let starts_with_one_of = |words: [&str; 2]| words.iter().any(|word| text.starts_with(word));
    let (default, rule_default) = if starts_with_one_of(["denylist", "blacklist"]) {
        (Action::Allow, Action::Kill)
    } else if starts_with_one_of(["allowlist", "whitelist"]) {
        (Action::Kill, Action::Allow)
    } else {
        return Err(PolicyError::new(
            line,
            format!("the policy must be denylist or allowlist, not {text:?}"),
        ));
    };
    match text.split_once(' ') {
        None => Ok((default, rule_default)),
        Some((_, action)) => Ok((
            parse_action(line, action.trim_start_matches(' '))?,
            rule_default,
        )),
    }
}

fn header(line: u32, text: &str) -> Result<Section, PolicyError> {
    let named = |name: &str| text == name || text == name.to_ascii_uppercase();
    SECTIONS
        .iter()
        .find(|(name, _)| named(name))
        .map(|(_, section)| *section)
        .ok_or_else(|| PolicyError::new(line, format!("unsupported architecture {text:?}")))
}

fn rule(line: u32, section: Section, default: Action, text: &str) -> Result<Rule, PolicyError> {
    let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim_start_matches(' ');
    check_name(line, name)?;
    let (action, conditions) = if rest.is_empty() || rest.starts_with('#') {
        (default, Vec::new())
    } else {
        let action = parse_action(line, rest)?;
        let conditions = rest
            .find('[')
            .map_or(Ok(Vec::new()), |at| conditions(line, &rest[at..]))?;
        (action, conditions)
    };
    if name.starts_with("reject_force_umount") {
        return Ok(force_umount(line, section));
    }
    Ok(Rule {
        line,
        section,
        syscall: Syscall::Name(name.to_owned()),
        action,
        conditions,
    })
}

/// A tab or a bracket in a name is a slip of the pen, not a system call of another kernel: the rest would be lost.
fn check_name(line: u32, name: &str) -> Result<(), PolicyError> {
    if name.is_empty()
        || name
            .bytes()
            .any(|byte| byte == b'[' || byte.is_ascii_control())
    {
        let message = format!(
            "{name:?} is no system call; the line begins with a name, and blanks separate its parts"
        );
        return Err(PolicyError::new(line, message));
    }
    Ok(())
}

/// Unmounting by force is refused whatever the policy says.
fn force_umount(line: u32, section: Section) -> Rule {
    let forced = Condition {
        index: 1,
        comparison: Comparison::MaskedEqual,
        value: MNT_FORCE,
        mask: MNT_FORCE,
    };
    Rule {
        line,
        section,
        syscall: Syscall::Name("umount2".into()),
        action: Action::Errno(libc::EACCES as u16),
        conditions: vec![forced],
    }
}

/// The action at the start of `text`; what follows it is the caller's business.
fn parse_action(line: u32, text: &str) -> Result<Action, PolicyError> {
    const WORDS: [(&str, Action); 4] = [
        ("kill", Action::Kill),
        ("allow", Action::Allow),
        ("trap", Action::Trap),
        ("notify", Action::Notify),
    ];
    if let Some(number) = text.strip_prefix("errno") {
        return errno(line, number);
    }
    WORDS
        .iter()
        .find(|(word, _)| text.starts_with(word))
        .map(|(_, action)| *action)
        .ok_or_else(|| {
            let message =
                format!("an action is kill, errno N, allow, trap or notify, not {text:?}");
            PolicyError::new(line, message)
        })
}

fn errno(line: u32, text: &str) -> Result<Action, PolicyError> {
    let number = text.trim_start();
    let digits = number.len()
        - number
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .len();
    match number[..digits].parse() {
        Ok(errno @ 0..ERRNO_END) => Ok(Action::Errno(errno)),
        _ => Err(PolicyError::new(
            line,
            "errno needs a decimal number from 0 to 4094, for instance errno 1",
        )),
    }
}

/// The conditions at the end of a line: `[index,value,op]` or `[index,value,op,mask]`, each once.
fn conditions(line: u32, text: &str) -> Result<Vec<Condition>, PolicyError> {
    let mut conditions = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let Some((tuple, after)) = rest
            .strip_prefix('[')
            .and_then(|inner| inner.split_once(']'))
        else {
            let message = format!(
                "only [index,value,operator] or [index,value,operator,mask] may follow here: {rest:?}"
            );
            return Err(PolicyError::new(line, message));
        };
        if conditions.len() == ARGUMENTS {
            return Err(PolicyError::new(
                line,
                "a system call has at most six arguments to compare",
            ));
        }
        let condition = condition(tuple)
            .map_err(|problem| PolicyError::new(line, format!("[{tuple}]: {problem}")))?;
        if conditions
            .iter()
            .any(|other: &Condition| other.index == condition.index)
        {
            let message = format!(
                "argument {} is compared twice; write the rule on two lines for either-or",
                condition.index
            );
            return Err(PolicyError::new(line, message));
        }
        conditions.push(condition);
        let next = after.trim_start_matches(' ');
        if next.is_empty() && !after.is_empty() {
            return Err(PolicyError::new(
                line,
                "nothing may follow the last condition, not even a blank",
            ));
        }
        rest = next;
    }
    Ok(conditions)
}

fn condition(tuple: &str) -> Result<Condition, String> {
    let fields: Vec<&str> = tuple.split(',').collect();
    let (index, value, operator, mask) = match fields[..] {
        [index, value, operator] => (index, value, operator, None),
        [index, value, operator, mask] => (index, value, operator, Some(mask)),
        _ => return Err("three or four fields are separated by commas".into()),
    };
    let index = number(index)
        .and_then(|index| u8::try_from(index).ok())
        .filter(|index| usize::from(*index) < ARGUMENTS)
        .ok_or("the index of an argument is 0 to 5")?;
    let value = number(value).ok_or_else(|| format!("{value:?} is no unsigned 64-bit number"))?;
    let comparison = COMPARISONS
        .iter()
        .find(|(sign, name, _)| operator == *sign || operator == *name)
        .map(|(_, _, comparison)| *comparison)
        .ok_or_else(|| {
            format!("{operator:?} is none of ==, !=, <, <=, >=, >, &= or their SCMP_CMP_ names")
        })?;
    let mask = match mask {
        Some(mask) if !mask.is_empty() => {
            number(mask).ok_or_else(|| format!("{mask:?} is no unsigned 64-bit number"))?
        }
        _ => 0,
    };
    Ok(Condition {
        index,
        comparison,
        value,
        mask,
    })
}

/// An unsigned number as C writes it: decimal, `0x` hexadecimal or `0` octal, with blanks before it.
fn number(text: &str) -> Option<u64> {
    let text = text.trim_start_matches(' ');
    if !text.bytes().next()?.is_ascii_digit() {
        return None;
    }
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        // from_str_radix would take a sign here.
        return digits
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit())
            .then(|| u64::from_str_radix(digits, 16).ok())?;
    }
    match text.strip_prefix('0') {
        Some(digits) if !digits.is_empty() => digits
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| u64::from_str_radix(digits, 8).ok())?,
        _ => text.parse().ok(),
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
