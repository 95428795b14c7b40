//! What tools tell programs: the plan of a start, and JSON.

mod support;

use serde_json::Value;
use support::{Lab, Ran};

const OWNER: &str = "t1";

fn json(ran: &Ran) -> Value {
    match serde_json::from_str(&ran.stdout) {
        Ok(value) => value,
        Err(error) => panic!("not JSON: {error}\n{ran}"),
    }
}

#[test]
fn the_plan_names_every_step_and_takes_none() {
    let Some(lab) = Lab::new(OWNER, "the_plan_names_every_step_and_takes_none") else {
        return;
    };
    let whole = lab.busybox("whole", "");
    let rootfs = lab.rootfs(&whole);
    let text = format!(
        "lxc.rootfs.path = {}\nlxc.rootfs.managed = 0\nlxc.uts.name = planned\n\
         lxc.net.0.type = empty\nlxc.mount.auto = proc\n\
         lxc.mount.entry = /tmp mnt none bind,ro 0 0\nlxc.cap.drop = sys_time\n\
         lxc.hook.pre-start = /bin/true\nlxc.environment = A=b",
        rootfs.display()
    );
    let name = lab.defined("c1", &text);
    let before = lab.census();
    let plan = lab
        .tool("lxc-start", &["-n", &name, "--plan"])
        .run()
        .exits(0);
    assert_eq!(lab.state(&name), "STOPPED");
    lab.is_as(&before);
    assert!(plan.stderr.is_empty(), "{plan}");
    let mut settings = insta::Settings::clone_current();
    let lxcpath = lab.lxcpath().to_string_lossy();
    let prefix = lab.prefix().to_string_lossy();
    for (pattern, replacement) in [
        (&*lxcpath, "LXCPATH"),
        (lab.tag(), "TAG-"),
        (&*prefix, "PREFIX"),
    ] {
        settings.add_filter(pattern, replacement);
    }
    settings.bind(|| insta::assert_snapshot!("plan", plan.stdout));
}

#[test]
fn json_says_what_the_text_says() {
    let Some(lab) = Lab::new(OWNER, "json_says_what_the_text_says") else {
        return;
    };
    let (idle, busy) = (lab.busybox("idle", ""), lab.busybox("busy", ""));
    lab.start(&busy);
    let pid = i64::from(lab.init_pid(&busy).as_raw_nonzero().get());
    for (name, state, pid) in [(&idle, "STOPPED", None), (&busy, "RUNNING", Some(pid))] {
        let info = json(&lab.tool("lxc-info", &["-n", name, "--json"]).run().exits(0));
        assert_eq!(info["name"], **name, "{info}");
        assert_eq!(info["state"], state, "{info}");
        assert_eq!(info["pid"].as_i64(), pid, "{info}");
    }
    let list = json(&lab.tool("lxc-ls", &["--json"]).run().exits(0));
    let rows = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    let found: Vec<_> = rows
        .iter()
        .map(|row| (row["name"].as_str(), row["state"].as_str()))
        .collect();
    let busy_row = (Some(&*busy), Some("RUNNING"));
    let idle_row = (Some(&*idle), Some("STOPPED"));
    assert_eq!(found, [busy_row, idle_row], "{list}");
    let stopped = json(&lab.tool("lxc-ls", &["--stopped", "--json"]).run().exits(0));
    assert_eq!(stopped.as_array().map(Vec::len), Some(1), "{stopped}");
}
