//! Addresses, gateways and hardware addresses of network devices.

use crate::setting::{Fault, Input, Resolved};
use crate::values::{Gateway, Ipv4Address, Ipv6Address, Route};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

pub(crate) fn ipv4(input: &Input) -> Result<Vec<Ipv4Address>, Fault> {
    let expected = || "A.B.C.D[/PREFIX] [BROADCAST] is expected".to_owned();
    let mut words = crate::grammar::blank_separated(input.value);
    let (address, prefix) = words.next().and_then(split_prefix).unwrap_or(("", None));
    let addr =
        Ipv4Addr::from_str(address).map_err(|_| Fault::bad("not an IPv4 address", expected()))?;
    let prefix = match prefix {
        Some(digits) => prefix_length(digits, 32)?,
        None => class_prefix(addr),
    };
    let broadcast = match words.next() {
        Some(word) => Some(
            Ipv4Addr::from_str(word)
                .map_err(|_| Fault::bad("not a broadcast address", expected()).about(word))?,
        ),
        None => default_broadcast(addr, prefix),
    };
    match words.next() {
        Some(word) => Err(Fault::bad("too much", expected()).about(word)),
        None => Ok(vec![Ipv4Address {
            addr,
            prefix,
            broadcast,
        }]),
    }
}

pub(crate) fn ipv6(input: &Input) -> Result<Vec<Ipv6Address>, Fault> {
    let (address, prefix) = split_prefix(input.value).unwrap_or(("", None));
    let addr = Ipv6Addr::from_str(address)
        .map_err(|_| Fault::bad("not an IPv6 address", "ADDRESS[/PREFIX] is expected"))?;
    let prefix = prefix.map_or(Ok(64), |digits| prefix_length(digits, 128))?;
    Ok(vec![Ipv6Address { addr, prefix }])
}

fn split_prefix(text: &str) -> Option<(&str, Option<&str>)> {
    Some(
        text.split_once('/')
            .map_or((text, None), |(address, prefix)| (address, Some(prefix))),
    )
}

fn prefix_length(digits: &str, most: u8) -> Result<u8, Fault> {
    let number = digits
        .parse()
        .ok()
        .filter(|prefix| *prefix <= most && !digits.starts_with('+'));
    number.ok_or_else(|| Fault::bad("not a prefix length", format!("/0 to /{most} is expected")))
}

/// The network size that an address had before prefixes were written down.
fn class_prefix(addr: Ipv4Addr) -> u8 {
    match addr.octets()[0] {
        0..=127 => 8,
        128..=191 => 16,
        192..=223 => 24,
        224..=255 => 0,
    }
}

/// All host bits set; networks of one or two addresses have none to spare for it.
fn default_broadcast(addr: Ipv4Addr, prefix: u8) -> Option<Ipv4Addr> {
    let hosts = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
    (prefix < 31).then(|| Ipv4Addr::from_bits(addr.to_bits() | hosts))
}

pub(crate) fn show_ipv4(list: &[Ipv4Address]) -> Option<String> {
    crate::setting::show::joined(
        &list
            .iter()
            .map(|a| format!("{}/{}", a.addr, a.prefix))
            .collect::<Vec<_>>(),
    )
}

pub(crate) fn show_ipv6(list: &[Ipv6Address]) -> Option<String> {
    crate::setting::show::joined(
        &list
            .iter()
            .map(|a| format!("{}/{}", a.addr, a.prefix))
            .collect::<Vec<_>>(),
    )
}

/// An address of one family.
pub(crate) trait Address: FromStr + std::fmt::Display {
    const LONGEST_PREFIX: u8;
    const FAMILY: &'static str;
}

impl Address for Ipv4Addr {
    const LONGEST_PREFIX: u8 = 32;
    const FAMILY: &'static str = "IPv4";
}

impl Address for Ipv6Addr {
    const LONGEST_PREFIX: u8 = 128;
    const FAMILY: &'static str = "IPv6";
}

pub(crate) fn route<A: Address>(input: &Input) -> Result<Vec<Route<A>>, Fault> {
    let parts = input.value.split_once('/');
    let parsed = parts.and_then(|(network, digits)| Some((network.parse().ok()?, digits)));
    let Some((network, digits)) = parsed else {
        return Err(Fault::bad(
            format!("not an {} network", A::FAMILY),
            "ADDRESS/PREFIX is expected",
        ));
    };
    let prefix = prefix_length(digits, A::LONGEST_PREFIX)?;
    Ok(vec![Route { network, prefix }])
}

pub(crate) fn show_routes<A: Address>(routes: &[Route<A>]) -> Option<String> {
    let texts: Vec<String> = routes
        .iter()
        .map(|route| format!("{}/{}", route.network, route.prefix))
        .collect();
    crate::setting::show::joined(&texts)
}

pub(crate) fn gateway<A: FromStr>(input: &Input) -> Result<Option<Gateway<A>>, Fault> {
    match input.value {
        "auto" => Ok(Some(Gateway::Auto)),
        "dev" => Ok(Some(Gateway::Dev)),
        address => match A::from_str(address) {
            Ok(address) => Ok(Some(Gateway::Addr(address))),
            Err(_) => Err(Fault::bad(
                "not a gateway",
                "auto, dev or an address is expected",
            )),
        },
    }
}

pub(crate) fn show_gateway<A: ToString>(gateway: &Option<Gateway<A>>) -> Option<String> {
    gateway.as_ref().map(|gateway| match gateway {
        Gateway::Auto => "auto".to_owned(),
        Gateway::Dev => "dev".to_owned(),
        Gateway::Addr(address) => address.to_string(),
    })
}

pub(crate) fn hwaddr(input: &Input) -> Result<Option<String>, Fault> {
    let octet =
        |part: &str| matches!(part.len(), 1 | 2) && part.bytes().all(|b| b.is_ascii_hexdigit());
    let octets = input.value.split(':');
    if octets.clone().count() != 6 || !octets.clone().all(octet) {
        return Err(Fault::bad(
            "not a hardware address",
            "six hexadecimal octets such as 00:16:3e:xx:xx:xx are expected, x for a random digit",
        ));
    }
    Ok(Some(input.value.to_owned()))
}

/// Draws the digits written as `x`; they stay the same from now on.
pub(crate) fn draw_hwaddr(value: &str) -> Resolved {
    let is_template = |c: char| matches!(c, 'x' | 'X');
    if !value.contains(is_template) {
        return Resolved::AsWritten;
    }
    let mut drawn = String::with_capacity(value.len());
    for (index, c) in value.chars().enumerate() {
        match is_template(c) {
            // An odd second digit would make it a group address, which no interface may have.
            true if index == 1 => drawn.push(random_digit(0xe)),
            true => drawn.push(random_digit(0xf)),
            false => drawn.push(c),
        }
    }
    Resolved::ForGood(drawn)
}

/// The standard library seeds each hasher with fresh randomness; enough for addresses that only
/// have to differ from each other.
fn random_digit(mask: u64) -> char {
    let random = RandomState::new().build_hasher().finish() & mask;
    char::from_digit(random as u32, 16).unwrap_or('0')
}
