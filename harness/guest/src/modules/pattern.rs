//! Patterns as modprobe matches them.

/// A name in which `-` and `_` are the same, outside of `[…]`.
pub fn normal(name: &str) -> String {
    let mut inside = false;
    let normal = name.chars().map(|letter| {
        inside = match letter {
            '[' => true,
            ']' => false,
            _ => inside,
        };
        match letter {
            '-' if !inside => '_',
            _ => letter,
        }
    });
    normal.collect()
}

/// Whether `name` is one of those that `pattern` means: `*`, `?`, `[a-z]`, `[!a-z]`.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.as_bytes(), name.as_bytes());
    // Where to go on if what follows the last star does not match: the star takes one more.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, name) {
            ([], []) => return true,
            ([b'*', rest @ ..], _) => {
                retry = Some((rest, name));
                pattern = rest;
                continue;
            }
            ([_, ..], [letter, after @ ..]) => {
                if let Some(rest) = one(pattern, *letter) {
                    (pattern, name) = (rest, after);
                    continue;
                }
            }
            _ => {}
        }
        match retry {
            Some((rest, [_, after @ ..])) => {
                retry = Some((rest, after));
                (pattern, name) = (rest, after);
            }
            _ => return false,
        }
    }
}

/// What is left of the pattern if its first part, no star, means `letter`.
fn one(pattern: &[u8], letter: u8) -> Option<&[u8]> {
    let (first, rest) = pattern.split_first()?;
    match first {
        b'?' => Some(rest),
        b'[' => {
            // Without an end it is a letter like others.
            let Some(end) = rest.iter().skip(1).position(|it| *it == b']') else {
                return (letter == b'[').then_some(rest);
            };
            let (set, rest) = (&rest[..=end], &rest[end + 2..]);
            in_set(set, letter).then_some(rest)
        }
        _ => (*first == letter).then_some(rest),
    }
}

fn in_set(set: &[u8], letter: u8) -> bool {
    let (wanted, mut set) = match set {
        [b'!' | b'^', rest @ ..] => (false, rest),
        _ => (true, set),
    };
    loop {
        let (found, rest) = match set {
            [] => return !wanted,
            [low, b'-', high, rest @ ..] => ((*low..=*high).contains(&letter), rest),
            [single, rest @ ..] => (*single == letter, rest),
        };
        if found {
            return wanted;
        }
        set = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_to_modprobe() {
        for (pattern, name, same) in [
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbcd", false),
            ("*ab*ab", "abxabyab", true),
            ("*ab*ab", "abxaby", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a[0-9]c", "a5c", true),
            ("a[0-9]c", "axc", false),
            ("a[!0-9]c", "axc", true),
            ("a[!0-9]c", "a5c", false),
            ("a[]]c", "a]c", true),
            ("a[xyz]", "ay", true),
            ("a[", "a[", true),
            ("a[0-", "a0", false),
            (
                "cpu:type:x86*feature:*0099*",
                "cpu:type:x86:feature:,0099,",
                true,
            ),
        ] {
            assert_eq!(matches(pattern, name), same, "{pattern} {name}");
        }
    }

    #[test]
    fn dashes_are_underscores_outside_of_sets() {
        assert_eq!(normal("fs-a-[0-9]-b"), "fs_a_[0-9]_b");
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        let name = "a".repeat(3000);
        assert!(!matches(&format!("{}b", "*a".repeat(300)), &name));
    }
}
