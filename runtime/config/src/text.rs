//! The text of a configuration as it will be saved: what was read and what was set, unexpanded.

/// Lines in the order they were read or set, each with its newline.
#[derive(Debug, Clone, Default)]
pub(crate) struct Text(String);

impl Text {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn push_line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    /// Appends `KEY = VALUE` in a form that reads back as exactly `value`.
    pub(crate) fn push_assignment(&mut self, key: &str, value: &str) {
        let quote = if survives_reading(value) { "" } else { "\"" };
        self.push_line(&format!("{key} = {quote}{value}{quote}"));
    }

    /// Removes every assignment to a key that `covered` says yes to.
    pub(crate) fn remove(&mut self, covered: impl Fn(&str) -> bool) {
        let kept = |line: &&str| !key_of(line).is_some_and(&covered);
        self.0 = self.0.split_inclusive('\n').filter(kept).collect();
    }
}

/// Blanks as the file format knows them.
pub(crate) const BLANKS: [char; 2] = [' ', '\t'];

/// Whether reading `KEY = value` gives `value` back: no blanks at its ends, no quotes around it.
fn survives_reading(value: &str) -> bool {
    value.trim_matches(BLANKS) == value && unquoted(value) == value
}

/// `value` without the one pair of equal quotes around it, if there is one.
pub(crate) fn unquoted(value: &str) -> &str {
    let quotes = ['\'', '"'];
    match value.chars().next() {
        Some(quote) if quotes.contains(&quote) && value.len() > 1 && value.ends_with(quote) => {
            &value[1..value.len() - 1]
        }
        _ => value,
    }
}

/// The key a line assigns to; `None` for comments, empty lines and lines LXC ignores.
pub(crate) fn key_of(line: &str) -> Option<&str> {
    let line = line.trim_start_matches(BLANKS);
    let (key, _) = line.strip_prefix("lxc.").and(line.split_once('='))?;
    Some(key.trim_end_matches(BLANKS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("'abc'", "abc")]
    #[case("\"abc\"", "abc")]
    #[case("\"abc'", "\"abc'")]
    #[case("A=\"b\"", "A=\"b\"")]
    #[case("\"", "\"")]
    #[case("\"\"", "")]
    #[case("''x''", "'x'")]
    fn one_pair_of_equal_quotes_is_removed(#[case] value: &str, #[case] expected: &str) {
        assert_eq!(unquoted(value), expected);
    }

    #[rstest]
    #[case("plain", "lxc.k = plain\n")]
    #[case("'q'", "lxc.k = \"'q'\"\n")]
    #[case(" blank", "lxc.k = \" blank\"\n")]
    #[case("\"", "lxc.k = \"\n")]
    fn assignments_are_quoted_only_when_needed(#[case] value: &str, #[case] expected: &str) {
        let mut text = Text::default();
        text.push_assignment("lxc.k", value);
        assert_eq!(text.as_str(), expected);
    }

    #[test]
    fn removal_takes_assignments_of_the_key_only() {
        let mut text = Text::default();
        for line in [
            "# lxc.a = 1",
            "lxc.a = 1",
            "  lxc.a=2",
            "lxc.ab = 3",
            "lxc.a.b = 4",
            "foo = lxc.a",
        ] {
            text.push_line(line);
        }
        text.remove(|key| key == "lxc.a");
        assert_eq!(
            text.as_str(),
            "# lxc.a = 1\nlxc.ab = 3\nlxc.a.b = 4\nfoo = lxc.a\n"
        );
    }
}
