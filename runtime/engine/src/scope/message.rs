//! D-Bus messages as bytes: as much of the format as asking systemd for a scope takes.

use lxc_kernel::{Errno, Result, SysError};

/// What a message is, by its type byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A call of a method.
    Call,
    /// Its answer.
    Return,
    /// Its refusal.
    Error,
    /// News.
    Signal,
}

/// Largest message read; those expected are a hundred times smaller.
const LARGEST: usize = 64 * 1024;
/// Bytes before the header's fields.
pub const FIXED: usize = 16;

#[cfg(target_endian = "little")]
const NATIVE: u8 = b'l';
#[cfg(target_endian = "big")]
const NATIVE: u8 = b'B';

/// Values one after another, each at a multiple of its size.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Fills up to a multiple of `size`.
    pub fn align(&mut self, size: usize) -> &mut Writer {
        let length = self.bytes.len().next_multiple_of(size);
        self.bytes.resize(length, 0);
        self
    }

    /// A byte.
    pub fn byte(&mut self, value: u8) -> &mut Writer {
        self.bytes.push(value);
        self
    }

    /// A number; also a boolean, as 0 or 1.
    pub fn number(&mut self, value: u32) -> &mut Writer {
        self.align(4).bytes.extend_from_slice(&value.to_ne_bytes());
        self
    }

    /// A text or the path of an object.
    pub fn text(&mut self, value: &str) -> &mut Writer {
        self.number(value.len() as u32);
        self.bytes.extend_from_slice(value.as_bytes());
        self.byte(0)
    }

    /// The types of what follows.
    pub fn signature(&mut self, value: &str) -> &mut Writer {
        self.byte(value.len() as u8);
        self.bytes.extend_from_slice(value.as_bytes());
        self.byte(0)
    }

    /// An array whose elements begin at multiples of `size`; `fill` writes them.
    pub fn array(&mut self, size: usize, fill: impl FnOnce(&mut Writer)) -> &mut Writer {
        self.number(0);
        let place = self.bytes.len() - 4;
        self.align(size);
        let begin = self.bytes.len();
        fill(self);
        let length = (self.bytes.len() - begin) as u32;
        self.bytes[place..place + 4].copy_from_slice(&length.to_ne_bytes());
        self
    }
}

/// A call of `member`, complete; `types` is the signature of `body`.
pub fn call(
    serial: u32,
    (destination, path, interface): (&str, &str, &str),
    member: &str,
    types: &str,
    body: &Writer,
) -> Vec<u8> {
    let mut head = Writer::default();
    head.byte(NATIVE).byte(1).byte(0).byte(1);
    head.number(body.bytes.len() as u32).number(serial);
    head.array(8, |fields| {
        for (code, kind, value) in [
            (1, "o", path),
            (2, "s", interface),
            (3, "s", member),
            (6, "s", destination),
        ] {
            fields.align(8).byte(code).signature(kind).text(value);
        }
        if !types.is_empty() {
            fields.align(8).byte(8).signature("g").signature(types);
        }
    });
    head.align(8);
    head.bytes.extend_from_slice(&body.bytes);
    head.bytes
}

/// A message that came.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// The call that it answers.
    pub answers: Option<u32>,
    /// Name of the signal.
    pub member: Option<String>,
    /// Name of the error.
    pub error: Option<String>,
    /// Its arguments.
    body: Vec<u8>,
    types: String,
}

/// How long the message is that begins with these bytes.
///
/// # Errors
/// EBADMSG for what is no message, EMSGSIZE for one that is too long.
pub fn length(fixed: &[u8; FIXED]) -> Result<usize> {
    if fixed[0] != NATIVE || fixed[3] != 1 {
        return Err(broken("not a message of this machine"));
    }
    let mut reader = Reader {
        bytes: fixed,
        at: 4,
    };
    let body = reader.number()? as usize;
    reader.number()?;
    let fields = reader.number()? as usize;
    let all = FIXED
        .checked_add(fields)
        .and_then(|n| n.checked_next_multiple_of(8))
        .and_then(|n| n.checked_add(body));
    all.filter(|n| *n <= LARGEST)
        .ok_or_else(|| SysError::new("recv", "a D-Bus message that is too long", Errno::MSGSIZE))
}

impl Message {
    /// Reads a whole message.
    ///
    /// # Errors
    /// EBADMSG.
    pub fn parse(bytes: &[u8]) -> Result<Message> {
        let mut reader = Reader { bytes, at: 1 };
        let kind = match reader.byte()? {
            1 => Kind::Call,
            2 => Kind::Return,
            3 => Kind::Error,
            4 => Kind::Signal,
            _ => return Err(broken("of no known type")),
        };
        reader.at = 4;
        let body = reader.number()? as usize;
        let mut message = Message {
            kind,
            answers: None,
            member: None,
            error: None,
            body: Vec::new(),
            types: String::new(),
        };
        reader.at = 12;
        let end = reader.number()? as usize + FIXED;
        while reader.at < end {
            reader.align(8);
            message.field(&mut reader)?;
        }
        reader.align(8);
        message.body = reader.take(body)?.to_vec();
        Ok(message)
    }

    fn field(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        let code = reader.byte()?;
        match (code, reader.signature()?.as_str()) {
            (3, "s") => self.member = Some(reader.text()?),
            (4, "s") => self.error = Some(reader.text()?),
            (5, "u") => self.answers = Some(reader.number()?),
            (8, "g") => self.types = reader.signature()?,
            (_, "s" | "o") => drop(reader.text()?),
            (_, "u") => drop(reader.number()?),
            (_, "g") => drop(reader.signature()?),
            _ => return Err(broken("with a field of an unknown type")),
        }
        Ok(())
    }

    /// Its arguments as texts, numbers included, as far as they are of these two kinds.
    ///
    /// # Errors
    /// EBADMSG: it is shorter than it says.
    pub fn arguments(&self) -> Result<Vec<String>> {
        let mut reader = Reader {
            bytes: &self.body,
            at: 0,
        };
        let mut found = Vec::new();
        for kind in self.types.chars() {
            found.push(match kind {
                's' | 'o' => reader.text()?,
                'u' => reader.number()?.to_string(),
                _ => break,
            });
        }
        Ok(found)
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn align(&mut self, size: usize) {
        self.at = self.at.next_multiple_of(size);
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        self.at = end.unwrap_or(usize::MAX);
        taken.ok_or_else(|| broken("cut short"))
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> Result<u32> {
        self.align(4);
        let bytes = self.take(4)?;
        Ok(u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn words(&mut self, count: usize) -> Result<String> {
        let text = String::from_utf8_lossy(self.take(count)?).into_owned();
        self.byte()?;
        Ok(text)
    }

    fn text(&mut self) -> Result<String> {
        let count = self.number()? as usize;
        self.words(count)
    }

    fn signature(&mut self) -> Result<String> {
        let count = self.byte()?;
        self.words(count.into())
    }
}

fn broken(what: &str) -> SysError {
    SysError::new("recv", format!("a D-Bus message {what}"), Errno::BADMSG)
}

#[cfg(test)]
mod tests {
    use super::{FIXED, Kind, Message, Writer, call, length};

    fn sample() -> Vec<u8> {
        let mut body = Writer::default();
        body.text("lxc").number(7).text("/o");
        call(3, ("d", "/p", "i.f"), "Member", "suo", &body)
    }

    #[test]
    fn what_is_written_can_be_read() {
        let bytes = sample();
        let fixed: [u8; FIXED] = bytes[..FIXED].try_into().expect("long enough");
        assert_eq!(length(&fixed).expect("a message"), bytes.len());
        let message = Message::parse(&bytes).expect("a message");
        assert_eq!(message.kind, Kind::Call);
        assert_eq!(message.member.as_deref(), Some("Member"));
        assert_eq!(message.arguments().expect("texts"), ["lxc", "7", "/o"]);
    }

    #[test]
    fn a_damaged_message_is_an_error_and_never_a_panic() {
        let whole = sample();
        for cut in 0..whole.len() {
            assert!(Message::parse(&whole[..cut]).is_err(), "{cut}");
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                // Whatever it is taken for, reading it ends.
                let _ = Message::parse(&bytes).and_then(|message| message.arguments());
            }
        }
    }
}
