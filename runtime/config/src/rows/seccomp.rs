//! `lxc.seccomp.notify.proxy`.

use crate::setting::{Fault, Input};
use crate::values::NotifyProxy;

/// Longest name of a Unix socket.
const LONGEST_SOCKET_NAME: usize = 107;

pub(crate) fn proxy(input: &Input) -> Result<Option<NotifyProxy>, Fault> {
    let expected =
        || format!("unix:/PATH or unix:@NAME of at most {LONGEST_SOCKET_NAME} bytes is expected");
    let address = input.value.strip_prefix("unix:").unwrap_or("");
    let (proxy, length) = match address.strip_prefix('@') {
        Some(name) if !name.is_empty() => (NotifyProxy::Abstract(name.to_owned()), name.len()),
        None if address.starts_with('/') && address != "/" => {
            (NotifyProxy::Path(address.to_owned()), address.len())
        }
        _ => return Err(Fault::bad("not a Unix socket", expected())),
    };
    if length > LONGEST_SOCKET_NAME {
        return Err(Fault::bad(format!("{length} bytes"), expected()));
    }
    Ok(Some(proxy))
}

pub(crate) fn show_proxy(proxy: &Option<NotifyProxy>) -> Option<String> {
    proxy.as_ref().map(|proxy| match proxy {
        NotifyProxy::Path(path) => path.clone(),
        NotifyProxy::Abstract(name) => name.clone(),
    })
}
