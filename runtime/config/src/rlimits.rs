//! Names of resource limits as `lxc.prlimit.*` takes them.

/// Names, lower case; the index is the number Linux gives them on x86, Arm, RISC-V, Power and s390.
pub const NAMES: &[&str] = &[
    "cpu",
    "fsize",
    "data",
    "stack",
    "core",
    "rss",
    "nproc",
    "nofile",
    "memlock",
    "as",
    "locks",
    "sigpending",
    "msgqueue",
    "nice",
    "rtprio",
    "rttime",
];

/// The kernel's number of the limit called `name`, which may be that number; `None` when there is
/// no such limit.
pub fn number(name: &str) -> Option<u32> {
    let by_name = NAMES.iter().position(|known| *known == name);
    let by_number = || match name.bytes().all(|b| b.is_ascii_digit()) {
        true => name.parse().ok().filter(|number| *number < NAMES.len()),
        false => None,
    };
    by_name.or_else(by_number).map(|number| number as u32)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case("nofile", Some(7))]
    #[case("rttime", Some(15))]
    #[case("7", Some(7))]
    #[case("16", None)]
    #[case("+7", None)]
    #[case("NOFILE", None)]
    #[case("", None)]
    fn limits_have_names_and_numbers(#[case] name: &str, #[case] expected: Option<u32>) {
        assert_eq!(super::number(name), expected, "{name:?}");
    }
}
