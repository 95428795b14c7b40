//! Names of the abstract sockets that monitors listen on.

use std::fmt;

/// Longest name that is used as it is: `sun_path` (108 bytes) without its leading and a trailing NUL,
/// and one byte that C LXC's formatting reserves.
const LONGEST_PLAIN: usize = 105;

/// Name of an abstract socket, without its leading NUL.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(Vec<u8>);

impl Address {
    /// Gives the address of the monitor of container `name` in `lxcpath`.
    ///
    /// `lxcpath` is used as it is spelled, but for slashes at its end: two spellings of one directory are
    /// two addresses, as they are for C LXC.
    pub fn of(lxcpath: &str, name: &str) -> Address {
        let container = format!("{}/{name}", trimmed(lxcpath));
        let plain = format!("{container}/command");
        if plain.len() <= LONGEST_PLAIN {
            Address(plain.into_bytes())
        } else {
            Address::hashed(fnv1a(container.as_bytes()))
        }
    }

    /// Gives the address that stands for a container whose plain address would be too long.
    ///
    /// `hash` is [`fnv1a`] of `LXCPATH/NAME`.
    pub fn hashed(hash: u64) -> Address {
        Address(format!("lxc/{hash:016x}/command").into_bytes())
    }

    /// Gives the address where `lxc-monitord` serves subscribers of `lxcpath`; `None` if it does not fit.
    pub fn of_monitord(lxcpath: &str) -> Option<Address> {
        let hash = fnv1a(format!("lxc/{lxcpath}/monitor-sock").as_bytes());
        let name = format!("lxc/{hash:016x}/{lxcpath}");
        (name.len() <= LONGEST_PLAIN).then(|| Address(name.into_bytes()))
    }

    /// Gives the bytes that follow the leading NUL in `sun_path`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.0.escape_ascii())
    }
}

/// Takes the slashes at the end of a path away.
pub(super) fn trimmed(lxcpath: &str) -> &str {
    lxcpath.trim_end_matches('/')
}

/// Computes the 64-bit FNV-1a hash that LXC puts into socket names.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    const START: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(START, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_fnv1a() {
        let check = |text: &str, hash: u64| assert_eq!(fnv1a(text.as_bytes()), hash, "{text}");
        check("", 0xcbf2_9ce4_8422_2325);
        check("a", 0xaf63_dc4c_8601_ec8c);
        check("/var/lib/lxc/c1", 0x594c_f657_8e76_045e);
        check("lxc//var/lib/lxc/monitor-sock", 0xad05_5575_fe28_ddd5);
    }

    #[test]
    fn addresses_are_plain_up_to_105_bytes() {
        let check = |lxcpath: &str, name: &str, expected: &str| {
            assert_eq!(Address::of(lxcpath, name).to_string(), expected);
        };
        check("/var/lib/lxc", "c1", "@/var/lib/lxc/c1/command");
        check("/var/lib/lxc//", "c1", "@/var/lib/lxc/c1/command");
        check("relative", "c1", "@relative/c1/command");

        // 12 + 1 + n + 8 = 105 for n = 84.
        let longest = "n".repeat(84);
        check(
            "/var/lib/lxc",
            &longest,
            &format!("@/var/lib/lxc/{longest}/command"),
        );
        let longer = "n".repeat(85);
        let hash = fnv1a(format!("/var/lib/lxc/{longer}").as_bytes());
        check(
            "/var/lib/lxc",
            &longer,
            &format!("@lxc/{hash:016x}/command"),
        );
    }

    #[test]
    fn the_broadcast_address_carries_hash_and_path() {
        let address = Address::of_monitord("/var/lib/lxc").map(|address| address.to_string());
        assert_eq!(
            address.as_deref(),
            Some("@lxc/ad055575fe28ddd5//var/lib/lxc")
        );
        assert_eq!(Address::of_monitord(&"x".repeat(100)), None);
    }
}
