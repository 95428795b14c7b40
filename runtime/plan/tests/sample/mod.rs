//! A configuration as a test writes it.

use lxc_config::Config;

/// The configuration `text`, as if it stood in `demo/config`.
///
/// # Panics
/// It is none.
#[track_caller]
pub fn config(text: &str) -> Config {
    let mut config = Config::new();
    config
        .parse(text, "demo/config")
        .expect("the test's own configuration");
    config
}
