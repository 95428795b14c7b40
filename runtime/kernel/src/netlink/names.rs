//! Names and hardware addresses of network devices.

/// Characters that stand for an `X` of a name template.
const ALPHABET: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Longest name of a device in bytes (the kernel's field has room for one NUL more).
const NAME_MAX: usize = 15;

/// Whether the kernel takes `name` as the name of a network device.
pub fn valid_name(name: &str) -> bool {
    let refused = |byte: u8| {
        byte == b'/' || byte == b':' || byte.is_ascii_whitespace() || byte.is_ascii_control()
    };
    !name.is_empty()
        && name.len() <= NAME_MAX
        && name != "."
        && name != ".."
        && !name.bytes().any(refused)
}

/// `template` with each `X` replaced by a random digit or letter, for instance `vethXXXXXX`.
///
/// Whether the name is free is the caller's business: `EEXIST` means another try.
pub fn random_name(template: &str) -> String {
    template
        .chars()
        .map(|c| if c == 'X' { random_character() } else { c })
        .collect()
}

/// A random unicast hardware address that is marked as locally administered, or whose first byte is `first`.
pub fn random_mac(first: Option<u8>) -> [u8; 6] {
    let mut mac = [0; 6];
    fill_random(&mut mac);
    // Bit 0 says multicast, bit 1 says that no manufacturer gave the address.
    mac[0] = first.unwrap_or((mac[0] & !1) | 2);
    mac
}

fn random_character() -> char {
    // The largest multiple of 62 below 256: bytes above it would make the first characters likelier.
    const FAIR: usize = 256 - 256 % ALPHABET.len();
    loop {
        let mut byte = [0];
        fill_random(&mut byte);
        let byte = usize::from(byte[0]);
        if byte < FAIR {
            return char::from(ALPHABET[byte % ALPHABET.len()]);
        }
    }
}

fn fill_random(buffer: &mut [u8]) {
    let mut filled = 0;
    while filled < buffer.len() {
        let rest = &mut buffer[filled..];
        // SAFETY: the pointer and length describe `rest`, which is writable for the whole call.
        let got = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        // The only error a valid buffer can meet is EINTR, while the kernel still gathers entropy.
        filled += usize::try_from(got).unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_the_kernel_takes() {
        let check = |name: &str, valid: bool| assert_eq!(valid_name(name), valid, "{name:?}");
        check("eth0", true);
        check("eth%d", true);
        check("a", true);
        check("fifteen-bytes-x", true);
        check("sixteen-bytes-xx", false);
        check("", false);
        check(".", false);
        check("..", false);
        check("...", true);
        check("a/b", false);
        check("a:b", false);
        check("a b", false);
        check("a\tb", false);
        check("a\u{b}b", false);
        check("a\u{7f}", false);
        check("a\0b", false);
    }

    #[test]
    fn every_x_and_nothing_else_is_replaced() {
        let name = random_name("vethXXXXXX");
        assert!(
            name.starts_with("veth")
                && name.len() == 10
                && name.bytes().all(|b| b.is_ascii_alphanumeric())
        );
        assert_ne!(random_name("vethXXXXXX"), name);
        assert_eq!(random_name("eth0-é"), "eth0-é");
        let long = random_name(&"X".repeat(4000));
        assert!(
            ALPHABET.iter().all(|c| long.contains(char::from(*c))),
            "a character never came up: {long}"
        );
    }

    #[test]
    fn hardware_addresses_are_unicast() {
        let macs: Vec<_> = (0..200).map(|_| random_mac(None)).collect();
        assert!(macs.iter().all(|mac| mac[0] & 3 == 2), "{macs:?}");
        assert_eq!(random_mac(Some(0xfe))[0], 0xfe);
        assert_ne!(random_mac(Some(0xfe)), random_mac(Some(0xfe)));
    }
}
