//! Configuration files: their lines, and the files they include.

use crate::config::{Applied, Config};
use crate::diagnostic::{Details, Diagnostic, Kind};
use crate::row::INCLUDE;
use crate::setting::errno;
use crate::text::{BLANKS, unquoted};
use crate::values::Origin;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files may include files to this depth; a deeper chain is one that leads back to itself.
const DEEPEST_INCLUDE: usize = 32;
/// A larger file is no configuration (a device, or the wrong file).
const LARGEST_FILE: u64 = 16 * 1024 * 1024;

/// The text of the file `path` up to its first NUL.
pub(crate) fn read(path: &Path) -> Result<String, Diagnostic> {
    let name = path.to_string_lossy();
    let failed = |error: io::Error| {
        Diagnostic::from(Details {
            kind: Kind::Io(error.kind()),
            origin: None,
            included_from: Vec::new(),
            key: None,
            offending: name.clone().into_owned(),
            message: format!("cannot be read: {error}"),
            hint: "a readable configuration file is expected".to_owned(),
            errno: errno::EINVAL,
        })
    };
    let mut bytes = Vec::new();
    let mut reader = File::open(path).map_err(failed)?.take(LARGEST_FILE + 1);
    reader.read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST_FILE {
        let limit = format!("larger than {LARGEST_FILE} bytes");
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, limit)));
    }
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) => decoded(error.as_bytes(), &Arc::from(&*name)),
    }
}

/// A text with bytes that are not UTF-8: such lines are read as Latin-1, whose characters survive
/// saving, unless they assign something.
fn decoded(bytes: &[u8], file: &Arc<str>) -> Result<String, Diagnostic> {
    let mut text = String::with_capacity(bytes.len());
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match str::from_utf8(line) {
            Ok(line) => text.push_str(line),
            Err(_) if line.trim_ascii_start().starts_with(b"lxc.") => {
                let lossy = String::from_utf8_lossy(line.trim_ascii()).into_owned();
                let origin = Origin::File {
                    file: file.clone(),
                    line: index as u32 + 1,
                };
                return Err(syntax(
                    &lossy,
                    &origin,
                    "not UTF-8",
                    "save the file in the encoding UTF-8",
                ));
            }
            Err(_) => text.extend(line.iter().map(|byte| char::from(*byte))),
        }
    }
    Ok(text)
}

/// Applies the lines of a file that the configuration is made of, and keeps them to be saved.
pub(crate) fn parse_main(
    config: &mut Config,
    text: &str,
    file: &Arc<str>,
) -> Result<(), Diagnostic> {
    for (number, line) in numbered_lines(text) {
        let origin = Origin::File {
            file: file.clone(),
            line: number,
        };
        let kept = match apply_line(config, line, &origin, 0)? {
            Applied::SavedAs(value) => replace_value(line, &value),
            _ if line.trim_matches(BLANKS).is_empty() => String::new(),
            Applied::AsWritten | Applied::ShortFor(_) => line.to_owned(),
        };
        config.text_mut().push_line(&kept);
    }
    Ok(())
}

/// Applies what `lxc.include = value` names: a file, or the `*.conf` of a directory by name.
pub(crate) fn include(config: &mut Config, value: &str, origin: &Origin) -> Result<(), Diagnostic> {
    include_at(config, value, origin, 0)
}

fn include_at(
    config: &mut Config,
    value: &str,
    origin: &Origin,
    depth: usize,
) -> Result<(), Diagnostic> {
    if value.is_empty() {
        return Ok(());
    }
    let path = Path::new(value);
    let refused = |at: &Path, message: String, hint: &str| {
        Diagnostic::from(Details {
            kind: Kind::Include,
            origin: Some(origin.clone()),
            included_from: Vec::new(),
            key: Some(INCLUDE.to_owned()),
            offending: at.to_string_lossy().into_owned(),
            message,
            hint: hint.to_owned(),
            errno: errno::EINVAL,
        })
    };
    if depth >= DEEPEST_INCLUDE {
        let message = format!("files include each other more than {DEEPEST_INCLUDE} deep");
        return Err(refused(
            path,
            message,
            "a file must not lead back to itself",
        ));
    }
    if !(value.ends_with('/') || path.is_dir()) {
        return include_file(config, path, origin, depth, &refused);
    }
    let entries = match conf_files(path) {
        Ok(entries) => entries,
        // Packages add and remove these directories; LXC does not mind.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(refused(
                path,
                format!("cannot be listed: {error}"),
                "a readable directory is expected",
            ));
        }
    };
    entries
        .iter()
        .try_for_each(|entry| include_file(config, entry, origin, depth, &refused))
}

fn include_file(
    config: &mut Config,
    path: &Path,
    origin: &Origin,
    depth: usize,
    refused: &dyn Fn(&Path, String, &str) -> Diagnostic,
) -> Result<(), Diagnostic> {
    let text = match read(path) {
        Ok(text) => text,
        Err(error) if error.origin.is_none() => {
            return Err(refused(path, error.message.clone(), &error.hint));
        }
        Err(error) => return Err(error.included_from(origin)),
    };
    let file: Arc<str> = Arc::from(&*path.to_string_lossy());
    for (number, line) in numbered_lines(&text) {
        let here = Origin::File {
            file: file.clone(),
            line: number,
        };
        apply_line(config, line, &here, depth + 1).map_err(|error| error.included_from(origin))?;
    }
    Ok(())
}

/// The `*.conf` entries of a directory, sorted so that every machine reads them alike.
fn conf_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let conf = |name: &OsStr| {
            name.len() > ".conf".len() && name.as_encoded_bytes().ends_with(b".conf")
        };
        if conf(&name) {
            found.push(directory.join(name));
        }
    }
    found.sort();
    Ok(found)
}

fn apply_line(
    config: &mut Config,
    line: &str,
    origin: &Origin,
    depth: usize,
) -> Result<Applied, Diagnostic> {
    let content = line.trim_matches(BLANKS);
    if !content.starts_with("lxc.") {
        return Ok(Applied::AsWritten);
    }
    let Some((key, value)) = content.split_once('=') else {
        return Err(syntax(
            content,
            origin,
            "no = in this line",
            "KEY = VALUE is expected",
        ));
    };
    let (key, value) = (
        key.trim_end_matches(BLANKS),
        unquoted(value.trim_start_matches(BLANKS)),
    );
    if key == INCLUDE {
        include_at(config, value, origin, depth)?;
        return Ok(Applied::AsWritten);
    }
    config.assign(key, value, origin)
}

fn syntax(line: &str, origin: &Origin, message: &str, hint: &str) -> Diagnostic {
    Diagnostic::from(Details {
        kind: Kind::Syntax,
        origin: Some(origin.clone()),
        included_from: Vec::new(),
        key: None,
        offending: line.to_owned(),
        message: message.to_owned(),
        hint: hint.to_owned(),
        errno: errno::EINVAL,
    })
}

/// `line` with everything behind its first `=` replaced.
fn replace_value(line: &str, value: &str) -> String {
    match line.split_once('=') {
        Some((key, _)) => format!("{key}= {value}"),
        None => line.to_owned(),
    }
}

/// The lines of `text` that are not empty, with their numbers as an editor counts them. A text
/// ends at a NUL; `\r\n`, `\n` and `\r` end a line.
fn numbered_lines(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let text = text.split('\0').next().unwrap_or("");
    let mut rest = Some(text);
    let mut number = 0;
    std::iter::from_fn(move || {
        loop {
            let current = rest?;
            number += 1;
            let line = match current.find(['\r', '\n']) {
                Some(end) => {
                    let ending = if current[end..].starts_with("\r\n") {
                        2
                    } else {
                        1
                    };
                    rest = Some(&current[end + ending..]);
                    &current[..end]
                }
                None => rest.take()?,
            };
            if !line.is_empty() {
                return Some((number, line));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_as_editors_do() {
        let lines: Vec<_> = numbered_lines("a\n\nb\r\n\r\nc\rd\n \n\0e").collect();
        assert_eq!(lines, [(1, "a"), (3, "b"), (5, "c"), (6, "d"), (7, " ")]);
    }
}
