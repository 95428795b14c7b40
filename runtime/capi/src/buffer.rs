//! Results that are copied into a buffer of the caller's.

use crate::argument::Out;
use libc::{c_char, c_int};

/// The buffer; none when C passed NULL or no length.
pub struct Buffer<'a>(Option<&'a mut [u8]>);

impl Buffer<'_> {
    /// `place` with room for `length` bytes.
    pub fn new(place: Out<c_char>, length: c_int) -> Buffer<'static> {
        let length = usize::try_from(length).unwrap_or(0);
        if place.is_null() || length == 0 {
            return Buffer(None);
        }
        // SAFETY: C passed it as a buffer of that length; bytes have no invalid values.
        Buffer(Some(unsafe {
            std::slice::from_raw_parts_mut(place.as_ptr().cast::<u8>(), length)
        }))
    }

    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Copies `text` with a NUL if all of it fits, and nothing else; gives its length.
    pub fn whole(self, text: &str) -> c_int {
        if let Some(buffer) = self.0
            && buffer.len() > text.len()
        {
            buffer[..text.len()].copy_from_slice(text.as_bytes());
            buffer[text.len()] = 0;
        }
        length(text.len())
    }

    /// Clears the buffer and copies as much of `text` as leaves room for a NUL; gives the length of
    /// all of it.
    pub fn print(self, text: &str) -> c_int {
        if let Some(buffer) = self.0 {
            buffer.fill(0);
            let fitting = text.len().min(buffer.len() - 1);
            buffer[..fitting].copy_from_slice(&text.as_bytes()[..fitting]);
        }
        length(text.len())
    }

    /// Copies as many bytes as fit, and a NUL if there is room; gives how many, without a buffer how
    /// many there are.
    pub fn part(self, bytes: &[u8]) -> c_int {
        let Some(buffer) = self.0 else {
            return length(bytes.len());
        };
        let fitting = bytes.len().min(buffer.len());
        buffer[..fitting].copy_from_slice(&bytes[..fitting]);
        if let Some(after) = buffer.get_mut(fitting) {
            *after = 0;
        }
        length(fitting)
    }
}

fn length(length: usize) -> c_int {
    c_int::try_from(length).unwrap_or(c_int::MAX)
}

#[cfg(test)]
mod tests {
    use super::Buffer;

    #[test]
    fn a_text_is_copied_whole_or_not_at_all() {
        for (room, left) in [(4, *b"xxxxxxx"), (5, *b"xxxxxxx"), (6, *b"hello\0x")] {
            let mut memory = *b"xxxxxxx";
            assert_eq!(Buffer(Some(&mut memory[..room])).whole("hello"), 5);
            assert_eq!(memory, left, "room for {room}");
        }
        assert_eq!(Buffer(None).whole("hello"), 5);
    }

    #[test]
    fn what_is_printed_is_cut_and_the_rest_of_the_buffer_cleared() {
        for (room, left) in [(1, *b"\0xxxxxx"), (3, *b"he\0xxxx"), (7, *b"hello\0\0")] {
            let mut memory = *b"xxxxxxx";
            assert_eq!(Buffer(Some(&mut memory[..room])).print("hello"), 5);
            assert_eq!(memory, left, "room for {room}");
        }
        assert_eq!(Buffer(None).print("hello"), 5);
    }

    #[test]
    fn a_part_is_ended_only_where_there_is_room() {
        for (room, given, left) in [
            (3, 3, *b"helxxxx"),
            (5, 5, *b"helloxx"),
            (6, 5, *b"hello\0x"),
        ] {
            let mut memory = *b"xxxxxxx";
            assert_eq!(Buffer(Some(&mut memory[..room])).part(b"hello"), given);
            assert_eq!(memory, left, "room for {room}");
        }
        assert_eq!(Buffer(None).part(b"hello"), 5);
    }
}
