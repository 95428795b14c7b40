//! The last things a console said, in memory of a fixed size.

use lxc_kernel::mirror::Mirror;
use lxc_kernel::{Errno, Result, SysError};
use std::os::fd::BorrowedFd;

/// Keeps the newest bytes; when it is full the oldest go, no more of them than have to.
#[derive(Debug)]
pub struct Ring {
    memory: Mirror,
    /// Where the oldest byte is; below the size.
    oldest: usize,
    used: usize,
}

impl Ring {
    /// An empty one of `size` bytes, a multiple of the page size.
    ///
    /// # Errors
    /// The kernel has no such memory.
    pub fn new(size: u64) -> Result<Ring> {
        let too_large = |_| SysError::new("mmap", format!("{size} bytes"), Errno::NOMEM);
        let size = usize::try_from(size).map_err(too_large)?;
        Ok(Ring {
            memory: Mirror::new("lxc-console", size)?,
            oldest: 0,
            used: 0,
        })
    }

    /// What it holds, oldest first, in one piece.
    pub fn content(&self) -> &[u8] {
        self.memory.bytes(self.oldest, self.used)
    }

    /// Adds `bytes`; of more than fit the last ones.
    pub fn append(&mut self, bytes: &[u8]) {
        let size = self.memory.size();
        let bytes = &bytes[bytes.len().saturating_sub(size)..];
        let end = self.end();
        self.memory
            .change(end, bytes.len(), |place| place.copy_from_slice(bytes));
        self.grow(bytes.len());
    }

    /// Adds what one read(2) of at most `most` bytes gives, without a copy between; gives these bytes.
    ///
    /// # Errors
    /// What read(2) says.
    pub fn append_from(
        &mut self,
        source: BorrowedFd<'_>,
        most: usize,
    ) -> std::result::Result<&[u8], Errno> {
        let size = self.memory.size();
        let end = self.end();
        // In a full buffer these are the oldest bytes: as many are lost as arrive.
        let count = self
            .memory
            .change(end, most.min(size), |place| rustix::io::read(source, place))?;
        self.grow(count);
        Ok(self.memory.bytes(end, count))
    }

    /// Forgets the `count` oldest bytes.
    pub fn consume(&mut self, count: usize) {
        let count = count.min(self.used);
        self.oldest = (self.oldest + count) % self.memory.size();
        self.used -= count;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.consume(self.used);
    }

    fn end(&self) -> usize {
        (self.oldest + self.used) % self.memory.size()
    }

    fn grow(&mut self, count: usize) {
        let size = self.memory.size();
        let lost = (self.used + count).saturating_sub(size);
        self.oldest = (self.oldest + lost) % size;
        self.used = self.used + count - lost;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::fd::AsFd;

    const SIZE: usize = 4096;

    /// What may be done with one.
    #[derive(Debug, Clone)]
    enum Act {
        Append(Vec<u8>),
        Read(Vec<u8>),
        Consume(usize),
        Clear,
    }

    /// Bytes that are like none near them; cheaper to make up than as many arbitrary ones.
    fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
        (any::<u8>(), 0..most)
            .prop_map(|(first, length)| (0..length).map(|i| (i % 251) as u8 ^ first).collect())
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        prop::collection::vec(
            prop_oneof![
                3 => bytes(2 * SIZE).prop_map(Act::Append),
                3 => bytes(64).prop_map(Act::Append),
                2 => bytes(2 * SIZE).prop_map(Act::Read),
                3 => (0..2 * SIZE).prop_map(Act::Consume),
                1 => Just(Act::Clear),
            ],
            0..40,
        )
    }

    proptest! {
        #[test]
        fn it_holds_what_a_list_that_is_cut_holds(acts in acts()) {
            let mut ring = Ring::new(SIZE as u64).unwrap();
            let mut model: Vec<u8> = Vec::new();
            for act in acts {
                match act {
                    Act::Append(bytes) => {
                        ring.append(&bytes);
                        model.extend(&bytes);
                    }
                    Act::Read(bytes) => {
                        let (out, into) = rustix::pipe::pipe().unwrap();
                        rustix::io::write(&into, &bytes).unwrap();
                        drop(into);
                        let read = ring.append_from(out.as_fd(), 3000).unwrap();
                        let expected = &bytes[..bytes.len().min(3000)];
                        prop_assert_eq!(read, expected);
                        model.extend(expected);
                    }
                    Act::Consume(count) => {
                        ring.consume(count);
                        model.drain(..count.min(model.len()));
                    }
                    Act::Clear => {
                        ring.clear();
                        model.clear();
                    }
                }
                model.drain(..model.len().saturating_sub(SIZE));
                prop_assert_eq!(ring.content(), &model[..]);
            }
        }
    }

    #[test]
    fn a_read_that_fails_changes_nothing() {
        let mut ring = Ring::new(SIZE as u64).unwrap();
        ring.append(b"kept");
        let (out, _into) = rustix::pipe::pipe().unwrap();
        lxc_kernel::socket::set_nonblocking(out.as_fd(), true).unwrap();
        assert_eq!(ring.append_from(out.as_fd(), 10), Err(Errno::AGAIN));
        assert_eq!(ring.content(), b"kept");
    }
}
