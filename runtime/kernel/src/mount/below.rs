//! The mounts below a mount, one by one: what AT_RECURSIVE would reach.

use crate::error::{Errno, Result, SysError};
use crate::fd::describe;
use crate::{file, inroot};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Largest list of mounts read.
const TABLE_MAX: usize = 16 << 20;

/// A line of /proc/PID/mountinfo, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    id: u64,
    parent: u64,
    point: Vec<u8>,
}

/// Descriptors of all mounts below the attached `mount`, parents before children. Needs /proc.
///
/// Each is found by its path inside, without links, and must then be the mount of the list: one
/// that another mount hides cannot be reached and is the error EBUSY.
pub(super) fn mounts_below(mount: BorrowedFd) -> Result<Vec<OwnedFd>> {
    let failed = |errno| SysError::new("mountinfo", describe(mount), errno);
    let top = inroot::mount_id(mount).map_err(failed)?;
    let table = file::read_path(Path::new("/proc/self/mountinfo"), TABLE_MAX)?;
    let lines = lines(&table);
    let base = lines.iter().find(|line| line.id == top);
    let base = base.ok_or_else(|| failed(Errno::NOENT))?;
    let root = inroot::Root::from_fd(
        rustix::io::fcntl_dupfd_cloexec(mount, 3)
            .map_err(|errno| SysError::new("fcntl", describe(mount), errno))?,
    );
    let mut found = Vec::new();
    for line in descendants(&lines, top) {
        let inside = inside(&base.point, &line.point).ok_or_else(|| failed(Errno::INVAL))?;
        let fd = root.resolve_nofollow(inside)?;
        if inroot::mount_id(fd.as_fd()).map_err(failed)? != line.id {
            return Err(SysError::new(
                "mountinfo",
                format!("{}, {inside:?} is hidden by another mount", describe(mount)),
                Errno::BUSY,
            ));
        }
        found.push(fd);
    }
    Ok(found)
}

/// Everything below `top`, each after its parent.
fn descendants(lines: &[Line], top: u64) -> Vec<&Line> {
    let mut found: Vec<&Line> = Vec::new();
    let mut parents = vec![top];
    while let Some(parent) = parents.pop() {
        for line in lines {
            // A namespace's root may be its own parent.
            if line.parent == parent && line.id != parent {
                parents.push(line.id);
                found.push(line);
            }
        }
    }
    found
}

/// The mount point `point` as seen from the mount point `base`.
fn inside<'p>(base: &[u8], point: &'p [u8]) -> Option<&'p str> {
    let base = base.strip_suffix(b"/").unwrap_or(base);
    let rest = point.strip_prefix(base)?;
    let rest = rest.strip_prefix(b"/").unwrap_or(rest);
    std::str::from_utf8(rest).ok()
}

fn lines(table: &[u8]) -> Vec<Line> {
    let parsed = table.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse().ok();
        let (id, parent) = (number()?, number()?);
        Some(Line {
            id,
            parent,
            point: unescaped(fields.nth(2)?),
        })
    });
    parsed.collect()
}

/// Blanks, line breaks and backslashes are written as three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| *first == b'\\');
        let byte = octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match byte {
            Some(byte) => {
                out.push(byte);
                rest = &after[3..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_with_its_escapes() {
        let table = b"22 1 254:0 / / rw - ext4 /dev/vda rw\n\
            30 22 0:5 / /a\\040b rw shared:1 - tmpfs x rw\nnonsense\n";
        let read = lines(table);
        assert_eq!(read.len(), 2);
        assert_eq!(
            read[1],
            Line {
                id: 30,
                parent: 22,
                point: b"/a b".to_vec()
            }
        );
    }

    #[test]
    fn parents_come_before_children_and_others_not_at_all() {
        let line = |id, parent| Line {
            id,
            parent,
            point: Vec::new(),
        };
        let table = [line(1, 1), line(5, 4), line(4, 2), line(2, 1), line(3, 1)];
        let ids: Vec<u64> = descendants(&table, 2).iter().map(|it| it.id).collect();
        assert_eq!(ids, [4, 5]);
        assert_eq!(descendants(&table, 1).len(), 4);
    }

    #[test]
    fn points_are_seen_from_the_mount() {
        assert_eq!(inside(b"/", b"/a/b"), Some("a/b"));
        assert_eq!(inside(b"/mnt", b"/mnt/a"), Some("a"));
        assert_eq!(inside(b"/mnt", b"/mnt"), Some(""));
        assert_eq!(inside(b"/mnt", b"/srv"), None);
    }
}
