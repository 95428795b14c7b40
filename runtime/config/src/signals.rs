//! Signal names as `lxc.signal.*` and lxc-stop take them.

/// First real-time signal that programs may use; the C library keeps the two below it.
pub const RTMIN: i32 = 34;
/// Last real-time signal.
pub const RTMAX: i32 = 64;

/// The signal that cannot be refused.
pub const KILL: i32 = 9;

/// Names without `SIG`, with the numbers Linux gives them on x86, Arm, RISC-V, Power and s390.
pub const NAMES: &[(&str, i32)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("ABRT", 6),
    ("FPE", 8),
    ("KILL", KILL),
    ("SEGV", 11),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("USR1", 10),
    ("USR2", 12),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("TRAP", 5),
    ("IOT", 6),
    ("BUS", 7),
    ("STKFLT", 16),
    ("CLD", 17),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// The number of a signal written as a number, `SIGNAME`, `SIGRTMIN+N` or `SIGRTMAX-N`; upper and
/// lower case are the same. 0 is returned for `0`, which means "LXC's default" in a key.
///
/// # Errors
/// A sentence saying what is wrong.
pub fn parse(text: &str) -> Result<i32, String> {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return match text.parse() {
            Ok(number @ 0..=RTMAX) => Ok(number),
            Ok(_) => Err("no signal has this number".to_owned()),
            Err(_) => Err("not a number".to_owned()),
        };
    }
    let upper = text.to_ascii_uppercase();
    let Some(name) = upper.strip_prefix("SIG") else {
        return Err("not a signal".to_owned());
    };
    if let Some(&(_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Ok(number);
    }
    let offset = |digits: &str| match digits.bytes().all(|b| b.is_ascii_digit()) {
        true => digits.parse::<i32>().ok().filter(|n| *n <= RTMAX - RTMIN),
        false => None,
    };
    let real_time = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(""), _) => Some(RTMIN),
        (_, Some("")) => Some(RTMAX),
        (Some(above), _) => above.strip_prefix('+').and_then(offset).map(|n| RTMIN + n),
        (_, Some(below)) => below.strip_prefix('-').and_then(offset).map(|n| RTMAX - n),
        (None, None) => return Err("no signal has this name".to_owned()),
    };
    real_time.ok_or_else(|| "not a real-time signal".to_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case("0", Ok(0))]
    #[case("64", Ok(64))]
    #[case("65", Err("no signal has this number"))]
    #[case("9x", Err("not a number"))]
    #[case("SIGKILL", Ok(9))]
    #[case("sigpwr", Ok(30))]
    #[case("SigRtMin+3", Ok(37))]
    #[case("SIGRTMIN", Ok(34))]
    #[case("SIGRTMAX-30", Ok(34))]
    #[case("SIGRTMAX-31", Err("not a real-time signal"))]
    #[case("SIGRTMIN+31", Err("not a real-time signal"))]
    #[case("SIGRTMIN+-3", Err("not a real-time signal"))]
    #[case("SIGRTMIN-3", Err("not a real-time signal"))]
    #[case("KILL", Err("not a signal"))]
    #[case("SIGKIL", Err("no signal has this name"))]
    #[case("-9", Err("not a signal"))]
    #[case("", Err("not a signal"))]
    fn signals_are_read(#[case] text: &str, #[case] expected: Result<i32, &str>) {
        assert_eq!(
            super::parse(text),
            expected.map_err(str::to_owned),
            "{text:?}"
        );
    }
}
