//! Numbers of bytes as LXC's tools print them for people.

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// `N bytes`, or the number in the largest unit it exceeds with two digits behind the point.
/// The roundings are LXC's, so that outputs can be compared.
pub fn humanized(bytes: u64) -> String {
    if bytes > GIB {
        format!("{}.{:02} GiB", bytes / GIB, (bytes % GIB) / 10_737_419)
    } else if bytes > MIB {
        scaled(bytes + 5_243, MIB, "MiB")
    } else if bytes > KIB {
        scaled(bytes + 5, KIB, "KiB")
    } else {
        format!("{bytes} bytes")
    }
}

fn scaled(rounded: u64, unit: u64, name: &str) -> String {
    format!(
        "{}.{:02} {name}",
        rounded / unit,
        (rounded % unit) * 100 / unit
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(0, "0 bytes")]
    #[case(1024, "1024 bytes")]
    #[case(1025, "1.00 KiB")]
    #[case(712_704, "696.00 KiB")]
    #[case(1_212_416, "1.16 MiB")]
    #[case(1_048_576, "1024.00 KiB")]
    #[case(1_073_741_825, "1.00 GiB")]
    #[case(1_610_612_736, "1.49 GiB")]
    #[case(u64::MAX, "17179869183.99 GiB")]
    fn humanized_sizes(#[case] bytes: u64, #[case] text: &str) {
        assert_eq!(humanized(bytes), text);
    }
}
