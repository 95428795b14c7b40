//! The monitor of one container, and the helper of one attach; which of the two, the request says.
#![forbid(unsafe_code)]

fn main() {
    std::process::exit(lxc_engine::launch::serve_request());
}
