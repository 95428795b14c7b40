//! Many containers at once, and many who want the same one.

mod support;

use std::thread;
use std::time::Duration;

use support::Lab;

const OWNER: &str = "t1";

#[test]
fn fifty_containers_start_in_parallel_and_stop() {
    let Some(lab) = Lab::new(OWNER, "fifty_containers_start_in_parallel_and_stop") else {
        return;
    };
    let first = lab.busybox("c0", "");
    let mut names = vec![first.clone()];
    names.extend((1..50).map(|number| lab.sibling(&first, &format!("c{number}"))));
    let before = lab.census();
    let all = |tool: &str, more: &[&str]| {
        let calls: Vec<_> = names
            .iter()
            .map(|name| lab.tool(tool, &["-n", name]).args(more).start())
            .collect();
        for call in calls {
            call.finish().exits(0);
        }
    };
    all("lxc-start", &[]);
    let running = lab.tool("lxc-ls", &["--running", "-1"]).run().exits(0);
    assert_eq!(running.stdout.lines().count(), names.len(), "{running}");
    all("lxc-attach", &["--", "/bin/true"]);
    all("lxc-stop", &["-k"]);
    lab.is_as(&before);
}

#[test]
fn ten_start_the_same_container_and_one_wins() {
    let Some(lab) = Lab::new(OWNER, "ten_start_the_same_container_and_one_wins") else {
        return;
    };
    let name = lab.busybox("c1", "");
    let before = lab.census();
    for _ in 0..5 {
        let starts: Vec<_> = (0..10)
            .map(|_| lab.tool("lxc-start", &["-n", &name]).start())
            .collect();
        let ran: Vec<_> = starts.into_iter().map(support::Process::finish).collect();
        let (silent, told): (Vec<_>, Vec<_>) = ran.iter().partition(|ran| ran.stderr.is_empty());
        assert_eq!(silent.len(), 1, "{ran:#?}");
        for ran in silent.into_iter().chain(told) {
            // Somebody else's start is as good as one's own.
            assert!(ran.code() == 0, "{ran}");
            let told = ran.stderr.contains("is already running");
            assert!(told || ran.stderr.is_empty(), "{ran}");
        }
        assert_eq!(lab.state(&name), "RUNNING");
        lab.kill(&name);
        lab.is_as(&before);
    }
}

#[test]
fn starts_and_stops_of_one_container_race() {
    let Some(lab) = Lab::new(OWNER, "starts_and_stops_of_one_container_race") else {
        return;
    };
    let name = lab.busybox("c1", "");
    let before = lab.census();
    thread::scope(|scope| {
        for tool in ["lxc-start", "lxc-stop", "lxc-start", "lxc-info"] {
            let (lab, name) = (&lab, &name);
            scope.spawn(move || {
                let more: &[&str] = if tool == "lxc-stop" { &["-k"] } else { &[] };
                for _ in 0..20 {
                    let call = lab.tool(tool, &["-n", name]).args(more);
                    let ran = call.within(Duration::from_secs(10)).run();
                    // Whatever comes of it, it is said in the tool's own words.
                    assert!(ran.code() <= 2, "{ran}");
                    let own = ran.stderr.is_empty() || ran.stderr.starts_with(tool);
                    assert!(own, "{ran}");
                }
            });
        }
    });
    lab.tool("lxc-stop", &["-n", &name, "-k"]).run();
    lab.is_as(&before);
}
