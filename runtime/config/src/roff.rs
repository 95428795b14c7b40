//! The few words of roff that manual pages are made of, for those of the keys and of the tools.

use std::fmt::Write;

/// Text as roff shows it: a backslash is one, dashes and apostrophes are those that are typed.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            c => out.push(c),
        }
    }
    out
}

/// A line that begins with its own text: a full stop or an apostrophe there would make a request of it.
pub fn line(text: &str) -> String {
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text.to_owned(),
    }
}

/// The last section, with references such as `lxc.conf(5)`.
pub fn see_also(page: &mut String, pages: &[&str]) {
    let links: Vec<String> = pages
        .iter()
        .filter_map(|page| page.split_once('('))
        .map(|(name, section)| format!("\\fB{}\\fR({section}", escaped(name)))
        .collect();
    let _ = writeln!(page, ".SH SEE ALSO\n{}", links.join(", "));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roff_sees_only_what_is_meant_for_it() {
        assert_eq!(escaped("a\\040-'b'"), "a\\e040\\-\\(aqb\\(aq");
        assert_eq!(line(".conf"), "\\&.conf");
        assert_eq!(line("a.conf"), "a.conf");
    }
}
