//! The 16 bytes at the head of every request and every answer.

/// Size of a request's and of an answer's head.
pub const FRAME: usize = 16;

/// Most bytes that may follow a head, but for the console's log: twice `PATH_MAX`.
pub const MAX_PAYLOAD: usize = 8192;

/// Head of a request, as it stands on the wire: nothing of it is checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// Number of the command.
    pub command: u32,
    /// Bytes that follow.
    pub length: i32,
    /// A pointer of the client's, meaningless to us; or, for some commands, a small number.
    pub slot: i64,
}

impl RequestHeader {
    /// Gives the bytes of the head.
    pub fn encode(&self) -> [u8; FRAME] {
        join(self.command.to_ne_bytes(), self.length, self.slot)
    }

    /// Reads a head.
    pub fn decode(bytes: &[u8; FRAME]) -> RequestHeader {
        let (first, length, slot) = split(bytes);
        RequestHeader {
            command: u32::from_ne_bytes(first),
            length,
            slot,
        }
    }

    /// Gives the number that commands without payload carry in the slot.
    pub fn inline(&self) -> i32 {
        // C LXC widens an int to pointer size and takes the lower half back; so do we.
        self.slot as i32
    }
}

/// Head of an answer, as it stands on the wire: nothing of it is checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHeader {
    /// 0 or a negative errno; a state for `ADD_STATE_CLIENT`.
    pub ret: i32,
    /// Bytes that follow.
    pub length: i32,
    /// A pointer of the server's, meaningless to us; or, without payload, a number.
    pub slot: i64,
}

impl ResponseHeader {
    /// Gives the bytes of the head.
    pub fn encode(&self) -> [u8; FRAME] {
        join(self.ret.to_ne_bytes(), self.length, self.slot)
    }

    /// Reads a head.
    pub fn decode(bytes: &[u8; FRAME]) -> ResponseHeader {
        let (first, length, slot) = split(bytes);
        ResponseHeader {
            ret: i32::from_ne_bytes(first),
            length,
            slot,
        }
    }

    /// Gives the number that answers without payload carry in the slot.
    pub fn inline(&self) -> i32 {
        self.slot as i32
    }
}

fn join(first: [u8; 4], length: i32, slot: i64) -> [u8; FRAME] {
    let mut bytes = [0; FRAME];
    bytes[..4].copy_from_slice(&first);
    bytes[4..8].copy_from_slice(&length.to_ne_bytes());
    bytes[8..].copy_from_slice(&slot.to_ne_bytes());
    bytes
}

fn split(bytes: &[u8; FRAME]) -> ([u8; 4], i32, i64) {
    let (mut first, mut length, mut slot) = ([0; 4], [0; 4], [0; 8]);
    first.copy_from_slice(&bytes[..4]);
    length.copy_from_slice(&bytes[4..8]);
    slot.copy_from_slice(&bytes[8..]);
    (first, i32::from_ne_bytes(length), i64::from_ne_bytes(slot))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inline_numbers_are_sign_extended() {
        let header = RequestHeader {
            command: 15,
            length: 0,
            slot: i64::from(-1i32),
        };
        let bytes = header.encode();
        assert_eq!(&bytes[8..], &[0xff; 8]);
        assert_eq!(RequestHeader::decode(&bytes), header);
        assert_eq!(RequestHeader::decode(&bytes).inline(), -1);
    }
}
