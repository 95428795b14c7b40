//! Files of a container's cgroup.

use crate::argument::{Handle, Out, Text};
use crate::buffer::Buffer;
use crate::object::member;
use crate::refusal::{Refusal, code, no};
use crate::state::not_running;
use libc::{c_char, c_int};

pub extern "C" fn get_cgroup_item(
    c: Handle,
    subsys: Text,
    retv: Out<c_char>,
    inlen: c_int,
) -> c_int {
    member(c, code, |object| {
        let file = subsys.required("the cgroup's file")?;
        let container = object.container();
        let Some(value) = container.cgroup_item(file)? else {
            return Err(match container.is_running()? {
                true => {
                    let name = container.name();
                    Refusal::absent(libc::ENOENT, format!("the cgroup of {name} has no {file}"))
                }
                false => not_running(container.name()).coded(-1),
            });
        };
        let buffer = Buffer::new(retv, inlen);
        // Either may be left out only with the other.
        if buffer.is_none() && !(retv.is_null() && inlen == 0) {
            return Err(Refusal::invalid(format!("there is no room for {file}")));
        }
        Ok(buffer.part(value.as_bytes()))
    })
}

pub extern "C" fn set_cgroup_item(c: Handle, subsys: Text, value: Text) -> bool {
    member(c, no, |object| {
        let file = subsys.required("the cgroup's file")?;
        let value = value.required("the value")?;
        object.container().set_cgroup_item(file, value)?;
        Ok(true)
    })
}
