//! Which kernels a scenario means: `6.1`, `>=6.1`, `<6.12`, `oldest`, `newest`.

use std::cmp::Ordering;

/// The names that `wanted` means, of those there are, which ascend; else what is wrong with it.
pub fn meant<'a>(wanted: &str, kernels: &[&'a str]) -> Result<Vec<&'a str>, String> {
    let there_are = || format!("there are {}", kernels.join(", "));
    let found: Vec<&str> = match wanted {
        "oldest" => series(kernels).take(1).collect(),
        "newest" => series(kernels).last().into_iter().collect(),
        _ => {
            let (keep, version): (fn(Ordering) -> bool, &str) =
                if let Some(version) = wanted.strip_prefix(">=") {
                    (Ordering::is_ge, version)
                } else if let Some(version) = wanted.strip_prefix('<') {
                    (Ordering::is_lt, version)
                } else if let Some(kernel) = kernels.iter().find(|kernel| **kernel == wanted) {
                    return Ok(vec![*kernel]);
                } else {
                    return Err(format!(
                        "kernel {wanted:?} is not in vm-images/kernels.toml; {}",
                        there_are()
                    ));
                };
            let Some(version) = numbers(version) else {
                return Err(format!(
                    "{wanted:?} names no kernel; write it like 6.1, >=6.1, <6.12, oldest or newest"
                ));
            };
            let fits =
                |kernel: &&str| numbers_of(kernel).is_some_and(|own| keep(own.cmp(&version)));
            kernels.iter().copied().filter(fits).collect()
        }
    };
    match found.is_empty() {
        true => Err(format!("no kernel is {wanted}; {}", there_are())),
        false => Ok(found),
    }
}

/// The kernels that are what their name says, and no variant of another.
pub fn series<'a>(kernels: &[&'a str]) -> impl Iterator<Item = &'a str> {
    kernels
        .iter()
        .copied()
        .filter(|kernel| numbers(kernel).is_some())
}

/// The numbers that a kernel's name has in it: `5.4-table` counts as 5.4.
fn numbers_of(kernel: &str) -> Option<Vec<u32>> {
    kernel.split('-').find_map(numbers)
}

/// The numbers of a version, without zeros at its end: 6.1 is 6.1.0.
fn numbers(version: &str) -> Option<Vec<u32>> {
    let mut numbers: Vec<u32> = version
        .split('.')
        .map(
            |part| match part.bytes().all(|byte| byte.is_ascii_digit()) {
                true => part.parse().ok(),
                false => None,
            },
        )
        .collect::<Option<_>>()?;
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNELS: &[&str] = &["5.10", "6.1", "6.12", "7.3", "5.4-table"];

    #[test]
    fn versions_are_compared_as_numbers() {
        for (wanted, expected) in [
            ("6.1", &["6.1"][..]),
            ("oldest", &["5.10"]),
            ("newest", &["7.3"]),
            (">=6.1", &["6.1", "6.12", "7.3"]),
            (">=6.2", &["6.12", "7.3"]),
            (">=6.1.0", &["6.1", "6.12", "7.3"]),
            ("<6.12", &["5.10", "6.1", "5.4-table"]),
            ("<5.10", &["5.4-table"]),
            ("5.4-table", &["5.4-table"]),
            (">=0", KERNELS),
        ] {
            assert_eq!(meant(wanted, KERNELS).unwrap(), expected, "{wanted}");
        }
    }

    #[test]
    fn what_no_kernel_is_is_refused() {
        for (wanted, expected) in [
            (
                "6.2",
                "kernel \"6.2\" is not in vm-images/kernels.toml; there are 5.10,",
            ),
            ("", "kernel \"\" is not"),
            ("6.*", "kernel \"6.*\" is not"),
            (">=8", "no kernel is >=8; there are 5.10, 6.1, 6.12, 7.3"),
            ("<5.4", "no kernel is <5.4"),
            (">=six", "\">=six\" names no kernel"),
            (">=", "\">=\" names no kernel"),
            (">=-1", "names no kernel"),
            (">=99999999999", "names no kernel"),
        ] {
            let error = meant(wanted, KERNELS).unwrap_err();
            assert!(error.contains(expected), "{wanted}: {error}");
        }
        assert!(meant("newest", &[]).is_err());
    }
}
