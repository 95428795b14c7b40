//! Lines of `lxc.mount.entry` and of `lxc.mount.fstab` files.

use crate::setting::Fault;
use crate::values::{Bind, Create, IdmapSource, MountEntry, MountOptions, Propagation, attr};

/// The mount a line of fstab(5) describes; `None` for an empty line or a comment.
///
/// Fields are `SOURCE TARGET FSTYPE [OPTIONS [FREQ PASS]]`, separated by blanks, a blank inside a
/// field written `\040`. Options are compared as whole words; those without a meaning here are
/// kept as data for the filesystem.
///
/// # Errors
/// A sentence that names the field at fault.
pub fn parse_fstab_line(line: &str) -> Result<Option<MountEntry>, String> {
    parse(line).map_err(|fault| match fault.offending {
        Some(word) => format!("{word}: {} ({})", fault.message, fault.hint),
        None => format!("{} ({})", fault.message, fault.hint),
    })
}

const MOVE: &str = "move";
const IDMAP: &str = "idmap=";

fn fields(line: &str) -> impl Iterator<Item = &str> {
    line.split([' ', '\t']).filter(|field| !field.is_empty())
}

const FIELDS: &str =
    "SOURCE TARGET FSTYPE OPTIONS 0 0 is expected, blanks in a field written \\040";

pub(crate) fn parse(line: &str) -> Result<Option<MountEntry>, Fault> {
    let mut fields = fields(line);
    let Some(source) = fields.next().filter(|first| !first.starts_with('#')) else {
        return Ok(None);
    };
    let (Some(target), Some(fstype)) = (fields.next(), fields.next()) else {
        return Err(Fault::bad("too few fields for a mount", FIELDS));
    };
    let options = fields.next().unwrap_or("");
    for field in fields.take(2) {
        if field.starts_with('#') {
            break;
        }
        // Their values mean nothing here, but a word in this place shows that a field before it
        // was cut in two by a blank.
        if !field.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(
                Fault::bad("a number is expected after the mount options", FIELDS).about(field),
            );
        }
    }
    Ok(Some(MountEntry {
        line: line.to_owned(),
        source: unescaped(source),
        target: unescaped(target),
        fstype: unescaped(fstype),
        options: parse_options(&unescaped(options))?,
    }))
}

/// `\040`, `\011`, `\012`, `\043` and `\134` (also written `\\`) decoded, as getmntent(3) does.
fn unescaped(field: &str) -> String {
    let mut out = String::with_capacity(field.len());
    let mut rest = field;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let (decoded, length) = match &rest[at + 1..] {
            s if s.starts_with("040") => (' ', 4),
            s if s.starts_with("011") => ('\t', 4),
            s if s.starts_with("012") => ('\n', 4),
            s if s.starts_with("043") => ('#', 4),
            s if s.starts_with("134") => ('\\', 4),
            s if s.starts_with('\\') => ('\\', 2),
            _ => ('\\', 1),
        };
        out.push(decoded);
        rest = &rest[at + length..];
    }
    out.push_str(rest);
    out
}

/// Attribute words: what each sets and what it clears.
const ATTRIBUTES: &[(&str, u64, u64)] = &[
    ("ro", attr::RDONLY, 0),
    ("rw", 0, attr::RDONLY),
    ("nosuid", attr::NOSUID, 0),
    ("suid", 0, attr::NOSUID),
    ("nodev", attr::NODEV, 0),
    ("dev", 0, attr::NODEV),
    ("noexec", attr::NOEXEC, 0),
    ("exec", 0, attr::NOEXEC),
    ("noatime", attr::NOATIME, attr::ATIME_MASK),
    ("atime", 0, attr::ATIME_MASK),
    ("relatime", 0, attr::ATIME_MASK),
    ("norelatime", 0, 0),
    ("strictatime", attr::STRICTATIME, attr::ATIME_MASK),
    ("nostrictatime", 0, attr::ATIME_MASK),
    ("nodiratime", attr::NODIRATIME, 0),
    ("diratime", 0, attr::NODIRATIME),
    ("nosymfollow", attr::NOSYMFOLLOW, 0),
];

/// Words that LXC takes and that change nothing on a mount of its own.
const WITHOUT_EFFECT: &[&str] = &[
    "defaults", "sync", "async", "dirsync", "lazytime", "mand", "nomand", "remount",
];

const PROPAGATIONS: &[(&str, Propagation)] = &[
    ("private", Propagation::Private),
    ("shared", Propagation::Shared),
    ("slave", Propagation::Slave),
    ("unbindable", Propagation::Unbindable),
];

pub(crate) fn parse_options(text: &str) -> Result<MountOptions, Fault> {
    let mut options = MountOptions::default();
    for word in text.split(',').filter(|word| !word.is_empty()) {
        if let Some(&(_, set, clear)) = ATTRIBUTES.iter().find(|(name, ..)| *name == word) {
            options.set = options.set & !clear | set;
            options.clear = options.clear & !set | clear;
        } else if let Some(propagation) = propagation(word) {
            options.propagation = Some(propagation);
        } else if !WITHOUT_EFFECT.contains(&word) {
            special_option(&mut options, word)?;
        }
    }
    Ok(options)
}

/// `private`, …, and with an `r` before it for everything mounted below as well.
fn propagation(word: &str) -> Option<(Propagation, bool)> {
    let find = |name: &str| {
        PROPAGATIONS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, p)| *p)
    };
    let recursive = || word.strip_prefix('r').and_then(find).map(|p| (p, true));
    find(word).map(|p| (p, false)).or_else(recursive)
}

fn special_option(options: &mut MountOptions, word: &str) -> Result<(), Fault> {
    match word {
        "bind" => options.bind = Some(Bind::Plain),
        "rbind" => options.bind = Some(Bind::Recursive),
        "optional" => options.optional = true,
        "relative" => options.relative = true,
        "create=dir" => options.create = Some(Create::Dir),
        "create=file" => options.create = Some(Create::File),
        _ if word.starts_with("create=") => {
            return Err(Fault::bad(
                "not something that can be created",
                "create=dir or create=file is expected",
            )
            .about(word));
        }
        MOVE => options.moves = true,
        data => match data.strip_prefix(IDMAP) {
            Some(source) => options.idmap = Some(idmap_source(source).map_err(|f| f.about(word))?),
            None => options.data.push(data.to_owned()),
        },
    }
    Ok(())
}

fn idmap_source(text: &str) -> Result<IdmapSource, Fault> {
    match text {
        "container" => Ok(IdmapSource::Container),
        path if path.starts_with('/') => Ok(IdmapSource::Namespace(path.to_owned())),
        _ => Err(Fault::bad(
            "not an id map",
            "idmap=container or idmap=/PATH of a user namespace is expected",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn options(text: &str) -> MountOptions {
        parse_options(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
    }

    #[test]
    fn a_line_is_split_and_decoded() {
        let entry = parse_fstab_line("/srv/my\\040data mnt/d\\134x\tnone bind,create=dir 0 0")
            .expect("a good line")
            .expect("not a comment");
        assert_eq!(entry.source, "/srv/my data");
        assert_eq!(entry.target, "mnt/d\\x");
        assert_eq!(entry.fstype, "none");
        assert_eq!(entry.options.bind, Some(Bind::Plain));
        assert_eq!(entry.options.create, Some(Create::Dir));
    }

    #[rstest]
    #[case("")]
    #[case("  \t")]
    #[case("# /dev/sda1 / ext4")]
    fn comments_and_blank_lines_are_nothing(#[case] line: &str) {
        assert_eq!(parse_fstab_line(line), Ok(None));
    }

    #[rstest]
    #[case("proc proc proc")]
    #[case("a b none bind 0")]
    #[case("a b none bind 0.0")]
    #[case("a b none bind 0 0 # why")]
    #[case("a b none bind # why not")]
    fn trailing_fields_may_be_missing(#[case] line: &str) {
        assert!(matches!(parse_fstab_line(line), Ok(Some(_))), "{line}");
    }

    #[rstest]
    #[case("/a", "too few fields")]
    #[case("/a b", "too few fields")]
    #[case("/my data mnt none bind 0 0", "bind: a number is expected")]
    #[case(
        "a b none create=link",
        "create=link: not something that can be created"
    )]
    #[case("a b none bind,idmap=me", "idmap=me: ")]
    fn what_is_wrong_is_named(#[case] line: &str, #[case] expected: &str) {
        let error = parse_fstab_line(line).expect_err(line);
        assert!(error.starts_with(expected), "{error}");
    }

    #[rstest]
    #[case("ro", attr::RDONLY, 0)]
    #[case("ro,rw", 0, attr::RDONLY)]
    #[case("rw,ro", attr::RDONLY, 0)]
    #[case("noatime,relatime", 0, attr::ATIME_MASK)]
    #[case("strictatime,noatime", attr::NOATIME, attr::ATIME_MASK)]
    #[case("nosuid,nodev,noexec,nosymfollow", 0x20_000e, 0)]
    fn later_attributes_override(#[case] text: &str, #[case] set: u64, #[case] clear: u64) {
        let options = options(text);
        assert_eq!((options.set, options.clear), (set, clear), "{text}");
        assert!(options.data.is_empty());
    }

    #[test]
    fn words_are_compared_whole() {
        let options = options("rootcontext=x,device=y,syncfoo,size=1m,defaults,rslave");
        assert_eq!(
            options.data,
            ["rootcontext=x", "device=y", "syncfoo", "size=1m"]
        );
        assert_eq!((options.set, options.clear), (0, 0));
        assert_eq!(options.propagation, Some((Propagation::Slave, true)));
    }

    #[test]
    fn every_propagation_has_a_recursive_form() {
        for (name, propagation) in PROPAGATIONS {
            assert_eq!(options(name).propagation, Some((*propagation, false)));
            assert_eq!(
                options(&format!("r{name}")).propagation,
                Some((*propagation, true))
            );
        }
    }
}
