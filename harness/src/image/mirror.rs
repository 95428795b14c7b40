//! Which mirrors this machine uses: read from apt's own lists of sources, never written down here.

use std::fs;
use std::path::{Path, PathBuf};

/// A line, or the part of a stanza, that names one suite at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    uri: String,
    suite: String,
    components: Vec<String>,
    /// Keys that it trusts beside, or instead of, the machine's.
    signed_by: String,
}

/// The place from which this machine would fetch `suite`.
///
/// A suite `…-security` comes from where the machine has one of those, every other from where it
/// has its own distribution. `etc` is apt's directory, `codename` the distribution's.
///
/// # Errors
/// No source is of that kind; says which files were looked at.
pub(super) fn of_suite(suite: &str, etc: &Path, codename: &str) -> Result<String, String> {
    let files = files(etc);
    let mut sources = Vec::new();
    for file in &files {
        // A list that cannot be read says nothing to apt either.
        let text = fs::read_to_string(file).unwrap_or_default();
        let stanzas = file.extension().is_some_and(|end| end == "sources");
        sources.extend(if stanzas {
            parse_stanzas(&text)
        } else {
            parse_lines(&text)
        });
    }
    sources.retain(is_debians);
    let security = suite.ends_with("-security");
    let aliases = [
        codename,
        "stable",
        "oldstable",
        "testing",
        "unstable",
        "sid",
    ];
    let found = sources.iter().find(|source| match security {
        true => source.suite.ends_with("-security"),
        false => aliases.contains(&source.suite.as_str()),
    });
    let looked_at: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let looked_at = match looked_at.is_empty() {
        true => format!("{} holds no list of sources", etc.display()),
        false => format!("looked at {}", looked_at.join(", ")),
    };
    let kind = if security {
        "a suite …-security"
    } else {
        "Debian itself"
    };
    let none = || format!("no apt source of this machine is {kind}; {looked_at}; add one");
    found.map(|source| source.uri.clone()).ok_or_else(none)
}

/// The distribution's own name, as /etc/os-release says it.
pub(super) fn codename(os_release: &Path) -> String {
    let text = fs::read_to_string(os_release).unwrap_or_default();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    value.unwrap_or_default().trim_matches('"').to_string()
}

/// All that apt reads, in its order.
fn files(etc: &Path) -> Vec<PathBuf> {
    let mut parts: Vec<PathBuf> = fs::read_dir(etc.join("sources.list.d"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|end| end == "list" || end == "sources")
        })
        .collect();
    parts.sort();
    parts.insert(0, etc.join("sources.list"));
    parts.retain(|path| path.is_file());
    parts
}

/// Others publish for Debian under its suites' names, but sign with their own keys.
fn is_debians(source: &Source) -> bool {
    let signed = &source.signed_by;
    source
        .components
        .iter()
        .any(|component| component == "main")
        && (signed.is_empty() || signed.contains("debian-archive"))
        && !source.uri.starts_with("cdrom:")
}

/// `deb [option=value …] URI SUITE COMPONENT …`
fn parse_lines(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let Some(rest) = line
            .strip_prefix("deb")
            .filter(|r| r.starts_with([' ', '\t', '[']))
        else {
            continue;
        };
        let rest = rest.trim_start();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']').unwrap_or((rest, "")),
            None => ("", rest),
        };
        let signed_by = options
            .split_whitespace()
            .find_map(|o| o.strip_prefix("signed-by="));
        let mut words = rest.split_whitespace().map(str::to_string);
        let (Some(uri), Some(suite)) = (words.next(), words.next()) else {
            continue;
        };
        let signed_by = signed_by.unwrap_or_default().to_string();
        sources.push(Source {
            uri,
            suite,
            components: words.collect(),
            signed_by,
        });
    }
    sources
}

/// Stanzas of `Field: value`, continued on lines that begin with a blank.
fn parse_stanzas(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            sources.extend(stanza(&fields));
            fields.clear();
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                *value += &format!(" {}", line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_lowercase(), value.trim().to_string()));
        }
    }
    sources
}

fn stanza(fields: &[(String, String)]) -> Vec<Source> {
    let field = |name: &str| {
        let found = fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    let off = ["no", "false", "0", "off", "without", "disable"];
    if off.contains(&field("enabled").to_lowercase().as_str())
        || !field("types").split_whitespace().any(|kind| kind == "deb")
    {
        return Vec::new();
    }
    let components: Vec<String> = field("components")
        .split_whitespace()
        .map(str::to_string)
        .collect();
    let mut sources = Vec::new();
    for uri in field("uris").split_whitespace() {
        for suite in field("suites").split_whitespace() {
            sources.push(Source {
                uri: uri.to_string(),
                suite: suite.to_string(),
                components: components.clone(),
                signed_by: field("signed-by").to_string(),
            });
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Apt's directory with these files.
    fn etc(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sources.list.d")).unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    const STANZAS: &str = "Types: deb deb-src\n# a comment: yes\nURIs: http://m/debian\n\
        Suites: bookworm bookworm-updates\nComponents: main\n\
        Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n\
        Types: deb\nURIs: http://s/sec\nSuites:\n bookworm-security\nComponents: main contrib\n";

    #[test]
    fn both_forms_of_lists_name_both_mirrors() {
        let lines = "# deb http://no/ bookworm main\n\
            deb-src http://no/ bookworm main\n\
            deb [arch=amd64 signed-by=/k/other.gpg] http://other/ bookworm main\n\
            deb http://docker/ bookworm stable\n\
            deb cdrom:[Disc]/ bookworm main\n\
            deb\thttp://m/debian bookworm main non-free # mine\n\
            deb [trusted=yes] http://s/sec bookworm-security main\n";
        for (name, text) in [
            ("sources.list.d/debian.sources", STANZAS),
            ("sources.list.d/x.list", lines),
            ("sources.list", lines),
        ] {
            let etc = etc(&[(name, text)]);
            let of = |suite| of_suite(suite, etc.path(), "bookworm").unwrap();
            assert_eq!(of("trixie-backports"), "http://m/debian", "{name}");
            assert_eq!(of("bullseye-security"), "http://s/sec", "{name}");
        }
    }

    #[test]
    fn what_is_switched_off_or_not_debians_does_not_count() {
        let off = STANZAS.replace("Types: deb\n", "Types: deb\nEnabled: no\n");
        let foreign = "Types: deb\nURIs: http://x/\nSuites: bookworm\nComponents: main\n\
            Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n";
        let etc = etc(&[
            ("sources.list.d/a.sources", foreign),
            ("sources.list.d/b.sources", &off),
        ]);
        assert_eq!(
            of_suite("trixie", etc.path(), "bookworm").unwrap(),
            "http://m/debian"
        );
        let error = of_suite("x-security", etc.path(), "bookworm").unwrap_err();
        assert!(
            error.contains("a suite …-security") && error.contains("b.sources"),
            "{error}"
        );
    }

    #[test]
    fn no_list_at_all_is_said() {
        let etc = etc(&[(
            "sources.list.d/x.list.disabled",
            "deb http://m/ bookworm main\n",
        )]);
        let error = of_suite("trixie", etc.path(), "bookworm").unwrap_err();
        assert!(error.contains("holds no list of sources"), "{error}");
    }

    #[test]
    fn the_codename_is_read() {
        let etc = etc(&[("os", "ID=debian\nVERSION_CODENAME=\"bookworm\"\n")]);
        assert_eq!(codename(&etc.path().join("os")), "bookworm");
        assert_eq!(codename(&etc.path().join("none")), "");
    }
}
