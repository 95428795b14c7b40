//! lxc-cgroup: reads or writes a file of a running container's cgroup.

use crate::applet::Applet;
use crate::failure::Failure;
use crate::help::Words;
use crate::invocation::Common;
use crate::options::Opt;
use crate::output;

#[derive(Default)]
pub struct Cgroup;

impl Applet for Cgroup {
    const WORDS: Words = Words {
        program: "lxc-cgroup",
        synopsis: "[--name=]NAME STATE-OBJECT [VALUE]",
        about: "lxc-cgroup prints STATE-OBJECT, a file of the running container NAME's cgroup such as\n\
                memory.max, or writes VALUE to it.",
        notes: "What is written is gone when the container stops; lxc.cgroup2.STATE-OBJECT in its\n\
                configuration stays. devices.allow and devices.deny take a rule on cgroup v2 too; the\n\
                first of a container without any denies every device that none allows there.",
    };

    const OPTIONS: &'static [Opt<Cgroup>] = &[];

    fn run(self, common: &mut Common, rest: Vec<String>) -> Result<u8, Failure> {
        let Some(file) = rest.first() else {
            let text = "Missing state object; name a file of the cgroup, such as memory.max";
            return Err(Failure::new(text));
        };
        let container = common.open()?;
        if let Some(value) = rest.get(1) {
            container.set_cgroup_item(file, value)?;
            return Ok(0);
        }
        match container.cgroup_item(file)? {
            // As LXC does: the newline that ends the file, and one more.
            Some(content) => output::print(&format!("{content}\n")).map(|()| 0),
            None if container.is_running()? => Err(Failure::new(format!(
                "there is no {file} in its cgroup; names begin with a controller that this host \
                 has, as in memory.max"
            ))),
            None => Err(Failure::new(format!("{} is not running", container.name()))),
        }
    }
}
