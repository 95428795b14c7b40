//! One message on a byte stream: its length as four bytes, little end first, then that much JSON.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// No message is longer: whoever announces more is not our peer.
pub const LONGEST: usize = 16 << 20;

/// The virtio console takes no more in one write.
const WRITE_AT_MOST: usize = 32 << 10;

/// Writes `message`, whole. Blocks as the stream does.
pub fn send<M: Serialize>(stream: &mut impl Write, message: &M) -> io::Result<()> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = bytes.len() - 4;
    if length > LONGEST {
        let what = format!("a message of {length} bytes is over the limit of {LONGEST}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
    for part in bytes.chunks(WRITE_AT_MOST) {
        stream.write_all(part)?;
    }
    stream.flush()
}

/// Reads one message, whole. Blocks as the stream does; a stream that ends is `UnexpectedEof`.
pub fn receive<M: DeserializeOwned>(stream: &mut impl Read) -> io::Result<M> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > LONGEST {
        let what = format!("a message of {length} bytes was announced, the limit is {LONGEST}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    // A whole frame with half a message in it is wrong, not cut off.
    serde_json::from_slice(&bytes)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_received() {
        let mut stream = Vec::new();
        send(&mut stream, &vec!["a", "ü"]).unwrap();
        send(&mut stream, &7).unwrap();
        let mut reader = stream.as_slice();
        assert_eq!(receive::<Vec<String>>(&mut reader).unwrap(), ["a", "ü"]);
        assert_eq!(receive::<i32>(&mut reader).unwrap(), 7);
        let error = receive::<i32>(&mut reader).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn half_a_message_in_a_whole_frame_is_not_a_stream_that_ends() {
        let error = receive::<Vec<i32>>(&mut b"\x02\0\0\0[1".as_slice()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_length_past_the_limit_is_refused_before_anything_is_allocated() {
        let error = receive::<i32>(&mut [0xff_u8; 8].as_slice()).unwrap_err();
        assert!(error.to_string().contains("announced"), "{error}");
    }
}
