//! The tools, one file each.

pub mod attach;
pub mod autostart;
pub mod cgroup;
pub mod config;
pub mod console;
pub mod create;
pub mod destroy;
pub mod execute;
pub mod freeze;
pub mod info;
pub mod ls;
pub mod monitor;
pub mod monitord;
pub mod start;
pub mod stop;
pub mod top;
pub mod unfreeze;
pub mod unshare;
pub mod update_config;
pub mod usernsexec;
pub mod wait;

/// The exit status a shell would report for a raw wait status.
fn exit_code(wait_status: i32) -> u8 {
    let signal = wait_status & 0x7f;
    let code = if signal == 0 {
        wait_status >> 8
    } else {
        128 + signal
    };
    u8::try_from(code & 0xff).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case(0, 0)]
    #[case(3 << 8, 3)]
    #[case(255 << 8, 255)]
    #[case(9, 137)]
    #[case(0x80 | 11, 139)]
    fn exit_codes(#[case] wait_status: i32, #[case] code: u8) {
        assert_eq!(super::exit_code(wait_status), code);
    }
}
