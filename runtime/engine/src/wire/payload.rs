//! The structures that travel behind a head: their layouts stand here and nowhere else.

use std::os::fd::{OwnedFd, RawFd};

/// Most hierarchies whose descriptors one answer to `GET_CGROUP_CTX` can carry.
pub const CGROUP_CONTEXT_FDS: usize = 20;

/// What to do with the console's ring buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsoleLog {
    /// Empty the buffer.
    pub clear: bool,
    /// Give the content to the caller.
    pub read: bool,
    /// Give at most so many bytes; 0 means all.
    pub read_max: u64,
    /// Write the content to the console's log file.
    pub write_logfile: bool,
}

impl ConsoleLog {
    /// Size on the wire.
    pub(super) const SIZE: usize = 24;

    pub(super) fn encode(&self) -> [u8; ConsoleLog::SIZE] {
        let mut bytes = [0; ConsoleLog::SIZE];
        bytes[0] = u8::from(self.clear);
        bytes[1] = u8::from(self.read);
        bytes[8..16].copy_from_slice(&self.read_max.to_ne_bytes());
        bytes[16] = u8::from(self.write_logfile);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<ConsoleLog> {
        let bytes: &[u8; ConsoleLog::SIZE] = bytes.try_into().ok()?;
        let mut read_max = [0; 8];
        read_max.copy_from_slice(&bytes[8..16]);
        Some(ConsoleLog {
            clear: bytes[0] != 0,
            read: bytes[1] != 0,
            read_max: u64::from_ne_bytes(read_max),
            write_logfile: bytes[16] != 0,
        })
    }
}

/// Which device nodes a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// Every device.
    All,
    /// Block devices.
    Block,
    /// Character devices.
    Char,
}

impl DeviceKind {
    fn letter(self) -> u8 {
        match self {
            DeviceKind::All => b'a',
            DeviceKind::Block => b'b',
            DeviceKind::Char => b'c',
        }
    }

    fn of_letter(letter: u8) -> Option<DeviceKind> {
        [DeviceKind::All, DeviceKind::Block, DeviceKind::Char]
            .into_iter()
            .find(|kind| kind.letter() == letter)
    }
}

/// One rule for the device filter of a running container.
///
/// Kind [`DeviceKind::All`] without numbers and without access switches the list between "allow what is
/// listed" and "deny what is listed".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRule {
    /// Which nodes.
    pub kind: DeviceKind,
    /// Major number; `None` for any.
    pub major: Option<u32>,
    /// Minor number; `None` for any.
    pub minor: Option<u32>,
    /// Letters out of `rwm`.
    pub access: String,
    /// True to allow, false to deny.
    pub allow: bool,
}

impl DeviceRule {
    /// Size on the wire.
    pub(super) const SIZE: usize = 40;

    pub(super) fn encode(&self) -> [u8; DeviceRule::SIZE] {
        // Linux' device numbers have 12 and 20 bits: what does not fit an i32 is no device number.
        let number = |number: Option<u32>| {
            number
                .map_or(-1, |number| i32::try_from(number).unwrap_or(i32::MAX))
                .to_ne_bytes()
        };
        let mut bytes = [0; DeviceRule::SIZE];
        bytes[0] = self.kind.letter();
        bytes[4..8].copy_from_slice(&number(self.major));
        bytes[8..12].copy_from_slice(&number(self.minor));
        for (place, letter) in bytes[12..15].iter_mut().zip(self.access.bytes()) {
            *place = letter;
        }
        bytes[16..20].copy_from_slice(&i32::from(self.allow).to_ne_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<DeviceRule> {
        let bytes: &[u8; DeviceRule::SIZE] = bytes.try_into().ok()?;
        let number = |at: usize| match word(bytes, at) {
            -1 => Some(None),
            number => u32::try_from(number).ok().map(Some),
        };
        let access = text(&bytes[12..16])?;
        if access.bytes().any(|letter| !b"rwm".contains(&letter)) {
            return None;
        }
        let allow = match word(bytes, 16) {
            0 => false,
            1 => true,
            _ => return None,
        };
        Some(DeviceRule {
            kind: DeviceKind::of_letter(bytes[0])?,
            major: number(4)?,
            minor: number(8)?,
            access: access.to_owned(),
            allow,
        })
    }
}

/// The cgroups of a container, as `GET_CGROUP_CTX` tells them.
#[derive(Debug)]
pub struct CgroupContext {
    /// -1 unknown, 0 legacy, 1 hybrid, 2 unified.
    pub layout: i32,
    /// On a unified layout: bit 0 the device controller, bit 1 the freezer can be used.
    pub utilities: u32,
    /// The container's cgroup directory in each hierarchy.
    pub fds: Vec<OwnedFd>,
}

/// The head of [`CgroupContext`] on the wire; the descriptors travel beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CgroupContextFrame {
    pub(super) layout: i32,
    pub(super) utilities: u32,
    pub(super) fds: Vec<RawFd>,
}

impl CgroupContextFrame {
    pub(super) const SIZE: usize = 96;

    pub(super) fn encode(&self) -> [u8; CgroupContextFrame::SIZE] {
        let mut bytes = [0; CgroupContextFrame::SIZE];
        let fds = &self.fds[..self.fds.len().min(CGROUP_CONTEXT_FDS)];
        bytes[..4].copy_from_slice(&self.layout.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.utilities.to_ne_bytes());
        bytes[8..12].copy_from_slice(&(fds.len() as u32).to_ne_bytes());
        for (place, fd) in bytes[12..].chunks_exact_mut(4).zip(fds) {
            place.copy_from_slice(&fd.to_ne_bytes());
        }
        bytes
    }

    /// Reads layout, utilities and the number of descriptors; shorter structures of older servers are read
    /// as if zeros followed.
    pub(super) fn decode(bytes: &[u8]) -> Option<(i32, u32, usize)> {
        let bytes = padded::<{ CgroupContextFrame::SIZE }>(bytes)?;
        let count = usize::try_from(word(&bytes, 8)).ok()?;
        (count <= CGROUP_CONTEXT_FDS).then_some((word(&bytes, 0), word(&bytes, 4) as u32, count))
    }
}

/// Filesystem magic of cgroup v1 (`linux/magic.h`).
pub const CGROUP_MAGIC: i32 = 0x0027_e0eb;
/// Filesystem magic of cgroup v2.
pub const CGROUP2_MAGIC: i32 = 0x6367_7270;

/// The cgroup of a container in one hierarchy, as `GET_CGROUP_FD` tells it.
#[derive(Debug)]
pub struct CgroupFd {
    /// -1 unknown, 0 legacy, 1 hybrid, 2 unified.
    pub layout: i32,
    /// On a unified layout: bit 0 the device controller, bit 1 the freezer can be used.
    pub utilities: u32,
    /// Magic number of the filesystem: [`CGROUP_MAGIC`] or [`CGROUP2_MAGIC`].
    pub magic: i32,
    /// The container's cgroup directory.
    pub fd: OwnedFd,
}

impl CgroupFd {
    /// Whether it lies in a hierarchy of cgroup v2.
    pub fn is_unified(&self) -> bool {
        self.magic == CGROUP2_MAGIC
    }
}

/// The head of [`CgroupFd`] on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CgroupFdFrame {
    pub(super) layout: i32,
    pub(super) utilities: u32,
    pub(super) magic: i32,
    pub(super) fd: RawFd,
    pub(super) controller: String,
}

impl CgroupFdFrame {
    pub(super) const SIZE: usize = 80;
    const CONTROLLER: std::ops::Range<usize> = 16..80;

    pub(super) fn encode(&self) -> [u8; CgroupFdFrame::SIZE] {
        let mut bytes = [0; CgroupFdFrame::SIZE];
        bytes[..4].copy_from_slice(&self.layout.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.utilities.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.magic.to_ne_bytes());
        bytes[12..16].copy_from_slice(&self.fd.to_ne_bytes());
        let field = &mut bytes[CgroupFdFrame::CONTROLLER];
        // The last byte stays NUL: the other side reads a C string.
        let room = field.len() - 1;
        for (place, byte) in field[..room].iter_mut().zip(self.controller.bytes()) {
            *place = byte;
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<CgroupFdFrame> {
        let bytes = padded::<{ CgroupFdFrame::SIZE }>(bytes)?;
        Some(CgroupFdFrame {
            layout: word(&bytes, 0),
            utilities: word(&bytes, 4) as u32,
            magic: word(&bytes, 8),
            fd: word(&bytes, 12),
            controller: text(&bytes[CgroupFdFrame::CONTROLLER])?.to_owned(),
        })
    }
}

/// Brings a structure of the other side's version to our size: missing bytes are zeros, surplus ones must be.
pub(super) fn padded<const SIZE: usize>(bytes: &[u8]) -> Option<[u8; SIZE]> {
    let (known, surplus) = bytes.split_at(bytes.len().min(SIZE));
    if surplus.iter().any(|byte| *byte != 0) {
        return None;
    }
    let mut sized = [0; SIZE];
    sized[..known.len()].copy_from_slice(known);
    Some(sized)
}

/// Reads a NUL-terminated text out of a field of fixed size.
fn text(field: &[u8]) -> Option<&str> {
    let end = field.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(&field[..end]).ok()
}

/// Reads a payload that is one text and its NUL.
pub(super) fn whole_text(bytes: &[u8]) -> Option<&str> {
    let (last, text) = bytes.split_last()?;
    (*last == 0 && !text.contains(&0))
        .then(|| std::str::from_utf8(text).ok())
        .flatten()
}

/// Gives a text and its NUL.
pub(super) fn terminated(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// Reads one number; `at` is a place of a layout above, inside `bytes`.
pub(super) fn word(bytes: &[u8], at: usize) -> i32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    i32::from_ne_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn console_log_layout() {
        let sent = ConsoleLog {
            clear: true,
            read: false,
            read_max: 0x0102_0304_0506_0708,
            write_logfile: true,
        };
        let bytes = sent.encode();
        assert_eq!((bytes[0], bytes[1], bytes[16]), (1, 0, 1));
        assert_eq!(bytes[8..16], 0x0102_0304_0506_0708u64.to_ne_bytes());
        assert_eq!(ConsoleLog::decode(&bytes), Some(sent));
        assert_eq!(ConsoleLog::decode(&bytes[..23]), None);
    }

    #[test]
    fn device_rules() {
        let rule = DeviceRule {
            kind: DeviceKind::Char,
            major: Some(1),
            minor: None,
            access: "rw".to_owned(),
            allow: true,
        };
        let bytes = rule.encode();
        assert_eq!(bytes[0], b'c');
        assert_eq!(bytes[4..8], 1i32.to_ne_bytes());
        assert_eq!(bytes[8..12], (-1i32).to_ne_bytes());
        assert_eq!(&bytes[12..16], b"rw\0\0");
        assert_eq!(bytes[16..20], 1i32.to_ne_bytes());
        assert_eq!(DeviceRule::decode(&bytes), Some(rule));

        let refused = |at: usize, change: &[u8]| {
            let mut bytes = bytes;
            bytes[at..at + change.len()].copy_from_slice(change);
            assert_eq!(DeviceRule::decode(&bytes), None, "{change:?} at {at}");
        };
        refused(0, b"x");
        refused(4, &(-2i32).to_ne_bytes());
        refused(8, &i32::MIN.to_ne_bytes());
        refused(12, b"rwmr");
        refused(12, b"x\0\0\0");
        refused(16, &2i32.to_ne_bytes());
        assert_eq!(DeviceRule::decode(&bytes[..39]), None);
    }

    #[test]
    fn extensible_structures_grow_with_zeros_only() {
        let frame = CgroupContextFrame {
            layout: 1,
            utilities: 3,
            fds: vec![7; 10],
        };
        let bytes = frame.encode();
        let check = |bytes: &[u8], expected| {
            assert_eq!(CgroupContextFrame::decode(bytes), expected, "{bytes:?}");
        };
        check(&bytes, Some((1, 3, 10)));
        check(&bytes[..12], Some((1, 3, 10)));
        check(&bytes[..8], Some((1, 3, 0)));
        check(&[&bytes[..], &[0; 8]].concat(), Some((1, 3, 10)));
        check(&[&bytes[..], &[0, 1]].concat(), None);
        let mut many = bytes;
        many[8..12].copy_from_slice(&21u32.to_ne_bytes());
        check(&many, None);
    }

    #[test]
    fn cgroup_fd_layout() {
        let frame = CgroupFdFrame {
            layout: 2,
            utilities: 1,
            magic: 0x6367_7270,
            fd: -9,
            controller: "memory".to_owned(),
        };
        let bytes = frame.encode();
        assert_eq!(&bytes[16..23], b"memory\0");
        assert_eq!(bytes[12..16], (-9i32).to_ne_bytes());
        assert_eq!(CgroupFdFrame::decode(&bytes), Some(frame));
        let mut endless = bytes;
        endless[16..].fill(b'x');
        assert_eq!(CgroupFdFrame::decode(&endless), None);
    }

    #[test]
    fn texts_end_with_their_only_nul() {
        let check = |bytes: &[u8], expected: Option<&str>| {
            assert_eq!(whole_text(bytes), expected, "{bytes:?}");
        };
        check(b"memory\0", Some("memory"));
        check(b"\0", Some(""));
        check(b"", None);
        check(b"memory", None);
        check(b"me\0mory\0", None);
        check(b"\xff\0", None);
    }
}
