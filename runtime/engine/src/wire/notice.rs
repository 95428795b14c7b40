//! The 264-byte message that announces a state or an exit.

use super::state::State;

/// What a [`Notice`] announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// The container entered this state.
    State(State),
    /// The container's init ended with this raw wait status.
    Exit(i32),
}

/// One announcement, as state clients and subscribers of `lxc-monitord` read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What happened.
    pub kind: NoticeKind,
    /// The container's name, at most 255 bytes of which travel.
    pub name: Vec<u8>,
}

const NAME: std::ops::Range<usize> = 4..260;
const TYPE_STATE: i32 = 0;
const TYPE_EXIT: i32 = 2;

impl Notice {
    /// Size of every announcement on the wire.
    pub const SIZE: usize = 264;

    /// Announces that container `name` entered `state`.
    pub fn of_state(name: &str, state: State) -> Notice {
        Notice {
            kind: NoticeKind::State(state),
            name: name.into(),
        }
    }

    /// Announces that the init of container `name` ended with this raw wait status.
    pub fn of_exit(name: &str, wait_status: i32) -> Notice {
        Notice {
            kind: NoticeKind::Exit(wait_status),
            name: name.into(),
        }
    }

    /// Gives the bytes of the announcement.
    pub fn encode(&self) -> [u8; Notice::SIZE] {
        let (kind, value) = match self.kind {
            NoticeKind::State(state) => (TYPE_STATE, state.number()),
            NoticeKind::Exit(status) => (TYPE_EXIT, status),
        };
        let mut bytes = [0; Notice::SIZE];
        bytes[..4].copy_from_slice(&kind.to_ne_bytes());
        // The last byte of the field stays NUL: readers treat it as a C string.
        let length = self.name.len().min(NAME.len() - 1);
        bytes[NAME.start..NAME.start + length].copy_from_slice(&self.name[..length]);
        bytes[NAME.end..].copy_from_slice(&value.to_ne_bytes());
        bytes
    }

    /// Reads an announcement; `None` for a kind or state that does not exist.
    pub fn decode(bytes: &[u8; Notice::SIZE]) -> Option<Notice> {
        let word = |at: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&bytes[at..at + 4]);
            i32::from_ne_bytes(word)
        };
        let value = word(NAME.end);
        let kind = match word(0) {
            TYPE_STATE => NoticeKind::State(State::from_number(value)?),
            TYPE_EXIT => NoticeKind::Exit(value),
            _ => return None,
        };
        let field = &bytes[NAME];
        let end = field.iter().position(|byte| *byte == 0)?;
        Some(Notice {
            kind,
            name: field[..end].to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout() {
        let bytes = Notice::of_state("c1", State::Frozen).encode();
        assert_eq!(bytes[..4], 0i32.to_ne_bytes());
        assert_eq!(&bytes[4..7], b"c1\0");
        assert_eq!(bytes[260..], 6i32.to_ne_bytes());
        assert_eq!(Notice::of_exit("c1", 9).encode()[..4], 2i32.to_ne_bytes());
    }

    #[test]
    fn long_names_are_cut_and_stay_terminated() {
        let sent = Notice::of_exit(&"n".repeat(300), 0x100);
        let read = Notice::decode(&sent.encode()).map(|notice| notice.name.len());
        assert_eq!(read, Some(255));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let check = |at: usize, value: i32| {
            let mut bytes = Notice::of_state("c1", State::Running).encode();
            bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
            assert_eq!(Notice::decode(&bytes), None, "{value} at {at}");
        };
        check(0, 1);
        check(0, -1);
        check(260, 8);
        check(260, -1);
        assert_eq!(Notice::decode(&[b'x'; Notice::SIZE]), None);
    }
}
