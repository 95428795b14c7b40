//! Texts of an installation: words such as `@DATADIR@` become paths below its prefix.

use std::fs;
use std::path::Path;

use super::placing::at;
use crate::project::Outcome;

/// Words and what stands in their place.
pub struct Filling {
    words: Vec<(&'static str, String)>,
}

impl Filling {
    /// The directories below `prefix`, an absolute path.
    ///
    /// # Errors
    /// The path cannot be written into configuration files and scripts.
    pub fn with(prefix: &Path) -> Outcome<Filling> {
        let text = prefix.to_str();
        let usable = text.filter(|text| !text.chars().any(|c| c.is_control() || UNFIT.contains(c)));
        let prefix = usable.ok_or_else(|| {
            format!("the prefix {prefix:?} is written into files: UTF-8 without any of {UNFIT}")
        })?;
        let directory = |(word, below): &(&'static str, &str)| (*word, format!("{prefix}{below}"));
        Ok(Filling {
            words: DIRECTORIES.iter().map(directory).collect(),
        })
    }

    /// Adds a word.
    pub fn and(&self, word: &'static str, text: &str) -> Filling {
        let mut words = self.words.clone();
        words.push((word, text.to_owned()));
        Filling { words }
    }

    /// The text of `file` with all words replaced.
    pub fn file(&self, file: &Path) -> Outcome<String> {
        let text = fs::read_to_string(file).map_err(at(file))?;
        let is_pkg_config = file.to_string_lossy().ends_with(".pc.in");
        let lines = text.split_inclusive('\n');
        let text: String = lines
            .map(|line| self.line(line, is_pkg_config || is_hook(line)))
            .collect();
        match placeholder(&text) {
            None => Ok(text),
            Some(word) => {
                Err(format!("{}: {word} is not a placeholder known here", file.display()).into())
            }
        }
    }

    /// `splits`: a blank in the line ends a word, unless a backslash stands before it.
    fn line(&self, line: &str, splits: bool) -> String {
        let replace = |line: String, (word, text): &(&str, String)| match splits {
            true => line.replace(word, &text.replace(' ', "\\ ")),
            false => line.replace(word, text),
        };
        self.words.iter().fold(line.to_owned(), replace)
    }
}

/// What means something to a shell, to pkg-config, or in a configuration.
const UNFIT: &str = "\"'`$\\#@";

const DIRECTORIES: [(&str, &str); 7] = [
    ("@PREFIX@", ""),
    ("@BINDIR@", "/bin"),
    ("@DATADIR@", "/share"),
    ("@LIBDIR@", "/lib"),
    ("@LIBEXECDIR@", "/libexec"),
    ("@LOCALSTATEDIR@", "/var"),
    ("@SYSCONFDIR@", "/etc"),
];

/// Whether a shell will read the value.
fn is_hook(line: &str) -> bool {
    line.trim_start_matches('#').starts_with("lxc.hook.")
}

/// The first word of the form `@LETTERS@`.
fn placeholder(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split('@').collect();
    let inner = words.get(1..words.len().saturating_sub(1))?;
    let word = inner
        .iter()
        .find(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase()))?;
    Some(format!("@{word}@"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_placeholders_are_found() {
        for (text, expected) in [
            ("a = @DATADIR@/x", Some("@DATADIR@")),
            ("mail me@home.org, you@home.org", None),
            ("@@", None),
            ("nothing", None),
            ("user@HOST", None),
        ] {
            assert_eq!(placeholder(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_blank_in_the_prefix_ends_no_word() {
        let filling = Filling::with(Path::new("/a b")).unwrap();
        for (line, expected) in [
            ("lxc.include = @DATADIR@/x", "lxc.include = /a b/share/x"),
            (
                "lxc.hook.clone = @DATADIR@/x",
                "lxc.hook.clone = /a\\ b/share/x",
            ),
            (
                "#lxc.hook.stop = @BINDIR@/x",
                "#lxc.hook.stop = /a\\ b/bin/x",
            ),
        ] {
            assert_eq!(filling.line(line, is_hook(line)), expected);
        }
        let pc = filling
            .and("@VERSION@", "6")
            .line("@PREFIX@ @VERSION@", true);
        assert_eq!(pc, "/a\\ b 6");
    }

    #[test]
    fn a_prefix_that_files_cannot_name_is_refused() {
        for prefix in ["/a\"b", "/a$b", "/a\nb", "/a@b", "/a#b"] {
            assert!(Filling::with(Path::new(prefix)).is_err(), "{prefix}");
        }
    }
}
